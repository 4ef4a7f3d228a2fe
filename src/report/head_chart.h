// SPDX-License-Identifier: Apache-2.0
#ifndef HCCS_SRC_REPORT_HEAD_CHART_H_
#define HCCS_SRC_REPORT_HEAD_CHART_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "hccs/params.h"

namespace hccs::report {

// A head's curve s / B over exp(-d * step), with the histogram of its distances behind and, below, the difference of
// the two curves. SVG; colours come from the page's style.
//
// `distances` is empty, or has 256 counts of positions by distance d. `title` is text, not yet escaped. `params` are
// valid, step > 0.
std::string head_chart(std::string_view title, const HeadParams& params, double step,
                       std::span<const int64_t> distances);

}  // namespace hccs::report

#endif  // HCCS_SRC_REPORT_HEAD_CHART_H_
