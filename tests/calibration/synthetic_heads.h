// SPDX-License-Identifier: Apache-2.0
//
// Attention heads of every kind that real models have, and some that they should not have.
#ifndef HCCS_TESTS_CALIBRATION_SYNTHETIC_HEADS_H_
#define HCCS_TESTS_CALIBRATION_SYNTHETIC_HEADS_H_

#include <cmath>
#include <cstdint>
#include <functional>
#include <numbers>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace hccs {

using Rows = std::vector<std::vector<float>>;

inline std::vector<std::span<const float>> spans_of(const Rows& rows) { return {rows.begin(), rows.end()}; }

// The same numbers with every standard library, unlike std::normal_distribution.
class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}
  double uniform() { return (static_cast<double>(engine_() >> 11) + 0.5) * 0x1p-53; }  // in (0, 1)
  int64_t uniform_int(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(uniform() * static_cast<double>(high - low + 1));
  }
  double normal() { return std::sqrt(-2 * std::log(uniform())) * std::cos(2 * std::numbers::pi * uniform()); }

 private:
  std::mt19937_64 engine_;
};

struct SyntheticHead {
  std::string name;
  bool well_behaved;  // every row's logits, as far as they matter, fit int8 at one fine step
  std::function<std::vector<float>(Random&)> draw_row;

  // `count` rows.
  Rows draw(int count, uint64_t seed) const {
    Random random(seed);
    Rows rows;
    for (int i = 0; i < count; ++i) rows.push_back(draw_row(random));
    return rows;
  }

  // Rows of at least `count` positions together.
  Rows draw_positions(int64_t count, uint64_t seed) const {
    Random random(seed);
    Rows rows;
    for (int64_t drawn = 0; drawn < count; drawn += static_cast<int64_t>(rows.back().size())) {
      rows.push_back(draw_row(random));
    }
    return rows;
  }
};

inline std::vector<SyntheticHead> synthetic_heads() {
  // A row of uniform_int(shortest, longest) logits, each logit(random, position).
  const auto row_of = [](int64_t shortest, int64_t longest, auto logit) {
    return [=](Random& random) {
      std::vector<float> row(random.uniform_int(shortest, longest));
      for (size_t i = 0; i < row.size(); ++i) row[i] = static_cast<float>(logit(random, static_cast<double>(i)));
      return row;
    };
  };
  const auto gaussian = [](double deviation, double mean = 0.0) {
    return [=](Random& random, double) { return mean + deviation * random.normal(); };
  };
  return {
      {"gaussian, deviation 0.3", true, row_of(2, 24, gaussian(0.3))},
      {"gaussian, deviation 1", true, row_of(2, 24, gaussian(1.0))},
      {"gaussian, deviation 2", true, row_of(2, 24, gaussian(2.0))},
      {"gaussian, deviation 5", false, row_of(2, 24, gaussian(5.0))},
      {"bimodal, 6 apart", true,
       row_of(4, 24, [](Random& r, double) { return (r.uniform() < 0.2 ? 6.0 : 0.0) + 0.7 * r.normal(); })},
      {"one position 50 above", true,
       [](Random& r) {
         std::vector<float> row(r.uniform_int(2, 24));
         for (float& x : row) x = static_cast<float>(2.0 * r.normal() - 25.0);
         row[r.uniform_int(0, static_cast<int64_t>(row.size()) - 1)] += 50.0F;
         return row;
       }},
      {"heavy tails", true,  // Student's t with 3 degrees of freedom
       row_of(2, 24,
              [](Random& r, double) {
                const double a = r.normal(), b = r.normal(), c = r.normal();
                return r.normal() / std::sqrt((a * a + b * b + c * c) / 3.0);
              })},
      {"long rows", true, row_of(60, 100, gaussian(1.5))},
      {"short rows", true, row_of(1, 4, gaussian(1.5))},
      {"two positions", true, row_of(2, 2, gaussian(2.0))},
      {"decays with position", true, row_of(4, 24, [](Random& r, double i) { return -0.5 * i + 0.5 * r.normal(); })},
      {"a temperature a row", false,
       [](Random& r) {
         std::vector<float> row(r.uniform_int(4, 24));
         const double deviation = std::exp(r.normal());
         for (float& x : row) x = static_cast<float>(deviation * r.normal());
         return row;
       }},
      {"all logits near 40", false, row_of(2, 24, gaussian(1.5, 40.0))},
      {"all logits near -40", false, row_of(2, 24, gaussian(1.5, -40.0))},
      {"an offset a row", false,
       [](Random& r) {
         std::vector<float> row(r.uniform_int(4, 24));
         const double offset = 15.0 * r.normal();
         for (float& x : row) x = static_cast<float>(offset + 1.5 * r.normal());
         return row;
       }},
  };
}

}  // namespace hccs

#endif  // HCCS_TESTS_CALIBRATION_SYNTHETIC_HEADS_H_
