// SPDX-License-Identifier: Apache-2.0
//
// Files of the source tree that are text in the program, put there by the build (cmake/EmbedFiles.cmake).
#ifndef HCCS_AIE_EXPORT_EMBEDDED_H_
#define HCCS_AIE_EXPORT_EMBEDDED_H_

#include <span>
#include <string_view>

namespace aie_export {

struct EmbeddedFile {
  std::string_view path;
  std::string_view text;
};

// The headers of aie/, with paths as an exported project has them: kernels/rows.h, graph/one_tile.h,
// host/include/adf.h.
std::span<const EmbeddedFile> sources();

// The files of templates/: softmax/README.md.in.
std::span<const EmbeddedFile> templates();

}  // namespace aie_export

#endif  // HCCS_AIE_EXPORT_EMBEDDED_H_
