// SPDX-License-Identifier: Apache-2.0
//
// The definition: slow, on mathematical integers, readable on one screen (src/contract/reference.cc). Every other
// implementation equals it bit for bit.
#ifndef HCCS_REFERENCE_H_
#define HCCS_REFERENCE_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "hccs/export.h"
#include "hccs/mask.h"
#include "hccs/params.h"
#include "hccs/status.h"

namespace HCCS_API hccs {

// How a row of scores becomes probabilities. kDiv and kClb are the paper's two paths; kScaled is this project's
// default: its reciprocal always has 15 significant bits, so that no mass is lost.
enum class Normalisation { kDiv, kClb, kScaled };

// The full scale T of an output: p / T is the probability.
enum class OutputType { kUint8, kInt16 };
inline constexpr int64_t kFullScaleUint8 = 255;
inline constexpr int64_t kFullScaleInt16 = 32767;

std::string_view name(Normalisation normalisation) noexcept;  // "div", "clb", "scaled"
std::string_view name(OutputType output) noexcept;            // "uint8", "int16"
std::optional<Normalisation> parse_normalisation(std::string_view text) noexcept;
std::optional<OutputType> parse_output_type(std::string_view text) noexcept;

// p of one score s in a row whose scores sum to Z: 0 <= s <= min(Z, 32767), 1 <= Z < 2^31. Result 0..T.
int64_t probability(Normalisation normalisation, OutputType output, int64_t score, int64_t sum) noexcept;

// Row softmax. `logits` and `out` have n elements, 1 <= n <= 65536; they may not overlap. Rows without a valid
// position, and invalid positions, give 0. Errors: kInvalidArgument for invalid parameters, n out of range, out.size()
// != n.
Status softmax_reference(const HeadParams& params, Normalisation normalisation, std::span<const int8_t> logits,
                         const RowMask& mask, std::span<uint8_t> out);
Status softmax_reference(const HeadParams& params, Normalisation normalisation, std::span<const int8_t> logits,
                         const RowMask& mask, std::span<int16_t> out);

// ---- Rows of int32 sums ---------------------------------------------------------------------------------------------
//
// An integer engine has the int32 sums a[i] = q . k[i] before it has logits. Their distances need no logits:
//   t[i] = max over the valid positions of a - a[i],   d[i] = min(127, round_half_up(t[i] * M / 2^R))

inline constexpr int32_t kMaxRescaleMultiplier = 32767;  // M fits a signed 16-bit register
inline constexpr int32_t kMaxRescaleShift = 46;          // t * M < 2^47

// The factor M * 2^-R: what one unit of q . k is worth in logit steps of the head, which is q's scale times k's scale
// over sqrt(head dimension) over the logit step. It may differ from row to row, never within a row.
struct Rescale {
  int32_t multiplier = 1;  // M, 1..32767
  int32_t shift = 0;       // R, 0..46
};

// Ok, or kInvalidArgument with the value and the rule.
Status validate(Rescale rescale);

// d of a sum that lies t below the row's maximum, 0 <= t < 2^32. Result 0..127. Nothing is checked.
int64_t sum_distance(Rescale rescale, int64_t t) noexcept;

// Row softmax from sums, which have any values; everything else is as above. Errors: also kInvalidArgument for an
// invalid rescale.
Status softmax_reference(const HeadParams& params, Normalisation normalisation, Rescale rescale,
                         std::span<const int32_t> sums, const RowMask& mask, std::span<uint8_t> out);
Status softmax_reference(const HeadParams& params, Normalisation normalisation, Rescale rescale,
                         std::span<const int32_t> sums, const RowMask& mask, std::span<int16_t> out);

// ---- Attention with deferred normalisation --------------------------------------------------------------------------
//
// Between the two int8 matrix products of attention the probabilities never need to exist: position i has the weight
//   w[i] = round_half_up(s(d[i]) / 2^h),   W = sum of w,   o[j] = round_half_up(sum_i w[i] * v[i][j] / W)

inline constexpr int64_t kMaxHeadDimension = 65536;  // |q . k| <= 2^30

// kUint8: weights of 8 bits, one int8 product with v. kWide: h = 0, so that a weight is the score itself, of up to 15
// bits, and the product with v is two int8 products.
enum class AttentionWeights { kUint8, kWide };

// h: for kUint8 the smallest shift with B / 2^h < 255.5, so that the weight of the row's maximum fits uint8. 0..8.
// Nothing is checked.
int attention_shift(int32_t offset, AttentionWeights weights = AttentionWeights::kUint8) noexcept;
// w of a distance. Result 0..255, or 0..32767 if wide. Nothing is checked.
int64_t attention_weight(const HeadParams& params, int64_t d,
                         AttentionWeights weights = AttentionWeights::kUint8) noexcept;

// The weights of a row alone, for an engine that multiplies by v itself: writes w, 0 at invalid positions, and returns
// W < 2^31 (0 for an empty mask). Errors: kInvalidArgument for invalid parameters, rescale, n, or out.size() != n.
Expected<int64_t> attention_weights_reference(const HeadParams& params, Rescale rescale, std::span<const int32_t> sums,
                                              const RowMask& mask, AttentionWeights weights, std::span<uint16_t> out);

// One query row of attention.
//   q: [dh] int8, keys: [n, dh] int8, values: [n, dv] int8 (row-major), out: [dv] int8, at values' scale.
// 1 <= n <= 65536, 1 <= dh <= 65536, dv >= 1. `out` may not overlap an input. An empty mask gives 0.
// Errors: kInvalidArgument for invalid parameters, rescale or sizes.
Status attention_reference(const HeadParams& params, Rescale rescale, std::span<const int8_t> query,
                           std::span<const int8_t> keys, std::span<const int8_t> values, const RowMask& mask,
                           std::span<int8_t> out, AttentionWeights weights = AttentionWeights::kUint8);

}  // namespace hccs

#endif  // HCCS_REFERENCE_H_
