// SPDX-License-Identifier: Apache-2.0
#ifndef HCCS_TOOLS_MACHINE_H_
#define HCCS_TOOLS_MACHINE_H_

#include <string>

namespace hccs::tool {

// The processor's name and the number of cores, for results: "AMD EPYC, 2 cores".
std::string machine();

// The commit that this program was built from, "-dirty" appended if the tree was changed; "unknown" outside git.
std::string commit();

}  // namespace hccs::tool

#endif  // HCCS_TOOLS_MACHINE_H_
