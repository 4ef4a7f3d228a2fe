// SPDX-License-Identifier: Apache-2.0
//
// From a small random BERT to an integer model: the same bytes each time, and near the float model.
#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>

#include "../encoder/tiny_bert.h"
#include "../formats/temporary_folder.h"
#include "hccs/calibrate_model.h"
#include "hccs/integer_encoder.h"
#include "hccs/quantise_model.h"
#include "quantiser/requantise.h"
#include "quantiser/round_weights.h"

namespace hccs {
namespace {

using internal::factor_of;
using internal::inverse_factor;
using internal::round_weights;

std::string content(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

class QuantiseModel : public EncoderTest {
 protected:
  void SetUp() override {
    EncoderTest::SetUp();
    bert_.emplace(load(make_tiny_bert(make_config(48, 4, 96), "", 3)));
    model_.emplace(*open_model_folder(folder_));
    std::mt19937_64 random(4);
    for (int t = 0; t < 150; ++t) {
      std::string text;
      for (uint64_t i = 3 + random() % 20; i > 0; --i) text += fmt::format("w{} ", 4 + random() % 46);
      texts_.push_back(text);
    }
    const Expected<ModelCalibration> calibrated = calibrate_model(*model_, texts_, {});
    ASSERT_TRUE(calibrated.ok()) << calibrated.status().message();
    params_ = calibrated->params;
  }

  std::filesystem::path path() const { return folder_ / "model.hccs"; }

  QuantisedModel quantise(const QuantiseModelOptions& options) {
    const Expected<QuantisedModel> made = quantise_model(*model_, texts_, params_, options, path());
    EXPECT_TRUE(made.ok()) << made.status().message();
    return made.ok() ? *made : QuantisedModel();
  }

  // The least and the mean cosine of the integer model's embeddings to the float model's.
  std::pair<double, double> cosines() {
    const IntegerEncoder integers = *IntegerEncoder::load(path());
    const std::vector<Encoding> encodings = encode_texts(*model_, texts_, 0)->encodings;
    const std::vector<float> exact = *bert_->embed(encodings, *make_exact_softmax(), {});
    const std::vector<float> rounded = *integers.embed(encodings, {});
    EXPECT_EQ(*integers.embed_texts(texts_, {}), rounded);
    double least = 1;
    double sum = 0;
    for (size_t t = 0; t < texts_.size(); ++t) {
      double dot = 0;
      for (size_t i = 48 * t; i < 48 * (t + 1); ++i) dot += double{exact[i]} * rounded[i];
      least = std::min(least, dot);
      sum += dot;
    }
    return {least, sum / static_cast<double>(texts_.size())};
  }

  std::optional<BertEncoder> bert_;
  std::optional<ModelFolder> model_;
  std::vector<std::string> texts_;
  ParamFile params_;
};

TEST_F(QuantiseModel, TakesTokens) {
  const auto encoded = encode_texts(*model_, texts_, 0);
  const auto made = quantise_model_on_tokens(*model_, encoded->encodings, params_, {}, path());
  ASSERT_TRUE(made.ok()) << made.status().message();
  const std::vector<float> embeddings = *IntegerEncoder::load(path())->embed_texts(texts_, {});
  quantise({});
  EXPECT_EQ(*IntegerEncoder::load(path())->embed_texts(texts_, {}), embeddings);  // the files' origins differ
  const std::vector<Encoding> unknown = {{.ids = {2, 5, 3}}, {.ids = {2, 1 << 20, 3}}};
  EXPECT_TRUE(test::fails(quantise_model_on_tokens(*model_, unknown, params_, {}, path()), StatusCode::kInvalidArgument,
                          {"1048576"}));
  EXPECT_TRUE(test::fails(quantise_model_on_tokens(*model_, {}, params_, {}, path()), StatusCode::kInvalidArgument,
                          {"at least 1"}));
}

TEST_F(QuantiseModel, GivesTheSameBytesTwiceAndForEveryNumberOfThreads) {
  quantise({.threads = 1});
  const std::string first = content(path());
  ASSERT_FALSE(first.empty());
  quantise({.threads = 1});
  EXPECT_EQ(content(path()), first);
  quantise({.threads = 2});
  EXPECT_EQ(content(path()), first);
  quantise({.rounding = WeightRounding::kNearest});
  EXPECT_NE(content(path()), first);
}

TEST_F(QuantiseModel, FindsHeadsOfItsOwn) {
  quantise({});
  const std::string fixed = content(path());
  quantise({.heads = HeadUse::kStart, .threads = 1});
  const std::string found = content(path());
  EXPECT_NE(found, fixed);
  quantise({.heads = HeadUse::kStart, .threads = 3});
  EXPECT_EQ(content(path()), found);
  const auto [least, mean] = cosines();
  EXPECT_GT(mean, 0.995);
  EXPECT_GT(least, 0.98);
}

// Heads that are far from the exponential: a model that was trained with them is kept, not led back to the exponential.
TEST_F(QuantiseModel, KeepsWhatWasTrainedWithTheHeads) {
  for (HeadEntry& entry : params_.entries) entry.params = HeadParams(127, {{1, 100}});
  const QuantisedModel trained = quantise({.heads = HeadUse::kTrained, .report_texts = 20});
  const QuantisedModel fixed = quantise({.heads = HeadUse::kFixed, .report_texts = 20});
  EXPECT_GT(trained.layers.back().mean, 0.99);
  EXPECT_LT(1 - trained.layers.back().mean, 0.5 * (1 - fixed.layers.back().mean));
}

TEST_F(QuantiseModel, IsNearTheFloatModel) {
  for (const WeightRounding rounding : {WeightRounding::kGptq, WeightRounding::kNearest}) {
    for (const AttentionWeights weights : {AttentionWeights::kUint8, AttentionWeights::kWide}) {
      const QuantisedModel made = quantise({.attention_weights = weights, .rounding = rounding, .report_texts = 20});
      const auto [least, mean] = cosines();
      EXPECT_GT(mean, 0.995);
      EXPECT_GT(least, 0.98);
      ASSERT_EQ(made.layers.size(), 3U);
      for (const LayerCosine& layer : made.layers) EXPECT_GT(layer.mean, 0.99);
      EXPECT_GT(made.layers[0].mean, 0.9999);
    }
  }
}

TEST_F(QuantiseModel, SaysWhereItComesFrom) {
  const QuantisedModel made = quantise({.attention_weights = AttentionWeights::kWide, .tokens = 200});
  EXPECT_LE(made.tokens, 260);
  EXPECT_GT(made.tokens, 100);
  const IntegerModelInfo info = IntegerEncoder::load(path())->info();
  EXPECT_EQ(info.name, model_->name);
  EXPECT_EQ(info.weights_digest, model_->weights.digest());
  EXPECT_EQ(info.knees, 3);
  EXPECT_EQ(info.calibration_texts, made.texts);
  EXPECT_EQ(info.calibration_tokens, made.tokens);
  EXPECT_EQ(info.calibration_digest, params_.data_digest);
  EXPECT_EQ(info.attention_weights, AttentionWeights::kWide);
  EXPECT_EQ(info.layers, 2);
  EXPECT_TRUE(info.labels.empty());
}

TEST_F(QuantiseModel, RefusesWhatItCannotUse) {
  const auto code = [&](const Expected<QuantisedModel>& made) { return made.status().code(); };
  EXPECT_EQ(code(quantise_model(*model_, {}, params_, {}, path())), StatusCode::kInvalidArgument);
  EXPECT_EQ(code(quantise_model(*model_, texts_, params_, {.threads = 0}, path())), StatusCode::kInvalidArgument);
  EXPECT_EQ(code(quantise_model(*model_, texts_, params_,
                                {.rounding = WeightRounding::kNearest, .heads = HeadUse::kStart}, path())),
            StatusCode::kInvalidArgument);
  ParamFile others = params_;
  others.weights_digest = "xxh3-128:0";
  EXPECT_EQ(code(quantise_model(*model_, texts_, others, {}, path())), StatusCode::kMismatch);
  const auto stop = [](int64_t, int64_t) { return false; };
  EXPECT_EQ(code(quantise_model(*model_, texts_, params_, {.observe_progress = stop}, path())), StatusCode::kCancelled);
  EXPECT_EQ(code(quantise_model(*model_, texts_, params_, {.quantise_progress = stop}, path())),
            StatusCode::kCancelled);
  model_->sentence.pooling = {Pooling::kMax};
  EXPECT_EQ(code(quantise_model(*model_, texts_, params_, {}, path())), StatusCode::kUnsupported);
  EXPECT_FALSE(std::filesystem::exists(path()));
}

TEST(FactorOf, IsTheNearestOfFifteenBits) {
  for (const double x : {1.0, 0.75, 3.0e-9, 123456.7, 0x1.fffffp-3, 1e-30}) {
    const auto [multiplier, shift] = factor_of(x);
    EXPECT_GE(multiplier, 1 << 14);
    EXPECT_LT(multiplier, 1 << 15);
    EXPECT_NEAR(std::ldexp(multiplier, -shift) / x, 1, 0x1p-15) << x;
  }
}

TEST(RoundWeights, GptqChangesTheProductsLess) {
  std::mt19937_64 random(9);
  std::normal_distribution<double> normal;
  const int64_t n = 40;
  const int64_t rows = 300;
  // Inputs that depend on each other, as activations do.
  std::vector<double> x(static_cast<size_t>(rows * n));
  for (int64_t r = 0; r < rows; ++r) {
    const double common = 3 * normal(random);
    for (int64_t i = 0; i < n; ++i) x[static_cast<size_t>(r * n + i)] = common + normal(random);
  }
  std::vector<double> moments(static_cast<size_t>(n * n));
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        moments[static_cast<size_t>(i * n + j)] +=
            x[static_cast<size_t>(r * n + i)] * x[static_cast<size_t>(r * n + j)];
      }
    }
  }
  std::vector<double> weights(static_cast<size_t>(5 * n));
  for (double& w : weights) w = normal(random);
  const auto error = [&](const internal::RoundedWeights& rounded) {
    double sum = 0;
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t j = 0; j < 5; ++j) {
        double difference = 0;
        for (int64_t i = 0; i < n; ++i) {
          const auto at = static_cast<size_t>(j * n + i);
          difference += x[static_cast<size_t>(r * n + i)] *
                        (rounded.integers[at] * rounded.scales[static_cast<size_t>(j)] - weights[at]);
        }
        sum += difference * difference;
      }
    }
    return sum;
  };
  EXPECT_LT(error(round_weights(weights, n, inverse_factor(moments, n, 0.01), 1)),
            0.5 * error(round_weights(weights, n, {}, 1)));
  const internal::RoundedWeights zero =
      round_weights(std::vector<double>(static_cast<size_t>(n)), n, inverse_factor(moments, n, 0.01), 2);
  EXPECT_EQ(zero.scales[0], 1);
  EXPECT_TRUE(std::all_of(zero.integers.begin(), zero.integers.end(), [](int8_t w) { return w == 0; }));
}

}  // namespace
}  // namespace hccs
