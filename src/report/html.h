// SPDX-License-Identifier: Apache-2.0
//
// Text and numbers as HTML and SVG have them.
#ifndef HCCS_SRC_REPORT_HTML_H_
#define HCCS_SRC_REPORT_HTML_H_

#include <string>
#include <string_view>

namespace hccs::report {

// Text for an element or a quoted attribute: markup, quotes and control characters cannot come through, and bytes that
// are no UTF-8 become U+FFFD.
std::string escaped(std::string_view text);

// A coordinate: at most two decimals, no trailing zeros, never "-0". `value` is finite.
std::string coordinate(double value);

// A KL in nats with about three digits that count: "0.062", "0.0031", "0.00042".
std::string kl_text(double kl);

// 0..1 as "98.7 %".
std::string percent(double share);

}  // namespace hccs::report

#endif  // HCCS_SRC_REPORT_HTML_H_
