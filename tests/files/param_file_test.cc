// SPDX-License-Identifier: Apache-2.0
#include "hccs/param_file.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "../formats/temporary_folder.h"

namespace hccs {
namespace {

namespace fs = test::fs;
using test::fails;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

ParamFile small_file() {
  ParamFile file;
  file.model = "maker/tiny-bert";
  file.layers = 2;
  file.heads = 3;
  file.head_dimension = 32;
  file.sequence_length = 64;
  file.knees = 2;
  file.limits = Limits::kNative;
  file.share = Share::kHead;
  file.seed = 42;
  file.data_digest = "xxh3-128:0123456789abcdef";
  file.weights_digest = "xxh3-128:fedcba9876543210";
  for (int i = 0; i < 6; ++i) {
    HeadEntry entry;
    entry.params = HeadParams(20000 + i, {{100, 10 + i}, {i, 90}});
    entry.step = 0.1 + 0.01 * i;
    entry.kl = 0.0123 / (i + 1);
    entry.kl_continuous = 0.0122 / (i + 1);
    entry.rows = 4096 - i;
    entry.max_probability = 0.9375;
    entry.is_default = i == 4;
    file.entries.push_back(entry);
  }
  file.entries[5].params = HeadParams(300, {{1, 127}});
  return file;
}

// Bit for bit, so that no rounding hides.
void expect_same(const ParamFile& a, const ParamFile& b) {
  const auto same = [](double x, double y) { return std::bit_cast<uint64_t>(x) == std::bit_cast<uint64_t>(y); };
  EXPECT_EQ(a.model, b.model);
  EXPECT_EQ(a.layers, b.layers);
  EXPECT_EQ(a.heads, b.heads);
  EXPECT_EQ(a.head_dimension, b.head_dimension);
  EXPECT_EQ(a.sequence_length, b.sequence_length);
  EXPECT_EQ(a.knees, b.knees);
  EXPECT_EQ(a.limits, b.limits);
  EXPECT_EQ(a.share, b.share);
  EXPECT_EQ(a.seed, b.seed);
  EXPECT_EQ(a.data_digest, b.data_digest);
  EXPECT_EQ(a.weights_digest, b.weights_digest);
  ASSERT_EQ(a.entries.size(), b.entries.size());
  for (size_t i = 0; i < a.entries.size(); ++i) {
    const HeadEntry& x = a.entries[i];
    const HeadEntry& y = b.entries[i];
    EXPECT_EQ(x.params, y.params) << i;
    EXPECT_TRUE(same(x.step, y.step)) << i << ": " << x.step << " " << y.step;
    EXPECT_TRUE(same(x.kl, y.kl)) << i << ": " << x.kl << " " << y.kl;
    EXPECT_TRUE(same(x.kl_continuous, y.kl_continuous)) << i;
    EXPECT_TRUE(same(x.max_probability, y.max_probability)) << i;
    EXPECT_EQ(x.rows, y.rows) << i;
    EXPECT_EQ(x.is_default, y.is_default) << i;
  }
}

class ParamFileTest : public test::WithFolder {
 protected:
  fs::path path() const { return folder() / "params.json"; }

  std::string text_of(const ParamFile& file) const {
    const Status status = write_param_file(path(), file);
    EXPECT_TRUE(status.ok()) << status.message();
    return get(path());
  }

  Expected<ParamFile> read(std::string_view text) const { return read_param_file(put("params.json", text)); }

  // The small file's text with the first `from` replaced.
  Expected<ParamFile> read_changed(const std::string& from, const std::string& to) const {
    std::string text = text_of(small_file());
    const size_t at = text.find(from);
    if (at == std::string::npos) return Status(StatusCode::kCancelled, "the test's text does not occur: " + from);
    return read(text.replace(at, from.size(), to));
  }

  ::testing::AssertionResult refuses(const std::string& from, const std::string& to,
                                     std::vector<std::string> parts) const {
    parts.push_back(path().string());
    return fails(read_changed(from, to), StatusCode::kBadData, parts);
  }
};

// ---- Round trip -----------------------------------------------------------------------------

TEST_F(ParamFileTest, TheWrittenTextIsTheDocumentedOne) {
  ParamFile file = small_file();
  file.layers = 1;
  file.heads = 2;
  file.entries.resize(2);
  EXPECT_EQ(text_of(file), R"({
  "format": "hccs-params",
  "version": 1,
  "model": "maker/tiny-bert",
  "layers": 1,
  "heads": 2,
  "head_dimension": 32,
  "sequence_length": 64,
  "knees": 2,
  "limits": "native",
  "share": "head",
  "seed": 42,
  "data_digest": "xxh3-128:0123456789abcdef",
  "weights_digest": "xxh3-128:fedcba9876543210",
  "parameters": [
    {"layer": 0, "head": 0, "B": 20000, "knees": [[100, 10], [0, 90]], "step": 0.1, "kl": 0.0123, "kl_continuous": 0.0122, "rows": 4096, "max_probability": 0.9375, "default": false},
    {"layer": 0, "head": 1, "B": 20001, "knees": [[100, 11], [1, 90]], "step": 0.11, "kl": 0.00615, "kl_continuous": 0.0061, "rows": 4095, "max_probability": 0.9375, "default": false}
  ]
}
)");
}

TEST_F(ParamFileTest, ReadsBackWhatItWrote) {
  const ParamFile file = small_file();
  const std::string text = text_of(file);
  const auto back = read_param_file(path());
  ASSERT_TRUE(back.ok()) << back.status().message();
  expect_same(*back, file);
  EXPECT_EQ(text_of(*back), text);
  EXPECT_EQ(names(), std::vector<std::string>{"params.json"});
}

TEST_F(ParamFileTest, RandomFilesReadBackBitForBit) {
  constexpr uint32_t kSeed = 20240502;
  SCOPED_TRACE(fmt::format("seed {}", kSeed));
  std::mt19937_64 random(kSeed);
  const auto any_real = [&] {
    double value = 0;
    do {
      value = std::abs(std::bit_cast<double>(random()));
    } while (!std::isfinite(value) || value == 0);
    return value;
  };
  for (int round = 0; round < 100; ++round) {
    ParamFile file = small_file();
    file.model = fmt::format("m\u00fcller \"{}\"\\\n\t\u4e2d\x01", round);
    file.layers = static_cast<int64_t>(1 + random() % 20);
    file.heads = static_cast<int64_t>(1 + random() % 16);
    file.knees = kMaxKnees;
    file.seed = random();
    file.limits = random() % 2 != 0 ? Limits::kNative : Limits::kPaper;
    file.share = std::vector{Share::kHead, Share::kLayer, Share::kGlobal}[random() % 3];
    file.entries.resize(static_cast<size_t>(file.layers * file.heads));
    for (HeadEntry& entry : file.entries) {
      std::vector<Knee> knees;
      for (int32_t k = 0, count = static_cast<int32_t>(1 + random() % 4), at = 0; k < count; ++k) {
        at += static_cast<int32_t>(1 + random() % 30);
        knees.push_back({static_cast<int32_t>(random() % 60), at});
      }
      entry.params = HeadParams(kMaxOffset, knees);
      entry.step = any_real();
      entry.kl = any_real();
      entry.kl_continuous = any_real();
      entry.rows = static_cast<int64_t>(random() >> 1);
      entry.max_probability = std::ldexp(static_cast<double>(random() >> 11), -53);
      entry.is_default = random() % 2 != 0;
    }
    ASSERT_TRUE(validate(file).ok()) << validate(file).message();
    text_of(file);
    const auto back = read_param_file(path());
    ASSERT_TRUE(back.ok()) << back.status().message();
    expect_same(*back, file);
  }
}

TEST_F(ParamFileTest, ExtremeNumbersReadBack) {
  ParamFile file = small_file();
  file.seed = UINT64_MAX;
  file.head_dimension = 0;
  file.sequence_length = kMaxRowLength;
  file.entries[0].step = std::numeric_limits<double>::denorm_min();
  file.entries[1].step = std::numeric_limits<double>::max();
  file.entries[1].kl = 0;
  file.entries[1].kl_continuous = std::numeric_limits<double>::min();
  file.entries[2].rows = INT64_MAX;
  file.entries[2].max_probability = 1;
  file.entries[3].rows = 0;
  file.entries[3].max_probability = 0;
  text_of(file);
  const auto back = read_param_file(path());
  ASSERT_TRUE(back.ok()) << back.status().message();
  expect_same(*back, file);
}

TEST_F(ParamFileTest, OrderAndUnknownFieldsDoNotMatter) {
  const std::string line = R"({"kl_continuous":0,"max_probability":1,"rows":7,"future":{"a":[1,null]},"step":1,"kl":2,)"
                           R"("default":true,"knees":[[1,2]],"B":5,"head":)";
  const auto file = read(fmt::format(
      R"({{"parameters":[{0}1,"layer":0}},{0}0,"layer":0}}],"heads":2,"layers":1,"seed":0,"share":"global","note":"x",)"
      R"("limits":"paper","knees":1,"sequence_length":1,"head_dimension":0,"model":"","data_digest":"","version":1,)"
      R"("format":"hccs-params"}})",
      line));
  ASSERT_TRUE(file.ok()) << file.status().message();
  EXPECT_EQ(file->at(0, 1).params, HeadParams(5, {{1, 2}}));
  EXPECT_EQ(file->at(0, 1).rows, 7);
  EXPECT_EQ(file->at(0, 1).kl, 2);
  EXPECT_TRUE(file->at(0, 0).is_default);
}

TEST_F(ParamFileTest, WritingLeavesTheEarlierFileWholeOnError) {
  const std::string text = text_of(small_file());
  ParamFile file = small_file();
  file.entries[3].params.offset = 0;
  EXPECT_TRUE(fails(write_param_file(path(), file), StatusCode::kInvalidArgument, {"layer 1, head 0", "B = 0"}));
  EXPECT_EQ(get(path()), text);
  EXPECT_TRUE(fails(write_param_file(folder(), small_file()), StatusCode::kIo, {folder().string(), "Is a directory"}));
}

// ---- validate -------------------------------------------------------------------------------

TEST(ParamFileValidateTest, NamesHeadValueAndRule) {
  struct Case {
    void (*change)(ParamFile&);
    std::vector<std::string> parts;
  };
  const std::vector<Case> cases = {
      {[](ParamFile& f) { f.model = std::string("\xff"); }, {"model", "UTF-8"}},
      {[](ParamFile& f) { f.data_digest = "a\xc3"; }, {"data_digest", "UTF-8"}},
      {[](ParamFile& f) { f.layers = 0; }, {"layers = 0", "1 <= layers <= 1000000"}},
      {[](ParamFile& f) { f.heads = -1; }, {"heads = -1", "1 <= heads"}},
      {[](ParamFile& f) {
         f.layers = 1000;
         f.heads = 1001;
       },
       {"heads = 1001", "heads <= 1000"}},
      {[](ParamFile& f) { f.layers = f.heads = INT64_C(1) << 32; }, {"layers = 4294967296"}},
      {[](ParamFile& f) { f.head_dimension = -1; }, {"head_dimension = -1", "0 <="}},
      {[](ParamFile& f) { f.sequence_length = 0; }, {"sequence_length = 0", "<= 65536"}},
      {[](ParamFile& f) { f.sequence_length = 65537; }, {"sequence_length = 65537", "<= 65536"}},
      {[](ParamFile& f) { f.knees = 5; }, {"knees = 5", "<= 4"}},
      {[](ParamFile& f) { f.knees = 1; }, {"layer 0, head 0", "2 knees", "K = 1"}},
      {[](ParamFile& f) { f.limits = static_cast<Limits>(2); }, {"limits = 2", "\"native\", \"paper\""}},
      {[](ParamFile& f) { f.share = static_cast<Share>(3); }, {"share = 3", "\"head\", \"layer\", \"global\""}},
      {[](ParamFile& f) { f.entries.pop_back(); }, {"5 entries", "2 layers x 3 heads = 6"}},
      {[](ParamFile& f) { f.entries[1].params.offset = 32768; }, {"layer 0, head 1", "B = 32768", "<= 32767"}},
      {[](ParamFile& f) { f.entries[5].params.offset = 126; }, {"layer 1, head 2", "= -1", "F >= 0"}},
      {[](ParamFile& f) { f.entries[4].step = 0; }, {"layer 1, head 1", "step = 0", "above 0"}},
      {[](ParamFile& f) { f.entries[4].step = -1; }, {"layer 1, head 1", "step = -1", "above 0"}},
      {[](ParamFile& f) { f.entries[4].step = kNan; }, {"layer 1, head 1", "step = nan", "finite"}},
      {[](ParamFile& f) { f.entries[4].step = kInfinity; }, {"layer 1, head 1", "step = inf", "finite"}},
      {[](ParamFile& f) { f.entries[0].kl = -1e-9; }, {"layer 0, head 0", "kl = -1e-09", "not negative"}},
      {[](ParamFile& f) { f.entries[0].kl = kNan; }, {"layer 0, head 0", "kl = nan", "finite"}},
      {[](ParamFile& f) { f.entries[0].kl_continuous = kInfinity; }, {"kl_continuous = inf", "finite"}},
      {[](ParamFile& f) { f.entries[0].max_probability = 1.5; }, {"max_probability = 1.5", "0 to 1"}},
      {[](ParamFile& f) { f.entries[0].max_probability = kNan; }, {"max_probability = nan", "0 to 1"}},
      {[](ParamFile& f) { f.entries[0].rows = -1; }, {"rows = -1", "rows >= 0"}},
  };
  EXPECT_TRUE(validate(small_file()).ok());
  for (const Case& c : cases) {
    ParamFile file = small_file();
    c.change(file);
    EXPECT_TRUE(fails(validate(file), StatusCode::kInvalidArgument, c.parts));
  }
}

// ---- What the reader refuses ----------------------------------------------------------------

TEST_F(ParamFileTest, RefusesAnotherFormatOrVersion) {
  EXPECT_TRUE(refuses("hccs-params", "other", {"format = \"other\"", "\"hccs-params\""}));
  EXPECT_TRUE(refuses("\"hccs-params\"", "1", {"format = 1", "string"}));
  for (const char* version : {"0", "2", "-1", "99999"}) {
    EXPECT_TRUE(fails(read_changed("\"version\": 1", fmt::format("\"version\": {}", version)), StatusCode::kUnsupported,
                      {path().string(), fmt::format("version = {}", version), "known versions are: 1"}));
  }
  EXPECT_TRUE(refuses("\"version\": 1", "\"version\": 1.0", {"version = 1.0", "integer"}));
  EXPECT_TRUE(refuses("\"version\": 1", "\"version\": \"1\"", {"version = \"1\"", "integer"}));
}

TEST_F(ParamFileTest, RefusesEveryMissingField) {
  for (const char* field : {"format", "version", "model", "layers", "heads", "head_dimension", "sequence_length",
                            "knees", "limits", "share", "seed", "data_digest", "parameters"}) {
    EXPECT_TRUE(
        refuses(fmt::format("\n  \"{}\":", field), "\n  \"renamed\":", {fmt::format("\"{}\" is missing", field)}));
  }
  for (const char* field : {"layer", "head"}) {
    EXPECT_TRUE(refuses(fmt::format("\"{}\": 0", field), "\"renamed\": 0",
                        {"parameters[0]", fmt::format("\"{}\" is missing", field)}));
  }
  // "knees" is a field of the file too.
  for (const auto& [field, after] : {std::pair("B", ""), std::pair("knees", ": [["), std::pair("step", ""),
                                     std::pair("kl", ""), std::pair("kl_continuous", ""), std::pair("rows", ""),
                                     std::pair("max_probability", ""), std::pair("default", "")}) {
    EXPECT_TRUE(refuses(fmt::format("\"{}\"{}", field, after), fmt::format("\"renamed\"{}", after),
                        {"layer 0, head 0", fmt::format("\"{}\" is missing", field)}));
  }
}

TEST_F(ParamFileTest, RefusesMistypedAndOutOfRangeFields) {
  EXPECT_TRUE(refuses("\"maker/tiny-bert\"", "7", {"model = 7", "string"}));
  EXPECT_TRUE(refuses("\"layers\": 2", "\"layers\": 3.5", {"layers = 3.5", "integer"}));
  EXPECT_TRUE(refuses("\"layers\": 2", "\"layers\": 0", {"layers = 0", "1 <= layers"}));
  EXPECT_TRUE(refuses("\"layers\": 2", "\"layers\": 1000001", {"layers = 1000001", "<= 1000000"}));
  EXPECT_TRUE(refuses("\"heads\": 3", "\"heads\": 500001", {"heads = 500001", "<= 500000"}));
  EXPECT_TRUE(refuses("\"heads\": 3", "\"heads\": 18446744073709551615", {"heads = 18446744073709551615"}));
  EXPECT_TRUE(refuses("\"heads\": 3", "\"heads\": 1e400", {"1e400"}));
  EXPECT_TRUE(refuses("\"head_dimension\": 32", "\"head_dimension\": -1", {"head_dimension = -1", "0 <="}));
  EXPECT_TRUE(refuses("\"sequence_length\": 64", "\"sequence_length\": 65537", {"65537", "<= 65536"}));
  EXPECT_TRUE(refuses("\"knees\": 2", "\"knees\": 5", {"knees = 5", "<= 4"}));
  EXPECT_TRUE(refuses("\"knees\": 2", "\"knees\": 1", {"layer 0, head 0", "2 knees", "K = 1"}));
  EXPECT_TRUE(refuses("\"native\"", "\"tight\"", {"limits = \"tight\"", "\"native\", \"paper\""}));
  EXPECT_TRUE(refuses("\"share\": \"head\"", "\"share\": \"row\"", {"share = \"row\"", "\"layer\""}));
  EXPECT_TRUE(refuses("\"seed\": 42", "\"seed\": -1", {"seed = -1", "integer"}));
  EXPECT_TRUE(refuses("\"seed\": 42", "\"seed\": 18446744073709551616", {"seed = 1.8", "integer"}));
  EXPECT_TRUE(refuses("\"seed\": 42", "\"seed\": 4.2", {"seed = 4.2", "integer"}));
  EXPECT_TRUE(refuses("\"parameters\": [", "\"parameters\": 3, \"x\": [", {"parameters = 3", "array"}));
  EXPECT_TRUE(refuses("\"parameters\": [", "\"parameters\": [3,", {"parameters[0]", "3", "object"}));
  EXPECT_TRUE(refuses("\"layer\": 0", "\"layer\": 2", {"parameters[0]", "layer = 2", "layer <= 1"}));
  EXPECT_TRUE(refuses("\"head\": 0", "\"head\": 3", {"parameters[0]", "head = 3", "head <= 2"}));
  EXPECT_TRUE(refuses("\"head\": 0", "\"head\": -1", {"parameters[0]", "head = -1", "0 <= head"}));
  EXPECT_TRUE(refuses("\"head\": 0", "\"head\": 0.0", {"parameters[0]", "head = 0.0", "integer"}));
}

TEST_F(ParamFileTest, RefusesNumbersOfAHeadByHeadValueAndRule) {
  const std::string head = "layer 0, head 0";
  for (const char* value : {"0", "-1", "32768", "4294987296", "20000.5", "2e4", "\"20000\"", "[20000]"}) {
    EXPECT_TRUE(
        refuses("\"B\": 20000", fmt::format("\"B\": {}", value),
                {head, fmt::format("B = {}", value == std::string("2e4") ? "20000.0" : value), "1 <= B <= 32767"}));
  }
  const std::string knees = "[[100, 10], [0, 90]]";
  EXPECT_TRUE(refuses(knees, "[]", {head, "knees = []", "1 to 4"}));
  EXPECT_TRUE(refuses(knees, "[[1,1],[1,2],[1,3],[1,4],[1,5]]", {head, "1 to 4"}));
  EXPECT_TRUE(refuses(knees, "7", {head, "knees = 7", "array"}));
  EXPECT_TRUE(refuses(knees, "[[1]]", {head, "knees = [[1]]", "pair [S, D]"}));
  EXPECT_TRUE(refuses(knees, "[[1,2,3]]", {head, "pair [S, D]"}));
  EXPECT_TRUE(refuses(knees, "[{\"S\":1}]", {head, "pair [S, D]"}));
  EXPECT_TRUE(refuses(knees, "[[128, 10]]", {head, "slope S = 128", "<= 127"}));
  EXPECT_TRUE(refuses(knees, "[[-1, 10]]", {head, "slope S = -1", "0 <="}));
  EXPECT_TRUE(refuses(knees, "[[4294967297, 10]]", {head, "slope S = 4294967297"}));
  EXPECT_TRUE(refuses(knees, "[[1.5, 10]]", {head, "slope S = 1.5", "integer"}));
  EXPECT_TRUE(refuses(knees, "[[1, 0]]", {head, "position D = 0", "1 <="}));
  EXPECT_TRUE(refuses(knees, "[[1, 128]]", {head, "position D = 128", "<= 127"}));
  EXPECT_TRUE(refuses(knees, "[[1, 10], [1, 10]]", {head, "D_2 = 10", "strictly increase"}));
  EXPECT_TRUE(refuses(knees, "[[127, 100], [127, 127]]", {head, "= -8829", "F >= 0"}));
  EXPECT_TRUE(refuses("\"step\": 0.1", "\"step\": 0", {head, "step = 0", "above 0"}));
  EXPECT_TRUE(refuses("\"step\": 0.1", "\"step\": -0.5", {head, "step = -0.5", "0 <= step"}));
  EXPECT_TRUE(refuses("\"step\": 0.1", "\"step\": 1e400", {"1e400"}));
  EXPECT_TRUE(refuses("\"step\": 0.1", "\"step\": NaN", {"no JSON"}));
  EXPECT_TRUE(refuses("\"step\": 0.1", "\"step\": \"NaN\"", {head, "step = \"NaN\"", "number"}));
  EXPECT_TRUE(refuses("\"kl\": 0.0123", "\"kl\": -1", {head, "kl = -1", "0 <= kl"}));
  EXPECT_TRUE(
      refuses("\"kl_continuous\": 0.0122", "\"kl_continuous\": true", {head, "kl_continuous = true", "number"}));
  EXPECT_TRUE(refuses("\"rows\": 4096", "\"rows\": -1", {head, "rows = -1", "0 <= rows"}));
  EXPECT_TRUE(refuses("\"rows\": 4096", "\"rows\": 9223372036854775808", {head, "rows = 9223372036854775808"}));
  EXPECT_TRUE(
      refuses("\"max_probability\": 0.9375", "\"max_probability\": 1.01", {head, "1.01", "max_probability <= 1"}));
  EXPECT_TRUE(refuses("\"default\": false", "\"default\": 0", {head, "default = 0", "true or false"}));
}

TEST_F(ParamFileTest, RefusesDuplicateAndMissingHeads) {
  EXPECT_TRUE(refuses("\"head\": 1", "\"head\": 0", {"layer 0, head 0 occurs twice"}));
  std::string text = text_of(small_file());
  const size_t begin = text.find("    {\"layer\": 0, \"head\": 2");
  const size_t end = text.find("    {\"layer\": 1, \"head\": 1");
  text.erase(begin, end - begin);
  EXPECT_TRUE(fails(read(text), StatusCode::kBadData,
                    {path().string(), "layer 0, head 2 is missing", "2 of 6 heads (2 layers x 3)"}));
  EXPECT_TRUE(refuses("\"layers\": 2", "\"layers\": 3", {"layer 2, head 0 is missing", "3 of 9"}));
}

TEST_F(ParamFileTest, RefusesWhatIsNoStrictJson) {
  const std::string text = text_of(small_file());
  EXPECT_TRUE(fails(read(text + "x"), StatusCode::kBadData, {path().string(), "no JSON"}));
  EXPECT_TRUE(fails(read(text + std::string("\0", 1)), StatusCode::kBadData, {path().string(), "NUL"}));
  EXPECT_TRUE(fails(read(text + text), StatusCode::kBadData, {path().string(), "no JSON"}));
  EXPECT_TRUE(fails(read(""), StatusCode::kBadData, {path().string(), "no JSON"}));
  EXPECT_TRUE(fails(read("[]"), StatusCode::kBadData, {path().string(), "[]", "object"}));
  EXPECT_TRUE(fails(read(std::string(1'000'000, '[')), StatusCode::kBadData, {path().string(), "deeper than 64"}));
  EXPECT_TRUE(fails(read("\x7f"
                         "ELF\1\2"),
                    StatusCode::kBadData, {path().string(), "no JSON"}));
  EXPECT_TRUE(refuses("\"seed\": 42", "\"seed\": 42, \"seed\": 43", {"\"seed\" occurs twice"}));
  EXPECT_TRUE(refuses("\"rows\": 4096", "\"rows\": 4096, \"B\": 7", {"\"B\" occurs twice"}));
  EXPECT_TRUE(refuses("\"seed\": 42,", "\"seed\": 42, // why", {"no JSON"}));
}

TEST_F(ParamFileTest, RefusesWhatIsNoFile) {
  EXPECT_TRUE(fails(read_param_file(folder()), StatusCode::kIo, {folder().string(), "Is a directory"}));
  EXPECT_TRUE(fails(read_param_file(folder() / "no"), StatusCode::kIo, {"no", "No such file"}));
}

TEST_F(ParamFileTest, RefusesEveryTruncation) {
  const std::string text = text_of(small_file());
  ASSERT_EQ(text.back(), '\n');
  for (size_t size = 0; size + 1 < text.size(); ++size) {  // the last line end alone may be missing
    EXPECT_EQ(read(text.substr(0, size)).status().code(), StatusCode::kBadData) << size;
  }
}

TEST_F(ParamFileTest, WhateverAMutatedFileReadsAsIsValid) {
  const std::string text = text_of(small_file());
  constexpr uint32_t kSeed = 20240503;
  std::mt19937 random(kSeed);
  constexpr std::string_view kLikely = "0123456789.-+eE[]{},:\"\\ \n";
  int accepted = 0;
  for (int round = 0; round < 3000; ++round) {
    std::string mutated = text;
    mutated[random() % text.size()] =
        round % 2 == 0 ? static_cast<char>(random() & 0xFF) : kLikely[random() % kLikely.size()];
    const auto file = read(mutated);
    if (file.ok()) {
      ++accepted;
      const Status status = validate(*file);
      EXPECT_TRUE(status.ok()) << "seed " << kSeed << " round " << round << ": " << status.message();
    } else {
      EXPECT_TRUE(file.status().code() == StatusCode::kBadData || file.status().code() == StatusCode::kUnsupported)
          << "seed " << kSeed << " round " << round << ": " << file.status().message();
    }
  }
  EXPECT_GT(accepted, 0);
  EXPECT_LT(accepted, 3000);
}

TEST_F(ParamFileTest, ManyHeadsReadBack) {
  ParamFile file = small_file();
  file.layers = 400;
  file.heads = 50;
  file.entries.assign(20'000, small_file().entries[0]);
  text_of(file);
  const auto back = read_param_file(path());
  ASSERT_TRUE(back.ok()) << back.status().message();
  expect_same(*back, file);
}

// ---- Another model --------------------------------------------------------------------------

TEST(ParamFileMatchTest, NamesBothModels) {
  const ParamFile file = small_file();
  EXPECT_TRUE(check_matches(file, "maker/tiny-bert", 2, 3, 32).ok());
  EXPECT_TRUE(check_matches(file, "maker/tiny-bert", 2, 3, 0).ok());
  const std::vector<std::string> ours = {"\"maker/tiny-bert\" (2 layers, 3 heads, head dimension 32)",
                                         "but this model is"};
  const auto refuses = [&](std::string_view model, int64_t layers, int64_t heads, int64_t dimension,
                           std::string theirs) {
    std::vector<std::string> parts = ours;
    parts.push_back(std::move(theirs));
    return fails(check_matches(file, model, layers, heads, dimension), StatusCode::kMismatch, parts);
  };
  EXPECT_TRUE(refuses("other", 2, 3, 32, "\"other\" (2 layers, 3 heads, head dimension 32)"));
  EXPECT_TRUE(refuses("maker/tiny-bert", 6, 3, 32, "\"maker/tiny-bert\" (6 layers, 3 heads, head dimension 32)"));
  EXPECT_TRUE(refuses("maker/tiny-bert", 2, 12, 32, "(2 layers, 12 heads, head dimension 32)"));
  EXPECT_TRUE(refuses("maker/tiny-bert", 2, 3, 64, "(2 layers, 3 heads, head dimension 64)"));
  EXPECT_TRUE(refuses("other", 2, 3, 0, "head dimension unknown"));
  ParamFile unknown = file;
  unknown.head_dimension = 0;
  EXPECT_TRUE(check_matches(unknown, "maker/tiny-bert", 2, 3, 64).ok());
}

TEST(ParamFileMatchTest, RefusesOtherWeightsOfTheSameName) {
  ParamFile file = small_file();
  EXPECT_TRUE(check_matches(file, "maker/tiny-bert", 2, 3, 32, file.weights_digest).ok());
  EXPECT_TRUE(check_matches(file, "maker/tiny-bert", 2, 3, 32, "").ok());
  EXPECT_TRUE(fails(check_matches(file, "maker/tiny-bert", 2, 3, 32, "xxh3-128:0"), StatusCode::kMismatch,
                    {"xxh3-128:fedcba9876543210", "xxh3-128:0", "maker/tiny-bert"}));
  file.weights_digest.clear();
  EXPECT_TRUE(check_matches(file, "maker/tiny-bert", 2, 3, 32, "xxh3-128:0").ok());
}

TEST(ParamFileMatchTest, AcceptsTheSameWeightsUnderAnyName) {
  ParamFile file = small_file();
  EXPECT_TRUE(check_matches(file, "moved", 2, 3, 32, file.weights_digest).ok());
  EXPECT_TRUE(check_matches(file, "", 2, 3, 0, file.weights_digest).ok());
  EXPECT_TRUE(fails(check_matches(file, "moved", 2, 4, 32, file.weights_digest), StatusCode::kMismatch, {"4 heads"}));
  EXPECT_TRUE(
      fails(check_matches(file, "moved", 2, 3, 64, file.weights_digest), StatusCode::kMismatch, {"dimension 64"}));
  EXPECT_TRUE(fails(check_matches(file, "moved", 2, 3, 32, ""), StatusCode::kMismatch, {"\"moved\""}));
  EXPECT_TRUE(
      fails(check_matches(file, "moved", 2, 3, 32, "xxh3-128:0"), StatusCode::kMismatch, {"xxh3-128:0", "\"moved\""}));
}

}  // namespace
}  // namespace hccs
