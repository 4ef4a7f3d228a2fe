// SPDX-License-Identifier: Apache-2.0
//
// Attention of one head, in microseconds, beside oneDNN's pipelines, the two products alone and copies; one thread.
//
//   attention_bench [--json=FILE] [--markdown=FILE] [--longest=N] [--avx2=FILE] [--peers=FILE]
//   attention_bench --hold-to-avx2 --json=FILE
//
// --hold-to-avx2: head dimension 64 alone, with HCCS and oneDNN both held to AVX2; --avx2 puts what that wrote into the
// page, --peers what attention/peers.py wrote. Kernels of a size read the same queries, keys and values. Each runs once
// and is verified on them before any is timed; a wrong one ends the program, and no file is written.
#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "attention_kernel.h"
#include "attention_page.h"  // made by the build from docs/results/attention-cpu.md.in
#include "hccs/attention.h"
#include "hccs_bench_commit.h"  // made by the build

namespace hccs::bench {
namespace {

constexpr int kRounds = 25;
constexpr double kRoundSeconds = .002;  // of a kernel in a round, or one call if that takes longer

struct Arguments {
  std::string json, markdown, avx2, peers;
  int64_t longest = 4096;
  bool hold_to_avx2 = false;
};

struct Row {
  AttentionKernel kernel;
  int64_t dimension, keys, queries;
  double microseconds = 1e30;
};

AttentionData make_data(int64_t dimension, int64_t n) {
  AttentionData data{n, n, dimension, {}, {}, {}};
  std::mt19937 random(static_cast<uint32_t>(n * 1000 + dimension));
  std::normal_distribution<double> normal(0, 28);
  for (auto* x : {&data.q, &data.k, &data.v}) {
    x->resize(static_cast<size_t>(n * dimension));
    for (int8_t& y : *x) y = static_cast<int8_t>(std::clamp(std::nearbyint(normal(random)), -128.0, 127.0));
  }
  return data;
}

// The OR of all words, by vectors of 64 bytes or what this processor makes of them.
#if defined(__x86_64__)
#define HCCS_BEST_INSTRUCTIONS __attribute__((target_clones("default", "avx2", "arch=x86-64-v4")))
#else
#define HCCS_BEST_INSTRUCTIONS
#endif
HCCS_BEST_INSTRUCTIONS uint64_t read_all(const int8_t* data, int64_t bytes) {
  using Vector = uint64_t __attribute__((vector_size(64), aligned(1), may_alias));
  Vector a{};
  Vector b{};
  Vector c{};
  Vector d{};
  for (int64_t i = 0; i + 256 <= bytes; i += 256) {
    const auto* part = reinterpret_cast<const Vector*>(data + i);
    a |= part[0];
    b |= part[1];
    c |= part[2];
    d |= part[3];
  }
  a |= b | c | d;
  return a[0] | a[1] | a[2] | a[3] | a[4] | a[5] | a[6] | a[7];
}

void add_floors(const AttentionData& data, std::vector<AttentionKernel>& kernels) {
  auto copy = std::make_shared<std::vector<int8_t>>(4 * data.q.size());
  kernels.push_back({.kernel = "memcpy", .target = "libc", .run = [copy, &data] {
                       int8_t* to = copy->data();
                       for (const auto* from : {&data.q, &data.k, &data.v}) {
                         std::memcpy(to, from->data(), from->size());
                         to += from->size();
                       }
                       std::memcpy(to, copy->data(), data.q.size());  // as many bytes as the output has
                     }});
  kernels.push_back({.kernel = "read", .target = "compiler", .mask = "cache", .run = [&data] {
                       for (const auto* from : {&data.k, &data.v}) {
                         uint64_t sum = read_all(from->data(), std::ssize(*from));
                         asm volatile("" ::"r"(sum));
                       }
                     }});
}

double time_of(const AttentionKernel& kernel, int64_t calls) {
  const auto start = std::chrono::steady_clock::now();
  for (int64_t i = 0; i < calls; ++i) kernel.run();
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  return seconds.count() / static_cast<double>(calls);
}

// Verifies, then times in rounds in which the kernels take turns, and keeps each one's fastest.
Status measure(const AttentionData& data, std::vector<AttentionKernel>& kernels, std::vector<Row>& rows) {
  std::vector<int64_t> calls;
  for (const AttentionKernel& kernel : kernels) {
    kernel.run();
    if (kernel.verify) HCCS_RETURN_IF_ERROR(kernel.verify());
    calls.push_back(std::max<int64_t>(1, static_cast<int64_t>(kRoundSeconds / std::max(time_of(kernel, 1), 1e-9))));
  }
  const size_t first = rows.size();
  for (AttentionKernel& kernel : kernels) {
    const int64_t queries = kernel.mask == "cache" ? 1 : data.queries;
    rows.push_back({std::move(kernel), data.dimension, data.keys, queries});
  }
  for (int round = 0; round < kRounds; ++round) {
    for (size_t i = 0; i < calls.size(); ++i) {
      Row& row = rows[first + i];
      row.microseconds = std::min(row.microseconds, 1e6 * time_of(row.kernel, calls[i]));
    }
  }
  for (size_t i = first; i < rows.size(); ++i) {
    rows[i].kernel.run = nullptr;  // with what it holds
    rows[i].kernel.verify = nullptr;
  }
  return {};
}

struct Query {
  std::string kernel;
  int64_t dimension, keys;
  std::string mask = "none";
  int knees = 0;
  std::string weights;
  std::string target;  // empty: the first
};

const Row* find(const std::vector<Row>& rows, const Query& q) {
  for (const Row& row : rows) {
    const AttentionKernel& k = row.kernel;
    if (k.kernel == q.kernel && row.dimension == q.dimension && row.keys == q.keys && k.mask == q.mask &&
        (q.knees == 0 || k.knees == q.knees) && (q.weights.empty() || k.weights == q.weights) &&
        (q.target.empty() || k.target == q.target)) {
      return &row;
    }
  }
  return nullptr;
}

std::string ratio(const Row* slow, const Row* fast) {
  if (slow == nullptr || fast == nullptr) return "-";
  return fmt::format("{:.2f}", slow->microseconds / fast->microseconds);
}

std::string time(const Row* row) { return row == nullptr ? "-" : fmt::format("{:.2f}", row->microseconds); }

std::string line(const std::vector<std::string>& cells) {
  std::string text = "|";
  for (const std::string& cell : cells) text += fmt::format(" {} |", cell);
  return text + "\n";
}

// Dimensions and lengths that were measured, in order.
std::vector<std::pair<int64_t, int64_t>> sizes(const std::vector<Row>& rows) {
  std::vector<std::pair<int64_t, int64_t>> list;
  for (const Row& row : rows) {
    if (row.kernel.kernel != "hccs") continue;
    const std::pair size{row.dimension, row.keys};
    if (std::find(list.begin(), list.end(), size) == list.end()) list.push_back(size);
  }
  return list;
}

std::string times_table(const std::vector<Row>& rows) {
  std::string text = line({"d", "n", "hccs", "products alone", "oneDNN int8", "bf16", "f32", "memcpy",
                           "oneDNN int8 over hccs", "hccs over products"});
  text += "|---|---|---|---|---|---|---|---|---|---|\n";
  for (const auto& [d, n] : sizes(rows)) {
    const Row* own = find(rows, {"hccs", d, n, "none", 3, "uint8"});
    const Row* products = find(rows, {"products", d, n});
    text += line({fmt::format("{}", d), fmt::format("{}", n), time(own), time(products),
                  time(find(rows, {"onednn-s8", d, n})), time(find(rows, {"onednn-bf16", d, n})),
                  time(find(rows, {"onednn-f32", d, n})), time(find(rows, {"memcpy", d, n})),
                  ratio(find(rows, {"onednn-s8", d, n}), own), ratio(own, products)});
  }
  return text;
}

std::string peers_table(const std::vector<Row>& rows) {
  std::string text = line({"d", "n", "hccs", "ONNX Runtime f32", "int8", "OpenVINO f32", "bf16",
                           "ONNX Runtime's best over hccs", "OpenVINO's best over hccs"});
  text += "|---|---|---|---|---|---|---|---|---|\n";
  const auto faster = [](const Row* a, const Row* b) {
    return a == nullptr || (b != nullptr && b->microseconds < a->microseconds) ? b : a;
  };
  for (const auto& [d, n] : sizes(rows)) {
    const Row* own = find(rows, {"hccs", d, n, "none", 3, "uint8"});
    const Row* ort_f32 = find(rows, {"onnxruntime-f32", d, n});
    const Row* ort_int8 = find(rows, {"onnxruntime-int8", d, n});
    const Row* openvino_f32 = find(rows, {"openvino-f32", d, n});
    const Row* openvino_bf16 = find(rows, {"openvino-bf16", d, n});
    text += line({fmt::format("{}", d), fmt::format("{}", n), time(own), time(ort_f32), time(ort_int8),
                  time(openvino_f32), time(openvino_bf16), ratio(faster(ort_f32, ort_int8), own),
                  ratio(faster(openvino_f32, openvino_bf16), own)});
  }
  return text;
}

std::string softmax_table(const std::vector<Row>& rows) {
  std::vector<std::string> recipes;
  for (const Row& row : rows) {
    const AttentionKernel& k = row.kernel;
    if (k.kernel != "requantise+softmax") continue;
    if (std::find(recipes.begin(), recipes.end(), k.target) == recipes.end()) recipes.push_back(k.target);
  }
  std::vector<std::string> header = {"d", "n", "softmax of int32"};
  for (const std::string& recipe : recipes) header.push_back(recipe + ", then softmax");
  header.emplace_back("hccs less products alone");
  std::string text = line(header) + "|" + [&] {
    std::string dashes;
    for (size_t i = 0; i < header.size(); ++i) dashes += "---|";
    return dashes;
  }() + "\n";
  for (const auto& [d, n] : sizes(rows)) {
    if (d != 64) continue;
    std::vector<std::string> cells = {fmt::format("{}", d), fmt::format("{}", n),
                                      time(find(rows, {"softmax-int32", d, n}))};
    for (const std::string& recipe : recipes) {
      cells.push_back(time(find(rows, {"requantise+softmax", d, n, "none", 0, "", recipe})));
    }
    const Row* own = find(rows, {"hccs", d, n, "none", 3, "uint8"});
    const Row* products = find(rows, {"products", d, n});
    cells.push_back(own == nullptr || products == nullptr
                        ? "-"
                        : fmt::format("{:.2f}", own->microseconds - products->microseconds));
    text += line(cells);
  }
  return text;
}

std::string costs_table(const std::vector<Row>& rows) {
  std::string text = line({"d", "n", "K = 3 over K = 1", "exact over K = 3", "wide over 8 bits", "causal over full",
                           "one query over a cache, us", "reading k and v, us"});
  text += "|---|---|---|---|---|---|---|---|\n";
  for (const auto& [d, n] : sizes(rows)) {
    const Row* own = find(rows, {"hccs", d, n, "none", 3, "uint8"});
    text += line({fmt::format("{}", d), fmt::format("{}", n), ratio(own, find(rows, {"hccs", d, n, "none", 1})),
                  ratio(find(rows, {"exact", d, n}), own), ratio(find(rows, {"hccs", d, n, "none", 3, "wide"}), own),
                  ratio(find(rows, {"hccs", d, n, "causal"}), own), time(find(rows, {"hccs", d, n, "cache"})),
                  time(find(rows, {"read", d, n, "cache"}))});
  }
  return text;
}

std::string targets_table(const std::vector<Row>& rows) {
  std::string text = line({"target", "n", "8 bits, us", "wide, us", "oneDNN int8 over 8 bits"});
  text += "|---|---|---|---|---|\n";
  for (const std::string_view target : attention_targets()) {
    for (const auto& [d, n] : sizes(rows)) {
      const Row* own = find(rows, {"hccs", d, n, "none", 3, "uint8", std::string(target)});
      if (d != 64 || own == nullptr) continue;
      text += line({std::string(target), fmt::format("{}", n), time(own),
                    time(find(rows, {"hccs", d, n, "none", 3, "wide", std::string(target)})),
                    ratio(find(rows, {"onednn-s8", d, n}), own)});
    }
  }
  return text;
}

// Of a run with --hold-to-avx2.
Expected<std::string> avx2_table(const std::string& path) {
  if (path.empty()) return std::string("Not measured.\n");
  std::ifstream file(path);
  const auto json = nlohmann::json::parse(file, nullptr, false);
  if (json.is_discarded()) return Status(StatusCode::kBadData, path + ": no JSON");
  std::string text = line({"n", "hccs, us", "wide, us", "products alone, us", "oneDNN int8, us", "f32, us",
                           "oneDNN int8 over hccs", "oneDNN f32 over hccs"});
  text += "|---|---|---|---|---|---|---|---|\n";
  std::map<int64_t, std::map<std::string, double>> times;
  for (const auto& row : json["rows"]) {
    if (row["mask"] != "none" || row["knees"] == 1) continue;
    const bool wide = row["weights"] == "wide";
    times[row["n"]][row["kernel"].get<std::string>() + (wide ? " wide" : "")] = row["us_per_head"];
  }
  for (auto& entry : times) {
    std::map<std::string, double>& us = entry.second;
    const auto cell = [&](const char* kernel) { return fmt::format("{:.2f}", us[kernel]); };
    text += line({fmt::format("{}", entry.first), cell("hccs"), cell("hccs wide"), cell("products"), cell("onednn-s8"),
                  cell("onednn-f32"), fmt::format("{:.2f}", us["onednn-s8"] / us["hccs"]),
                  fmt::format("{:.2f}", us["onednn-f32"] / us["hccs"])});
  }
  return text;
}

// The rows of attention/peers.py.
Status add_peers(const std::string& path, std::vector<Row>& rows) {
  if (path.empty()) return {};
  std::ifstream file(path);
  const auto json = nlohmann::json::parse(file, nullptr, false);
  if (json.is_discarded()) return {StatusCode::kBadData, path + ": no JSON"};
  for (const auto& row : json["rows"]) {
    Row peer{.kernel = {.kernel = row["kernel"], .target = row["target"]},
             .dimension = row["d"],
             .keys = row["n"],
             .queries = row["queries"],
             .microseconds = row["us_per_head"]};
    rows.push_back(std::move(peer));
  }
  return {};
}

std::string machine() {
  std::ifstream cpuinfo("/proc/cpuinfo");
  for (std::string text; std::getline(cpuinfo, text);) {
    const size_t colon = text.find(": ");
    if (text.starts_with("model name") && colon != std::string::npos) return text.substr(colon + 2);
  }
  return "unknown processor";
}

std::string json_of(const std::vector<Row>& rows) {
  nlohmann::ordered_json all = {{"machine", machine()}, {"commit", kCommit}, {"rows", nlohmann::json::array()}};
  for (const Row& row : rows) {
    const AttentionKernel& k = row.kernel;
    nlohmann::ordered_json r = {{"kernel", k.kernel}, {"target", k.target},     {"d", row.dimension},
                                {"n", row.keys},      {"queries", row.queries}, {"mask", k.mask},
                                {"knees", k.knees},   {"weights", k.weights},   {"us_per_head", row.microseconds}};
    const Row* peer = k.mask == "cache" ? nullptr : find(rows, {"onednn-s8", row.dimension, row.keys});
    const Row* products = k.mask == "cache" ? nullptr : find(rows, {"products", row.dimension, row.keys});
    r["ratio_to_onednn_s8"] =
        peer != nullptr ? nlohmann::ordered_json(peer->microseconds / row.microseconds) : nlohmann::ordered_json();
    r["ratio_to_products"] = products != nullptr ? nlohmann::ordered_json(row.microseconds / products->microseconds)
                                                 : nlohmann::ordered_json();
    all["rows"].push_back(r);
  }
  return all.dump(1) + "\n";
}

std::string page_of(const std::vector<Row>& rows, const std::string& avx2, bool has_onednn) {
  return fmt::format(fmt::runtime(kAttentionPage), fmt::arg("machine", machine()), fmt::arg("commit", kCommit),
                     fmt::arg("rounds", kRounds), fmt::arg("milliseconds", 1e3 * kRoundSeconds),
                     fmt::arg("absent", has_onednn ? "" : "oneDNN was not found when this was built.\n\n"),
                     fmt::arg("target", attention_targets().front()), fmt::arg("times", times_table(rows)),
                     fmt::arg("peers", peers_table(rows)), fmt::arg("softmax", softmax_table(rows)),
                     fmt::arg("costs", costs_table(rows)), fmt::arg("targets", targets_table(rows)),
                     fmt::arg("avx2", avx2));
}

bool write(const std::string& path, const std::string& text) {
  if (path.empty()) return true;
  const std::filesystem::path parent = std::filesystem::path(path).parent_path();
  std::error_code error;
  if (!parent.empty()) std::filesystem::create_directories(parent, error);
  std::ofstream file(path);
  file << text;
  file.close();
  if (!file) std::fputs(fmt::format("{}: cannot be written\n", path).c_str(), stderr);
  return static_cast<bool>(file);
}

int run(const Arguments& arguments) {
  bool has_onednn = false;
#if HCCS_BENCH_ONEDNN
  has_onednn = true;
#endif
  const auto avx2 = avx2_table(arguments.avx2);
  if (!avx2.ok()) {
    std::fputs((avx2.status().message() + "\n").c_str(), stderr);
    return 1;
  }
#if HCCS_BENCH_ONEDNN
  if (arguments.hold_to_avx2) hold_onednn_to_avx2();
#endif
  const std::string_view target = arguments.hold_to_avx2 ? "avx2" : attention_targets().front();
  std::vector<Row> rows;
  for (const int64_t d : {32, 64, 128}) {
    if (arguments.hold_to_avx2 && d != 64) continue;
    for (int64_t n = 32; n <= arguments.longest; n *= 2) {
      const AttentionData data = make_data(d, n);
      std::vector<AttentionKernel> kernels;
      Status status =
          add_own_kernels(data, target, !arguments.hold_to_avx2 && d == 64 && n >= 64 && n <= 1024, kernels);
#if HCCS_BENCH_ONEDNN
      if (status.ok()) status = add_onednn_attention(data, kernels);
#endif
      add_floors(data, kernels);
      if (status.ok()) status = measure(data, kernels, rows);
      if (!status.ok()) {
        std::fputs((status.message() + "\n").c_str(), stderr);
        return 1;
      }
      const Row* own = find(rows, {"hccs", d, n, "none", 3, "uint8"});
      const Row* peer = find(rows, {"onednn-s8", d, n});
      fmt::print("d {} n {}: hccs {} us, oneDNN int8 {} us, ratio {}\n", d, n, time(own), time(peer), ratio(peer, own));
      std::fflush(stdout);
    }
  }
  if (const Status status = add_peers(arguments.peers, rows); !status.ok()) {
    std::fputs((status.message() + "\n").c_str(), stderr);
    return 1;
  }
  return write(arguments.json, json_of(rows)) && write(arguments.markdown, page_of(rows, *avx2, has_onednn)) ? 0 : 1;
}

}  // namespace
}  // namespace hccs::bench

int main(int argc, char** argv) try {
  hccs::bench::Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument.starts_with("--json=")) {
      arguments.json = argument.substr(7);
    } else if (argument.starts_with("--markdown=")) {
      arguments.markdown = argument.substr(11);
    } else if (argument.starts_with("--longest=")) {
      arguments.longest = std::strtoll(argv[i] + 10, nullptr, 10);
    } else if (argument.starts_with("--avx2=")) {
      arguments.avx2 = argument.substr(7);
    } else if (argument.starts_with("--peers=")) {
      arguments.peers = argument.substr(8);
    } else if (argument == "--hold-to-avx2") {
      arguments.hold_to_avx2 = true;
    } else {
      std::fputs(
          "usage: attention_bench [--json=FILE] [--markdown=FILE] [--longest=N] [--avx2=FILE] [--peers=FILE] "
          "[--hold-to-avx2]\n",
          stderr);
      return 2;
    }
  }
  return hccs::bench::run(arguments);
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
