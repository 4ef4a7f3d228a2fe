// SPDX-License-Identifier: Apache-2.0
#include "aie/export/aie4ml_directives.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "hccs/deployability.h"

namespace aie_export {

using hccs::Expected;
using hccs::Normalisation;
using hccs::OutputType;
using hccs::Status;
using hccs::StatusCode;
using nlohmann::ordered_json;

namespace {

constexpr int64_t kTileColumns = 8;   // of a microtile
constexpr int64_t kLinearLanes = 32;  // of a vector of the linear kernel
constexpr int kInvShift = 15;         // of the uint8 reciprocals, as in the paper
constexpr int kMostShift = 126;       // ONNX's scales are float32: 2^-126 is the smallest without lost bits

Status refuse(std::string message) { return {StatusCode::kInvalidArgument, std::move(message)}; }

std::string name_of(const Aie4mlHead& head) { return hccs::head_name(head.layer, head.head); }

std::string node_of(std::string_view pattern, const Aie4mlHead& head) {
  std::string name(pattern);
  for (const auto& [mark, number] :
       {std::pair<std::string_view, int64_t>{"{layer}", head.layer}, {"{head}", head.head}}) {
    for (size_t at = name.find(mark); at != std::string::npos; at = name.find(mark, at)) {
      name.replace(at, mark.size(), std::to_string(number));
    }
  }
  return name;
}

// f of a step 2^-f, which step must be.
int shift_of(double step) { return -std::ilogb(step); }

Status check_step(const Aie4mlHead& head) {
  const bool power = std::isfinite(head.step) && head.step > 0 && std::ldexp(1.0, std::ilogb(head.step)) == head.step;
  if (!power) {
    return refuse(fmt::format("{}: step {}, but aie4ml's scales are powers of two (hccs calibrate --step power-of-two)",
                              name_of(head), head.step));
  }
  if (std::abs(shift_of(head.step)) > kMostShift) {
    return refuse(fmt::format("{}: step {}, but a scale of aie4ml is 2^-{} to 2^{}", name_of(head), head.step,
                              kMostShift, kMostShift));
  }
  return {};
}

Status check_length(const Aie4mlDirectives& d) {
  if (d.length < 1 || d.length > hccs::kMaxRowLength) {
    return refuse(fmt::format("length {}, but rows have 1..{} positions", d.length, hccs::kMaxRowLength));
  }
  const int64_t multiple = d.tiled ? kTileColumns : kLinearLanes;
  if (d.length % multiple == 0) return {};
  return refuse(fmt::format("length {}, but aie4ml's {} layout takes multiples of {}", d.length,
                            d.tiled ? "tiled" : "linear", multiple));
}

Status check_nodes(const Aie4mlDirectives& d) {
  if (d.nodes.empty()) return refuse("the pattern of node names is empty");
  std::string rest = d.nodes;
  for (const std::string_view mark : {"{layer}", "{head}"}) {
    for (size_t at = rest.find(mark); at != std::string::npos; at = rest.find(mark)) rest.erase(at, mark.size());
  }
  if (rest.find_first_of("{}") != std::string::npos) {
    return refuse(fmt::format("pattern \"{}\", but only {{layer}} and {{head}} stand for numbers", d.nodes));
  }
  std::map<std::string, const Aie4mlHead*> names;
  for (const Aie4mlHead& head : d.heads) {
    const auto [place, added] = names.emplace(node_of(d.nodes, head), &head);
    if (added) continue;
    return refuse(fmt::format("pattern \"{}\" gives {} and {} the same node \"{}\", but every head has its own Softmax",
                              d.nodes, name_of(*place->second), name_of(head), place->first));
  }
  return {};
}

std::string_view type_name(OutputType output) { return output == OutputType::kUint8 ? "uint8" : "int16"; }
int output_shift(OutputType output) { return output == OutputType::kUint8 ? 8 : 15; }

ordered_json directives_json(const Aie4mlDirectives& d) {
  ordered_json layers;
  for (const Aie4mlHead& head : d.heads) {
    const hccs::Knee& knee = head.params.knees[0];
    layers[node_of(d.nodes, head)] = {{"approximation", "hccs"},
                                      {"hccs",
                                       {{"B", head.params.offset},
                                        {"S", knee.slope},
                                        {"Dmax", knee.position},
                                        {"use_clb", d.normalisation == Normalisation::kClb},
                                        {"inv_shift", kInvShift},
                                        {"param_sets", 1}}},
                                      {"layout", d.tiled ? "tiled" : "linear"}};
  }
  return {{"LayerDirectives", std::move(layers)}};
}

ordered_json scales_json(const Aie4mlDirectives& d) {
  ordered_json scales = ordered_json::array();
  const int out = output_shift(d.output);
  for (const Aie4mlHead& head : d.heads) {
    scales.push_back(
        {{"node", node_of(d.nodes, head)},
         {"layer", head.layer},
         {"head", head.head},
         {"input", {{"type", "int8"}, {"scale", head.step}, {"f", shift_of(head.step)}, {"zero_point", 0}}},
         {"output", {{"type", type_name(d.output)}, {"scale", std::ldexp(1.0, -out)}, {"f", out}, {"zero_point", 0}}}});
  }
  return scales;
}

std::string scale_table(const Aie4mlDirectives& d) {
  std::string table;
  for (const Aie4mlHead& head : d.heads) {
    fmt::format_to(std::back_inserter(table), "| `{}` | {} | {} | int8, 2^{} = {} | {}, 2^-{} |\n",
                   plain(node_of(d.nodes, head)), head.layer, head.head, -shift_of(head.step), head.step,
                   type_name(d.output), output_shift(d.output));
  }
  return table;
}

}  // namespace

Status check(const Aie4mlDirectives& d) {
  if (d.heads.empty()) return refuse("directives need a head");
  if (d.normalisation == Normalisation::kScaled) {
    return refuse("normalisation scaled, but aie4ml has div and clb");
  }
  HCCS_RETURN_IF_ERROR(check_length(d));
  for (const Aie4mlHead& head : d.heads) {
    HCCS_RETURN_IF_ERROR(hccs::check_paper(head.params, d.length, name_of(head)));
    HCCS_RETURN_IF_ERROR(check_step(head));
  }
  return check_nodes(d);
}

Expected<std::vector<std::string>> check_nodes(const Aie4mlDirectives& d, const std::vector<std::string>& nodes,
                                               std::string_view model) {
  HCCS_RETURN_IF_ERROR(check(d));
  std::vector<std::string> others = nodes;
  for (const Aie4mlHead& head : d.heads) {
    const std::string name = node_of(d.nodes, head);
    const auto count = std::count(nodes.begin(), nodes.end(), name);
    if (count != 1) {
      return Status(StatusCode::kMismatch,
                    fmt::format("{}: pattern \"{}\" gives it the node \"{}\", but of its {} Softmax nodes {} has {} of "
                                "that name, where every head has one",
                                name_of(head), d.nodes, name, nodes.size(), model, count));
    }
    std::erase(others, name);
  }
  return others;
}

Expected<std::vector<ProjectFile>> directive_files(const Aie4mlDirectives& d) {
  HCCS_RETURN_IF_ERROR(check(d));
  const auto text = [](const ordered_json& json) {
    return json.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
  };
  std::vector<ProjectFile> files = {{"layer_directives.json", text(directives_json(d))},
                                    {"scales.json", text(scales_json(d))}};
  Marks marks = device_marks(Device::kVek280, Vitis::k2025_2, 0);
  marks.insert({{"MODEL", plain(d.model)},
                {"LENGTH", std::to_string(d.length)},
                {"NORMALISATION", d.normalisation == Normalisation::kClb ? "clb" : "div"},
                {"OUTPUT", std::string(type_name(d.output))},
                {"FULL_SCALE", d.output == OutputType::kUint8 ? "255" : "32767"},
                {"READ_AS", d.output == OutputType::kUint8 ? "255/256" : "32767/32768"},
                {"OUTPUT_SCALE", fmt::format("2^-{}", output_shift(d.output))},
                {"LAYOUT", d.tiled ? "tiled" : "linear"},
                {"MULTIPLE", d.tiled ? "whole bands of 4" : "any number"},
                {"SCALES", scale_table(d)}});
  HCCS_RETURN_IF_ERROR(add_filled("aie4ml/README.md", "README.md", marks, files));
  return files;
}

}  // namespace aie_export
