// SPDX-License-Identifier: Apache-2.0
#include "hccs/deployability.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace hccs {
namespace {

std::string message(const Status& status) {
  EXPECT_TRUE(status.ok() || status.code() == StatusCode::kInvalidArgument);
  return status.message();
}
std::string paper(const HeadParams& params, int64_t n) { return message(check_paper(params, n, "layer 3, head 7")); }
std::string aie(const HeadParams& params, int64_t n) {
  return message(check_aie(params, n, AieRows::kMasked, "layer 3, head 7"));
}
std::string aie_full(const HeadParams& params, int64_t n) {
  return message(check_aie(params, n, AieRows::kFull, "layer 3, head 7"));
}

// The definition of equal logits, at both sides of every longest row.
TEST(LongestRow, EqualLogitsAreServedUpToItAlone) {
  for (const auto normalisation : {Normalisation::kDiv, Normalisation::kClb, Normalisation::kScaled}) {
    for (const auto output : {OutputType::kUint8, OutputType::kInt16}) {
      for (const int32_t b : {1, 2, 63, 64, 255, 256, 4690, 16383, 16384, 32767}) {
        const int64_t longest = longest_row(normalisation, output, b);
        if (normalisation == Normalisation::kScaled) {
          EXPECT_EQ(longest, kMaxRowLength);
          continue;
        }
        EXPECT_GE(probability(normalisation, output, b, longest * b), 1);
        EXPECT_EQ(probability(normalisation, output, b, (longest + 1) * b), 0);
        if (output == OutputType::kInt16) {
          EXPECT_EQ(longest, 32767 / b);
        } else {
          EXPECT_LT(longest, 512);
        }
      }
    }
  }
  EXPECT_EQ(longest_row(Normalisation::kDiv, OutputType::kUint8, 32767), 127);
}

TEST(CheckRange, NamesHeadValueAndRule) {
  const HeadParams params{4690, {{86, 40}}};
  const auto text = [&](Normalisation normalisation, OutputType output, int64_t n) {
    return message(check_range(params, normalisation, output, n, "layer 3, head 7"));
  };
  EXPECT_EQ(text(Normalisation::kDiv, OutputType::kInt16, 6), "");
  EXPECT_EQ(
      text(Normalisation::kDiv, OutputType::kInt16, 7),
      "layer 3, head 7: row length n = 7, but n <= 6 for offset B = 4690: longer rows may get 0 everywhere by div "
      "to int16; scaled serves every length");
  EXPECT_EQ(text(Normalisation::kClb, OutputType::kInt16, 7).find("layer 3, head 7: row length n = 7, but n <= 6"), 0U);
  EXPECT_EQ(text(Normalisation::kScaled, OutputType::kInt16, 65536), "");
  EXPECT_EQ(text(Normalisation::kScaled, OutputType::kInt16, 65537),
            "layer 3, head 7: row length n = 65537, but 1 <= n <= 65536");
  EXPECT_NE(message(check_range({0, {{0, 1}}}, Normalisation::kDiv, OutputType::kInt16, 6)), "");
}

// Each rule at both sides of its edge.

TEST(CheckPaper, RowLength) {
  EXPECT_EQ(paper({256, {{0, 1}}}, 1), "");
  EXPECT_EQ(paper({256, {{0, 1}}}, 0),
            "layer 3, head 7: not deployable (paper): row length n = 0, but 1 <= n <= 65536");
  EXPECT_EQ(paper({256, {{0, 1}}}, 65537),
            "layer 3, head 7: not deployable (paper): row length n = 65537, but 1 <= n <= 65536");
  EXPECT_EQ(paper({1, {{0, 1}}}, 32767), "");
  EXPECT_EQ(paper({1, {{0, 1}}}, 65536),
            "layer 3, head 7: not deployable (paper): n*B = 65536*1 = 65536, but n*B <= 32767");
}

TEST(CheckPaper, OneKnee) {
  EXPECT_EQ(paper({400, {{2, 50}}}, 64), "");
  EXPECT_EQ(paper({400, {{2, 50}, {1, 60}}}, 64), "layer 3, head 7: not deployable (paper): 2 knees, but K = 1");
  EXPECT_EQ(paper({400, {}}, 64), "layer 3, head 7: not deployable (paper): 0 knees, but K = 1");
}

TEST(CheckPaper, Ranges) {
  EXPECT_EQ(paper({32767, {{0, 127}}}, 1), "");
  EXPECT_EQ(paper({32768, {{0, 127}}}, 1),
            "layer 3, head 7: not deployable (paper): offset B = 32768, but 0 <= B <= 32767");
  EXPECT_EQ(paper({-1, {{0, 127}}}, 1), "layer 3, head 7: not deployable (paper): offset B = -1, but 0 <= B <= 32767");
  EXPECT_EQ(paper({500, {{127, 1}}}, 64), "");
  EXPECT_EQ(paper({500, {{128, 1}}}, 64), "layer 3, head 7: not deployable (paper): slope S = 128, but 0 <= S <= 127");
  EXPECT_EQ(paper({500, {{-1, 1}}}, 64), "layer 3, head 7: not deployable (paper): slope S = -1, but 0 <= S <= 127");
  EXPECT_EQ(paper({500, {{1, 127}}}, 64), "");
  EXPECT_EQ(paper({500, {{1, 128}}}, 64),
            "layer 3, head 7: not deployable (paper): knee position D = 128, but 0 <= D <= 127");
  EXPECT_EQ(paper({500, {{1, 0}}}, 64), "");  // aie4ml's to accept; validate() does not
  EXPECT_EQ(paper({500, {{1, -1}}}, 64),
            "layer 3, head 7: not deployable (paper): knee position D = -1, but 0 <= D <= 127");
}

TEST(CheckPaper, Floor) {
  EXPECT_EQ(paper({301, {{3, 100}}}, 100),
            "layer 3, head 7: not deployable (paper): n*F = 100*1 = 100, but n*F >= 256");
  EXPECT_EQ(paper({299, {{3, 100}}}, 100),
            "layer 3, head 7: not deployable (paper): floor F = B - S*D = -1, but F >= 0");
  EXPECT_EQ(paper({0, {{0, 0}}}, 100), "layer 3, head 7: not deployable (paper): n*F = 100*0 = 0, but n*F >= 256");
}

TEST(CheckPaper, SumsOfARow) {
  EXPECT_EQ(paper({255, {{23, 11}}}, 128), "");  // 32640; n*F = 256
  EXPECT_EQ(paper({256, {{2, 127}}}, 128),
            "layer 3, head 7: not deployable (paper): n*B = 128*256 = 32768, but n*B <= 32767");
  EXPECT_EQ(paper({32767, {{0, 1}}}, 1), "");
  EXPECT_EQ(paper({254, {{23, 11}}}, 128),
            "layer 3, head 7: not deployable (paper): n*F = 128*1 = 128, but n*F >= 256");
  EXPECT_EQ(paper({256, {{0, 1}}}, 1), "");
  EXPECT_EQ(paper({255, {{0, 1}}}, 1), "layer 3, head 7: not deployable (paper): n*F = 1*255 = 255, but n*F >= 256");
}

TEST(CheckAie, ValidParameters) {
  EXPECT_EQ(aie({9439, {{15, 5}, {99, 50}, {4, 79}, {43, 86}}}, 512), "");
  EXPECT_EQ(aie({32768, {{0, 1}}}, 512), "layer 3, head 7: offset B = 32768, but 1 <= B <= 32767");
  EXPECT_EQ(aie({300, {{1, 0}}}, 512), "layer 3, head 7: knee position D_1 = 0, but 1 <= D <= 127");
}

TEST(CheckAie, Offset) {
  EXPECT_EQ(aie({256, {{2, 127}}}, 512), "");
  EXPECT_EQ(aie({255, {{2, 127}}}, 512),
            "layer 3, head 7: not deployable (aie, masked rows): offset B = 255, but B >= 256 (the uint8 reciprocal of "
            "Z = B must fit "
            "int16)");
}

TEST(CheckAie, LeastSumOfAFullRow) {
  EXPECT_EQ(aie_full({255, {{2, 127}}}, 2), "");  // F = 1
  EXPECT_EQ(aie_full({255, {{2, 127}}}, 1),
            "layer 3, head 7: not deployable (aie): B + (n-1)*F = 255 + 0*1 = 255, but B + (n-1)*F >= 256 (the uint8 "
            "reciprocal of the least Z must fit int16)");
  EXPECT_EQ(aie_full({1, {{0, 1}}}, 256), "");
  EXPECT_EQ(aie_full({1, {{0, 1}}}, 255),
            "layer 3, head 7: not deployable (aie): B + (n-1)*F = 1 + 254*1 = 255, but B + (n-1)*F >= 256 (the uint8 "
            "reciprocal of the least Z must fit int16)");
  EXPECT_NE(aie_full({255, {{3, 85}}}, 65536), "");  // F = 0
  EXPECT_EQ(aie_full({256, {{4, 64}}}, 1), "");
  EXPECT_EQ(aie_full({32767, {{0, 1}}}, 65536), "");
  EXPECT_EQ(aie_full({300, {{1, 0}}}, 512), "layer 3, head 7: knee position D_1 = 0, but 1 <= D <= 127");
  EXPECT_EQ(aie_full({300, {{0, 1}}}, 65537),
            "layer 3, head 7: not deployable (aie): row length n = 65537, but 1 <= n <= 65536");
}

// The rule is what it takes: the least sum that it admits has an r that fits, one less has not.
TEST(CheckAie, LeastSumIsTight) {
  EXPECT_LE((255 << 15) / kAieLeastSum, 32767);
  EXPECT_GT((255 << 15) / (kAieLeastSum - 1), 32767);
}

TEST(CheckAie, RowLength) {
  EXPECT_EQ(aie({32767, {{0, 1}}}, 65536), "");
  EXPECT_EQ(aie({32767, {{0, 1}}}, 1), "");
  EXPECT_EQ(aie({300, {{0, 1}}}, 65537),
            "layer 3, head 7: not deployable (aie): row length n = 65537, but 1 <= n <= 65536");
  EXPECT_EQ(aie({300, {{0, 1}}}, 0), "layer 3, head 7: not deployable (aie): row length n = 0, but 1 <= n <= 65536");
}

// A breach is the same text for all heads that break a rule; the detail is what the Status says.
TEST(BrokenRule, BreachAndDetail) {
  const auto paper_breach = [](const HeadParams& params, int64_t n) {
    const auto broken = broken_paper_rule(params, n);
    EXPECT_EQ(paper(params, n), broken ? "layer 3, head 7: not deployable (paper): " + broken->detail : "");
    return broken ? broken->breach : "";
  };
  EXPECT_EQ(paper_breach({400, {{2, 50}, {1, 60}}}, 64), "K > 1");
  EXPECT_EQ(paper_breach({400, {}}, 64), "K < 1");
  EXPECT_EQ(paper_breach({400, {{1, 1}}}, 0), "n < 1");
  EXPECT_EQ(paper_breach({400, {{1, 1}}}, 65537), "n > 65536");
  EXPECT_EQ(paper_breach({32768, {{1, 1}}}, 1), "B > 32767");
  EXPECT_EQ(paper_breach({-1, {{1, 1}}}, 1), "B < 0");
  EXPECT_EQ(paper_breach({500, {{128, 1}}}, 64), "S > 127");
  EXPECT_EQ(paper_breach({500, {{1, -1}}}, 64), "D < 0");
  EXPECT_EQ(paper_breach({99, {{100, 1}}}, 64), "F < 0");
  EXPECT_EQ(paper_breach({257, {{1, 1}}}, 128), "n*B > 32767");
  EXPECT_EQ(paper_breach({101, {{1, 100}}}, 64), "n*F < 256");
  EXPECT_EQ(paper_breach({256, {{1, 100}}}, 64), "");
  EXPECT_EQ(broken_aie_rule({255, {{0, 1}}}, 64, AieRows::kMasked)->breach, "B < 256");
  EXPECT_EQ(broken_aie_rule({255, {{127, 2}}}, 1, AieRows::kFull)->breach, "B + (n-1)*F < 256");
  EXPECT_EQ(broken_aie_rule({0, {{0, 1}}}, 64, AieRows::kFull)->breach, "not valid");
  EXPECT_FALSE(broken_aie_rule({256, {{0, 1}}}, 64, AieRows::kMasked));
}

// What the paper's kernels run, ours run on full rows; not on masked ones, nor the reverse.
TEST(Deployability, PaperImpliesAieForFullRows) {
  int deployable = 0;
  for (int64_t n = 1; n <= 32767; n = n < 20 ? n + 1 : n * 5 / 4) {
    for (int32_t b = 1; b <= 32767 / n; b = b < 60 ? b + 1 : b * 5 / 4) {
      for (const int32_t d : {1, 2, 126, 127}) {
        for (const int32_t s : {0, 1, (b - 1) / d, b / d}) {
          const HeadParams params{b, {{std::min(s, 127), d}}};
          if (check_paper(params, n).ok()) {
            ASSERT_EQ(aie_full(params, n), "");
            ++deployable;
          }
        }
      }
    }
  }
  EXPECT_GT(deployable, 1000);
  EXPECT_TRUE(check_aie({32767, {{127, 126}, {1, 127}}}, 512, AieRows::kFull).ok());
  EXPECT_FALSE(check_paper({32767, {{127, 126}, {1, 127}}}, 512).ok());
  EXPECT_TRUE(check_paper({63, {{31, 2}}}, 512).ok());
  EXPECT_FALSE(check_aie({63, {{31, 2}}}, 512, AieRows::kMasked).ok());
}

}  // namespace
}  // namespace hccs
