// SPDX-License-Identifier: Apache-2.0
//
// The contract, as code, and nothing else. docs/arithmetic.md proves the widths and the bounds.
#include <algorithm>
#include <bit>
#include <type_traits>

#include "contract/reference_rows.h"

namespace hccs {
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

// How far each valid position lies below the greatest valid one; nothing of the others is used.
template <class T>
std::vector<int64_t> below_maximum(std::span<const T> row, const RowMask& mask) {
  const auto n = static_cast<int64_t>(row.size());
  int64_t m = INT64_MIN;
  for (int64_t i = 0; i < n; ++i) {
    if (mask.valid(i)) m = std::max<int64_t>(m, row[i]);
  }
  std::vector<int64_t> below(n, 0);
  for (int64_t i = 0; i < n; ++i) {
    if (mask.valid(i)) below[i] = m - row[i];
  }
  return below;
}

std::vector<int64_t> sum_distances(Rescale rescale, std::span<const int32_t> sums, const RowMask& mask) {
  std::vector<int64_t> d = below_maximum(sums, mask);
  for (int64_t& x : d) x = sum_distance(rescale, x);
  return d;
}

// The row's p from its distances.
template <class Out>
void normalise(const HeadParams& params, Normalisation normalisation, const std::vector<int64_t>& d,
               const RowMask& mask, std::span<Out> p) {
  constexpr OutputType kOutput = std::is_same_v<Out, uint8_t> ? OutputType::kUint8 : OutputType::kInt16;
  const auto n = static_cast<int64_t>(d.size());
  int64_t z = 0;
  for (int64_t i = 0; i < n; ++i) {
    if (mask.valid(i)) z += params.score(d[i]);
  }
  for (int64_t i = 0; i < n; ++i) {
    p[i] = mask.valid(i) ? static_cast<Out>(probability(normalisation, kOutput, params.score(d[i]), z)) : Out{0};
  }
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
  // The numerator, T for int16 and T * 2^7 for uint8, gives a reciprocal of 15 significant bits whatever Z is.
  return wide ? shift_round_half_up(s * ((int64_t{32767} << k) / z), k)
              : shift_round_half_up(s * ((int64_t{255 << 7} << k) / z), k + 7);
}

int64_t sum_distance(Rescale rescale, int64_t t) noexcept {
  return std::min<int64_t>(127, shift_round_half_up(t * rescale.multiplier, rescale.shift));
}

int attention_shift(int32_t offset, AttentionWeights weights) noexcept {
  int h = 0;
  while (weights == AttentionWeights::kUint8 && 2 * int64_t{offset} >= int64_t{511} << h) ++h;
  return h;
}

int64_t attention_weight(const HeadParams& params, int64_t d, AttentionWeights weights) noexcept {
  return shift_round_half_up(params.score(d), attention_shift(params.offset, weights));
}

namespace internal {

template <class Out>
void softmax_row(const HeadParams& params, Normalisation normalisation, std::span<const int8_t> x, const RowMask& mask,
                 std::span<Out> p) {
  normalise(params, normalisation, below_maximum(x, mask), mask, p);
}

template <class Out>
void softmax_row(const HeadParams& params, Normalisation normalisation, Rescale rescale, std::span<const int32_t> a,
                 const RowMask& mask, std::span<Out> p) {
  normalise(params, normalisation, sum_distances(rescale, a, mask), mask, p);
}

int64_t weight_row(const HeadParams& params, Rescale rescale, std::span<const int32_t> a, const RowMask& mask,
                   AttentionWeights weights, std::span<uint16_t> w) {
  const std::vector<int64_t> d = sum_distances(rescale, a, mask);
  int64_t total = 0;
  for (int64_t i = 0; i < std::ssize(d); ++i) {
    w[i] = mask.valid(i) ? static_cast<uint16_t>(attention_weight(params, d[i], weights)) : uint16_t{0};
    total += w[i];
  }
  return total;
}

void attention_row(const HeadParams& params, Rescale rescale, std::span<const int8_t> q, std::span<const int8_t> keys,
                   std::span<const int8_t> values, const RowMask& mask, AttentionWeights weights,
                   std::span<int8_t> out) {
  const auto dh = static_cast<int64_t>(q.size());
  const auto dv = static_cast<int64_t>(out.size());
  const auto n = static_cast<int64_t>(keys.size()) / dh;
  std::vector<int32_t> a(n, 0);
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < dh; ++j) a[i] += int32_t{q[j]} * keys[i * dh + j];
  }
  std::vector<uint16_t> w(n);
  const int64_t total = weight_row(params, rescale, a, mask, weights, w);
  for (int64_t j = 0; j < dv; ++j) {
    int64_t numerator = 0;
    for (int64_t i = 0; i < n; ++i) numerator += int64_t{w[i]} * values[i * dv + j];
    out[j] = total == 0 ? int8_t{0} : static_cast<int8_t>(divide_round_half_up(numerator, total));
  }
}

template void softmax_row(const HeadParams&, Normalisation, std::span<const int8_t>, const RowMask&,
                          std::span<uint8_t>);
template void softmax_row(const HeadParams&, Normalisation, std::span<const int8_t>, const RowMask&,
                          std::span<int16_t>);
template void softmax_row(const HeadParams&, Normalisation, Rescale, std::span<const int32_t>, const RowMask&,
                          std::span<uint8_t>);
template void softmax_row(const HeadParams&, Normalisation, Rescale, std::span<const int32_t>, const RowMask&,
                          std::span<int16_t>);

}  // namespace internal
}  // namespace hccs
