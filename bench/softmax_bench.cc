// SPDX-License-Identifier: Apache-2.0
//
// Row softmax: every mode, mask and instruction set of hccs/softmax.h beside other makers' kernels, one thread.
//
//   softmax_bench [--json=FILE] [--markdown=FILE] [options of Google Benchmark]
//
// All kernels read and write the same memory. Each is verified on what it is timed on; one that is wrong gets no
// number, no file is written, and the program fails.
#include <benchmark/benchmark.h>
#include <fmt/core.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "hccs/softmax.h"
#include "hccs_bench_commit.h"  // made by the build
#include "softmax_case.h"
#include "softmax_data.h"
#include "softmax_report.h"
#include "softmax_runner.h"

namespace hccs::bench {
namespace {

struct Arguments {
  std::string json, markdown;           // files to write; empty: none
  std::vector<char*> google_benchmark;  // its options, after the program's name
};

Arguments parse(int argc, char** argv) {
  Arguments arguments{.google_benchmark = {argv[0]}};
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument.starts_with("--json=")) {
      arguments.json = argument.substr(7);
    } else if (argument.starts_with("--markdown=")) {
      arguments.markdown = argument.substr(11);
    } else {
      arguments.google_benchmark.push_back(argv[i]);
    }
  }
  return arguments;
}

// The peers that this build has; the names of the others go to `absent`.
std::vector<Peer> find_peers(std::vector<std::string>& absent) {
  std::vector<Peer> peers;
#if HCCS_BENCH_ONEDNN
  add_onednn_peers(peers);
#else
  absent.emplace_back("oneDNN");
#endif
#if HCCS_BENCH_XNNPACK
  add_xnnpack_peers(peers);
#else
  absent.emplace_back("XNNPACK");
#endif
  for (const std::string& name : absent) fmt::print("{} was not found when this was built: no rows of it\n", name);
  return peers;
}

std::string machine() {
  std::string processor = "unknown processor";
  std::ifstream cpuinfo("/proc/cpuinfo");
  for (std::string line; std::getline(cpuinfo, line);) {
    const size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) processor = line.substr(colon + 2);
  }
  const unsigned cores = std::thread::hardware_concurrency();
  return fmt::format("{}, {} core{}", processor, cores, cores == 1 ? "" : "s");
}

std::string describe(const std::vector<WorkingSet>& sets) {
  std::string text = "Calls take batches in turn. Input and output of all of them together:";
  for (const WorkingSet& set : sets) {
    text += fmt::format(" {} KiB (\"{}\", up to {} Ki elements a call),", set.bytes >> 10, set.name,
                        set.batch_elements >> 10);
  }
  text.back() = '.';
  return text + " Buffers start at cache lines, rows follow each other without a gap.";
}

bool write(const std::string& path, const std::string& text) {
  std::error_code ignored;  // the stream says it
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), ignored);
  std::ofstream file(path);
  file << text << std::flush;
  if (!file) std::fputs(fmt::format("softmax_bench: cannot write {}\n", path).c_str(), stderr);
  return static_cast<bool>(file);
}

int run(int argc, char** argv) {
  Arguments arguments = parse(argc, argv);
  std::string interleave = "--benchmark_enable_random_interleaving=true";
  std::vector<char*>& options = arguments.google_benchmark;
  options.insert(options.begin() + 1, interleave.data());
  int count = static_cast<int>(options.size());
  benchmark::Initialize(&count, options.data());
  if (benchmark::ReportUnrecognizedArguments(count, options.data())) return 1;

  Report report{.machine = machine(), .commit = kCommit};
  const std::vector<Peer> peers = find_peers(report.absent);
  const std::vector<Requantisation> requantised = requantisations(report.absent);
  const std::vector<WorkingSet> sets = working_sets();
  report.sizes = describe(sets);
  report.repetitions = fmt::format(
      "Median of {} repetitions of at least {:.0f} ms of thread time, those of all kernels in random order.",
      kRepetitions, kSeconds * 1e3);
  for (const std::string_view target : targets()) report.targets.emplace_back(target);

  Arena arena(sets.back().bytes);
  Measurements measured = measure(all_cases(sets, peers, requantised), arena.data());
  report.rows = std::move(measured.rows);
  report.clock_ghz = measured.clock_ghz;
  for (const std::string& error : measured.errors)
    std::fputs(fmt::format("softmax_bench: {}\n", error).c_str(), stderr);
  if (!report.rows.empty()) {
    fmt::print("{}; commit {}; one thread; {:.2f} GHz\n{}\n{}\n10^9 elements a second:\n\n{}\n{}\n{}", report.machine,
               report.commit, report.clock_ghz, report.sizes, report.repetitions, table(report), ratios(report),
               sums(report));
  }
  if (!measured.errors.empty()) {
    std::fputs(fmt::format("softmax_bench: a kernel is wrong; no results are written\n").c_str(), stderr);
    return 1;
  }
  const bool written = (arguments.json.empty() || write(arguments.json, json(report))) &&
                       (arguments.markdown.empty() || write(arguments.markdown, markdown(report)));
  return written ? 0 : 1;
}

}  // namespace
}  // namespace hccs::bench

int main(int argc, char** argv) { return hccs::bench::run(argc, argv); }
