// SPDX-License-Identifier: Apache-2.0
//
// What `make bench-attention` times: one head's attention by this project and by others, on the same queries, keys and
// values.
#ifndef HCCS_BENCH_ATTENTION_KERNEL_H_
#define HCCS_BENCH_ATTENTION_KERNEL_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "hccs/params.h"
#include "hccs/reference.h"
#include "hccs/status.h"

namespace hccs::bench {

struct AttentionData {
  int64_t queries;
  int64_t keys;
  int64_t dimension;  // of the head and of its values
  std::vector<int8_t> q, k, v;
};

// The step of one unit of q . k in nats, for peers that take none: the same for all kernels.
double nats_per_unit(int64_t dimension);

struct AttentionKernel {
  std::string kernel;  // "hccs", "exact", "products", "onednn-s8", ...
  std::string target;
  std::string mask = "none";  // "none", "causal", "cache"
  int knees = 0;              // 0: does not apply
  std::string weights;        // "uint8", "wide"; empty: does not apply
  std::function<void()> run;
  // Whether what run() left is right; compared on the very data. Null: nothing is computed that could be.
  std::function<Status()> verify;
};

// Plans of this project for `target`, and the main ones for every other target if `all_targets`.
Status add_own_kernels(const AttentionData& data, std::string_view target, bool all_targets,
                       std::vector<AttentionKernel>& kernels);
// Row softmax of the sums q . k to uint8, and what it saves, a requantisation before int8 softmax, by the recipes of
// softmax_sums_kernel.h. `target` is one of row softmax.
Status add_softmax_of_sums(const AttentionData& data, const HeadParams& params, Rescale rescale,
                           std::string_view target, std::vector<AttentionKernel>& kernels);
// oneDNN uses no instruction beyond AVX2 from now on; to be called before add_onednn_attention().
void hold_onednn_to_avx2();
// oneDNN's pipelines matmul, softmax, matmul in int8, bfloat16 and float.
Status add_onednn_attention(const AttentionData& data, std::vector<AttentionKernel>& kernels);

}  // namespace hccs::bench

#endif  // HCCS_BENCH_ATTENTION_KERNEL_H_
