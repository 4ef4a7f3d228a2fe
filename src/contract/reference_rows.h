// SPDX-License-Identifier: Apache-2.0
//
// The definition's rows (reference.cc), whose arguments reference_checks.cc has checked.
#ifndef HCCS_SRC_CONTRACT_REFERENCE_ROWS_H_
#define HCCS_SRC_CONTRACT_REFERENCE_ROWS_H_

#include <cstdint>
#include <span>
#include <vector>

#include "hccs/reference.h"

namespace hccs::internal {

// Row softmax of int8 logits; Out is uint8_t or int16_t.
template <class Out>
void softmax_row(const HeadParams& params, Normalisation normalisation, std::span<const int8_t> x, const RowMask& mask,
                 std::span<Out> p);

// Row softmax of int32 sums.
template <class Out>
void softmax_row(const HeadParams& params, Normalisation normalisation, Rescale rescale, std::span<const int32_t> a,
                 const RowMask& mask, std::span<Out> p);

// Attention's weights w; returns their sum W.
int64_t weight_row(const HeadParams& params, Rescale rescale, std::span<const int32_t> a, const RowMask& mask,
                   AttentionWeights weights, std::span<uint16_t> w);

// One query row of attention with deferred normalisation.
void attention_row(const HeadParams& params, Rescale rescale, std::span<const int8_t> q, std::span<const int8_t> keys,
                   std::span<const int8_t> values, const RowMask& mask, AttentionWeights weights,
                   std::span<int8_t> out);

}  // namespace hccs::internal

#endif  // HCCS_SRC_CONTRACT_REFERENCE_ROWS_H_
