// SPDX-License-Identifier: Apache-2.0
#ifndef HCCS_SRC_REPORT_HEAD_CARDS_H_
#define HCCS_SRC_REPORT_HEAD_CARDS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "report/report.h"

namespace hccs::report {

// The head's KL in a file: measured, or the parameter file's own. `place` in 0..layers x heads - 1.
double kl_of(const ReportedFile& file, int64_t place);
std::vector<double> all_kl(const ReportedFile& file);

// A target's name as a chip has it, and whether it takes the file or the head. As a list.
std::string chips(const ReportedFile& file);
std::string chips(const ReportedFile& file, int64_t place);

// One section a head, with a curve for each file: in order of the largest KL that any file gives the head.
std::string head_cards(const Report& report);

// A table of all heads of a file, in the file's order.
std::string number_table(const ReportedFile& file);

}  // namespace hccs::report

#endif  // HCCS_SRC_REPORT_HEAD_CARDS_H_
