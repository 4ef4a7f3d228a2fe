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

// p of one score s in a row whose scores sum to Z: 0 <= s <= min(Z, 32767), 1 <= Z < 2^31. Result 0..T.
int64_t probability(Normalisation normalisation, OutputType output, int64_t score, int64_t sum) noexcept;

// Row softmax. `logits` and `out` have n elements, 1 <= n <= 65536; they may not overlap. Rows without
// a valid position, and invalid positions, give 0.
// Errors: kInvalidArgument for invalid parameters, n out of range, out.size() != n.
Status softmax_reference(const HeadParams& params, Normalisation normalisation, std::span<const int8_t> logits,
                         const RowMask& mask, std::span<uint8_t> out);
Status softmax_reference(const HeadParams& params, Normalisation normalisation, std::span<const int8_t> logits,
                         const RowMask& mask, std::span<int16_t> out);

inline constexpr int32_t kMaxRescaleMultiplier = 32767;  // M fits a signed 16-bit register
inline constexpr int32_t kMaxRescaleShift = 46;          // t * M < 2^47
inline constexpr int64_t kMaxHeadDimension = 65536;      // |q . k| <= 2^30

// The factor M * 2^-R: what one unit of q . k is worth in logit steps of the head.
struct Rescale {
  int32_t multiplier = 1;  // M, 1..32767
  int32_t shift = 0;       // R, 0..46
};

// The steps of attention with deferred normalisation, one position each, for whoever tabulates or vectorises them.
// Nothing is checked: parameters and rescale must be valid. d of a product that lies t below the row's maximum, 0 <= t
// < 2^32. Result 0..127.
int64_t attention_distance(Rescale rescale, int64_t t) noexcept;
// h, the smallest shift with B / 2^h < 255.5: makes the weight of the row's maximum fit uint8. Result 0..8.
int attention_shift(int32_t offset) noexcept;
// w = round_half_up(s(d) / 2^h). Result 0..255.
int64_t attention_weight(const HeadParams& params, int64_t d) noexcept;

// One query row of attention with deferred normalisation: no probability is ever formed.
//   q: [dh] int8, keys: [n, dh] int8, values: [n, dv] int8 (row-major), out: [dv] int8, at values' scale.
// 1 <= n <= 65536, 1 <= dh <= 65536 (|q . k| <= 2^30), dv >= 1. `out` may not overlap an input. An empty mask gives 0.
// Errors: kInvalidArgument for invalid parameters, rescale or sizes.
Status attention_reference(const HeadParams& params, Rescale rescale, std::span<const int8_t> query,
                           std::span<const int8_t> keys, std::span<const int8_t> values, const RowMask& mask,
                           std::span<int8_t> out);

}  // namespace hccs

#endif  // HCCS_REFERENCE_H_
