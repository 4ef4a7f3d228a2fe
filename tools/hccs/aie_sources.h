// SPDX-License-Identifier: Apache-2.0
#ifndef HCCS_TOOLS_AIE_SOURCES_H_
#define HCCS_TOOLS_AIE_SOURCES_H_

#include <span>
#include <string_view>

namespace hccs::tool {

struct SourceFile {
  std::string_view path;  // in an exported project: kernels/rows.h, graph/one_tile.h, host/include/adf.h, ...
  std::string_view text;
};

// The headers of aie/, embedded when the program is built (cmake/EmbedAieSources.cmake).
std::span<const SourceFile> aie_sources();

}  // namespace hccs::tool

#endif  // HCCS_TOOLS_AIE_SOURCES_H_
