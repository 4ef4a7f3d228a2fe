// SPDX-License-Identifier: Apache-2.0
#include "aie/export/project.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <set>
#include <utility>

#include "aie/export/embedded.h"
#include "hccs/version.h"

namespace aie_export {

using hccs::Expected;
using hccs::Status;
using hccs::StatusCode;

namespace {

// The header `root` and those that it includes with quotes, and theirs.
Status add_sources(std::string_view root, std::set<std::string_view>& added, std::vector<ProjectFile>& files) {
  const auto all = sources();
  const auto file = std::find_if(all.begin(), all.end(), [&](const EmbeddedFile& f) { return f.path == root; });
  if (file == all.end()) {
    return {StatusCode::kUnsupported, fmt::format("the program was built without the source {}", root)};
  }
  if (!added.insert(file->path).second) return {};
  files.push_back({std::string(file->path), std::string(file->text)});
  const std::string_view folder = root.substr(0, root.find('/') + 1);
  constexpr std::string_view kInclude = "#include \"";
  for (size_t at = file->text.find(kInclude); at != std::string_view::npos; at = file->text.find(kInclude, at + 1)) {
    const size_t begin = at + kInclude.size();
    const std::string_view name = file->text.substr(begin, file->text.find('"', begin) - begin);
    HCCS_RETURN_IF_ERROR(add_sources(
        name.starts_with("../") ? std::string(name.substr(3)) : fmt::format("{}{}", folder, name), added, files));
  }
  return {};
}

}  // namespace

DeviceFacts facts(Device device) noexcept {
  switch (device) {
    case Device::kVek280:
      return {"vek280", "VEK280", "AIE-ML", 20, 0};
    case Device::kVek385:
      return {"vek385", "VEK385", "AIE-ML v2", 22, 0};
    case Device::kNpu1:
      return {"npu1", "Ryzen AI NPU 1 (Phoenix, Hawk Point)", "XDNA", 20, 4};
    case Device::kNpu2:
      return {"npu2", "Ryzen AI NPU 2 (Strix, Krackan Point)", "XDNA 2", 21, 8};
  }
  return {};
}

bool is_npu(Device device) noexcept { return facts(device).columns > 0; }

int64_t most_tiles(Device device) noexcept { return is_npu(device) ? facts(device).columns * kColumnCores : 16; }

std::optional<Columns> columns_of(Device npu, int64_t tiles) noexcept {
  for (int64_t cores = 1; cores <= kColumnCores; ++cores) {
    if (tiles % cores == 0 && tiles / cores <= facts(npu).columns) return Columns{tiles / cores, cores};
  }
  return std::nullopt;
}

Status check_tiles(Device device, int64_t tiles) {
  const auto refuse = [](std::string message) { return Status(StatusCode::kInvalidArgument, std::move(message)); };
  if (tiles < 1) return refuse(fmt::format("{} tiles, but a project needs one", tiles));
  if (tiles > most_tiles(device)) {
    return refuse(
        fmt::format("{} tiles, but a project for {} has at most {}", tiles, facts(device).name, most_tiles(device)));
  }
  if (!is_npu(device) || columns_of(device, tiles)) return {};
  return refuse(fmt::format("{} tiles, but {} has {} columns of {}, and every column that is used has as many", tiles,
                            facts(device).name, facts(device).columns, kColumnCores));
}

std::optional<Device> parse_device(std::string_view name) noexcept {
  for (const Device device : {Device::kVek280, Device::kVek385, Device::kNpu1, Device::kNpu2}) {
    if (name == facts(device).name) return device;
  }
  return std::nullopt;
}

Expected<int64_t> deal_heads(int64_t heads, int64_t requested, Device device,
                             const std::function<Status(int64_t)>& check_memory) {
  const auto refuse = [](std::string message) { return Status(StatusCode::kInvalidArgument, std::move(message)); };
  if (heads == 0) return refuse("a project needs a head");
  if (requested > 0 && heads % requested != 0) {
    return refuse(fmt::format("{} heads on tiles of {}, but every tile has as many", heads, requested));
  }
  int64_t each = requested;
  if (each == 0) {
    HCCS_RETURN_IF_ERROR(check_memory(1));
    // Those of tiles that the device has come first.
    for (int64_t some = heads; some > 0; --some) {
      if (heads % some != 0 || !check_memory(some).ok()) continue;
      const bool has_tiles = check_tiles(device, heads / some).ok();
      if (each == 0 || has_tiles) each = some;
      if (has_tiles) break;
    }
  }
  const Status tiles = check_tiles(device, heads / each);
  if (tiles.ok()) return each;
  return refuse(
      fmt::format("{} heads, {} on a tile: {}; other --heads-per-tile or fewer --rows", heads, each, tiles.message()));
}

std::string_view name(Vitis vitis) noexcept { return vitis == Vitis::k2025_2 ? "2025.2" : "2026.1"; }

std::optional<Vitis> parse_vitis(std::string_view text) noexcept {
  for (const Vitis vitis : {Vitis::k2025_2, Vitis::k2026_1}) {
    if (text == name(vitis)) return vitis;
  }
  return std::nullopt;
}

std::string_view platform(Device device, Vitis vitis) noexcept {
  if (device == Device::kVek385) return "vek385_base";
  return vitis == Vitis::k2025_2 ? "xilinx_vek280_base_202520_1" : "xilinx_vek280_base_202610_1";
}

std::string plain(std::string text) {
  for (char& c : text) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!letter && std::string_view(" -_.,/+:").find(c) == std::string_view::npos) c = '?';
  }
  return text;
}

std::string plio_text(std::span<const int> values, int64_t element_bytes, int64_t beat_bytes) {
  const auto per_line = static_cast<size_t>(beat_bytes / element_bytes);
  std::string text;
  for (size_t i = 0; i < values.size(); ++i) {
    fmt::format_to(std::back_inserter(text), "{}{}", values[i], i % per_line == per_line - 1 ? '\n' : ' ');
  }
  return text;
}

std::string head_words(const hccs::HeadParams& params) {
  std::string text = fmt::format("{}, {}", params.offset, params.knee_count);
  for (int k = 0; k < hccs::kMaxKnees; ++k) {
    text += fmt::format(", {}", k < params.knee_count ? params.knees[k].slope : 0);
  }
  for (int k = 0; k < hccs::kMaxKnees; ++k) {
    text += fmt::format(", {}", k < params.knee_count ? params.knees[k].position : 1);
  }
  return text;
}

std::string parameter_lines(int64_t layer, std::span<const ExportedHead> heads) {
  std::string text;
  for (const ExportedHead& head : heads) {
    text += fmt::format("    {},  // {}\n", head_words(head.params), hccs::head_name(layer, head.number));
  }
  return text;
}

std::string head_numbers(std::span<const ExportedHead> heads) {
  std::string text;
  for (const ExportedHead& head : heads) text += fmt::format("{}{}", text.empty() ? "" : ", ", head.number);
  return text;
}

std::string mask_lines(std::span<const hccs::BlockMask> masks) {
  std::string text;
  for (const hccs::BlockMask& m : masks) text += fmt::format("    {{{}, {}}},\n", *m.valid_length, *m.causal_offset);
  return text;
}

IntegerFactor integer_factor(double factor) noexcept {
  int exponent = 0;
  const double fraction = std::frexp(factor, &exponent);
  const IntegerFactor of{std::llround(std::ldexp(fraction, 15)), 15 - exponent};
  // The fraction is rounded up to 1.
  return of.multiplier == 1 << 15 ? IntegerFactor{1 << 14, of.shift - 1} : of;
}

std::string logit_lines(std::string_view prefix, int64_t layer, std::span<const ExportedHead> heads,
                        int64_t head_dimension) {
  std::string text;
  for (const ExportedHead& head : heads) {
    text += fmt::format("{}{}: ", prefix, hccs::head_name(layer, head.number));
    if (!(head.step > 0)) {
      text += "step unknown\n";
      continue;
    }
    const double root = head_dimension > 0 ? std::sqrt(static_cast<double>(head_dimension)) : 1;
    const double factor = 1 / (root * head.step);
    const auto [multiplier, shift] = integer_factor(factor);
    text += fmt::format("step = {}, factor = {:.6g}, about {} * 2^{}\n", head.step, factor, multiplier, -shift);
  }
  return text;
}

std::string logit_rule(int64_t head_dimension) {
  if (head_dimension > 0) {
    return fmt::format("x = round(sum * q_scale * k_scale * factor), factor = 1 / (sqrt({}) * step)", head_dimension);
  }
  return "x = round(sum * q_scale * k_scale / sqrt(head dimension) * factor), factor = 1 / step";
}

Marks device_marks(Device device, Vitis vitis, int64_t heap_bytes) {
  const DeviceFacts on = facts(device);
  return {{"VERSION", hccs::kVersion},          {"BOARD", std::string(on.board)},
          {"CORE", std::string(on.core)},       {"VITIS", std::string(name(vitis))},
          {"ARCH", std::to_string(on.arch)},    {"PLATFORM", std::string(platform(device, vitis))},
          {"HEAP", std::to_string(heap_bytes)}, {"STACK", std::to_string(kStackBytes)}};
}

Status add_filled(std::string_view template_name, std::string path, const Marks& marks,
                  std::vector<ProjectFile>& files) {
  HCCS_ASSIGN_OR_RETURN(std::string text, fill_template(template_name, marks));
  files.push_back({std::move(path), std::move(text)});
  return {};
}

Status add_headers(std::span<const std::string> headers, std::vector<ProjectFile>& files) {
  std::set<std::string_view> added;
  for (const std::string& header : headers) HCCS_RETURN_IF_ERROR(add_sources(header, added, files));
  for (const EmbeddedFile& source : sources()) {
    if (source.path.starts_with("host/")) files.push_back({std::string(source.path), std::string(source.text)});
  }
  return {};
}

Status add_common_files(std::string_view kernel, std::string_view graph, const Marks& marks,
                        std::vector<ProjectFile>& files) {
  HCCS_RETURN_IF_ERROR(add_filled("common/Makefile", "Makefile", marks, files));
  HCCS_RETURN_IF_ERROR(add_filled("common/aie.cfg", "aie.cfg", marks, files));
  HCCS_RETURN_IF_ERROR(add_filled("common/compare.cc", "tools/compare.cc", marks, files));
  const std::string headers[] = {fmt::format("kernels/{}.h", kernel), fmt::format("graph/{}.h", graph)};
  return add_headers(headers, files);
}

}  // namespace aie_export
