// SPDX-License-Identifier: Apache-2.0
//
// What a search needs of a set of rows, so that one candidate costs K look-ups a row instead of n operations. For a
// candidate f(t) = F + sum_k S_k * max(T_k - t, 0) over the distance t from the row's maximum,
//
//   mean KL = mean sum p log p  -  sum_t H(t) log f(t)  +  mean log Z,    Z = n * F + sum_k S_k * A(T_k),
//
// where H is the mean probability mass at distance t, and A(T) = sum_i max(T - t_i, 0) over the row's positions.
#ifndef HCCS_SRC_CALIBRATION_ROW_TABLE_H_
#define HCCS_SRC_CALIBRATION_ROW_TABLE_H_

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "hccs/params.h"

namespace hccs::internal {

// The rows of one fit, flat.
struct RowSet {
  std::vector<float> distances;  // t = maximum - logit >= 0, in nats
  std::vector<float> logits;
  std::vector<float> probabilities;  // softmax(logits)
  std::vector<int64_t> begin;        // row r is [begin[r], begin[r + 1])
  double negative_entropy = 0;       // mean over rows of sum p log p

  // Each row has at least one logit, all of them finite.
  static RowSet of_rows(std::span<const std::span<const float>> rows);

  int64_t row_count() const { return static_cast<int64_t>(begin.size()) - 1; }
};

// f(t) = floor + sum_k slope[k] * max(position[k] - t, 0), real-valued.
struct Curve {
  int knees = 0;
  double floor = 0;
  std::array<double, kMaxKnees> slope{};
  std::array<double, kMaxKnees> position{};
};

// The partial derivatives of the mean KL, in the same places.
using Gradient = Curve;

class RowTable {
 public:
  // Distances in nats, each split between the two nearest of `bins` + 1 points `width` apart so that its mean is kept;
  // beyond the last point a distance only counts for n. Uses the first `row_limit` rows.
  static RowTable of_distances(const RowSet& rows, int bins, double width, int64_t row_limit);

  // Distances of the int8 logits at `step`, in logit units: exact for integer positions 0..127. Uses the first
  // `row_limit` rows.
  static RowTable of_int8(const RowSet& rows, double step, int64_t row_limit);

  // Mean KL; with `gradient`, its derivatives too. The floor is positive, positions are in [0, bins * width].
  double mean_kl(const Curve& curve, Gradient* gradient = nullptr) const;

 private:
  RowTable(int64_t rows, int bins, double width);
  void integrate();  // turns counts into A, and sums H

  float* at(int64_t point) { return &a_[point * stride_]; }
  const float* at(int64_t point) const { return &a_[point * stride_]; }

  int64_t rows_;
  int bins_;
  double width_;
  int64_t stride_;        // no power of two: it would put all points of a row into one cache set
  std::vector<float> a_;  // [bins + 1, stride]: A at each point
  double negative_entropy_ = 0;
  std::vector<float> length_;      // [rows]: n
  std::vector<double> mass_;       // [bins + 1]: H; the last point collects everything beyond
  std::vector<double> mass_from_;  // [bins + 1]: the sum of H from here on
};

}  // namespace hccs::internal

#endif  // HCCS_SRC_CALIBRATION_ROW_TABLE_H_
