// SPDX-License-Identifier: Apache-2.0
//
// What all exported projects have in common: a device, heads, files.
#ifndef HCCS_AIE_EXPORT_PROJECT_H_
#define HCCS_AIE_EXPORT_PROJECT_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "aie/export/template.h"
#include "hccs/mask.h"
#include "hccs/params.h"
#include "hccs/status.h"

namespace aie_export {

// Boards of Versal devices, and the NPUs of Ryzen AI processors.
enum class Device { kVek280, kVek385, kNpu1, kNpu2 };

struct DeviceFacts {
  std::string_view name;   // on the command line
  std::string_view board;  // for people
  std::string_view core;   // for people
  int arch;                // __AIE_ARCH__
  int64_t columns;         // of an NPU, kColumnCores tiles each; 0: no NPU
};
inline constexpr int64_t kColumnCores = 4;
DeviceFacts facts(Device device) noexcept;
bool is_npu(Device device) noexcept;
// Tiles that a project for the device has at the most.
int64_t most_tiles(Device device) noexcept;
std::optional<Device> parse_device(std::string_view name) noexcept;

// A release of Vitis, which decides the platforms' names.
enum class Vitis { k2025_2, k2026_1 };
std::string_view name(Vitis vitis) noexcept;  // "2025.2", "2026.1"
std::optional<Vitis> parse_vitis(std::string_view name) noexcept;
// The base platform of the device's board.
std::string_view platform(Device device, Vitis vitis) noexcept;

// How an NPU's columns share the tiles: as many columns as there are, as many tiles of each.
struct Columns {
  int64_t columns = 0;
  int64_t cores = 0;  // of a column, 1..kColumnCores
};
// Nothing if no columns of the NPU have so many tiles.
std::optional<Columns> columns_of(Device npu, int64_t tiles) noexcept;
// kInvalidArgument with the value and the rule for tiles without columns, or more than most_tiles().
hccs::Status check_tiles(Device device, int64_t tiles);

// How many of a layer's heads each tile has: `requested`, or if that is 0 the most that divide the heads and have room.
// `check_memory` says whether a tile has room for so many. Errors: its for one head; kInvalidArgument with the value
// and the rule for a number that does not divide the heads, or for tiles that the device has not.
hccs::Expected<int64_t> deal_heads(int64_t heads, int64_t requested, Device device,
                                   const std::function<hccs::Status(int64_t)>& check_memory);

// Of all devices.
inline constexpr int64_t kTileBytes = 64 * 1024;  // data memory of a tile
inline constexpr int64_t kStackBytes = 4096;      // that aie.cfg asks for
inline constexpr int64_t kOtherHeapBytes = 1024;  // beside the kernel's scratch: the compiler's default for a heap

// Words of a head's parameters in a project: B, K, S_1..S_4, D_1..D_4.
inline constexpr int64_t kHeadWords = 10;

struct ExportedHead {
  int64_t number = 0;  // in its layer
  hccs::HeadParams params;
  double step = 0;  // of its logits, for the README; 0: unknown
};

struct ProjectFile {
  std::string path;  // in the project's folder
  std::string text;
};

// ---- For the kinds of projects -------------------------------------------------------------------------------------

// A text of the user's, fit for a comment in C++ and a cell of a table.
std::string plain(std::string text);

// Numbers as aiesimulator reads and the host writes them: a beat a line, of 128 bits unless said otherwise.
std::string plio_text(std::span<const int> values, int64_t element_bytes, int64_t beat_bytes = 16);

// "B, K, S_1, .., S_4, D_1, .., D_4": what a kernel reads.
std::string head_words(const hccs::HeadParams& params);

// The lines of kHeadParameters in project.h: B, K, S_1..S_4, D_1..D_4 of heads of a layer.
std::string parameter_lines(int64_t layer, std::span<const ExportedHead> heads);

// "0, 3, 5"
std::string head_numbers(std::span<const ExportedHead> heads);

// The lines of kMasks in project.h: each block's valid length and causal offset, which must be set.
std::string mask_lines(std::span<const hccs::BlockMask> masks);

// `factor` > 0 as M * 2^-R, 2^14 <= M < 2^15.
struct IntegerFactor {
  int64_t multiplier = 0;  // M
  int64_t shift = 0;       // R
};
IntegerFactor integer_factor(double factor) noexcept;

// How logits come from the int32 sums of q . k, a line for each head after `prefix`: its step, and the factor of a sum,
// as a number and as M * 2^-R with 2^14 <= M < 2^15. head_dimension 0: unknown, so that the factor lacks 1/sqrt(d).
std::string logit_lines(std::string_view prefix, int64_t layer, std::span<const ExportedHead> heads,
                        int64_t head_dimension);

// The rule that logit_lines() gives the factors of.
std::string logit_rule(int64_t head_dimension);

// Values of the marks VERSION, BOARD, CORE, VITIS, PLATFORM, ARCH, STACK and HEAP.
Marks device_marks(Device device, Vitis vitis, int64_t heap_bytes);

// Adds the filled template templates/TEMPLATE_NAME.in as the file `path`.
hccs::Status add_filled(std::string_view template_name, std::string path, const Marks& marks,
                        std::vector<ProjectFile>& files);

// Adds each of the headers, such as kernels/rows.h, with all that they include, and the host. kUnsupported if the
// program was built without one of them.
hccs::Status add_headers(std::span<const std::string> headers, std::vector<ProjectFile>& files);

// Adds what each project for Vitis has: Makefile, aie.cfg and the program that compares results, kernels/KERNEL.h,
// graph/GRAPH.h and the host. Errors: those of add_headers().
hccs::Status add_common_files(std::string_view kernel, std::string_view graph, const Marks& marks,
                              std::vector<ProjectFile>& files);

}  // namespace aie_export

#endif  // HCCS_AIE_EXPORT_PROJECT_H_
