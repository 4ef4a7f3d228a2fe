// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>
#include <nanobind/nanobind.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "aie/export/aie4ml_directives.h"
#include "bind.h"
#include "status.h"

namespace hccs::python {

namespace nb = nanobind;
using nb::literals::operator""_a;

namespace {

std::map<std::string, std::string> directives_of(const Params& params, const std::vector<int64_t>& layers,
                                                 int64_t length, std::string nodes, const std::string& normalisation,
                                                 const std::string& output, bool tiled) {
  const ParamFile& file = params.file;
  aie_export::Aie4mlDirectives directives{.model = file.model,
                                          .length = length,
                                          .nodes = std::move(nodes),
                                          .normalisation = normalisation_of(normalisation),
                                          .output = output_type_of(output),
                                          .tiled = tiled};
  for (const int64_t layer : layers) {
    if (layer < 0 || layer >= file.layers) refuse(fmt::format("layer {}, but there are {}", layer, file.layers));
    for (int64_t head = 0; head < file.heads; ++head) {
      const HeadEntry& entry = file.at(layer, head);
      directives.heads.push_back({layer, head, entry.params, entry.step});
    }
  }
  std::map<std::string, std::string> texts;
  for (aie_export::ProjectFile& made : value_of(directive_files(directives))) {
    texts.emplace(std::move(made.path), std::move(made.text));
  }
  return texts;
}

}  // namespace

void bind_export(nb::module_& m) {
  m.def("aie4ml_directives", &directives_of, "params"_a, "layers"_a, "length"_a, "nodes"_a, "normalisation"_a,
        "output"_a, "tiled"_a);
}

}  // namespace hccs::python
