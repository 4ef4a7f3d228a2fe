// SPDX-License-Identifier: Apache-2.0
#ifndef HCCS_AIE_RESULTS_REPORT_H_
#define HCCS_AIE_RESULTS_REPORT_H_

#include <string>

#include "aie/results/results.h"

namespace aie_results {

// docs/results/aie-throughput.md, and the plots that stand beside it, of Extent::kFull.
std::string markdown(const Results& results);
std::string throughput_svg(const Results& results);
std::string speedup_svg(const Results& results);
std::string scaling_svg(const Results& results);

}  // namespace aie_results

#endif  // HCCS_AIE_RESULTS_REPORT_H_
