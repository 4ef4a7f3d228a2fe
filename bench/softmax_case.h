// SPDX-License-Identifier: Apache-2.0
//
// The cases of `softmax_bench`: a kernel, and the rows that it is timed on.
#ifndef HCCS_BENCH_SOFTMAX_CASE_H_
#define HCCS_BENCH_SOFTMAX_CASE_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "softmax_kernel.h"
#include "softmax_sums_kernel.h"

namespace hccs::bench {

inline constexpr int64_t kRowLengths[] = {16, 32, 64, 100, 128, 256, 512, 1024, 4096};

// Kernels that read sums.
inline constexpr char kSoftmaxInt32[] = "softmax-int32";
inline constexpr char kRequantiseSoftmax[] = "requantise+softmax";

struct Case {
  std::string kernel;       // "hccs", "exact-lut", kSoftmaxInt32, kRequantiseSoftmax, or a peer
  std::string target;       // of targets(), or what the peer or the requantisation says
  std::string mode;         // "div", "clb", "scaled"; "float" for peers, "copy"
  std::string output;       // "uint8", "int16"; peers also "int8", "float"
  int knees = 0;            // 0: none, not HCCS
  double step = 0;          // nats a logit unit, where it is an argument: exact-lut
  std::string mask;         // kNoMask, kHalf, kCausal or kBits
  std::string full_of;      // a mask: these are the full rows that its rows are compared with, as many a call
  std::string working_set;  // "L1", "L2", "beyond L2"
  int64_t n = 0;
  int64_t heads = 0, queries = 0, batches = 0;  // one call does heads * queries rows; calls take batches in turn

  friend bool operator==(const Case&, const Case&) = default;
};

// What a case is called in Google Benchmark's list and filter.
std::string benchmark_name(const Case& c);

struct RunnableCase {
  Case what;
  Shape shape;
  MakeKernel make;
};

// How much memory the input and output of all batches take together, and how many elements one call does.
struct WorkingSet {
  std::string name;
  int64_t bytes;
  int64_t batch_elements;
};

// One for each cache of this machine and one beyond them, the smallest first; those of a common machine if it does not
// tell its caches.
std::vector<WorkingSet> working_sets();

// What is timed, in the order of the table.
std::vector<RunnableCase> all_cases(std::span<const WorkingSet> sets, std::span<const Peer> peers,
                                    std::span<const Requantisation> requantisations);

}  // namespace hccs::bench

#endif  // HCCS_BENCH_SOFTMAX_CASE_H_
