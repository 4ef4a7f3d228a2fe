// SPDX-License-Identifier: Apache-2.0
//
// What `softmax_bench` measured, as text, JSON and Markdown.
#ifndef HCCS_BENCH_SOFTMAX_REPORT_H_
#define HCCS_BENCH_SOFTMAX_REPORT_H_

#include <string>
#include <vector>

#include "softmax_runner.h"

namespace hccs::bench {

struct Report {
  std::string machine;
  std::string commit;
  std::string sizes;  // of the working sets and their batches
  std::string repetitions;
  double clock_ghz = 0;              // 0: not measured
  std::vector<std::string> targets;  // best first
  std::vector<std::string> absent;   // peers that this build lacks
  std::vector<Row> rows;
};

// One line a kernel and working set, one column a row length.
std::string table(const Report& report);
// HCCS beside peers, beside the exact table, and what knees, outputs and masks cost: one line a ratio.
std::string ratios(const Report& report);
// Softmax of int32 sums beside requantisation and int8 softmax: times, then ratios.
std::string sums(const Report& report);
std::string json(const Report& report);
// The page docs/results/softmax-cpu.md.in, filled in.
std::string markdown(const Report& report);

}  // namespace hccs::bench

#endif  // HCCS_BENCH_SOFTMAX_REPORT_H_
