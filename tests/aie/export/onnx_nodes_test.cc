// SPDX-License-Identifier: Apache-2.0
//
// Names of Softmax nodes from ONNX models written byte by byte; models of the onnx package are tests/aie/aie4ml's.
#include "aie/export/onnx_nodes.h"

#include <gtest/gtest.h>

#include "../../formats/temporary_folder.h"
#include "aie/export/aie4ml_directives.h"

namespace {

using namespace aie_export;
using hccs::StatusCode;
using hccs::test::fails;
using Names = std::vector<std::string>;

std::string varint(uint64_t number) {
  std::string bytes;
  for (; number >= 0x80; number >>= 7) bytes += static_cast<char>(number | 0x80);
  return bytes + static_cast<char>(number);
}
// A field that has a length.
std::string field(uint64_t number, const std::string& text) {
  return varint(number << 3 | 2) + varint(text.size()) + text;
}

std::string node(const std::string& name, const std::string& type) {
  return field(1, field(1, "input") + field(2, "output") + field(3, name) + field(4, type));
}
// A version before the graph, an operator set after it; in the graph an initialiser beside the nodes.
std::string model(const std::string& nodes) {
  return varint(1 << 3) + varint(300) + field(7, nodes + field(5, std::string(200, '\xFF'))) +
         field(8, varint(2 << 3) + varint(21));
}

TEST(OnnxNodes, NamesOfSoftmaxNodes) {
  const std::string nodes = node("a", "Softmax") + node("b", "MatMul") + node("", "Softmax") + node("a", "Softmax");
  EXPECT_EQ(*softmax_nodes(model(nodes)), Names({"a", "", "a"}));
  EXPECT_EQ(*softmax_nodes(model(field(1, field(4, "Softmax")))), Names({""}));  // without a name
  EXPECT_EQ(*softmax_nodes(model("")), Names());
  // Numbers of all sizes beside.
  const std::string numbers =
      varint(20 << 3 | 1) + "12345678" + varint(21 << 3 | 5) + "1234" + varint(22 << 3) + varint(~uint64_t{0});
  EXPECT_EQ(*softmax_nodes(numbers + model(nodes)), Names({"a", "", "a"}));
}

TEST(OnnxNodes, WhatIsNoModel) {
  EXPECT_TRUE(fails(softmax_nodes("").status(), StatusCode::kBadData, {"no graph"}));
  EXPECT_TRUE(fails(softmax_nodes("{\"json\": 1}").status(), StatusCode::kBadData, {"no message"}));
  EXPECT_TRUE(fails(softmax_nodes(field(7, "\x0A")).status(), StatusCode::kBadData, {"its graph"}));
  EXPECT_TRUE(fails(softmax_nodes(field(7, field(1, "\x0A"))).status(), StatusCode::kBadData, {"a node"}));
  // A length near 2^64, a group, a number that does not end.
  EXPECT_TRUE(
      fails(softmax_nodes(varint(7 << 3 | 2) + varint(~uint64_t{0}) + "abc").status(), StatusCode::kBadData, {}));
  EXPECT_TRUE(fails(softmax_nodes(varint(7 << 3 | 3) + "abc").status(), StatusCode::kBadData, {}));
  EXPECT_TRUE(fails(softmax_nodes(std::string(11, '\xFF')).status(), StatusCode::kBadData, {}));
  // Cut anywhere, it is a shorter model or none.
  const std::string whole = model(node("first", "Softmax") + node("second", "Softmax"));
  for (size_t size = 0; size < whole.size(); ++size) {
    const auto names = softmax_nodes(std::string_view(whole).substr(0, size));
    if (names.ok()) EXPECT_LE(names->size(), 2u) << size;
  }
}

class OnnxFile : public hccs::test::WithFolder {};

TEST_F(OnnxFile, ErrorsNameThePath) {
  put("a.onnx", model(node("x", "Softmax")));
  EXPECT_EQ(*read_softmax_nodes(folder() / "a.onnx"), Names({"x"}));
  put("b.onnx", "text");
  EXPECT_TRUE(
      fails(read_softmax_nodes(folder() / "b.onnx").status(), StatusCode::kBadData, {"b.onnx", "no ONNX model"}));
  EXPECT_TRUE(fails(read_softmax_nodes(folder() / "none").status(), StatusCode::kIo, {"none"}));
}

TEST(OnnxNodes, EveryHeadHasOne) {
  const Aie4mlDirectives d = {
      .heads = {{0, 0, hccs::HeadParams(500, {{7, 64}}), 0.0625}, {0, 1, hccs::HeadParams(480, {{6, 70}}), 2}},
      .length = 64,
      .nodes = "h{head}"};
  EXPECT_EQ(*check_nodes(d, {"h1", "h0"}, "m.onnx"), Names());
  EXPECT_EQ(*check_nodes(d, {"x", "h1", "h0", "x"}, "m.onnx"), Names({"x", "x"}));
  EXPECT_TRUE(fails(check_nodes(d, {"h0", "h2"}, "m.onnx").status(), StatusCode::kMismatch,
                    {"layer 0, head 1", "\"h{head}\"", "\"h1\"", "2 Softmax nodes m.onnx has 0"}));
  EXPECT_TRUE(fails(check_nodes(d, {"h0", "h1", "h0"}, "m.onnx").status(), StatusCode::kMismatch,
                    {"layer 0, head 0", "\"h0\"", "3 Softmax nodes m.onnx has 2", "every head has one"}));
  Aie4mlDirectives bad = d;
  bad.length = 60;
  EXPECT_TRUE(fails(check_nodes(bad, {"h0", "h1"}, "m.onnx").status(), StatusCode::kInvalidArgument, {"length 60"}));
}

}  // namespace
