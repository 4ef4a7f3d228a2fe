// SPDX-License-Identifier: Apache-2.0
#include "aie/results/results.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <span>

namespace aie_results {
namespace {

using aie_cycles::Device;
using aie_traces::Call;
using aie_traces::DrawnMask;
using aie_traces::Heads;
using aie_traces::kBitMask;
using aie_traces::kCausalMask;
using aie_traces::Kernel;
using aie_traces::kLengthMask;
using aie_traces::kNoMask;
using aie_traces::Mode;
using aie_traces::Output;

std::vector<Call> calls(Extent extent) {
  std::vector<Call> all;
  const bool full = extent == Extent::kFull;
  for (const Device device : kDevices) {
    for (const unsigned n : kRowLengths) {
      if (!full && n != 64) continue;
      Call call{.device = device, .n = n, .rows = aie_traces::usual_rows(n)};
      const auto add = [&](Mode mode, Output output, unsigned knees = 1, DrawnMask mask = kNoMask) {
        call.mode = mode;
        call.output = output;
        call.knees = knees;
        call.mask = mask;
        all.push_back(call);
      };
      call.kernel = Kernel::kPaperRows;
      add(Mode::kClb, Output::kUint8);
      add(Mode::kDiv, Output::kInt16);
      if (full) {
        add(Mode::kClb, Output::kInt16);
        add(Mode::kDiv, Output::kUint8);
      }
      for (const Kernel kernel : {Kernel::kRows, Kernel::kTiles}) {
        call.kernel = kernel;
        add(Mode::kClb, Output::kUint8);
        add(Mode::kScaled, Output::kUint8);
        if (!full) continue;
        add(Mode::kDiv, Output::kUint8);
        for (const Mode mode : {Mode::kClb, Mode::kScaled, Mode::kDiv}) add(mode, Output::kInt16);
        for (const Mode mode : {Mode::kClb, Mode::kScaled}) {
          for (unsigned knees = 2; knees <= 4; ++knees) add(mode, Output::kUint8, knees);
          for (const DrawnMask mask : {kLengthMask, kCausalMask, kBitMask}) add(mode, Output::kUint8, 1, mask);
        }
      }
      call.kernel = Kernel::kAttention;
      if (full) {
        for (unsigned knees = 1; knees <= 4; ++knees) add(Mode::kDeferred, Output::kInt8, knees);
        add(Mode::kDeferred, Output::kInt8, 1, kCausalMask);
      }
      call.kernel = Kernel::kExpBf16;
      add(device == Device::kAieMl ? Mode::kTables : Mode::kExp2, Output::kBf16, 0);
      add(Mode::kBits, Output::kBf16, 0);
    }
  }
  return all;
}

// Calls of other heads than the paper's.
std::vector<Call> calls_of(Heads heads, std::span<const unsigned> lengths, std::span<const unsigned> knee_counts) {
  std::vector<Call> all;
  for (const Device device : kDevices) {
    for (const unsigned n : lengths) {
      for (const Kernel kernel : {Kernel::kRows, Kernel::kTiles}) {
        for (const Mode mode : {Mode::kClb, Mode::kScaled}) {
          for (const unsigned knees : knee_counts) {
            all.push_back({.kernel = kernel,
                           .device = device,
                           .mode = mode,
                           .knees = knees,
                           .n = n,
                           .rows = aie_traces::usual_rows(n),
                           .heads = heads});
          }
        }
      }
    }
  }
  return all;
}

// Masks of heads beyond the paper's limit with several knees and with int16 results, but for the recommended call.
std::vector<Call> native_masked_calls(Device device, unsigned n) {
  std::vector<Call> all;
  Call call = recommended_call(device, n);
  for (const DrawnMask mask : {kLengthMask, kBitMask}) {
    call.mask = mask;
    call.output = Output::kUint8;
    for (const unsigned knees : {2u, 3u, 4u}) {
      call.knees = knees;
      if (knees != 3 || mask != kLengthMask) all.push_back(call);
    }
    call.output = Output::kInt16;
    call.knees = 3;
    all.push_back(call);
  }
  return all;
}

// Heads beyond the paper's limit.
std::vector<Call> native_calls(Extent extent) {
  if (extent != Extent::kFull) return {};
  constexpr unsigned kKnees[] = {1, 3};
  std::vector<Call> all = calls_of(Heads::kNative, kRowLengths, kKnees);
  for (const Device device : kDevices) {
    for (const unsigned n : kRowLengths) {
      all.push_back(recommended_call(device, n));
      const std::vector<Call> masked = native_masked_calls(device, n);
      all.insert(all.end(), masked.begin(), masked.end());
      all.push_back({.kernel = Kernel::kAttention,
                     .device = device,
                     .mode = Mode::kDeferred,
                     .output = Output::kInt8,
                     .knees = 4,
                     .n = n,
                     .rows = aie_traces::usual_rows(n),
                     .heads = Heads::kNative});
    }
  }
  return all;
}

// Without masks, the heads of masked rows where these differ from the paper's: what masks cost is the difference.
std::vector<Call> masked_head_calls(Extent extent) {
  constexpr unsigned kLengths[] = {256, 512};
  constexpr unsigned kKnees[] = {1};
  return extent == Extent::kFull ? calls_of(Heads::kMasked, kLengths, kKnees) : std::vector<Call>{};
}

std::optional<double> published_cycles(const Call& call) {
  for (const PublishedCell& cell : published()) {
    if (cell.device != call.device || cell.n != call.n) continue;
    const auto cycles = [](double gelem) { return 64 * aie_cycles::kClockGhz / gelem; };
    if (call.kernel == Kernel::kPaperRows && call.mode == Mode::kClb && call.output == Output::kUint8) {
      return cycles(cell.clb);
    }
    if (call.kernel == Kernel::kPaperRows && call.mode == Mode::kDiv && call.output == Output::kInt16) {
      return cycles(cell.div);
    }
    if (call.kernel == Kernel::kExpBf16 && call.mode != Mode::kBits) return cycles(cell.bf16);
  }
  return std::nullopt;
}

hccs::Expected<Row> row_of(const Call& call) {
  HCCS_ASSIGN_OR_RETURN(const aie_traces::Cost cost, aie_traces::cost(call));
  Row row;
  row.call = call;
  row.cycles = cost.core.cycles;
  row.cycles_per_row = cost.cycles_per_row;
  row.cycles_per_64 = cost.cycles_per_64;
  if (const aie_cycles::Piece* piece = cost.core.hottest(); piece != nullptr) {
    row.interval = piece->schedule.interval;
    row.binding = piece->schedule.interval > 0 ? piece->schedule.bounds.binding : "latency";
  }
  row.published_cycles_per_64 = published_cycles(call);
  row.gelem_per_s = cost.gelem_per_s;
  row.fed_gelem_per_s = cost.fed_gelem_per_s;
  row.fed_binding = cost.fed.binding;
  row.program_bytes = cost.core.program_bytes;
  row.spills = cost.core.spills;
  row.paired_loads_per_64 =
      static_cast<double>(aie_cycles::paired_loads(cost.core)) * 64 / static_cast<double>(cost.elements);
  row.breakdown = aie_cycles::breakdown(cost.core);
  row.traffic = cost.traffic;
  row.fed = cost.fed;
  return row;
}

double rounded(double x) { return std::round(x * 1e4) / 1e4; }

nlohmann::ordered_json json_of(const Row& row) {
  const auto number = [](std::optional<double> x) { return x ? nlohmann::ordered_json(rounded(*x)) : nullptr; };
  return {{"kernel", name(row.call.kernel)},
          {"arch", name(row.call.device)},
          {"mode", name(row.call.mode)},
          {"output", name(row.call.output)},
          {"knees", row.call.knees},
          {"mask", name(row.call.mask)},
          {"n", row.call.n},
          {"cycles_per_row", rounded(row.cycles_per_row)},
          {"cycles_per_64", rounded(row.cycles_per_64)},
          {"ii", row.interval > 0 ? nlohmann::ordered_json(row.interval) : nullptr},
          {"binding", row.binding},
          {"published_cycles_per_64", number(row.published_cycles_per_64)},
          {"model_error_percent", number(row.error_percent())},
          {"gelem_per_s_per_tile_at_1250mhz", rounded(row.gelem_per_s)},
          {"fed_gelem_per_s_per_tile", rounded(row.fed_gelem_per_s)}};
}

}  // namespace

const std::vector<PublishedCell>& published() {
  static const std::vector<PublishedCell> kCells{
      {Device::kAieMl, 32, 0.09, 0.41, 1.36},   {Device::kAieMl, 64, 0.16, 0.78, 2.19},
      {Device::kAieMl, 128, 0.25, 1.37, 2.18},  {Device::kAieMlV2, 32, 0.24, 0.41, 1.46},
      {Device::kAieMlV2, 64, 0.46, 0.78, 2.46}, {Device::kAieMlV2, 128, 0.77, 1.41, 2.21}};
  return kCells;
}

hccs::Expected<Results> run(Extent extent, const std::function<void(std::size_t done, std::size_t all)>& progress) {
  const std::vector<Call> first = calls(extent);
  const std::vector<Call> native = native_calls(extent);
  const std::vector<Call> masked = masked_head_calls(extent);
  const std::size_t all = first.size() + native.size() + masked.size() + 1;
  std::size_t done = 0;
  Results results;
  const auto add = [&](const Call& call, std::vector<Row>& to) -> hccs::Status {
    HCCS_ASSIGN_OR_RETURN(Row row, row_of(call));
    to.push_back(std::move(row));
    if (progress) progress(++done, all);
    return {};
  };
  for (const Call& call : first) HCCS_RETURN_IF_ERROR(add(call, results.rows));
  for (const Call& call : native) HCCS_RETURN_IF_ERROR(add(call, results.native));
  for (const Call& call : masked) HCCS_RETURN_IF_ERROR(add(call, results.masked_heads));
  std::vector<Row> tutorial;
  HCCS_RETURN_IF_ERROR(add({.kernel = Kernel::kExpBf16,
                            .device = Device::kAieMl,
                            .mode = Mode::kBits,
                            .output = Output::kBf16,
                            .knees = 0,
                            .n = 2048,
                            .rows = 1},
                           tutorial));
  results.tutorial = tutorial.front();
  for (const Device device : kDevices) {
    const Row* row = find(results.rows, {.device = device, .n = extent == Extent::kFull ? kScaledLength : 64});
    const aie_cycles::Array& array = aie_cycles::Array::of(device);
    for (unsigned tiles = 1; row != nullptr && tiles <= array.tiles; ++tiles) {
      const long elements = static_cast<long>(row->call.rows) * row->call.n;
      results.scaling.push_back({device, aie_cycles::scale(array, tiles, elements, row->traffic, row->fed)});
    }
  }
  return results;
}

const Row* find(const std::vector<Row>& rows, const Call& call) {
  const auto it = std::find_if(rows.begin(), rows.end(), [&](const Row& row) {
    const Call& c = row.call;
    return c.kernel == call.kernel && c.device == call.device && c.mode == call.mode && c.output == call.output &&
           c.knees == call.knees && c.mask == call.mask && c.n == call.n && c.heads == call.heads;
  });
  return it == rows.end() ? nullptr : &*it;
}

std::optional<double> cycles_per_64(const std::vector<Row>& rows, const Call& call) {
  const Row* row = find(rows, call);
  return row == nullptr ? std::nullopt : std::optional<double>(row->cycles_per_64);
}

Call recommended_call(Device device, unsigned n) {
  return {.kernel = Kernel::kRows,
          .device = device,
          .mode = Mode::kScaled,
          .knees = 3,
          .mask = kLengthMask,
          .n = n,
          .rows = aie_traces::usual_rows(n),
          .heads = Heads::kNative};
}

Call exp_bf16_call(Device device, unsigned n, bool native) {
  const Mode mode = !native ? Mode::kBits : device == Device::kAieMl ? Mode::kTables : Mode::kExp2;
  return {.kernel = Kernel::kExpBf16, .device = device, .mode = mode, .output = Output::kBf16, .knees = 0, .n = n};
}

std::string_view title(Device device) noexcept { return device == Device::kAieMl ? "AIE-ML" : "AIE-ML v2"; }

std::string json(const Results& results) {
  nlohmann::ordered_json out;
  out["rows"] = nlohmann::ordered_json::array();
  for (const Row& row : results.rows) out["rows"].push_back(json_of(row));
  out["native_heads"] = nlohmann::ordered_json::array();
  for (const Row& row : results.native) out["native_heads"].push_back(json_of(row));
  out["masked_heads"] = nlohmann::ordered_json::array();
  for (const Row& row : results.masked_heads) out["masked_heads"].push_back(json_of(row));
  out["scaling"] = nlohmann::ordered_json::array();
  for (const ScalingRow& row : results.scaling) {
    out["scaling"].push_back({{"arch", name(row.device)},
                              {"tiles", row.scaling.tiles},
                              {"gelem_per_s", rounded(row.scaling.gelem_per_s)},
                              {"binding", name(row.scaling.binding)}});
  }
  return out.dump(1) + "\n";
}

}  // namespace aie_results
