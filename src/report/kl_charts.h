// SPDX-License-Identifier: Apache-2.0
#ifndef HCCS_SRC_REPORT_KL_CHARTS_H_
#define HCCS_SRC_REPORT_KL_CHARTS_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hccs::report {

// Classes of KL have fixed limits, so that a colour means the same in every report: class c holds the KL from
// kKlLimits[c - 1] to below kKlLimits[c], in nats.
inline constexpr double kKlLimits[] = {0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1};
inline constexpr int kKlClasses = 8;

int kl_class(double kl) noexcept;  // 0..7

// The id of a head's section in the page: "l3h7".
std::string head_anchor(int64_t layer, int64_t head);

// The heads as a map: a row a layer, a column a head, each cell coloured by its class and linked to the head's section.
// `kl` has layers x heads values, row-major.
std::string kl_map(std::string_view title, std::span<const double> kl, int64_t heads);

// What the colours of kl_map() mean, as a list.
std::string kl_legend();

// One lane a file: every head's KL as a dot on a common logarithmic axis, first layer on top, and their mean as a bar.
struct Lane {
  std::string name;  // text, not yet escaped
  std::vector<double> kl;
};
std::string kl_lanes(std::span<const Lane> lanes, int64_t heads);

}  // namespace hccs::report

#endif  // HCCS_SRC_REPORT_KL_CHARTS_H_
