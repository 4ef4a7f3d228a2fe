// SPDX-License-Identifier: Apache-2.0
//
// Whether rows of numbers can be attention logits. Any finite numbers can be fitted; these checks find the usual ways
// in which a dump holds something else, each of which gives parameters that are wrong without looking wrong.
#ifndef HCCS_PLAUSIBILITY_H_
#define HCCS_PLAUSIBILITY_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "hccs/export.h"

namespace HCCS_API hccs {

class RowSample;

enum class FindingKind {
  // Refused by calibrate() unless it is told otherwise, since the fit would be of something else.
  kMaskedLogits,   // positions that a mask pushed down (-100, -1e4, the lowest float) count as valid
  kPadding,        // rows begin or end with one and the same value: padding counts as valid
  kProbabilities,  // each row sums to 1: what softmax gives, not what it gets
  // Pointed out: the fit is of these rows, but may be worse than it could be, or than it looks.
  kShiftedRows,   // constants in the rows take most of the range of int8
  kWholeNumbers,  // logits in units of an int8 step, not in nats
  kFewRows,       // fewer than kFewRows that are different
};

std::string_view name(FindingKind kind) noexcept;  // "masked-logits", "padding", ...

// Fewer different rows than this are fitted closely enough to be misled by (docs/calibration.md has figures).
inline constexpr int64_t kFewRows = 128;

struct Finding {
  FindingKind kind = FindingKind::kFewRows;
  bool refused = false;  // calibrate() stops on it by default
  std::string message;   // what was found, with its numbers, and what to do; without the head's name
};

// What is implausible about one head's kept rows, worst first; empty for logits as models have them. Fewer than 32
// positions are too few to tell. Rows that are not finite are no business of these checks: calibrate() refuses them.
// Throws std::bad_alloc alone.
std::vector<Finding> check_plausibility(const RowSample& sample);

}  // namespace hccs

#endif  // HCCS_PLAUSIBILITY_H_
