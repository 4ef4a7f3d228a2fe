// SPDX-License-Identifier: Apache-2.0
#ifndef HCCS_VERSION_H_
#define HCCS_VERSION_H_

namespace hccs {

// Semantic version of this library; CMakeLists.txt reads it from here.
inline constexpr const char* kVersion = "0.1.0";

}  // namespace hccs

#endif  // HCCS_VERSION_H_
