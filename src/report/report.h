// SPDX-License-Identifier: Apache-2.0
//
// One HTML page on parameter files: what they are worth and where they run, every head with its curve. It needs nothing
// but itself: pictures are inline SVG, there is no script, and it asks for no other file.
#ifndef HCCS_SRC_REPORT_REPORT_H_
#define HCCS_SRC_REPORT_REPORT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "hccs/evaluate_logits.h"
#include "hccs/param_file.h"
#include "hccs/status.h"
#include "report/deployment.h"

namespace hccs {

struct ReportedFile {
  std::string name;  // as the reader knows it; any text
  ParamFile params;
  std::vector<Deployment> deployments;       // for rows of Report::length
  std::optional<LogitsEvaluation> measured;  // with these parameters
};

struct Report {
  std::vector<ReportedFile> files;  // at least one, all of the first one's layers x heads
  int64_t length = 0;               // positions of a row, for the rules of deployment
  std::string logits;               // what `measured` was measured on, as the reader knows it; empty: nothing
};

// The page. KL is the measured one where there is one, else that of the parameter file; heads come in order of the
// largest KL that any file gives them. Errors: kInvalidArgument for no file; kMismatch for a file of other layers or
// heads than the first's, with both numbers; kOutOfMemory.
Expected<std::string> report_page(const Report& report);

}  // namespace hccs

#endif  // HCCS_SRC_REPORT_REPORT_H_
