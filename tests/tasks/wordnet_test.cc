// SPDX-License-Identifier: Apache-2.0
#include "tasks/wordnet.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "../formats/temporary_folder.h"

namespace hccs {
namespace {

namespace fs = std::filesystem;
using test::fails;
using std::string_literals::operator""s;
using Lines = std::vector<std::string>;

class WordnetTest : public test::WithFolder {};

TEST_F(WordnetTest, GlossesOfSynsets) {
  const fs::path path = put("data.noun",
                            "  1 This software and database is being provided to you | by Princeton; 03 n\n"
                            "00001740 03 n 01 entity 0 003 ~ 00001930 n 0000 | that which is; \"it exists\"  \n"
                            "00002137 28 n 02 time_unit 0 unit 1 000 |   a unit | of time\t\n"
                            "00002452 05 n 01 thing 0 000 | ; only an example  \n"
                            "00002684 18 n 01 person 0 000 | human\r\n");
  const auto glosses = read_wordnet_glosses(path);
  ASSERT_TRUE(glosses.ok()) << glosses.status().message();
  ASSERT_EQ(glosses->size(), 3);
  EXPECT_EQ((*glosses)[0].text, "that which is");
  EXPECT_EQ((*glosses)[0].label, 3);
  EXPECT_EQ((*glosses)[1].text, "a unit | of time");
  EXPECT_EQ((*glosses)[1].label, 28);
  EXPECT_EQ((*glosses)[2].text, "human");
  EXPECT_EQ((*glosses)[2].label, 18);
}

TEST_F(WordnetTest, BadSynsetsAreRefusedWithTheirLine) {
  const auto error = [&](const std::string& line) {
    return read_wordnet_glosses(put("data.noun", "  1 licence\n00001740 03 n 01 entity 0 000 | fine\n" + line))
        .status();
  };
  EXPECT_TRUE(fails(error("00001740 03 n 01 entity 0 000\n"), StatusCode::kBadData, {"data.noun", "line 3", "'|'"}));
  for (const std::string file : {"02", "29", "3", "003", "0x", "-3", "+3", "", "99999999999"}) {
    EXPECT_TRUE(fails(error("00001740 " + file + " n 01 entity 0 000 | x\n"), StatusCode::kBadData,
                      {"data.noun", "line 3", "\"" + file + "\"", "03..28"}));
  }
  EXPECT_TRUE(fails(error("00001740| x"), StatusCode::kBadData, {"line 3", "\"\""}));
  EXPECT_TRUE(fails(error("\n"), StatusCode::kBadData, {"line 3"}));
  EXPECT_TRUE(fails(error("00001740 03 n \0 | x"s), StatusCode::kBadData, {"line 3", "NUL"}));
  EXPECT_TRUE(
      fails(read_wordnet_glosses(put("licence", "  1 licence\n")).status(), StatusCode::kBadData, {"no gloss"}));
  EXPECT_TRUE(fails(read_wordnet_glosses(put("empty", "")).status(), StatusCode::kBadData, {"empty"}));
  EXPECT_TRUE(fails(read_wordnet_glosses(folder() / "absent").status(), StatusCode::kIo, {"absent"}));
}

TEST_F(WordnetTest, GlossesOfWordnet30) {
  if (!fs::exists(kWordnetNouns)) {
    GTEST_SKIP() << kWordnetNouns << " does not exist (Debian's wordnet-base)";
  }
  const auto glosses = read_wordnet_glosses();
  ASSERT_TRUE(glosses.ok()) << glosses.status().message();
  EXPECT_GT(glosses->size(), 82'000);
  std::set<int32_t> labels;
  for (const LabelledText& gloss : *glosses) {
    labels.insert(gloss.label);
    EXPECT_FALSE(gloss.text.empty());
    EXPECT_EQ(gloss.text.find(';'), std::string::npos) << gloss.text;
  }
  EXPECT_EQ(labels.size(), 26);
  EXPECT_EQ(*labels.begin(), 3);
  EXPECT_EQ(*labels.rbegin(), 28);
}

std::vector<LabelledText> numbered(int count) {
  std::vector<LabelledText> glosses;
  for (int i = 0; i < count; ++i) {
    glosses.push_back({"gloss " + std::to_string(i), i % 26 + 3});
  }
  return glosses;
}

Lines texts(const std::vector<LabelledText>& glosses) {
  Lines result;
  std::transform(glosses.begin(), glosses.end(), std::back_inserter(result), [](const auto& g) { return g.text; });
  return result;
}

// The order was worked out in Python: splitmix64 from the seed, Fisher-Yates from the end.
TEST(WordnetTaskTest, TheSameOnEveryMachine) {
  const auto task = make_wordnet_task(numbered(10), 42, 4, 3, 2);
  ASSERT_TRUE(task.ok()) << task.status().message();
  EXPECT_EQ(texts(task->reference), (Lines{"gloss 0", "gloss 9", "gloss 5", "gloss 8"}));
  EXPECT_EQ(texts(task->test), (Lines{"gloss 6", "gloss 4", "gloss 7"}));
  EXPECT_EQ(texts(task->calibration), (Lines{"gloss 2", "gloss 1"}));
}

TEST(WordnetTaskTest, PartsAreDisjointAndKeepLabels) {
  const auto glosses = numbered(1000);
  for (uint64_t seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(seed);
    const auto task = make_wordnet_task(glosses, seed, 500, 200, 300);
    ASSERT_TRUE(task.ok()) << task.status().message();
    EXPECT_EQ(task->reference.size(), 500);
    EXPECT_EQ(task->test.size(), 200);
    EXPECT_EQ(task->calibration.size(), 300);
    std::map<std::string, int32_t> seen;
    for (const auto* part : {&task->reference, &task->test, &task->calibration}) {
      for (const LabelledText& gloss : *part) {
        EXPECT_TRUE(seen.emplace(gloss.text, gloss.label).second) << gloss.text << " is drawn twice";
      }
    }
    for (const LabelledText& gloss : glosses) {  // 500 + 200 + 300: everything is drawn
      ASSERT_TRUE(seen.contains(gloss.text));
      EXPECT_EQ(seen[gloss.text], gloss.label);
    }
  }
}

TEST(WordnetTaskTest, SeedsDiffer) {
  const auto glosses = numbered(100);
  EXPECT_NE(texts(make_wordnet_task(glosses, 1, 50, 20, 20)->reference),
            texts(make_wordnet_task(glosses, 2, 50, 20, 20)->reference));
}

TEST(WordnetTaskTest, EveryGlossIsAsLikelyInEveryPart) {
  const auto glosses = numbered(10);
  std::map<std::string, int> tested;
  constexpr int kDraws = 10'000;
  constexpr double kMean = kDraws / 10.0;
  for (uint64_t seed = 0; seed < kDraws; ++seed) {
    ++tested[texts(make_wordnet_task(glosses, seed, 4, 1, 3)->test)[0]];
  }
  for (const LabelledText& gloss : glosses) {  // standard deviation 30
    EXPECT_NEAR(tested[gloss.text], kMean, 150) << gloss.text;
  }
}

TEST(WordnetTaskTest, ARepeatedTextStaysInOnePart) {
  auto glosses = numbered(60);
  for (int copy = 0; copy < 3; ++copy) {
    for (int i = 0; i < 10; ++i) {
      glosses.push_back(glosses[static_cast<size_t>(i)]);
    }
  }
  for (uint64_t seed = 0; seed < 50; ++seed) {
    SCOPED_TRACE(seed);
    const auto task = make_wordnet_task(glosses, seed, 20, 15, 10);
    ASSERT_TRUE(task.ok()) << task.status().message();
    std::map<std::string, int> part_of;
    int part = 0;
    for (const auto* glosses_of_part : {&task->reference, &task->test, &task->calibration}) {
      for (const std::string& text : texts(*glosses_of_part)) {
        EXPECT_EQ(part_of.emplace(text, part).first->second, part) << text;
      }
      ++part;
    }
  }
}

TEST(WordnetTaskTest, TooFewGlosses) {
  const auto glosses = numbered(10);
  EXPECT_TRUE(make_wordnet_task(glosses, 1, 5, 3, 2).ok());
  EXPECT_TRUE(make_wordnet_task(glosses, 1, 0, 0, 0).ok());
  EXPECT_TRUE(fails(make_wordnet_task(glosses, 1, 5, 3, 3).status(), StatusCode::kInvalidArgument,
                    {"10 glosses", "5 + 3 + 3"}));
  EXPECT_TRUE(fails(make_wordnet_task(glosses, 1, 11, 0, 0).status(), StatusCode::kInvalidArgument, {"11", "10"}));
  EXPECT_TRUE(fails(make_wordnet_task(glosses, 1, -1, 0, 0).status(), StatusCode::kInvalidArgument, {"-1"}));
  EXPECT_TRUE(
      fails(make_wordnet_task(glosses, 1, INT64_MAX, INT64_MAX, 2).status(), StatusCode::kInvalidArgument, {"10"}));
  EXPECT_TRUE(fails(make_wordnet_task({}, 1).status(), StatusCode::kInvalidArgument, {"4500"}));
  const std::vector<LabelledText> same(10, {"same", 3});
  EXPECT_TRUE(fails(make_wordnet_task(same, 1, 1, 1, 0).status(), StatusCode::kInvalidArgument, {"share no text"}));
}

}  // namespace
}  // namespace hccs
