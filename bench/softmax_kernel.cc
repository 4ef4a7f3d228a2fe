// SPDX-License-Identifier: Apache-2.0
#include "softmax_kernel.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <type_traits>

namespace hccs::bench {

template <class Out>
Status verify_against_float(std::span<const int8_t> all_logits, const Data& data, const Shape& shape, double step,
                            double full_scale, double most, double tolerance) {
  std::array<double, 256> exponential;
  for (size_t d = 0; d < exponential.size(); ++d) exponential[d] = std::exp(-step * static_cast<double>(d));
  const auto* out = reinterpret_cast<const Out*>(data.out.data());
  for (int64_t batch = 0; batch < shape.batches; ++batch) {
    for (int64_t row = 0; row < shape.rows(); ++row) {
      const int64_t start = batch * shape.stride() + row * shape.keys;
      const std::span<const int8_t> logits = all_logits.subspan(start, shape.keys);
      const int maximum = *std::max_element(logits.begin(), logits.end());
      double sum = 0;
      for (const int8_t x : logits) sum += exponential[maximum - x];
      for (int64_t i = 0; i < shape.keys; ++i) {
        const double expected = std::min(full_scale * exponential[maximum - logits[i]] / sum, most);
        const double got = out[start + i];
        const double allowed = std::is_integral_v<Out> ? tolerance : tolerance * expected + 1e-30;
        if (!(std::abs(got - expected) <= allowed)) {
          return {StatusCode::kMismatch, fmt::format("batch {}, row {}, position {}: {}, but a float softmax gives {}",
                                                     batch, row, i, got, expected)};
        }
      }
    }
  }
  return {};
}

template Status verify_against_float<int8_t>(std::span<const int8_t>, const Data&, const Shape&, double, double, double,
                                             double);
template Status verify_against_float<uint8_t>(std::span<const int8_t>, const Data&, const Shape&, double, double,
                                              double, double);
template Status verify_against_float<float>(std::span<const int8_t>, const Data&, const Shape&, double, double, double,
                                            double);

}  // namespace hccs::bench
