// SPDX-License-Identifier: Apache-2.0
//
// The contract, as code. docs/arithmetic.md proves the widths and the bounds.
#include "hccs/reference.h"

#include <fmt/core.h>

#include <algorithm>
#include <bit>
#include <vector>

namespace hccs {
namespace {

int64_t floor_log2(int64_t z) { return std::bit_width(static_cast<uint64_t>(z)) - 1; }

// floor(a / b + 1/2) of the exact quotient, b > 0, a of either sign.
int64_t divide_round_half_up(int64_t a, int64_t b) {
  const int64_t numerator = 2 * a + b;
  const int64_t quotient = numerator / (2 * b);
  return quotient - (numerator % (2 * b) < 0 ? 1 : 0);
}

template <class Out>
constexpr OutputType kOutputOf = sizeof(Out) == 1 ? OutputType::kUint8 : OutputType::kInt16;

Status check_row(const HeadParams& params, size_t n, size_t out, size_t expected_out) {
  HCCS_RETURN_IF_ERROR(validate(params));
  if (n < 1 || n > kMaxRowLength) {
    return {StatusCode::kInvalidArgument, fmt::format("row of {} positions, but 1 <= n <= {}", n, kMaxRowLength)};
  }
  if (out != expected_out) {
    return {StatusCode::kInvalidArgument, fmt::format("output of {} elements, but {} are needed", out, expected_out)};
  }
  return {};
}

}  // namespace

// ---- The definition -------------------------------------------------------------------------

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
  const int64_t r = ((wide ? int64_t{32767} : int64_t{32640}) << k) / z;  // 15 significant bits
  const int64_t shift = wide ? k : k + 7;
  return (s * r + (shift == 0 ? 0 : int64_t{1} << (shift - 1))) >> shift;
}

template <class Out>
static Status softmax_row(const HeadParams& params, Normalisation normalisation, std::span<const int8_t> x,
                          const RowMask& mask, std::span<Out> p) {
  HCCS_RETURN_IF_ERROR(check_row(params, x.size(), p.size(), x.size()));
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
    p[i] = mask.valid(i) ? static_cast<Out>(probability(normalisation, kOutputOf<Out>, params.score(m - x[i]), z)) : Out{0};
  }
  return {};
}

static Status attention_row(const HeadParams& params, Rescale rescale, std::span<const int8_t> q,
                            std::span<const int8_t> keys, std::span<const int8_t> values, const RowMask& mask, int64_t n,
                            std::span<int8_t> out) {
  const auto dh = static_cast<int64_t>(q.size());
  const auto dv = static_cast<int64_t>(out.size());
  std::vector<int64_t> a(n, 0);
  int64_t m = INT64_MIN;
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < dh; ++j) a[i] += int64_t{q[j]} * keys[i * dh + j];
    if (mask.valid(i)) m = std::max(m, a[i]);
  }
  int64_t h = 0;  // the smallest shift with B / 2^h < 255.5
  while (2 * int64_t{params.offset} >= int64_t{511} << h) ++h;
  int64_t sum = 0;
  std::vector<int64_t> w(n, 0);
  const int64_t half = rescale.shift == 0 ? 0 : int64_t{1} << (rescale.shift - 1);
  for (int64_t i = 0; i < n; ++i) {
    if (!mask.valid(i)) continue;
    const int64_t d = std::min<int64_t>(127, ((m - a[i]) * rescale.multiplier + half) >> rescale.shift);
    w[i] = divide_round_half_up(params.score(d), int64_t{1} << h);
    sum += w[i];
  }
  for (int64_t j = 0; j < dv; ++j) {
    int64_t numerator = 0;
    for (int64_t i = 0; i < n; ++i) numerator += w[i] * values[i * dv + j];
    out[j] = sum == 0 ? int8_t{0} : static_cast<int8_t>(divide_round_half_up(numerator, sum));
  }
  return {};
}

// ---- Names and argument checks --------------------------------------------------------------

std::string_view name(Normalisation normalisation) noexcept {
  switch (normalisation) {
    case Normalisation::kDiv: return "div";
    case Normalisation::kClb: return "clb";
    case Normalisation::kScaled: break;
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

Status softmax_reference(const HeadParams& params, Normalisation normalisation, std::span<const int8_t> logits,
                         const RowMask& mask, std::span<uint8_t> out) {
  return softmax_row(params, normalisation, logits, mask, out);
}

Status softmax_reference(const HeadParams& params, Normalisation normalisation, std::span<const int8_t> logits,
                         const RowMask& mask, std::span<int16_t> out) {
  return softmax_row(params, normalisation, logits, mask, out);
}

Status attention_reference(const HeadParams& params, Rescale rescale, std::span<const int8_t> query,
                           std::span<const int8_t> keys, std::span<const int8_t> values, const RowMask& mask,
                           std::span<int8_t> out) {
  const auto invalid = [](std::string message) { return Status(StatusCode::kInvalidArgument, std::move(message)); };
  if (query.empty() || query.size() > 65536) {
    return invalid(fmt::format("head dimension {}, but 1 <= dh <= 65536", query.size()));
  }
  if (keys.size() % query.size() != 0) {
    return invalid(fmt::format("{} key elements are not a multiple of the head dimension {}", keys.size(), query.size()));
  }
  const size_t n = keys.size() / query.size();
  if (out.empty()) return invalid("value width 0, but dv >= 1");
  HCCS_RETURN_IF_ERROR(check_row(params, n, values.size(), n * out.size()));
  if (rescale.multiplier < 1 || rescale.multiplier > 32767) {
    return invalid(fmt::format("rescale multiplier M = {}, but 1 <= M <= 32767", rescale.multiplier));
  }
  if (rescale.shift < 0 || rescale.shift > 46) {
    return invalid(fmt::format("rescale shift R = {}, but 0 <= R <= 46", rescale.shift));
  }
  return attention_row(params, rescale, query, keys, values, mask, static_cast<int64_t>(n), out);
}

}  // namespace hccs
