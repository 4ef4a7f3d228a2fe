// SPDX-License-Identifier: Apache-2.0
#ifndef HCCS_TOOLS_VERSION_TEXT_H_
#define HCCS_TOOLS_VERSION_TEXT_H_

#include <string>

namespace hccs::tool {

// What --version prints: version, commit, the instruction sets that the build has kernels for and the one that runs
// here, and which optional parts there are.
std::string version_text();

}  // namespace hccs::tool

#endif  // HCCS_TOOLS_VERSION_TEXT_H_
