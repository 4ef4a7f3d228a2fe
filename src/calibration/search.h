// SPDX-License-Identifier: Apache-2.0
#ifndef HCCS_SRC_CALIBRATION_SEARCH_H_
#define HCCS_SRC_CALIBRATION_SEARCH_H_

#include "calibration/row_table.h"
#include "calibration/search_settings.h"
#include "hccs/calibration.h"
#include "hccs/params.h"

namespace hccs::internal {

struct CurveFit {
  Curve curve;  // positions in nats, increasing; scaled so that f(0) = 1
  double kl = 0;
};

// The real-valued curve with the least mean KL on unrounded distances: quasi-Newton from many starts, as three knees
// and more have local optima. `rows` has a row with two different logits.
CurveFit fit_curve(const RowSet& rows, int knees, const CurveSettings& settings = {});

// What the integers may be: B <= largest_offset, F >= smallest_floor, beside the contract's ranges; and the step.
struct IntegerLimits {
  int32_t largest_offset = kMaxOffset;
  int32_t smallest_floor = 0;
  StepKind step = StepKind::kReal;
};

struct IntegerFit {
  HeadParams params;
  double step = 0;
  double kl = 0;
};

// The integers and the logit step with the least mean KL that a search around `start` finds.
IntegerFit fit_integers(const RowSet& rows, const Curve& start, const IntegerLimits& limits,
                        const IntegerSettings& settings = {});

// The least multiple of the scores, B and all S_k by one integer, with B >= least_offset. It has the same s / Z.
// Returns `params` where the contract's ranges leave none.
HeadParams multiple_with_offset(const HeadParams& params, int32_t least_offset);

}  // namespace hccs::internal

#endif  // HCCS_SRC_CALIBRATION_SEARCH_H_
