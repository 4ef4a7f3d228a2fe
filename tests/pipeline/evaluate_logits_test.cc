// SPDX-License-Identifier: Apache-2.0
#include "hccs/evaluate_logits.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "../formats/temporary_folder.h"
#include "hccs/calibration.h"
#include "hccs/npy.h"
#include "hccs/quantise.h"

namespace hccs {
namespace {

using test::fails;

ParamFile params_of(int64_t layers, int64_t heads, const HeadParams& params, double step) {
  ParamFile file{.model = "any", .layers = layers, .heads = heads, .sequence_length = 8, .data_digest = "xxh3-128:0"};
  file.knees = params.knee_count;
  file.entries.assign(static_cast<size_t>(layers * heads), {.params = params, .step = step, .rows = 1});
  return file;
}

const HeadParams kHead(300, {{10, 20}});  // s: 300, 290, ..., 100 from d = 20 on

class EvaluateLogits : public test::WithFolder {
 protected:
  template <class T>
  void put_array(const std::string& name, const std::vector<int64_t>& shape, const std::vector<T>& values) {
    const Status status = write_npy<T>(folder() / name, shape, values);
    ASSERT_TRUE(status.ok()) << status.message();
  }
};

TEST_F(EvaluateLogits, OneRowIsWhatTheDefinitionsSay) {
  put_array<float>("layer0_head0.npy", {1, 4}, {2.0F, 0.0F, 1.0F, -50.0F});
  put_array<int32_t>("lengths.npy", {1}, {3});
  const ParamFile params = params_of(1, 1, kHead, 0.1);
  const auto evaluation = evaluate_logits(folder(), params, {});
  ASSERT_TRUE(evaluation.ok()) << evaluation.status().message();
  ASSERT_EQ(evaluation->heads.size(), 1);
  const HeadEvaluation& head = evaluation->heads[0];
  EXPECT_EQ(head.rows, 1);
  EXPECT_EQ(head.longest_row, 3);
  // d = 0, 20, 10: s = 300, 100, 200 of Z = 600
  const double sum = std::exp(2.0) + 1 + std::exp(1.0);
  const double exact[] = {std::exp(2.0) / sum, 1 / sum, std::exp(1.0) / sum};
  const double score[] = {300.0 / 600, 100.0 / 600, 200.0 / 600};
  const double p[] = {127.0 / 255, 42.0 / 255, 85.0 / 255};  // r = floor(32640 * 512 / 600) = 27852
  double kl = 0;
  double error = 0;
  for (int i = 0; i < 3; ++i) {
    kl += exact[i] * std::log(exact[i] / score[i]);
    error = std::max(error, std::abs(p[i] - exact[i]));
  }
  EXPECT_NEAR(head.kl_mean, kl, 1e-12);
  EXPECT_EQ(head.kl_worst, head.kl_mean);
  EXPECT_NEAR(head.largest_error, error, 1e-12);
  EXPECT_EQ(head.largest_probability, p[0]);
  EXPECT_NEAR(head.largest_float_probability, exact[0], 1e-12);
  EXPECT_EQ(head.top1_agreement, 1);
  EXPECT_EQ(head.distances[0], 1);
  EXPECT_EQ(head.distances[10], 1);
  EXPECT_EQ(head.distances[20], 1);
  EXPECT_EQ(std::accumulate(head.distances.begin(), head.distances.end(), int64_t{0}), 3);
  EXPECT_EQ(evaluation->rows, 1);
  EXPECT_EQ(evaluation->kl_mean, head.kl_mean);
  EXPECT_EQ(evaluation->largest_error, head.largest_error);
}

TEST_F(EvaluateLogits, ATieBeforeTheLargestIsADisagreement) {
  // At step 1 both round to 2, and the first of equals is the wrong one in the first row alone.
  put_array<float>("layer0_head0.npy", {2, 3}, {1.9F, 2.1F, 0, 2.1F, 1.9F, 0});
  const auto evaluation = evaluate_logits(folder(), params_of(1, 1, kHead, 1.0), {});
  ASSERT_TRUE(evaluation.ok()) << evaluation.status().message();
  EXPECT_EQ(evaluation->heads[0].top1_agreement, 0.5);
  EXPECT_EQ(evaluation->top1_agreement, 0.5);
}

TEST_F(EvaluateLogits, AnyTypesOfTheSameValuesGiveTheSame) {
  const ParamFile params = params_of(1, 1, kHead, 0.25);
  put_array<float>("layer0_head0.npy", {2, 2}, {1, -0.5F, 3, 2});
  put_array<int32_t>("lengths.npy", {2}, {2, 2});
  const auto first = evaluate_logits(folder(), params, {});
  ASSERT_TRUE(first.ok()) << first.status().message();
  const auto expect_same = [&] {
    const auto evaluation = evaluate_logits(folder(), params, {});
    ASSERT_TRUE(evaluation.ok()) << evaluation.status().message();
    EXPECT_EQ(evaluation->kl_mean, first->kl_mean);
    EXPECT_EQ(evaluation->data_digest, first->data_digest);
  };
  put_array<double>("layer0_head0.npy", {2, 2}, {1, -0.5, 3, 2});
  expect_same();
  put_array<int64_t>("lengths.npy", {2}, {2, 2});
  expect_same();
  std::filesystem::remove(folder() / "lengths.npy");  // all positions are valid
  expect_same();
  const std::vector<std::byte> halves = {std::byte{0x00}, std::byte{0x3C}, std::byte{0x00}, std::byte{0xB8},
                                         std::byte{0x00}, std::byte{0x42}, std::byte{0x00}, std::byte{0x40}};
  const std::vector<int64_t> shape = {2, 2};
  ASSERT_TRUE(write_npy(folder() / "layer0_head0.npy", NpyType::kFloat16, shape, halves).ok());
  expect_same();
}

TEST_F(EvaluateLogits, FoldersSamplesAndThreadsAgree) {
  constexpr uint32_t kSeed = 7;
  SCOPED_TRACE(fmt::format("seed {}", kSeed));
  std::mt19937 random(kSeed);
  std::normal_distribution<float> normal(0, 3);
  constexpr int64_t kRows = 300;
  constexpr int64_t kN = 16;
  for (const char* name : {"layer0_head0.npy", "layer0_head1.npy", "layer1_head0.npy", "layer1_head1.npy"}) {
    std::vector<float> logits(static_cast<size_t>(kRows * kN));
    for (float& x : logits) x = normal(random);
    put_array<float>(name, {kRows, kN}, logits);
  }
  const ParamFile params = params_of(2, 2, kHead, 0.1);
  for (const OutputType output : {OutputType::kUint8, OutputType::kInt16}) {
    const auto one = evaluate_logits(folder(), params, {.output = output});
    const auto three = evaluate_logits(folder(), params, {.output = output, .threads = 3});
    ASSERT_TRUE(one.ok()) << one.status().message();
    ASSERT_TRUE(three.ok()) << three.status().message();
    const auto sampled = sample_dumps(folder(), {.rows = kRows});
    ASSERT_TRUE(sampled.ok()) << sampled.status().message();
    EXPECT_EQ(sampled->without_lengths, 4);
    const auto in_memory = evaluate_logits(*sampled, params, {.output = output});
    ASSERT_TRUE(in_memory.ok()) << in_memory.status().message();
    for (size_t i = 0; i < 4; ++i) {
      const HeadEvaluation& a = one->heads[i];
      EXPECT_EQ(a.layer, static_cast<int64_t>(i / 2));
      EXPECT_EQ(a.head, static_cast<int64_t>(i % 2));
      EXPECT_EQ(a.rows, kRows);
      const HeadEvaluation& b = three->heads[i];
      EXPECT_EQ(a.kl_mean, b.kl_mean);
      EXPECT_EQ(a.kl_worst, b.kl_worst);
      EXPECT_EQ(a.top1_agreement, b.top1_agreement);
      EXPECT_EQ(a.largest_error, b.largest_error);
      EXPECT_EQ(a.distances, b.distances);
      const HeadEvaluation& c = in_memory->heads[i];  // the same rows in another order
      EXPECT_NEAR(a.kl_mean, c.kl_mean, 1e-12);
      EXPECT_EQ(a.largest_error, c.largest_error);
      EXPECT_EQ(a.distances, c.distances);
    }
    EXPECT_EQ(one->data_digest, in_memory->data_digest);
    EXPECT_EQ(one->rows, 4 * kRows);
  }
}

TEST_F(EvaluateLogits, TheKlIsThatOfCalibration) {
  constexpr uint32_t kSeed = 8;
  SCOPED_TRACE(fmt::format("seed {}", kSeed));
  std::mt19937 random(kSeed);
  std::normal_distribution<float> normal(0, 2);
  std::vector<float> logits(size_t{400 * 24});
  for (float& x : logits) x = normal(random);
  put_array<float>("layer0_head0.npy", {400, 24}, logits);
  const auto sampled = sample_dumps(folder(), {});
  ASSERT_TRUE(sampled.ok()) << sampled.status().message();
  const auto calibrated = calibrate_samples(*sampled, {});
  ASSERT_TRUE(calibrated.ok()) << calibrated.status().message();
  const auto evaluation = evaluate_logits(folder(), calibrated->params, {});
  ASSERT_TRUE(evaluation.ok()) << evaluation.status().message();
  EXPECT_NEAR(evaluation->kl_mean, calibrated->params.entries[0].kl, 1e-12);
  EXPECT_EQ(evaluation->data_digest, calibrated->params.data_digest);  // which says that they are not held out
}

TEST_F(EvaluateLogits, WhatDoesNotFitIsRefusedByName) {
  put_array<float>("layer0_head0.npy", {2, 3}, {1, 2, 3, 4, 5, 6});
  EXPECT_TRUE(fails(evaluate_logits(folder(), params_of(1, 2, kHead, 0.1), {}), StatusCode::kMismatch,
                    {"1 layers of 2 heads", "1 layers of 1 heads"}));
  const ParamFile params = params_of(1, 1, kHead, 0.1);
  EXPECT_TRUE(fails(evaluate_logits(folder(), params, {.threads = 0}), StatusCode::kInvalidArgument, {"threads = 0"}));
  EXPECT_TRUE(fails(evaluate_logits(folder() / "no", params, {}), StatusCode::kIo, {"no: not a folder"}));
  EXPECT_TRUE(fails(evaluate_logits(folder(), params, {.progress = [](int64_t, int64_t) { return false; }}),
                    StatusCode::kCancelled, {}));
  using Limits = std::numeric_limits<float>;
  put_array<float>("layer0_head0.npy", {2, 3}, {1, 2, 3, 4, Limits::quiet_NaN(), 6});
  EXPECT_TRUE(fails(evaluate_logits(folder(), params, {}), StatusCode::kBadData,
                    {"layer0_head0.npy", "row 1, position 1", "nan"}));
  put_array<float>("layer0_head0.npy", {2, 3}, {1, 2, -Limits::infinity(), 4, 5, 6});
  EXPECT_TRUE(fails(evaluate_logits(folder(), params, {}), StatusCode::kBadData,
                    {"row 0, position 2", "-inf", "masked positions"}));
  put_array<float>("layer0_head0.npy", {0, 3}, {});
  EXPECT_TRUE(fails(evaluate_logits(folder(), params, {}), StatusCode::kBadData, {"layer0_head0.npy", "no rows"}));
  put_array<float>("layer0_head0.npy", {1, 65537}, std::vector<float>(65537, 0.0F));
  EXPECT_TRUE(fails(evaluate_logits(folder(), params, {}), StatusCode::kBadData, {"n = 65537"}));
  SampledModel empty{.heads = {RowSample(4, 0)}, .model = {.name = "m", .layers = 1, .heads = 1}};
  EXPECT_TRUE(fails(evaluate_logits(empty, params, {}), StatusCode::kInvalidArgument, {"layer 0, head 0", "0 rows"}));
}

TEST_F(EvaluateLogits, MissingFilesAreNamed) {
  for (const char* name : {"layer0_head0.npy", "layer1_head1.npy", "layer1_head2.npy"}) {
    put_array<float>(name, {1, 2}, {1, 2});
  }
  const ParamFile params = params_of(2, 3, kHead, 0.1);
  EXPECT_TRUE(fails(
      evaluate_logits(folder(), params, {}), StatusCode::kBadData,
      {"layer0_head1.npy, layer0_head2.npy, layer1_head0.npy are missing", "3 dumps", "2 layers x 3 heads need 6"}));
  put_array<float>("layer9_head9.npy", {1, 2}, {1, 2});
  EXPECT_TRUE(
      fails(evaluate_logits(folder(), params, {}), StatusCode::kBadData, {"layer0_head5.npy and 91 more are missing"}));
  put_array<float>("layer00_head0.npy", {1, 2}, {1, 2});
  EXPECT_TRUE(fails(evaluate_logits(folder(), params, {}), StatusCode::kBadData, {"a second file for the head of"}));
}

TEST_F(EvaluateLogits, OtherNamesAreShown) {
  put_array<float>("layer_0_head_0.npy", {1, 2}, {1, 2});
  EXPECT_TRUE(fails(evaluate_logits(folder(), params_of(1, 1, kHead, 0.1), {}), StatusCode::kBadData,
                    {"no layer<L>_head<H>.npy", "it has layer_0_head_0.npy"}));
}

}  // namespace
}  // namespace hccs
