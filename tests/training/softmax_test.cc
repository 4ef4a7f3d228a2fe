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
    softmax->forward(block, logits.data(), p.data());
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
  const auto capture = make_capturing_softmax(make_exact_softmax(), [&](const AttentionBlock& b) {
    const SoftmaxBlock block{
        .head = b.layer * model->config.heads + b.head, .rows = b.length, .keys = b.length, .mask_bits = nullptr};
    const std::span logits(b.logits, static_cast<size_t>(b.length * b.length));
    std::vector<float> p(logits.size());
    softmax->forward(block, logits.data(), p.data());
    expect_reference<uint8_t>(heads[block.head], Normalisation::kScaled, block, logits, p, kFullScaleUint8);
    ++blocks;
  });
  const auto encoder = BertEncoder::load(*model);
  ASSERT_TRUE(encoder.ok());
  ASSERT_TRUE(encoder->embed(texts, *capture, {}).ok());
  EXPECT_EQ(blocks, std::ssize(heads) * std::ssize(texts));
}

// ---- Backward ---------------------------------------------------------------------------------------

// The smooth surrogate of docs/training.md, in double, with real-valued parameters.
struct Surrogate {
  double offset;
  std::vector<double> slope, position;
  double step;

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

double central_difference(const std::function<double(double)>& f, double at, double h) {
  return (f(at + h) - f(at - h)) / (2 * h);
}

// Logits on the grid, so that rounding is the identity, with one maximum and no distance at a knee: there the surrogate
// has a derivative.
TEST(TrainingSoftmaxTest, TheBackwardIsTheSurrogatesDerivative) {
  std::mt19937_64 random(kSeed);
  std::uniform_real_distribution<double> uniform(-1, 1);
  int compared = 0;
  for (int trial = 0; trial < 300; ++trial) {
    const HeadParams params = random_params(random);
    const double step = 0.0625;
    const auto softmax = TrainingSoftmax::hccs(std::vector<HeadEntry>{{.params = params, .step = step}},
                                               Normalisation::kScaled, OutputType::kUint8);
    ASSERT_TRUE(softmax.ok());
    const int64_t n = 1 + static_cast<int64_t>(random() % 20);
    std::vector<uint8_t> mask((n + 7) / 8, 0);
    std::vector<bool> valid;
    std::vector<int> x;
    for (int64_t i = 0; i < n; ++i) {
      valid.push_back(random() % 4 != 0);
      if (valid.back()) mask[i / 8] |= static_cast<uint8_t>(1 << (i % 8));
      x.push_back(static_cast<int>(random() % 150) - 100);
    }
    const auto top = static_cast<int64_t>(random() % static_cast<uint64_t>(n));
    x[top] = 60;
    valid[top] = true;
    mask[top / 8] |= static_cast<uint8_t>(1 << (top % 8));
    bool smooth = true;
    for (int64_t i = 0; i < n; ++i) {
      for (const Knee& knee : params.active_knees()) smooth = smooth && (i == top || 60 - x[i] != knee.position);
    }
    if (!smooth) continue;

    std::vector<float> logits;
    std::vector<float> weights;  // the loss is sum of weights * p
    for (int64_t i = 0; i < n; ++i) {
      logits.push_back(static_cast<float>(x[i] * step));
      weights.push_back(static_cast<float>(uniform(random)));
    }
    std::vector<float> p(n), grad(n);
    HeadGradient found;
    const SoftmaxBlock block{.rows = 1, .keys = n, .mask_bits = mask.data()};
    softmax->forward(block, logits.data(), p.data());
    softmax->backward(block, logits.data(), p.data(), weights.data(), grad.data(), &found);

    Surrogate surrogate{static_cast<double>(params.offset), {}, {}, step};
    for (const Knee& knee : params.active_knees()) {
      surrogate.slope.push_back(knee.slope);
      surrogate.position.push_back(knee.position);
    }
    const auto loss = [&](const Surrogate& s, std::span<const double> at) {
      const std::vector<double> q = s(at, valid);
      double sum = 0;
      for (int64_t i = 0; i < n; ++i) sum += double{weights[i]} * q[i];
      return sum;
    };
    std::vector<double> point(logits.begin(), logits.end());
    const auto expect = [&](double exact, double value, const std::string& what) {
      EXPECT_NEAR(value, exact, 2e-4 * std::abs(exact) + 2e-6) << what << ", trial " << trial << ", seed " << kSeed;
      ++compared;
    };
    double sum = 0;
    for (int64_t i = 0; i < n; ++i) {
      const double exact = central_difference(
          [&](double v) {
            std::vector<double> moved = point;
            moved[i] = v;
            return loss(surrogate, moved);
          },
          point[i], 1e-6);
      expect(exact, grad[i], fmt::format("logit {}", i));
      sum += grad[i];
    }
    EXPECT_NEAR(sum, 0, 1e-5);  // adding a constant to all logits changes nothing
    const auto by = [&](auto member, double h) {
      return central_difference(
          [&](double v) {
            Surrogate moved = surrogate;
            member(moved) = v;
            return loss(moved, point);
          },
          member(surrogate), h);
    };
    expect(by([](Surrogate& s) -> double& { return s.offset; }, 1e-4), found.offset, "B");
    expect(by([](Surrogate& s) -> double& { return s.step; }, 1e-8), found.step, "step");
    for (size_t k = 0; k < surrogate.slope.size(); ++k) {
      expect(by([k](Surrogate& s) -> double& { return s.slope[k]; }, 1e-4), found.slope[k], fmt::format("S_{}", k + 1));
      expect(by([k](Surrogate& s) -> double& { return s.position[k]; }, 1e-4), found.position[k],
             fmt::format("D_{}", k + 1));
    }
  }
  EXPECT_GT(compared, 1000);
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
  softmax->forward(block, logits.data(), p.data());
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
                                            TrainingSoftmax::int8_exact(std::vector<double>{0.1})};
  softmaxes.push_back(*TrainingSoftmax::hccs(heads, Normalisation::kScaled, OutputType::kUint8));
  const uint8_t none = 0;
  for (const TrainingSoftmax& softmax : softmaxes) {
    for (const auto& [keys, mask] : {std::pair<int64_t, const uint8_t*>{1, nullptr}, {1, &none}, {7, &none}}) {
      const std::vector<float> logits(keys, 3.0F);
      const std::vector<float> grad_p(keys, 0.7F);
      std::vector<float> p(keys), grad(keys, 1.0F);
      HeadGradient parameters;
      const SoftmaxBlock block{.rows = 1, .keys = keys, .mask_bits = mask};
      softmax.forward(block, logits.data(), p.data());
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
  softmax.forward(block, logits.data(), p.data());
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
