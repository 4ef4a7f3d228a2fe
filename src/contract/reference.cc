// SPDX-License-Identifier: Apache-2.0
//
// The contract, as code. docs/arithmetic.md proves the widths and the bounds.
#include "hccs/reference.h"

#include <fmt/core.h>

#include <algorithm>
#include <bit>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace hccs {

// ---- The definition -------------------------------------------------------------------------

namespace {

int64_t floor_log2(int64_t z) { return std::bit_width(static_cast<uint64_t>(z)) - 1; }

// floor(a / 2^shift + 1/2)
int64_t shift_round_half_up(int64_t a, int64_t shift) {
  return shift == 0 ? a : (a + (int64_t{1} << (shift - 1))) >> shift;
}

// floor(a / b + 1/2) of the exact quotient, b > 0, a of either sign.
int64_t divide_round_half_up(int64_t a, int64_t b) {
  const int64_t numerator = 2 * a + b;
  const int64_t quotient = numerator / (2 * b);
  return quotient - (numerator % (2 * b) < 0 ? 1 : 0);
}

}  // namespace

int64_t probability(Normalisation normalisation, OutputType output, int64_t s, int64_t z) noexcept {
  const int64_t k = floor_log2(z);
  const bool wide = output == OutputType::kInt16;
  switch (normalisation) {
    case Normalisation::kDiv:
      return wide ? s * (32767 / z) : std::min<int64_t>(255, (s * ((255 << 15) / z)) >> 15);
    case Normalisation::kClb:
      return wide ? std::min<int64_t>(32767, s * (32767 >> k)) : std::min<int64_t>(255, (s * ((255 << 15) >> k)) >> 15);
    case Normalisation::kScaled:
      break;
  }
  // T, or T * 2^7: 15 significant bits whatever Z is.
  return wide ? shift_round_half_up(s * ((int64_t{32767} << k) / z), k)
              : shift_round_half_up(s * ((int64_t{255 << 7} << k) / z), k + 7);
}

int64_t attention_distance(Rescale rescale, int64_t t) noexcept {
  return std::min<int64_t>(127, shift_round_half_up(t * rescale.multiplier, rescale.shift));
}

int attention_shift(int32_t offset) noexcept {
  int h = 0;
  while (2 * int64_t{offset} >= int64_t{511} << h) ++h;
  return h;
}

int64_t attention_weight(const HeadParams& params, int64_t d) noexcept {
  return shift_round_half_up(params.score(d), attention_shift(params.offset));
}

namespace {

template <class Out>
void softmax_row(const HeadParams& params, Normalisation normalisation, std::span<const int8_t> x, const RowMask& mask,
                 std::span<Out> p) {
  constexpr OutputType kOutput = std::is_same_v<Out, uint8_t> ? OutputType::kUint8 : OutputType::kInt16;
  const auto n = static_cast<int64_t>(x.size());
  int64_t m = INT8_MIN;
  for (int64_t i = 0; i < n; ++i) {
    if (mask.valid(i)) m = std::max<int64_t>(m, x[i]);
  }
  int64_t z = 0;
  for (int64_t i = 0; i < n; ++i) {
    if (mask.valid(i)) z += params.score(m - x[i]);
  }
  for (int64_t i = 0; i < n; ++i) {
    p[i] = mask.valid(i) ? static_cast<Out>(probability(normalisation, kOutput, params.score(m - x[i]), z)) : Out{0};
  }
}

void attention_row(const HeadParams& params, Rescale rescale, std::span<const int8_t> q, std::span<const int8_t> keys,
                   std::span<const int8_t> values, const RowMask& mask, std::span<int8_t> out) {
  const auto dh = static_cast<int64_t>(q.size());
  const auto dv = static_cast<int64_t>(out.size());
  const auto n = static_cast<int64_t>(keys.size()) / dh;
  std::vector<int64_t> a(n, 0);
  int64_t m = INT64_MIN;
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < dh; ++j) a[i] += int64_t{q[j]} * keys[i * dh + j];
    if (mask.valid(i)) m = std::max(m, a[i]);
  }
  std::vector<int64_t> w(n, 0);
  int64_t sum = 0;
  for (int64_t i = 0; i < n; ++i) {
    if (mask.valid(i)) w[i] = attention_weight(params, attention_distance(rescale, m - a[i]));
    sum += w[i];
  }
  for (int64_t j = 0; j < dv; ++j) {
    int64_t numerator = 0;
    for (int64_t i = 0; i < n; ++i) numerator += w[i] * values[i * dv + j];
    out[j] = sum == 0 ? int8_t{0} : static_cast<int8_t>(divide_round_half_up(numerator, sum));
  }
}

}  // namespace

// ---- Names and argument checks --------------------------------------------------------------

std::string_view name(Normalisation normalisation) noexcept {
  switch (normalisation) {
    case Normalisation::kDiv:
      return "div";
    case Normalisation::kClb:
      return "clb";
    case Normalisation::kScaled:
      break;
  }
  return "scaled";
}

std::string_view name(OutputType output) noexcept { return output == OutputType::kUint8 ? "uint8" : "int16"; }

std::optional<Normalisation> parse_normalisation(std::string_view text) noexcept {
  for (Normalisation v : {Normalisation::kDiv, Normalisation::kClb, Normalisation::kScaled}) {
    if (text == name(v)) return v;
  }
  return std::nullopt;
}

std::optional<OutputType> parse_output_type(std::string_view text) noexcept {
  for (OutputType v : {OutputType::kUint8, OutputType::kInt16}) {
    if (text == name(v)) return v;
  }
  return std::nullopt;
}

namespace {

Status invalid(std::string message) { return {StatusCode::kInvalidArgument, std::move(message)}; }

Status check_row_length(size_t n) {
  if (n < 1 || n > kMaxRowLength) {
    return invalid(fmt::format("row of {} positions, but 1 <= n <= {}", n, kMaxRowLength));
  }
  return {};
}

template <class Out>
Status checked_softmax_row(const HeadParams& params, Normalisation normalisation, std::span<const int8_t> logits,
                           const RowMask& mask, std::span<Out> out) {
  HCCS_RETURN_IF_ERROR(validate(params));
  HCCS_RETURN_IF_ERROR(check_row_length(logits.size()));
  if (out.size() != logits.size()) {
    return invalid(fmt::format("output of {} elements, but the row has {} positions", out.size(), logits.size()));
  }
  softmax_row(params, normalisation, logits, mask, out);
  return {};
}

}  // namespace

Status softmax_reference(const HeadParams& params, Normalisation normalisation, std::span<const int8_t> logits,
                         const RowMask& mask, std::span<uint8_t> out) {
  return checked_softmax_row(params, normalisation, logits, mask, out);
}

Status softmax_reference(const HeadParams& params, Normalisation normalisation, std::span<const int8_t> logits,
                         const RowMask& mask, std::span<int16_t> out) {
  return checked_softmax_row(params, normalisation, logits, mask, out);
}

Status attention_reference(const HeadParams& params, Rescale rescale, std::span<const int8_t> query,
                           std::span<const int8_t> keys, std::span<const int8_t> values, const RowMask& mask,
                           std::span<int8_t> out) {
  HCCS_RETURN_IF_ERROR(validate(params));
  if (rescale.multiplier < 1 || rescale.multiplier > kMaxRescaleMultiplier) {
    return invalid(
        fmt::format("rescale multiplier M = {}, but 1 <= M <= {}", rescale.multiplier, kMaxRescaleMultiplier));
  }
  if (rescale.shift < 0 || rescale.shift > kMaxRescaleShift) {
    return invalid(fmt::format("rescale shift R = {}, but 0 <= R <= {}", rescale.shift, kMaxRescaleShift));
  }
  if (query.empty() || query.size() > kMaxHeadDimension) {
    return invalid(fmt::format("head dimension dh = {}, but 1 <= dh <= {}", query.size(), kMaxHeadDimension));
  }
  if (out.empty()) return invalid("value width dv = 0, but dv >= 1");
  if (keys.size() % query.size() != 0) {
    return invalid(
        fmt::format("{} key elements, but a multiple of the head dimension {} is needed", keys.size(), query.size()));
  }
  const size_t n = keys.size() / query.size();
  HCCS_RETURN_IF_ERROR(check_row_length(n));
  if (values.size() % n != 0 || values.size() / n != out.size()) {
    return invalid(
        fmt::format("{} value elements, but {} positions of width {} are needed", values.size(), n, out.size()));
  }
  attention_row(params, rescale, query, keys, values, mask, out);
  return {};
}

}  // namespace hccs
