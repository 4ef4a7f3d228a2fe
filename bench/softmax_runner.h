// SPDX-License-Identifier: Apache-2.0
//
// Verifies and times the cases of `softmax_bench`.
#ifndef HCCS_BENCH_SOFTMAX_RUNNER_H_
#define HCCS_BENCH_SOFTMAX_RUNNER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "softmax_case.h"

namespace hccs::bench {

inline constexpr int kRepetitions = 9;
inline constexpr double kSeconds = .012;  // at least, each repetition

struct Timing {
  double ns_per_row = 0;
  double spread = 0;  // interquartile range of the repetitions over their median

  double gelem_per_s(int64_t n) const { return static_cast<double>(n) / ns_per_row; }
};

struct Row {
  Case what;
  Timing timing;
};

struct Measurements {
  std::vector<Row> rows;            // in the order of the cases, of those that were timed
  double clock_ghz = 0;             // 0: not measured
  std::vector<std::string> errors;  // of the kernels that are wrong or refuse to run: they have no row
};

// Runs the cases that Google Benchmark's filter leaves, the repetitions of all in random order. Each kernel is verified
// on what it is timed on, before it is. benchmark::Initialize must have been called.
Measurements measure(std::vector<RunnableCase> cases, const Data& data);

}  // namespace hccs::bench

#endif  // HCCS_BENCH_SOFTMAX_RUNNER_H_
