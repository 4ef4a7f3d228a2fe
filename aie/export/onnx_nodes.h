// SPDX-License-Identifier: Apache-2.0
//
// The names of the Softmax nodes of an ONNX model. Source of the format: onnx.proto of ONNX (ModelProto.graph = 7,
// GraphProto.node = 1, NodeProto.name = 3 and op_type = 4), and protobuf's encoding.
#ifndef HCCS_AIE_EXPORT_ONNX_NODES_H_
#define HCCS_AIE_EXPORT_ONNX_NODES_H_

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "hccs/status.h"

namespace aie_export {

// In the order of the graph; a node without a name has "". Nodes of graphs within nodes are not among them.
// Errors: kBadData for bytes that are no ONNX model.
hccs::Expected<std::vector<std::string>> softmax_nodes(std::string_view model);

// Those of a file. Errors: also kIo; all name the path.
hccs::Expected<std::vector<std::string>> read_softmax_nodes(const std::filesystem::path& path);

}  // namespace aie_export

#endif  // HCCS_AIE_EXPORT_ONNX_NODES_H_
