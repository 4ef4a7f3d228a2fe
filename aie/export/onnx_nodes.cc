// SPDX-License-Identifier: Apache-2.0
#include "aie/export/onnx_nodes.h"

#include <fmt/core.h>

#include <cstdint>
#include <optional>

#include "hccs/file.h"

namespace aie_export {

using hccs::Expected;
using hccs::Status;
using hccs::StatusCode;

namespace {

constexpr uint64_t kGraph = 7;   // of a model
constexpr uint64_t kNode = 1;    // of a graph
constexpr uint64_t kName = 3;    // of a node
constexpr uint64_t kOpType = 4;  // of a node

struct Field {
  uint64_t number = 0;
  std::string_view text;  // of fields that have a length, else empty
};

// Walks through the fields of a message of protobuf.
class Message {
 public:
  explicit Message(std::string_view bytes) : rest_(bytes) {}

  bool at_end() const { return rest_.empty(); }
  // Nothing if what comes is no field.
  std::optional<Field> next() {
    const std::optional<uint64_t> tag = varint();
    if (!tag || *tag >> 3 == 0) return std::nullopt;
    const std::optional<std::string_view> text = value(*tag & 7);
    return text ? std::optional(Field{*tag >> 3, *text}) : std::nullopt;
  }

 private:
  std::optional<uint64_t> varint() {
    uint64_t number = 0;
    for (size_t i = 0; i < 10 && i < rest_.size(); ++i) {
      const auto byte = static_cast<unsigned char>(rest_[i]);
      number |= uint64_t{byte & 0x7Fu} << (7 * i);
      if (byte < 0x80) {
        rest_.remove_prefix(i + 1);
        return number;
      }
    }
    return std::nullopt;
  }

  std::optional<std::string_view> take(uint64_t bytes) {
    if (bytes > rest_.size()) return std::nullopt;
    const std::string_view taken = rest_.substr(0, bytes);
    rest_.remove_prefix(bytes);
    return taken;
  }

  std::optional<std::string_view> value(uint64_t wire_type) {
    constexpr auto kNoText = [](const auto& read) { return read ? std::optional(std::string_view()) : std::nullopt; };
    switch (wire_type) {
      case 0:
        return kNoText(varint());
      case 1:
        return kNoText(take(8));
      case 2: {
        const std::optional<uint64_t> length = varint();
        return length ? take(*length) : std::nullopt;
      }
      case 5:
        return kNoText(take(4));
      default:
        return std::nullopt;
    }
  }

  std::string_view rest_;
};

// The fields of that number. Nothing if the bytes are no message.
std::optional<std::vector<std::string_view>> fields(std::string_view bytes, uint64_t number) {
  std::vector<std::string_view> found;
  for (Message message(bytes); !message.at_end();) {
    const std::optional<Field> field = message.next();
    if (!field) return std::nullopt;
    if (field->number == number) found.push_back(field->text);
  }
  return found;
}

Status no_model(std::string_view why) { return {StatusCode::kBadData, fmt::format("no ONNX model: {}", why)}; }

}  // namespace

Expected<std::vector<std::string>> softmax_nodes(std::string_view model) {
  const auto graphs = fields(model, kGraph);
  if (!graphs) return no_model("it is no message of protobuf");
  if (graphs->empty()) return no_model("it has no graph");
  std::vector<std::string> names;
  for (const std::string_view graph : *graphs) {
    const auto nodes = fields(graph, kNode);
    if (!nodes) return no_model("its graph is no message of protobuf");
    for (const std::string_view node : *nodes) {
      const auto types = fields(node, kOpType), node_names = fields(node, kName);
      if (!types || !node_names) return no_model("a node of its graph is no message of protobuf");
      if (types->empty() || types->back() != "Softmax") continue;
      names.emplace_back(node_names->empty() ? std::string_view() : node_names->back());
    }
  }
  return names;
}

Expected<std::vector<std::string>> read_softmax_nodes(const std::filesystem::path& path) {
  HCCS_ASSIGN_OR_RETURN(const std::string model, hccs::read_file(path));
  Expected<std::vector<std::string>> names = softmax_nodes(model);
  if (names.ok()) return names;
  return Status(names.status().code(), fmt::format("{}: {}", path.string(), names.status().message()));
}

}  // namespace aie_export
