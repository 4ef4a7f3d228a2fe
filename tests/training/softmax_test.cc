// SPDX-License-Identifier: Apache-2.0
//
// The training softmax: its forward against the contract, its backward against finite differences.
#include "training/softmax.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <random>

#include "hccs/calibration.h"
#include "hccs/encoder.h"
#include "hccs/mask.h"
#include "hccs/model_folder.h"

namespace hccs::training {
namespace {

constexpr uint64_t kSeed = 20260402;

HeadParams random_params(std::mt19937_64& random) {
  const auto below = [&](int64_t n) { return static_cast<int32_t>(random() % static_cast<uint64_t>(n)); };
  HeadParams params;
  params.knee_count = 1 + below(kMaxKnees);
  std::vector<int32_t> positions;
  while (std::ssize(positions) < params.knee_count) {
    const int32_t d = 1 + below(kMaxKneePosition);
    if (std::find(positions.begin(), positions.end(), d) == positions.end()) positions.push_back(d);
  }
  std::sort(positions.begin(), positions.end());
  int32_t drop = 0;
  for (int k = 0; k < params.knee_count; ++k) {
    params.knees[k] = {below(40), positions[k]};
    drop += params.knees[k].slope * params.knees[k].position;
  }
  params.offset = std::clamp(drop + below(300), 1, kMaxOffset);  // often with a floor of 0
  if (params.floor() < 0) params.knees[params.knee_count - 1].slope = 0;
  if (params.floor() < 0) return random_params(random);
  return params;
}

std::vector<uint8_t> random_mask(std::mt19937_64& random, int64_t n) {
  std::vector<uint8_t> bits(static_cast<size_t>((n + 7) / 8));
  const uint64_t kind = random() % 3;
  for (uint8_t& b : bits) b = kind == 0 ? 0xFF : kind == 1 ? 0 : static_cast<uint8_t>(random());
  return bits;
}

// Logits of several characters: smooth, of huge range, NaN and infinite, all equal, exactly on the rounding's ties.
std::vector<float> random_logits(std::mt19937_64& random, size_t count, double step) {
  std::normal_distribution<float> normal(0, 3);
  std::vector<float> logits(count);
  const uint64_t kind = random() % 5;
  for (float& l : logits) {
    const float x = normal(random);
    l = kind == 0   ? x
        : kind == 1 ? x * 1e30F
        : kind == 2 ? (random() % 4 == 0   ? std::nanf("")
                       : random() % 4 == 1 ? -INFINITY
                                           : x)
        : kind == 3 ? 1.5F
                    : static_cast<float>((std::floor(x * 10) + 0.5) * step);
  }
  return logits;
}

template <class Out>
void expect_reference(const HeadEntry& head, Normalisation normalisation, const SoftmaxBlock& block,
                      std::span<const float> logits, std::span<const float> p, int64_t full_scale) {
  const auto n = static_cast<size_t>(block.keys);
  std::vector<int8_t> x(n);
  std::vector<Out> expected(n);
  for (int64_t row = 0; row < block.rows; ++row) {
    quantise_logits(logits.subspan(row * n, n), head.step, x);
    ASSERT_TRUE(
        softmax_reference(head.params, normalisation, x, RowMask{.bits = block.mask_bits}, std::span<Out>(expected))
            .ok());
    for (size_t i = 0; i < n; ++i) {
      ASSERT_EQ(p[row * n + i], static_cast<float>(expected[i]) / static_cast<float>(full_scale))
          << "row " << row << ", position " << i << ", seed " << kSeed;
    }
  }
}

TEST(TrainingSoftmaxTest, TheForwardEqualsTheContractBitForBit) {
  std::mt19937_64 random(kSeed);
  for (int trial = 0; trial < 400; ++trial) {
    std::vector<HeadEntry> heads(3);
    for (HeadEntry& head : heads)
      head = {.params = random_params(random), .step = std::exp(0.01 * (random() % 600) - 5)};
    const auto normalisation = static_cast<Normalisation>(trial % 3);
    const auto output = static_cast<OutputType>(trial / 3 % 2);
    const auto softmax = TrainingSoftmax::hccs(heads, normalisation, output);
    ASSERT_TRUE(softmax.ok()) << softmax.status().message();
    const int64_t keys = 1 + static_cast<int64_t>(random() % 70);
    const std::vector<uint8_t> mask = random_mask(random, keys);
    const SoftmaxBlock block{.head = static_cast<int64_t>(random() % 3),
                             .rows = 1 + static_cast<int64_t>(random() % 5),
                             .keys = keys,
                             .mask_bits = trial % 2 == 0 ? mask.data() : nullptr};
    const HeadEntry& head = heads[block.head];
    const std::vector<float> logits = random_logits(random, static_cast<size_t>(block.rows * keys), head.step);
    std::vector<float> p(logits.size());
    EXPECT_TRUE(softmax->forward(block, logits.data(), p.data()).ok());
    if (output == OutputType::kUint8) {
      expect_reference<uint8_t>(head, normalisation, block, logits, p, kFullScaleUint8);
    } else {
      expect_reference<int16_t>(head, normalisation, block, logits, p, kFullScaleInt16);
    }
  }
}

// Every head of a real model. HCCS_MODEL: a model folder; a checkout's demo has one.
TEST(TrainingSoftmaxTest, TheForwardEqualsTheContractOnRealLogits) {
  const char* set = std::getenv("HCCS_MODEL");
  const std::filesystem::path path = set != nullptr ? set : "build/demo/model";
  if (!std::filesystem::exists(path / "model.safetensors")) GTEST_SKIP() << path << " is no model folder";
  const auto model = open_model_folder(path);
  ASSERT_TRUE(model.ok()) << model.status().message();
  std::vector<Encoding> texts;
  for (const char* text :
       {"a", "a small dog", "the quick brown fox jumps over the lazy dog, twice",
        "any of numerous plants of the genus Rosa; often with prickles, of the northern hemisphere"}) {
    texts.push_back(model->tokenizer.encode(text, 64));
  }
  std::mt19937_64 random(kSeed);
  std::vector<HeadEntry> heads(static_cast<size_t>(model->config.layers * model->config.heads));
  for (HeadEntry& head : heads) head = {.params = random_params(random), .step = 0.02 + 0.001 * (random() % 200)};
  const auto softmax = TrainingSoftmax::hccs(heads, Normalisation::kScaled, OutputType::kUint8);
  ASSERT_TRUE(softmax.ok());
  int64_t blocks = 0;
  const auto capture = make_capturing_softmax(make_exact_softmax(), [&](const AttentionBlock& b) -> Status {
    const SoftmaxBlock block{
        .head = b.layer * model->config.heads + b.head, .rows = b.length, .keys = b.length, .mask_bits = nullptr};
    const std::span logits(b.logits, static_cast<size_t>(b.length * b.length));
    std::vector<float> p(logits.size());
    EXPECT_TRUE(softmax->forward(block, logits.data(), p.data()).ok());
    expect_reference<uint8_t>(heads[block.head], Normalisation::kScaled, block, logits, p, kFullScaleUint8);
    ++blocks;
    return {};
  });
  ASSERT_TRUE(capture.ok()) << capture.status().message();
  const auto encoder = BertEncoder::load(*model);
  ASSERT_TRUE(encoder.ok());
  ASSERT_TRUE(encoder->embed(texts, **capture, {}).ok());
  EXPECT_EQ(blocks, std::ssize(heads) * std::ssize(texts));
}

// Never zeros in place of a failure.
TEST(TrainingSoftmaxTest, WhatCannotBeComputedIsAnErrorAndNotWritten) {
  const std::vector<HeadEntry> heads(2, {.params = HeadParams(900, {{20, 15}}), .step = 0.1});
  const std::vector<TrainingSoftmax> softmaxes = {
      *TrainingSoftmax::hccs(heads, Normalisation::kScaled, OutputType::kUint8),
      *TrainingSoftmax::int8_exact(std::vector<double>{0.1, 0.2})};
  for (const TrainingSoftmax& softmax : softmaxes) {
    for (const int64_t head : {-1, 2, 1000}) {
      const std::vector<float> logits = {1, 2, 3};
      std::vector<float> p(3, 7.0F);
      const Status status = softmax.forward({.head = head, .rows = 1, .keys = 3}, logits.data(), p.data());
      EXPECT_EQ(status.code(), StatusCode::kMismatch);
      EXPECT_EQ(status.message(), fmt::format("head {}, but the softmax has 2", head));
      EXPECT_EQ(p, std::vector<float>(3, 7.0F));
    }
  }
  const std::vector<float> logits(65537, 0.0F);
  std::vector<float> p(65537, 7.0F);
  const Status status = softmaxes[0].forward({.head = 0, .rows = 1, .keys = 65537}, logits.data(), p.data());
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_NE(status.message().find("65537 keys"), std::string::npos) << status.message();
  EXPECT_TRUE(std::ranges::all_of(p, [](float v) { return v == 7.0F; }));
}

TEST(TrainingSoftmaxTest, FactoriesRefuseWhatCannotRun) {
  const auto refused = [](const Expected<TrainingSoftmax>& softmax, const std::string& words) {
    EXPECT_EQ(softmax.status().code(), StatusCode::kInvalidArgument);
    EXPECT_NE(softmax.status().message().find(words), std::string::npos) << softmax.status().message();
  };
  refused(TrainingSoftmax::int8_exact({}), "0 steps");
  for (const double step : {0.0, -1.0, double{INFINITY}, double{NAN}}) {
    refused(TrainingSoftmax::int8_exact(std::vector<double>{0.1, step}), fmt::format("head 1: step {}", step));
    const std::vector<HeadEntry> heads = {{.params = HeadParams(900, {{20, 15}}), .step = step}};
    refused(TrainingSoftmax::hccs(heads, Normalisation::kDiv, OutputType::kInt16),
            fmt::format("head 0: step {}", step));
  }
  refused(TrainingSoftmax::hccs({}, Normalisation::kDiv, OutputType::kInt16), "0 heads");
  const std::vector<HeadEntry> heads = {{.params = HeadParams(900, {{20, 15}}), .step = 1},
                                        {.params = HeadParams(0, {{20, 15}}), .step = 1}};
  refused(TrainingSoftmax::hccs(heads, Normalisation::kDiv, OutputType::kInt16), "head 1: offset B = 0");
}

// ---- Backward ---------------------------------------------------------------------------------------

// What HCCS' backward differentiates, in double: probabilities of one row's logits.
struct HccsSurrogate {
  double offset;
  std::vector<double> slope, position;
  double step;

  explicit HccsSurrogate(const HeadEntry& head) : offset(head.params.offset), step(head.step) {
    for (const Knee& knee : head.params.active_knees()) {
      slope.push_back(knee.slope);
      position.push_back(knee.position);
    }
  }

  std::vector<double> operator()(std::span<const double> logits, const std::vector<bool>& valid) const {
    std::vector<double> x;
    double maximum = -1e300;
    for (size_t i = 0; i < logits.size(); ++i) {
      x.push_back(std::clamp(logits[i] / step, -128.0, 127.0));
      if (valid[i]) maximum = std::max(maximum, x[i]);
    }
    std::vector<double> p(logits.size(), 0.0);
    double sum = 0;
    for (size_t i = 0; i < p.size(); ++i) {
      if (!valid[i]) continue;
      p[i] = offset;
      for (size_t k = 0; k < slope.size(); ++k) p[i] -= slope[k] * std::min(maximum - x[i], position[k]);
      sum += p[i];
    }
    for (double& v : p) v = sum > 0 ? v / sum : 0;
    return p;
  }
};

// Likewise int8-exact's: the exponential of clamped logits.
struct ExponentialSurrogate {
  double step;

  std::vector<double> operator()(std::span<const double> logits, const std::vector<bool>& valid) const {
    std::vector<double> p(logits.size(), 0.0);
    double sum = 0;
    for (size_t i = 0; i < p.size(); ++i) {
      if (valid[i]) p[i] = std::exp(step * std::clamp(logits[i] / step, -128.0, 127.0));
      sum += p[i];
    }
    for (double& v : p) v = sum > 0 ? v / sum : 0;
    return p;
  }
};

double central_difference(const std::function<double(double)>& f, double at, double h) {
  return (f(at + h) - f(at - h)) / (2 * h);
}

// Rows of one head at which the surrogates have a derivative: every logit on the head's grid, so that rounding is the
// identity, or well outside int8's range; no valid one at a knee; no two at the maximum unless both were cut off.
struct SmoothRows {
  SoftmaxBlock block;
  std::vector<uint8_t> mask;  // not used if block.mask_bits is null
  std::vector<bool> valid;
  std::vector<float> logits;
  std::vector<float> grad_p;  // the loss is sum of grad_p * p

  SmoothRows(std::mt19937_64& random, const HeadEntry& entry, int64_t head) {
    std::uniform_real_distribution<float> uniform(-1, 1);
    block = {.head = head, .rows = 1 + below(random, 4), .keys = 1 + below(random, 20)};
    const int64_t length = below(random, block.keys + 1);  // 0: no valid position
    const int64_t kind = below(random, 3);                 // no mask, a valid length, any bits
    mask.assign((block.keys + 7) / 8, 0);
    for (int64_t i = 0; i < block.keys; ++i) {
      valid.push_back(kind == 0 || (kind == 1 ? i < length : below(random, 4) != 0));
      if (valid.back()) mask[i / 8] |= static_cast<uint8_t>(1 << (i % 8));
    }
    if (kind != 0) block.mask_bits = mask.data();
    std::vector<int> row;
    for (int64_t r = 0; r < block.rows; ++r) {
      const bool leaves = below(random, 2) == 0;
      do {
        row.clear();
        for (int64_t i = 0; i < block.keys; ++i) {
          const auto far = static_cast<int>(129 + below(random, 200));
          row.push_back(leaves && below(random, 4) == 0 ? (below(random, 2) == 0 ? far : -far - 1)
                                                        : static_cast<int>(below(random, 160)) - 100);
        }
      } while (!smooth(row, entry.params));
      for (const int x : row) {
        logits.push_back(static_cast<float>(x * entry.step));
        grad_p.push_back(uniform(random));
      }
    }
  }
  SmoothRows(const SmoothRows&) = delete;  // block points into it

  int64_t size() const { return block.rows * block.keys; }
  bool cut(int64_t i, double step) const { return logits[i] / step < -128.0 || logits[i] / step > 127.0; }

  template <class S>
  double loss(const S& surrogate, std::span<const double> at) const {
    double sum = 0;
    for (int64_t r = 0; r < block.rows; ++r) {
      const std::vector<double> p = surrogate(at.subspan(r * block.keys, block.keys), valid);
      for (int64_t i = 0; i < block.keys; ++i) sum += double{grad_p[r * block.keys + i]} * p[i];
    }
    return sum;
  }

  // The surrogate's derivative by each logit.
  template <class S>
  std::vector<double> derivatives(const S& surrogate) const {
    std::vector<double> point(logits.begin(), logits.end());
    std::vector<double> derivatives;
    for (double& moved : point) {
      const double before = moved;
      derivatives.push_back(central_difference(
          [&](double v) {
            moved = v;
            return loss(surrogate, point);
          },
          before, 1e-6));
      moved = before;
    }
    return derivatives;
  }

  // Forward, then backward in place, as attention calls it.
  std::vector<float> gradient(const TrainingSoftmax& softmax, HeadGradient* parameters) const {
    std::vector<float> p(logits.size());
    std::vector<float> grad = grad_p;
    EXPECT_TRUE(softmax.forward(block, logits.data(), p.data()).ok());
    softmax.backward(block, logits.data(), p.data(), grad.data(), grad.data(), parameters);
    return grad;
  }

 private:
  static int64_t below(std::mt19937_64& random, int64_t n) {
    return static_cast<int64_t>(random() % static_cast<uint64_t>(n));
  }

  bool smooth(const std::vector<int>& row, const HeadParams& params) const {
    int top = -1;
    for (int i = 0; i < std::ssize(row); ++i) {
      if (valid[i] && (top < 0 || row[i] > row[top])) top = i;
    }
    for (int i = 0; i < std::ssize(row); ++i) {
      if (!valid[i] || i == top) continue;
      const int d = std::clamp(row[top], -128, 127) - std::clamp(row[i], -128, 127);
      if (d == 0 && row[i] <= 127 && row[i] >= -128) return false;
      for (const Knee& knee : params.active_knees()) {
        if (d == knee.position) return false;
      }
    }
    return true;
  }
};

std::vector<HeadEntry> random_heads(std::mt19937_64& random, size_t count) {
  std::vector<HeadEntry> heads(count);
  for (HeadEntry& head : heads) head = {.params = random_params(random), .step = 0.03 + 0.001 * (random() % 200)};
  return heads;
}

TEST(TrainingSoftmaxTest, TheBackwardIsTheSurrogatesDerivative) {
  std::mt19937_64 random(kSeed);
  int compared = 0;
  for (int trial = 0; trial < 300; ++trial) {
    const std::vector<HeadEntry> heads = random_heads(random, 3);
    const auto softmax = TrainingSoftmax::hccs(heads, Normalisation::kScaled, OutputType::kUint8);
    ASSERT_TRUE(softmax.ok());
    const HeadEntry& head = heads[trial % 3];
    const SmoothRows rows(random, head, trial % 3);
    const HeadGradient before{.offset = 3, .slope = {1, 2, 3, 4}, .position = {5, 6, 7, 8}, .step = -2};
    HeadGradient found = before;  // it is added to
    const std::vector<float> grad = rows.gradient(*softmax, &found);

    const HccsSurrogate surrogate(head);
    const auto expect = [&](double exact, double value, const std::string& what) {
      EXPECT_NEAR(value, exact, 2e-4 * std::abs(exact) + 2e-6) << what << ", trial " << trial << ", seed " << kSeed;
      if (std::abs(exact) > 1e-3) ++compared;
    };
    const std::vector<double> exact = rows.derivatives(surrogate);
    for (int64_t i = 0; i < rows.size(); ++i) expect(exact[i], grad[i], fmt::format("logit {}", i));
    for (int64_t r = 0; r < rows.block.rows; ++r) {
      double sum = 0;
      bool cut = false;
      for (int64_t i = r * rows.block.keys; i < (r + 1) * rows.block.keys; ++i) {
        sum += grad[i];
        cut = cut || rows.cut(i, head.step);
      }
      if (!cut) {
        EXPECT_NEAR(sum, 0, 1e-5) << "seed " << kSeed;  // adding a constant to all logits changes nothing
      }
    }
    const std::vector<double> point(rows.logits.begin(), rows.logits.end());
    const auto by = [&](auto member, double h) {
      return central_difference(
          [&](double v) {
            HccsSurrogate moved = surrogate;
            member(moved) = v;
            return rows.loss(moved, point);
          },
          member(surrogate), h);
    };
    expect(by(
               [](auto& s) -> auto& { return s.offset; }, 1e-4),
           found.offset - before.offset, "B");
    expect(by(
               [](auto& s) -> auto& { return s.step; }, 1e-8),
           found.step - before.step, "step");
    for (size_t k = 0; k < surrogate.slope.size(); ++k) {
      expect(by(
                 [k](auto& s) -> auto& { return s.slope[k]; }, 1e-4),
             found.slope[k] - before.slope[k], fmt::format("S_{}", k + 1));
      expect(by(
                 [k](auto& s) -> auto& { return s.position[k]; }, 1e-4),
             found.position[k] - before.position[k], fmt::format("D_{}", k + 1));
    }
  }
  EXPECT_GT(compared, 1000);
}

TEST(TrainingSoftmaxTest, TheBackwardOfInt8ExactIsItsSurrogatesDerivative) {
  std::mt19937_64 random(kSeed + 1);
  int compared = 0;
  int cut = 0;
  for (int trial = 0; trial < 300; ++trial) {
    const std::vector<HeadEntry> heads = random_heads(random, 3);
    const TrainingSoftmax softmax =
        *TrainingSoftmax::int8_exact(std::vector<double>{heads[0].step, heads[1].step, heads[2].step});
    const double step = heads[trial % 3].step;
    const SmoothRows rows(random, heads[trial % 3], trial % 3);
    const std::vector<float> grad = rows.gradient(softmax, nullptr);
    const std::vector<double> exact = rows.derivatives(ExponentialSurrogate{step});
    for (int64_t i = 0; i < rows.size(); ++i) {
      EXPECT_NEAR(grad[i], exact[i], 1e-4 * std::abs(exact[i]) + 1e-6)
          << "logit " << i << ", trial " << trial << ", seed " << kSeed + 1;
      if (std::abs(exact[i]) > 1e-3) ++compared;
      if (rows.cut(i, step)) ++cut;
    }
  }
  EXPECT_GT(compared, 1000);
  EXPECT_GT(cut, 300);
}

// Off the grid the derivative is that at the rounded logits, and 0 where a logit lies outside int8's range, be it by
// less than the rounding.
TEST(TrainingSoftmaxTest, RoundingIsPassedStraightThrough) {
  std::mt19937_64 random(kSeed + 2);
  std::uniform_real_distribution<double> fraction(-0.49, 0.49);
  for (int trial = 0; trial < 100; ++trial) {
    const std::vector<HeadEntry> heads = random_heads(random, 2);
    const std::vector<double> steps = {heads[0].step, heads[1].step};
    for (const TrainingSoftmax& softmax : {*TrainingSoftmax::hccs(heads, Normalisation::kScaled, OutputType::kUint8),
                                           *TrainingSoftmax::int8_exact(steps)}) {
      const double step = steps[trial % 2];
      SmoothRows rows(random, heads[trial % 2], trial % 2);
      std::vector<double> t;
      for (float& l : rows.logits) {
        const uint64_t kind = random() % 10;
        const int x = kind == 0 ? 127 : kind == 1 ? -128 : static_cast<int>(random() % 256) - 128;
        t.push_back(x + fraction(random));
        l = static_cast<float>(x * step * (1 - 1e-7));  // on the grid, and not beyond its ends
      }
      const std::vector<float> rounded = rows.gradient(softmax, nullptr);
      for (size_t i = 0; i < t.size(); ++i) rows.logits[i] = static_cast<float>(t[i] * step);
      const std::vector<float> found = rows.gradient(softmax, nullptr);
      for (size_t i = 0; i < t.size(); ++i) {
        EXPECT_EQ(found[i], t[i] >= -128 && t[i] <= 127 ? rounded[i] : 0.0F)
            << "t = " << t[i] << ", trial " << trial << ", seed " << kSeed + 2;
      }
    }
  }
}

TEST(TrainingSoftmaxTest, LogitsThatWereCutGetNoGradient) {
  const auto softmax =
      TrainingSoftmax::hccs(std::vector<HeadEntry>{{.params = HeadParams(1000, {{7, 127}}), .step = 0.1}},
                            Normalisation::kScaled, OutputType::kUint8);
  ASSERT_TRUE(softmax.ok());
  const std::vector<float> logits = {20.0F, 5.0F, -50.0F, 12.0F, std::nanf("")};
  const std::vector<float> grad_p = {0.3F, -1.0F, 2.0F, 0.5F, 0.1F};
  std::vector<float> p(5), grad(5);
  const SoftmaxBlock block{.rows = 1, .keys = 5};
  EXPECT_TRUE(softmax->forward(block, logits.data(), p.data()).ok());
  softmax->backward(block, logits.data(), p.data(), grad_p.data(), grad.data(), nullptr);
  EXPECT_EQ(grad[0], 0);  // x = 127
  EXPECT_NE(grad[1], 0);
  EXPECT_EQ(grad[2], 0);  // x = -128
  EXPECT_NE(grad[3], 0);
  EXPECT_EQ(grad[4], 0);
}

TEST(TrainingSoftmaxTest, EmptyAndOneElementRowsAreFinite) {
  const std::vector<HeadEntry> heads = {{.params = HeadParams(127, {{1, 127}}), .step = 0.1}};  // F = 0
  std::vector<TrainingSoftmax> softmaxes = {TrainingSoftmax::exact(),
                                            *TrainingSoftmax::int8_exact(std::vector<double>{0.1})};
  softmaxes.push_back(*TrainingSoftmax::hccs(heads, Normalisation::kScaled, OutputType::kUint8));
  const uint8_t none = 0;
  for (const TrainingSoftmax& softmax : softmaxes) {
    for (const auto& [keys, mask] : {std::pair<int64_t, const uint8_t*>{1, nullptr}, {1, &none}, {7, &none}}) {
      const std::vector<float> logits(keys, 3.0F);
      const std::vector<float> grad_p(keys, 0.7F);
      std::vector<float> p(keys), grad(keys, 1.0F);
      HeadGradient parameters;
      const SoftmaxBlock block{.rows = 1, .keys = keys, .mask_bits = mask};
      EXPECT_TRUE(softmax.forward(block, logits.data(), p.data()).ok());
      softmax.backward(block, logits.data(), p.data(), grad_p.data(), grad.data(), &parameters);
      for (int64_t i = 0; i < keys; ++i) {
        EXPECT_EQ(p[i], mask == nullptr ? 1.0F : 0.0F);
        EXPECT_NEAR(grad[i], 0.0F, 1e-6);
      }
      EXPECT_NEAR(parameters.offset, 0, 1e-9);
      EXPECT_NEAR(parameters.step, 0, 1e-9);
    }
  }
}

TEST(TrainingSoftmaxTest, TheExactBackwardIsSoftmaxs) {
  std::mt19937_64 random(kSeed);
  std::normal_distribution<float> normal(0, 2);
  const int64_t n = 9;
  std::vector<float> logits(n), weights(n), p(n), grad(n);
  for (auto* v : {&logits, &weights}) std::generate(v->begin(), v->end(), [&] { return normal(random); });
  const TrainingSoftmax softmax = TrainingSoftmax::exact();
  const SoftmaxBlock block{.rows = 1, .keys = n};
  EXPECT_TRUE(softmax.forward(block, logits.data(), p.data()).ok());
  softmax.backward(block, logits.data(), p.data(), weights.data(), grad.data(), nullptr);
  for (int64_t i = 0; i < n; ++i) {
    const double exact = central_difference(
        [&](double v) {
          double sum = 0;
          double loss = 0;
          for (int64_t j = 0; j < n; ++j) {
            const double e = std::exp(j == i ? v : double{logits[j]});
            sum += e;
            loss += e * weights[j];
          }
          return loss / sum;
        },
        logits[i], 1e-5);
    EXPECT_NEAR(grad[i], exact, 1e-5);
  }
}

}  // namespace
}  // namespace hccs::training
