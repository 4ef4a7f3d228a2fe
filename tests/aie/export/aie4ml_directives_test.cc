// SPDX-License-Identifier: Apache-2.0
//
// Directives for aie4ml: what is refused, and what the files say. That aie4ml takes them is tests/aie/aie4ml's.
#include "aie/export/aie4ml_directives.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "../../formats/temporary_folder.h"

namespace {

using namespace aie_export;
using hccs::HeadParams;
using hccs::Normalisation;
using hccs::OutputType;
using hccs::StatusCode;
using hccs::test::fails;

// n * B = 32000, n * F = 64 * 52.
Aie4mlDirectives directives() {
  return {.model = "a model",
          .heads = {{0, 0, HeadParams(500, {{7, 64}}), 0.0625}, {1, 11, HeadParams(480, {{6, 70}}), 2}},
          .length = 64,
          .nodes = "layer{layer}_head{head}_softmax"};
}

std::string text_of(const std::vector<ProjectFile>& files, const std::string& path) {
  const auto file = std::find_if(files.begin(), files.end(), [&](const ProjectFile& f) { return f.path == path; });
  EXPECT_NE(file, files.end()) << path;
  return file == files.end() ? "" : file->text;
}

TEST(Aie4mlDirectives, FilesSayWhatAie4mlTakes) {
  const auto files = directive_files(directives());
  ASSERT_TRUE(files.ok()) << files.status().message();
  ASSERT_EQ(files->size(), 3u);
  EXPECT_EQ(nlohmann::json::parse(text_of(*files, "layer_directives.json")),
            nlohmann::json::parse(R"({"LayerDirectives": {
    "layer0_head0_softmax": {"approximation": "hccs", "layout": "tiled",
      "hccs": {"B": 500, "S": 7, "Dmax": 64, "use_clb": true, "inv_shift": 15, "param_sets": 1}},
    "layer1_head11_softmax": {"approximation": "hccs", "layout": "tiled",
      "hccs": {"B": 480, "S": 6, "Dmax": 70, "use_clb": true, "inv_shift": 15, "param_sets": 1}}}})"));
  EXPECT_EQ(nlohmann::json::parse(text_of(*files, "scales.json")), nlohmann::json::parse(R"([
    {"node": "layer0_head0_softmax", "layer": 0, "head": 0,
     "input": {"type": "int8", "scale": 0.0625, "f": 4, "zero_point": 0},
     "output": {"type": "uint8", "scale": 0.00390625, "f": 8, "zero_point": 0}},
    {"node": "layer1_head11_softmax", "layer": 1, "head": 11,
     "input": {"type": "int8", "scale": 2.0, "f": -1, "zero_point": 0},
     "output": {"type": "uint8", "scale": 0.00390625, "f": 8, "zero_point": 0}}])"));
  const std::string readme = text_of(*files, "README.md");
  EXPECT_NE(readme.find("| `layer0_head0_softmax` | 0 | 0 | int8, 2^-4 = 0.0625 | uint8, 2^-8 |"), std::string::npos);
  EXPECT_NE(readme.find("| `layer1_head11_softmax` | 1 | 11 | int8, 2^1 = 2 | uint8, 2^-8 |"), std::string::npos);
}

TEST(Aie4mlDirectives, DivisionToInt16InRows) {
  Aie4mlDirectives d = directives();
  d.normalisation = Normalisation::kDiv;
  d.output = OutputType::kInt16;
  d.tiled = false;
  const auto files = directive_files(d);
  ASSERT_TRUE(files.ok()) << files.status().message();
  const auto layer =
      nlohmann::json::parse(text_of(*files, "layer_directives.json"))["LayerDirectives"]["layer0_head0_softmax"];
  EXPECT_EQ(layer["hccs"]["use_clb"], false);
  EXPECT_EQ(layer["layout"], "linear");
  const auto output = nlohmann::json::parse(text_of(*files, "scales.json"))[0]["output"];
  EXPECT_EQ(output["type"], "int16");
  EXPECT_EQ(output["scale"], 1.0 / 32768);
}

TEST(Aie4mlDirectives, RefusesWhatAie4mlRefuses) {
  const auto refused = [](auto change, std::string_view head, std::string_view value, std::string_view rule) {
    Aie4mlDirectives d = directives();
    change(d);
    for (const std::string_view part : {head, value, rule}) {
      EXPECT_TRUE(fails(check(d), StatusCode::kInvalidArgument, {std::string(part)})) << check(d).message();
      EXPECT_TRUE(fails(directive_files(d).status(), StatusCode::kInvalidArgument, {std::string(part)}));
    }
  };
  constexpr std::string_view kHead = "layer 1, head 11";
  refused([](auto& d) { d.heads[1].params = HeadParams(500, {{3, 20}, {2, 64}}); }, kHead, "2 knees", "K = 1");
  refused([](auto& d) { d.heads[1].params = HeadParams(512, {{6, 70}}); }, kHead, "64*512 = 32768", "n*B <= 32767");
  refused([](auto& d) { d.heads[1].params = HeadParams(423, {{6, 70}}); }, kHead, "64*3 = 192", "n*F >= 256");
  refused([](auto& d) { d.heads[1].step = 0.0335; }, kHead, "step 0.0335", "powers of two");
  refused([](auto& d) { d.heads[1].step = 0x1p-127; }, kHead, "step 5.87", "2^-126");
  refused([](auto& d) { d.length = 44; }, "", "length 44", "tiled layout takes multiples of 8");
  refused([](auto& d) { d.length = 40, d.tiled = false; }, "", "length 40", "linear layout takes multiples of 32");
  refused([](auto& d) { d.length = 0; }, "", "length 0", "1..65536");
  refused([](auto& d) { d.normalisation = Normalisation::kScaled; }, "", "scaled", "div and clb");
  refused([](auto& d) { d.heads.clear(); }, "", "", "a head");
}

TEST(Aie4mlDirectives, EveryHeadHasANodeOfItsOwn) {
  const auto refused = [](std::string pattern, std::string_view part) {
    Aie4mlDirectives d = directives();
    d.heads.push_back({1, 0, d.heads[0].params, 1});
    d.heads.push_back({11, 1, d.heads[0].params, 1});
    d.nodes = std::move(pattern);
    EXPECT_TRUE(fails(check(d), StatusCode::kInvalidArgument, {std::string(part)})) << check(d).message();
  };
  refused("", "is empty");
  refused("softmax", "layer 0, head 0 and layer 1, head 11 the same node \"softmax\"");
  refused("head{head}", "layer 0, head 0 and layer 1, head 0 the same node \"head0\"");
  refused("layer{layer}", "layer 1, head 11 and layer 1, head 0 the same node \"layer1\"");
  refused("s{layer}{head}", "layer 1, head 11 and layer 11, head 1 the same node \"s111\"");
  refused("{layer}_{head}_{row}", "only {layer} and {head}");
  refused("{layer}_{head", "only {layer} and {head}");
  // One head needs no number.
  Aie4mlDirectives one = directives();
  one.heads.pop_back();
  one.nodes = "softmax";
  EXPECT_TRUE(check(one).ok()) << check(one).message();
}

}  // namespace
