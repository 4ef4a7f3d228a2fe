// SPDX-License-Identifier: Apache-2.0
//
// TrainingSoftmax against golden rows (golden/surrogate.jsonl), which hccs.torch is compared with too (tests/torch):
// both compute these derivatives. A row has a head's B, knees and step, one row's logits, valid positions and g =
// dL/dp; then the forward's integers (uint8, scaled), and the derivative of L by the logits, B, each S and D, and the
// step.
//
//   HCCS_WRITE_GOLDEN=FILE training_golden_test    # writes rows anew, drawn from a fixed seed
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "training/softmax.h"

namespace hccs::training {
namespace {

using nlohmann::json;

struct Row {
  HeadEntry head;
  std::vector<float> logits, g;
  std::vector<uint8_t> valid;
};

struct Result {
  std::vector<int> p;  // of 255
  std::vector<float> logits;
  HeadGradient head;
};

Result run(const Row& row) {
  auto softmax = TrainingSoftmax::hccs({&row.head, 1}, Normalisation::kScaled, OutputType::kUint8);
  EXPECT_TRUE(softmax.ok()) << softmax.status().message();
  const size_t n = row.logits.size();
  std::vector<uint8_t> bits((n + 7) / 8);
  for (size_t i = 0; i < n; ++i) bits[i / 8] |= static_cast<uint8_t>(row.valid[i] << (i % 8));
  const SoftmaxBlock block{.head = 0, .rows = 1, .keys = static_cast<int64_t>(n), .mask_bits = bits.data()};
  std::vector<float> p(n);
  Result result;
  const Status status = softmax->forward(block, row.logits.data(), p.data());
  EXPECT_TRUE(status.ok()) << status.message();
  result.logits.resize(n);
  softmax->backward(block, row.logits.data(), p.data(), row.g.data(), result.logits.data(), &result.head);
  for (const float value : p) result.p.push_back(static_cast<int>(std::lround(value * 255)));
  return result;
}

// Numbers of JSON, which has no infinite ones; written with the digits that give the same float back.
template <class T>
std::vector<T> list(const json& values) {
  return values.get<std::vector<T>>();
}

Row draw(std::mt19937_64& random, int number) {
  const auto below = [&](int n) { return static_cast<int32_t>(random() % static_cast<uint64_t>(n)); };
  Row row;
  const int knees = 1 + number % kMaxKnees;
  std::vector<Knee> of_head;
  int32_t drop = 0;
  for (int k = 0; k < knees; ++k) {
    of_head.push_back({1 + below(40), (of_head.empty() ? 0 : of_head.back().position) + 1 + below(30)});
    drop += of_head.back().slope * of_head.back().position;
  }
  row.head.params = HeadParams(drop + (number % 3 == 0 ? 0 : below(300)), of_head);
  row.head.step = std::ldexp(1.0 + below(1000) / 1000.0, -4);
  const int n = 1 + below(24);
  std::normal_distribution<float> normal(0, 3);
  for (int i = 0; i < n; ++i) {
    float l = normal(random);
    if (number % 4 == 1) l = static_cast<float>(below(120) * row.head.step);  // at knees, and ties of the maximum
    if (number % 7 == 2 && below(4) == 0) l = normal(random) * 1e6F;          // cut
    row.logits.push_back(l);
    row.g.push_back(normal(random));
    row.valid.push_back(static_cast<uint8_t>(number % 3 == 1 ? below(2) : 1));
  }
  if (number == 31) std::fill(row.valid.begin(), row.valid.end(), 0);
  return row;
}

TEST(TrainingGolden, Write) {
  const char* path = std::getenv("HCCS_WRITE_GOLDEN");
  if (path == nullptr) GTEST_SKIP() << "HCCS_WRITE_GOLDEN names no file";
  std::mt19937_64 random(20260402);
  std::ofstream file(path);
  for (int number = 0; number < 64; ++number) {
    const Row row = draw(random, number);
    const Result result = run(row);
    json knees = json::array();
    const size_t count = row.head.params.active_knees().size();
    for (const Knee& knee : row.head.params.active_knees()) knees.push_back({knee.slope, knee.position});
    file << json{{"B", row.head.params.offset},
                 {"knees", knees},
                 {"step", row.head.step},
                 {"logits", row.logits},
                 {"valid", row.valid},
                 {"g", row.g},
                 {"p", result.p},
                 {"d_logits", result.logits},
                 {"d_B", result.head.offset},
                 {"d_S", std::vector<double>(result.head.slope.begin(), result.head.slope.begin() + count)},
                 {"d_D", std::vector<double>(result.head.position.begin(), result.head.position.begin() + count)},
                 {"d_step", result.head.step}}
                .dump()
         << '\n';
  }
  ASSERT_TRUE(file.good());
}

// Sums of float depend on how a compiler orders them.
void expect_near(double found, double expected, double scale, const std::string& what) {
  EXPECT_NEAR(found, expected, 1e-5 * std::max({scale, std::abs(expected), 1e-6})) << what;
}

TEST(TrainingGolden, IsWhatTheRowsSay) {
  std::ifstream file("tests/training/golden/surrogate.jsonl");
  int count = 0;
  for (std::string line; std::getline(file, line); ++count) {
    const json said = json::parse(line);
    Row row;
    std::vector<Knee> knees;
    for (const json& knee : said["knees"]) knees.push_back({knee[0].get<int>(), knee[1].get<int>()});
    row.head.params = HeadParams(said["B"].get<int>(), knees);
    row.head.step = said["step"].get<double>();
    row.logits = list<float>(said["logits"]);
    row.g = list<float>(said["g"]);
    row.valid = list<uint8_t>(said["valid"]);
    const Result result = run(row);
    EXPECT_EQ(result.p, list<int>(said["p"])) << "row " << count;
    const auto logits = list<float>(said["d_logits"]);
    float largest = 0;
    for (const float value : logits) largest = std::max(largest, std::abs(value));
    for (size_t i = 0; i < logits.size(); ++i) {
      expect_near(result.logits[i], logits[i], largest, fmt::format("row {}, logit {}", count, i));
    }
    expect_near(result.head.offset, said["d_B"].get<double>(), 1e-3, fmt::format("row {}, B", count));
    for (size_t k = 0; k < knees.size(); ++k) {
      expect_near(result.head.slope[k], said["d_S"][k].get<double>(), 1e-2, fmt::format("row {}, S_{}", count, k));
      expect_near(result.head.position[k], said["d_D"][k].get<double>(), 1e-2, fmt::format("row {}, D_{}", count, k));
    }
    expect_near(result.head.step, said["d_step"].get<double>(), 1, fmt::format("row {}, step", count));
  }
  EXPECT_EQ(count, 64);
}

}  // namespace
}  // namespace hccs::training
