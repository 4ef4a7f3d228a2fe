// SPDX-License-Identifier: Apache-2.0
#ifndef HCCS_SRC_QUANTISER_FIT_HEADS_H_
#define HCCS_SRC_QUANTISER_FIT_HEADS_H_

#include <cstdint>
#include <span>
#include <vector>

#include "hccs/params.h"
#include "hccs/reference.h"

namespace hccs::internal {

// Rows of one head: how far each position's logit lies below the row's greatest, as integers before they are rescaled,
// the integer values, and what the float model's attention gives.
class HeadRows {
 public:
  // `metric` is [out, dimension]: an error x of the context costs |metric * x|^2. Values are worth scales[c] around
  // centres[c].
  HeadRows(std::span<const float> metric, std::span<const double> scales, std::span<const double> centres);

  // The rows of some queries of one text: queries, keys and values are [tokens, dimension] with the pitch between
  // tokens, `exact` is the float model's context, too.
  void add_text(const int8_t* queries, const int8_t* keys, const int8_t* values, int64_t pitch, const float* exact,
                int64_t exact_pitch, int64_t tokens, int64_t first, int64_t every);

  // The mean cost of attention with these parameters.
  double cost(const HeadParams& params, Rescale rescale, AttentionWeights weights) const;

 private:
  struct Row {
    size_t distances;  // where they begin
    size_t values;     // where those of its text begin
    int64_t length;
  };
  std::vector<float> transformed(const std::vector<double>& x) const;

  size_t dimension_;
  std::vector<double> scales_;
  std::vector<double> centres_;
  std::vector<double> factor_;  // lower triangle L with L L^T = metric^T metric
  std::vector<Row> rows_;
  std::vector<int32_t> distances_;
  std::vector<float> values_;   // transformed
  std::vector<float> targets_;  // [rows, dimension], transformed
};

struct FittedHead {
  HeadParams params;
  Rescale rescale;
};

// Parameters and factor with a lower cost, found by descent from these.
FittedHead fit_head(const HeadRows& rows, const FittedHead& start, AttentionWeights weights);

}  // namespace hccs::internal

#endif  // HCCS_SRC_QUANTISER_FIT_HEADS_H_
