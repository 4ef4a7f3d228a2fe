// SPDX-License-Identifier: Apache-2.0
//
// What the projects that hccs export writes have in common: texts with marks to fill in, data files, sources of aie/.
#ifndef HCCS_TOOLS_AIE_PROJECT_TEXT_H_
#define HCCS_TOOLS_AIE_PROJECT_TEXT_H_

#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "aie_project.h"

namespace hccs::tool {

inline constexpr int64_t kTileBytes = 64 * 1024;  // data memory of a tile, both devices
inline constexpr int64_t kStackBytes = 4096;
inline constexpr int64_t kOtherHeapBytes = 1024;  // the compiler's default

struct DeviceFacts {
  std::string_view name, board, core, platform;
  int arch;       // __AIE_ARCH__
  int band_rows;  // of a micro tile
};
DeviceFacts facts(AieDevice device);

// Names and what stands for them: @NAME@ in a text. A value may have further marks, of later names.
using Marks = std::vector<std::pair<std::string_view, std::string>>;
std::string fill(std::string_view text, const Marks& marks);

// A text of the user's, fit for a comment in C++ and a cell of a table.
std::string plain(std::string text);

// As aiesimulator reads and the host writes: a beat a line, of 128 bits unless said otherwise.
std::string plio_text(std::span<const int> values, int64_t element_bytes, int64_t beat_bytes = 16);

// The parameters of heads of a layer, for project.h.
std::string parameter_lines(int64_t layer, std::span<const ExportedHead> heads);
// The lines of kMasks for project.h: each block's valid length and causal offset, which must be set.
std::string mask_lines(std::span<const BlockMask> masks);

// Adds to `files` what each project has, with the sources kernels/KERNEL.h and graph/GRAPH.h, what they include, and
// the host.
Status add_common_files(std::string_view kernel, std::string_view graph, const Marks& marks,
                        std::vector<ProjectFile>& files);

// src/graph.cpp of a graph with the run-time parameters valid_length and causal_offset.
extern const std::string_view kMaskedGraphSource;

}  // namespace hccs::tool

#endif  // HCCS_TOOLS_AIE_PROJECT_TEXT_H_
