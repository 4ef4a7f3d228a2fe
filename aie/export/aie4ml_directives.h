// SPDX-License-Identifier: Apache-2.0
//
// What an ONNX model needs so that aie4ml (0.2.1) runs its Softmax nodes as HCCS with calibrated parameters: the
// directives of each node, and the scales of the quantisers around it. Here is no kernel of this project.
#ifndef HCCS_AIE_EXPORT_AIE4ML_DIRECTIVES_H_
#define HCCS_AIE_EXPORT_AIE4ML_DIRECTIVES_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "aie/export/project.h"
#include "hccs/params.h"
#include "hccs/reference.h"
#include "hccs/status.h"

namespace aie_export {

struct Aie4mlHead {
  int64_t layer = 0;
  int64_t head = 0;
  hccs::HeadParams params;
  double step = 0;  // of the int8 logits
};

struct Aie4mlDirectives {
  std::string model;  // for the README
  std::vector<Aie4mlHead> heads;
  int64_t length = 0;  // n, 1..65536
  // Name of a head's Softmax node: {layer} and {head} stand for its numbers, from 0.
  std::string nodes;
  hccs::Normalisation normalisation = hccs::Normalisation::kClb;  // or kDiv
  hccs::OutputType output = hccs::OutputType::kUint8;
  bool tiled = true;  // microtiles of 4 x 8, as matrix products leave them; else whole rows
};

// Whether aie4ml takes the heads and every head has a node of its own. Errors: kInvalidArgument with head, value and
// rule.
hccs::Status check(const Aie4mlDirectives& directives);

// Whether each head's node is exactly one of `nodes`, the names of an ONNX model's Softmax nodes; `model` names it.
// Returns the names that no head has: aie4ml makes an exponential of those. Errors: kMismatch with head, name and rule.
hccs::Expected<std::vector<std::string>> check_nodes(const Aie4mlDirectives& directives,
                                                     const std::vector<std::string>& nodes, std::string_view model);

// layer_directives.json, scales.json and README.md. Errors: those of check().
hccs::Expected<std::vector<ProjectFile>> directive_files(const Aie4mlDirectives& directives);

}  // namespace aie_export

#endif  // HCCS_AIE_EXPORT_AIE4ML_DIRECTIVES_H_
