// SPDX-License-Identifier: Apache-2.0
//
// Softmax of int32 sums for `softmax_bench`: from the sums themselves, and by way of int8 logits.
#ifndef HCCS_BENCH_SOFTMAX_SUMS_KERNEL_H_
#define HCCS_BENCH_SOFTMAX_SUMS_KERNEL_H_

#include <string>
#include <string_view>
#include <vector>

#include "hccs/params.h"
#include "hccs/reference.h"
#include "softmax_kernel.h"

namespace hccs::bench {

// What one unit of Data::s32 is worth: about 200 of them are one logit step.
inline constexpr Rescale kSumRescale = {.multiplier = 21000, .shift = 22};

// How a requantisation is compiled, and by which recipe.
inline constexpr char kClangNative[] = "requantised by Clang -O3 -march=native";
inline constexpr char kDefaultFlags[] = "requantised at default flags";
inline constexpr char kTwoSteps[] = "requantised as gemmlowp does, default flags";

// `scaled` HCCS of rows of sums. Verified against softmax_reference, bit for bit. Out: uint8_t or int16_t.
template <class Out>
MakeKernel sums_kernel(const HeadParams& params, std::string_view target);

// A requantisation of sums to int8 logits, compiled by itself.
struct Requantisation {
  std::string name;  // one of the above
  void (*run)(const int32_t* sums, int64_t n, int32_t multiplier, int32_t shift, int8_t* logits);
  bool two_steps;  // rounds twice, as gemmlowp does
};
// Those that this build has; the names of the others go to `absent`.
std::vector<Requantisation> requantisations(std::vector<std::string>& absent);

// What a recipe makes of a sum, from its definition.
int8_t defined_logit(int32_t sum, Rescale rescale, bool two_steps);

// A requantisation, then `scaled` HCCS of its int8 logits to uint8 in place. Verified: logits against the recipe's
// definition, output against softmax_reference of those logits, bit for bit.
MakeKernel requantising_kernel(const Requantisation& requantisation, const HeadParams& params, std::string_view target);

}  // namespace hccs::bench

#endif  // HCCS_BENCH_SOFTMAX_SUMS_KERNEL_H_
