// SPDX-License-Identifier: Apache-2.0
#include "report/report.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "report/head_chart.h"
#include "report/kl_charts.h"

namespace hccs {
namespace {

// 2 layers of 3 heads whose KL are 0.001, 0.002, ...; all but the last have K = 2.
ParamFile params_of(const std::string& model) {
  ParamFile file = {.model = model, .layers = 2, .heads = 3, .sequence_length = 64, .knees = 2};
  for (int i = 0; i < 6; ++i) {
    file.entries.push_back({.params = {1000, {{20, 20}, {5, 60}}}, .step = 0.1, .kl = 0.001 * (i + 1), .rows = 10});
  }
  file.entries.back().params = {500, {{4, 120}}};
  return file;
}

ReportedFile reported(const std::string& name, const ParamFile& params) {
  return {name, params, deployments(params, 64), {}};
}

std::string page_of(const Report& report) {
  const Expected<std::string> page = report_page(report);
  EXPECT_TRUE(page.ok()) << page.status().message();
  return page.ok() ? *page : "";
}

int count(const std::string& text, const std::string& part) {
  int found = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

TEST(Deployments, AnswersCountHeadsByRule) {
  const ParamFile file = params_of("m");
  const std::vector<Deployment> all = deployments(file, 64);
  ASSERT_EQ(all.size(), 4);
  EXPECT_EQ(answer(all[0], file.heads), "yes");
  EXPECT_EQ(all[3].key, "paper");
  EXPECT_EQ(all[3].refused(), 5);
  EXPECT_EQ(answer(all[3], file.heads), "no, K > 1 in 5 of 6 heads (layer 0, head 0: 2 knees, but K = 1)");
  ASSERT_EQ(reasons(all[3], file.heads).size(), 5);
  EXPECT_EQ(reasons(all[3], file.heads)[4], "layer 1, head 1: not deployable (paper): 2 knees, but K = 1");
}

TEST(Deployments, RulesWithMostHeadsComeFirst) {
  ParamFile file = params_of("m");
  file.entries[0].params = {800, {{5, 100}}};  // n*B = 51200
  const Deployment paper = deployments(file, 64)[3];
  const std::vector<Breach> found = breaches(paper);
  ASSERT_EQ(found.size(), 2);
  EXPECT_EQ(found[0].breach, "K > 1");
  EXPECT_EQ(found[0].heads, 4);
  EXPECT_EQ(found[0].first, 1);
  EXPECT_EQ(found[1].breach, "n*B > 32767");
  EXPECT_EQ(found[1].heads, 1);
  EXPECT_EQ(answer(paper, 3),
            "no, K > 1 in 4 of 6 heads (layer 0, head 1: 2 knees, but K = 1); n*B > 32767 in 1 of 6 heads (layer 0, "
            "head 0: n*B = 64*800 = 51200, but n*B <= 32767)");
}

TEST(KlClass, LimitsBelongToTheUpperClass) {
  EXPECT_EQ(report::kl_class(0), 0);
  EXPECT_EQ(report::kl_class(0.000999), 0);
  for (int c = 1; c < report::kKlClasses; ++c) {
    EXPECT_EQ(report::kl_class(report::kKlLimits[c - 1]), c);
    EXPECT_EQ(report::kl_class(std::nextafter(report::kKlLimits[c - 1], 0.0)), c - 1);
  }
  EXPECT_EQ(report::kl_class(1e9), report::kKlClasses - 1);
}

TEST(HeadChart, CurveBendsAtItsKnees) {
  // 46 = 4.6 / step exceeds the last knee, so that the picture ends at 1.15 * 46 = 52.9; 304 units are its width.
  const std::string svg = report::head_chart("t", {1000, {{40, 10}, {10, 40}}}, 0.1, {});
  // s/B is 0.5 at d = 10 and 0.2 at d = 40.
  EXPECT_NE(svg.find(R"(class="hccs" d="M30 8L87.47 67L259.87 102.4H334")"), std::string::npos) << svg;
  EXPECT_EQ(count(svg, "class=\"knee\""), 2);
  EXPECT_EQ(count(svg, "class=\"bars\""), 0);
}

TEST(HeadChart, BarsAndWhatLiesBeyond) {
  std::vector<int64_t> distances(256, 0);
  distances[0] = 50;
  distances[20] = 25;
  distances[250] = 25;
  const std::string svg = report::head_chart("t", {1000, {{20, 20}, {5, 60}}}, 0.1, distances);
  EXPECT_EQ(count(svg, "class=\"bars\""), 1);
  EXPECT_NE(svg.find("25.0 % of the positions beyond"), std::string::npos) << svg;
}

// Whatever a valid parameter file may hold.
TEST(HeadChart, ExtremeHeadsHaveFiniteCoordinates) {
  const std::vector<int64_t> none(256, 0);
  for (const double step : {1e-300, 1e-3, 1.0, 1e300, std::numeric_limits<double>::max()}) {
    for (const HeadParams& params : {HeadParams{1, {{0, 1}}}, HeadParams{1, {{1, 1}}}, HeadParams{32767, {{127, 127}}},
                                     HeadParams{32767, {{127, 1}, {127, 2}, {127, 126}, {1, 127}}}}) {
      for (const auto& distances : {std::vector<int64_t>(), none}) {
        const std::string svg = report::head_chart("t", params, step, distances);
        EXPECT_EQ(svg.find("nan"), std::string::npos) << step;
        EXPECT_EQ(svg.find("inf"), std::string::npos) << step << svg;
      }
    }
  }
}

TEST(ReportPage, WorstHeadsComeFirst) {
  const std::string page = page_of({{reported("a", params_of("m"))}, 64, ""});
  size_t before = 0;
  for (const char* id : {"l1h2", "l1h1", "l1h0", "l0h2", "l0h1", "l0h0"}) {
    const size_t at = page.find("<article class=\"card\" id=\"" + std::string(id) + "\"");
    ASSERT_NE(at, std::string::npos) << id;
    EXPECT_GT(at, before) << id;
    before = at;
  }
  EXPECT_EQ(count(page, "<svg class=\"chart\""), 6);
  EXPECT_EQ(count(page, "<svg class=\"map\""), 1);
}

TEST(ReportPage, TheLargestKlOfAnyFileOrdersHeads) {
  ParamFile other = params_of("m");
  other.entries[1].kl = 0.5;
  const std::string page = page_of({{reported("a", params_of("m")), reported("b", other)}, 64, ""});
  EXPECT_LT(page.find("class=\"card\" id=\"l0h1\""), page.find("class=\"card\" id=\"l1h2\""));
  EXPECT_EQ(count(page, "<svg class=\"chart\""), 12);
  EXPECT_EQ(count(page, "<svg class=\"map\""), 2);
}

TEST(ReportPage, MeasuredValuesTakeThePlaceOfTheFiles) {
  ReportedFile file = reported("a", params_of("m"));
  file.measured = LogitsEvaluation{.layers = 2, .heads_per_layer = 3, .data_digest = "d", .kl_mean = 0.25};
  for (int i = 0; i < 6; ++i) {
    HeadEvaluation head = {.layer = i / 3, .head = i % 3, .rows = 7, .kl_mean = i == 2 ? 0.75 : 0.0125};
    head.distances[3] = 5;
    file.measured->heads.push_back(head);
  }
  const std::string page = page_of({{file}, 64, "held-out"});
  EXPECT_NE(page.find("<bdi>held-out</bdi>"), std::string::npos);
  EXPECT_NE(page.find("KL 0.750"), std::string::npos);
  EXPECT_EQ(count(page, "class=\"bars\""), 7);  // six heads and the key
  EXPECT_EQ(page.find("calibrated on these very logits"), std::string::npos);
  file.params.data_digest = "d";
  EXPECT_NE(page_of({{file}, 64, "held-out"}).find("calibrated on these very logits"), std::string::npos);
}

TEST(ReportPage, NothingOfAFileIsMarkup) {
  const std::string hostile = "</title><script>alert(1)</script>\"' onload='x' @HEADS@ @NO_SUCH_MARK@ &amp; \xFF";
  ReportedFile file = reported(hostile, params_of(hostile));
  file.params.data_digest = hostile;
  const std::string page = page_of({{file, file}, 64, hostile});
  EXPECT_EQ(page.find("<script"), std::string::npos);
  EXPECT_EQ(page.find("\xFF"), std::string::npos);
  EXPECT_EQ(page.find("onload='"), std::string::npos);
  EXPECT_NE(page.find("@NO_SUCH_MARK@"), std::string::npos);
  EXPECT_EQ(count(page, "<svg class=\"chart\""), 12);  // @HEADS@ in a value was not filled
}

TEST(ReportPage, RefusesFilesOfAnotherShape) {
  const ParamFile wide = {.model = "m", .layers = 1, .heads = 6, .entries = params_of("m").entries};
  const auto page = report_page({{reported("a", params_of("m")), reported("b", wide)}, 64, ""});
  EXPECT_EQ(page.status().code(), StatusCode::kMismatch);
  EXPECT_EQ(page.status().message(), "b has 1 layers x 6 heads, but a has 2 x 3: a report is of files of one shape");
  EXPECT_EQ(report_page({}).status().code(), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace hccs
