// SPDX-License-Identifier: Apache-2.0
#include "softmax_data.h"

#include <algorithm>
#include <cmath>
#include <random>

namespace hccs::bench {

Arena::Arena(int64_t bytes)
    : s8_(bytes / 2),
      nats_(bytes / 2),
      u8_(bytes / 2),
      f32_(bytes / 2),
      s32_(bytes),
      mask_bits_(bytes / 8),
      out_(bytes) {
  std::mt19937 random(1);
  std::normal_distribution<double> logit(0, 25);
  const auto s8 = s8_.as<int8_t>();
  for (int8_t& x : s8) x = static_cast<int8_t>(std::clamp<long>(std::lround(logit(random)), -128, 127));
  std::transform(s8.begin(), s8.end(), u8_.as<uint8_t>().begin(), [](int8_t x) { return x + 128; });
  std::transform(s8.begin(), s8.end(), nats_.as<int8_t>().begin(),
                 [](int8_t x) { return static_cast<int8_t>(std::lround(kStep * x)); });
  const auto f32 = f32_.as<float>();
  std::transform(s8.begin(), s8.begin() + std::ssize(f32), f32.begin(), [](int8_t x) { return kStep * x; });
  // Sums that are no multiples of a logit step.
  const auto s32 = s32_.as<int32_t>();
  std::transform(s8.begin(), s8.begin() + std::ssize(s32), s32.begin(),
                 [&](int8_t x) { return 200 * x + static_cast<int32_t>(random() % 200); });
  // Three of four positions valid.
  for (uint8_t& bits : mask_bits_.as<uint8_t>()) bits = static_cast<uint8_t>(random() | random());
}

Data Arena::data() {
  return {s8_.as<int8_t>(),   nats_.as<int8_t>(),       u8_.as<uint8_t>(),   f32_.as<float>(),
          s32_.as<int32_t>(), mask_bits_.as<uint8_t>(), out_.as<std::byte>()};
}

}  // namespace hccs::bench
