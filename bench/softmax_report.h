// SPDX-License-Identifier: Apache-2.0
//
// What `softmax_bench` measured, as text, JSON and Markdown.
#ifndef HCCS_BENCH_SOFTMAX_REPORT_H_
#define HCCS_BENCH_SOFTMAX_REPORT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "hccs/status.h"

namespace hccs::bench {

inline constexpr int64_t kRowLengths[] = {16, 32, 64, 100, 128, 256, 512, 1024, 4096};

inline constexpr char kNoMask[] = "none";
inline constexpr char kHalf[] = "length n/2";
inline constexpr char kCausal[] = "causal n x n";
inline constexpr char kBits[] = "bits";

struct Case {
  std::string kernel;       // "hccs", "exact-lut", or a peer
  std::string target;       // of targets(), or what the peer says
  std::string mode;         // "div", "clb", "scaled"; "float" for peers, "copy"
  std::string output;       // "uint8", "int16"; peers also "int8", "float"
  int knees = 0;            // 0: none, not HCCS
  double step = 0;          // nats a logit unit, where it is an argument: exact-lut
  std::string mask;         // one of the above
  std::string full_of;      // a mask: these are the full rows that its rows are compared with, as many a call
  std::string working_set;  // "L1", "L2", "beyond L2"
  int64_t n = 0;
  int64_t heads = 0, queries = 0, batches = 0;  // one call does heads * queries rows; calls take batches in turn

  friend bool operator==(const Case&, const Case&) = default;
};

struct Timing {
  double ns_per_row = 0;
  double spread = 0;  // interquartile range of the repetitions over their median

  double gelem_per_s(int64_t n) const { return static_cast<double>(n) / ns_per_row; }
};

struct Row {
  Case what;
  Timing timing;
};

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
// What the project set out to reach, and what was measured.
std::string goals(const Report& report);
std::string json(const Report& report);
std::string markdown(const Report& report);

}  // namespace hccs::bench

#endif  // HCCS_BENCH_SOFTMAX_REPORT_H_
