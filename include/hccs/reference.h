// SPDX-License-Identifier: Apache-2.0
//
// The definition: slow, on mathematical integers, readable on one screen (src/contract/reference.cc).
// Every other implementation equals it bit for bit.
#ifndef HCCS_REFERENCE_H_
#define HCCS_REFERENCE_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "hccs/mask.h"
#include "hccs/params.h"
#include "hccs/status.h"

namespace hccs {

// How a row of scores becomes probabilities. kDiv and kClb are the paper's two paths; kScaled is this
// project's default: its reciprocal always has 15 significant bits, so that no mass is lost.
enum class Normalisation { kDiv, kClb, kScaled };

// The full scale T of an output: p / T is the probability.
enum class OutputType { kUint8, kInt16 };
inline constexpr int64_t kFullScaleUint8 = 255;
inline constexpr int64_t kFullScaleInt16 = 32767;

std::string_view name(Normalisation normalisation) noexcept;  // "div", "clb", "scaled"
std::string_view name(OutputType output) noexcept;            // "uint8", "int16"
std::optional<Normalisation> parse_normalisation(std::string_view text) noexcept;
std::optional<OutputType> parse_output_type(std::string_view text) noexcept;

// p for one score: 0 <= s <= 32767, s <= Z, Z >= 1. Result 0..T.
int64_t probability(Normalisation normalisation, OutputType output, int64_t score, int64_t sum) noexcept;

// Row softmax. `logits` and `out` have n elements, 1 <= n <= 65536; they may not overlap. Rows without
// a valid position, and invalid positions, give 0.
// Errors: kInvalidArgument for invalid parameters, n out of range, out.size() != n.
Status softmax_reference(const HeadParams& params, Normalisation normalisation, std::span<const int8_t> logits,
                         const RowMask& mask, std::span<uint8_t> out);
Status softmax_reference(const HeadParams& params, Normalisation normalisation, std::span<const int8_t> logits,
                         const RowMask& mask, std::span<int16_t> out);

// A product's factor M * 2^-R, 1 <= M <= 32767, 0 <= R <= 46: what one unit of q . k is worth in
// logit steps of the head.
struct Rescale {
  int32_t multiplier = 1;
  int32_t shift = 0;
};

// One query row of attention with deferred normalisation: no probability is ever formed.
//   q: [dh] int8, keys: [n, dh] int8, values: [n, dv] int8 (row-major), out: [dv] int8, at values' scale.
// 1 <= n <= 65536; dh, dv >= 1; dh <= 65536 keeps q . k within int32. An empty mask gives 0.
// Errors: kInvalidArgument for invalid parameters, rescale or sizes.
Status attention_reference(const HeadParams& params, Rescale rescale, std::span<const int8_t> query,
                           std::span<const int8_t> keys, std::span<const int8_t> values, const RowMask& mask,
                           std::span<int8_t> out);

}  // namespace hccs

#endif  // HCCS_REFERENCE_H_
