// SPDX-License-Identifier: Apache-2.0
//
// The pass against finite differences and against the encoder that deploys its weights.
#include "training/bert.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <random>

#include "../formats/temporary_folder.h"
#include "hccs/calibration.h"

namespace hccs::training {
namespace {

constexpr uint64_t kSeed = 7;
constexpr int64_t kHeads = 2;
constexpr int64_t kLayers = 2;

class BertPassTest : public test::WithFolder {
 protected:
  BertPassTest() {
    const BertConfig config{.vocabulary_size = 40,
                            .hidden_size = 12,
                            .layers = kLayers,
                            .heads = kHeads,
                            .intermediate_size = 20,
                            .max_positions = 24,
                            .type_vocabulary_size = 2};
    weights_ = random_weights(config, std::vector<std::string>{"no", "maybe", "yes"}, kSeed);
    std::mt19937_64 random(kSeed);
    std::normal_distribution<float> normal(0, 1);
    for (Tensor& t : weights_.tensors) {  // larger than BERT's start, so that attention is not flat
      for (float& w : t.values) w += 0.3F * normal(random);
    }
    for (const int64_t length : {1, 7, 3, 12, 20}) {
      Encoding text;
      for (int64_t i = 0; i < length; ++i) text.ids.push_back(static_cast<int32_t>(random() % 40));
      if (length > 4) text.second_begin = length / 2;
      text.untruncated_size = length;
      texts_.push_back(text);
      packed_.add(text);
    }
    for (int64_t h = 0; h < kLayers * kHeads; ++h) {
      entries_.push_back({.params = HeadParams(900 + static_cast<int32_t>(h), {{20, 15}, {7, 60}}), .step = 0.05});
    }
  }

  // The weights as a folder, read back.
  ModelFolder save(bool int8 = false, const ActivationScales* scales = nullptr) {
    std::string words = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n";
    for (int i = 4; i < 40; ++i) words += "w" + std::to_string(i) + "\n";
    const auto vocabulary = put("words.txt", words);
    const auto target = folder() / "model";
    std::filesystem::create_directories(target);
    EXPECT_TRUE(write_model_files(target, weights_, "tiny", vocabulary, true, 24).ok());
    EXPECT_TRUE(write_weights(target / "model.safetensors", weights_, int8).ok());
    if (scales != nullptr) put("model/" + std::string(kActivationScalesFile), to_json(*scales));
    Expected<ModelFolder> model = open_model_folder(target);
    EXPECT_TRUE(model.ok()) << model.status().message();
    return *model;
  }

  std::vector<double> steps() const {
    std::vector<double> steps;
    for (const HeadEntry& e : entries_) steps.push_back(e.step);
    return steps;
  }

  Weights weights_;
  std::vector<Encoding> texts_;
  PackedTexts packed_;
  std::vector<HeadEntry> entries_;
  const std::vector<int32_t> labels_ = {0, 2, 1, 2, 0};
};

TEST_F(BertPassTest, GradientsAreTheLossesDerivatives) {
  BertPass pass(weights_);
  const TrainingSoftmax exact = TrainingSoftmax::exact();
  const std::vector<float> teacher = {1, 0, -1, 0.5, 2, 0, 0, 0, 1, -1, 1, 0, 0.3F, 0.2F, 0.1F};
  const LossOptions loss{.labels = labels_, .teacher_logits = teacher, .distillation_weight = 0.3, .batch_texts = 5};
  const auto value = [&] {
    const Expected<double> result = pass.run(packed_, exact, {}, loss);
    EXPECT_TRUE(result.ok()) << result.status().message();
    return *result;
  };
  value();
  std::vector<std::vector<float>> gradients(pass.gradients().begin(), pass.gradients().end());
  const int64_t hidden = weights_.config.hidden_size;
  gradients[kWordEmbeddings].resize(weights_.tensors[kWordEmbeddings].values.size());
  for (size_t t = 0; t < packed_.ids.size(); ++t) {
    for (int64_t i = 0; i < hidden; ++i) {
      gradients[kWordEmbeddings][packed_.ids[t] * hidden + i] += pass.word_gradient()[t * hidden + i];
    }
  }
  std::mt19937_64 random(kSeed);
  double largest = 0;
  for (size_t t = 0; t < gradients.size(); ++t) {
    for (int draw = 0; draw < 4; ++draw) {
      const size_t i = random() % gradients[t].size();
      float& w = weights_.tensors[t].values[i];
      const float before = w;
      constexpr float kStep = 4e-3F;
      w = before + kStep;
      const double up = value();
      w = before - kStep;
      const double down = value();
      w = before;
      const double exact_slope = (up - down) / (2 * kStep);
      EXPECT_NEAR(gradients[t][i], exact_slope, 2e-3 + 0.02 * std::abs(exact_slope))
          << weights_.tensors[t].name << "[" << i << "], seed " << kSeed;
      largest = std::max(largest, std::abs(exact_slope));
    }
  }
  EXPECT_GT(largest, 0.02);  // there was something to compare
}

TEST_F(BertPassTest, LogitsAreTheEncodersInEverySoftmax) {
  const ModelFolder model = save();
  const auto encoder = BertEncoder::load(model);
  ASSERT_TRUE(encoder.ok()) << encoder.status().message();
  ParamFile params{.model = "tiny", .layers = kLayers, .heads = kHeads, .knees = 2, .entries = entries_};
  struct Case {
    TrainingSoftmax training;
    std::unique_ptr<AttentionSoftmax> deployed;
    float tolerance;  // int8 roundings may fall the other way where the two sums differ in their last bits
  };
  std::vector<Case> cases;
  cases.push_back({TrainingSoftmax::exact(), make_exact_softmax(), 1e-4F});
  cases.push_back({TrainingSoftmax::int8_exact(steps()), make_int8_exact_softmax(steps(), kHeads), 2e-2F});
  for (const Normalisation n : {Normalisation::kDiv, Normalisation::kClb, Normalisation::kScaled}) {
    for (const OutputType o : {OutputType::kUint8, OutputType::kInt16}) {
      cases.push_back({*TrainingSoftmax::hccs(entries_, n, o), make_hccs_softmax(params, n, o), 2e-2F});
    }
  }
  BertPass pass(weights_);
  std::vector<float> exact;
  for (const Case& c : cases) {
    const auto found = pass.logits(packed_, c.training, {});
    const auto expected = encoder->classify(texts_, *c.deployed, {});
    ASSERT_TRUE(found.ok() && expected.ok()) << found.status().message() << expected.status().message();
    ASSERT_EQ(found->size(), expected->size());
    float difference_to_exact = 0;
    for (size_t i = 0; i < found->size(); ++i) {
      EXPECT_NEAR((*found)[i], (*expected)[i], c.tolerance) << "logit " << i;
      if (!exact.empty()) difference_to_exact = std::max(difference_to_exact, std::abs((*found)[i] - exact[i]));
    }
    if (exact.empty()) {
      exact = *found;
    } else {
      EXPECT_GT(difference_to_exact, 1e-4F);  // the softmax was used
    }
  }
}

TEST_F(BertPassTest, Int8ThroughoutIsWhatTheEncoderRuns) {
  ActivationScales scales{.layers = {}, .output = 0.02, .pooled = 1.0 / 127};
  for (int64_t l = 0; l < kLayers; ++l) scales.layers.push_back({0.02, 0.04, 0.04, 0.03, 0.02, 0.025, 0.03});
  const ModelFolder model = save(true, &scales);
  ASSERT_TRUE(model.activation_scales);
  EXPECT_EQ(model.activation_scales->layers[1].attention, 0.025);
  const auto encoder = BertEncoder::load(model);
  ASSERT_TRUE(encoder.ok());
  BertPass pass(weights_);
  const TrainingSoftmax softmax = *TrainingSoftmax::hccs(entries_, Normalisation::kScaled, OutputType::kUint8);
  ParamFile params{.model = "tiny", .layers = kLayers, .heads = kHeads, .knees = 2, .entries = entries_};
  const auto found = pass.logits(packed_, softmax, {.int8_weights = true, .scales = &scales});
  const auto plain = pass.logits(packed_, softmax, {});
  const auto expected =
      encoder->classify(texts_, *make_hccs_softmax(params, Normalisation::kScaled, OutputType::kUint8), {});
  ASSERT_TRUE(found.ok() && plain.ok() && expected.ok()) << found.status().message() << expected.status().message();
  double moved = 0;
  for (size_t i = 0; i < found->size(); ++i) {
    EXPECT_NEAR((*found)[i], (*expected)[i], 0.1) << "logit " << i;
    moved = std::max(moved, std::abs(double{(*found)[i]} - (*plain)[i]));
  }
  EXPECT_GT(moved, 1e-3);
}

TEST_F(BertPassTest, DropoutDependsOnItsSeedAlone) {
  BertPass pass(weights_);
  const TrainingSoftmax exact = TrainingSoftmax::exact();
  const LossOptions loss{.labels = labels_, .batch_texts = 5};
  const auto value = [&](uint64_t seed) {
    return *pass.run(packed_, exact, {.hidden_dropout = 0.2, .attention_dropout = 0.2, .dropout_seed = seed}, loss);
  };
  const double one = value(1);
  EXPECT_NE(one, value(2));
  EXPECT_EQ(one, value(1));
}

}  // namespace
}  // namespace hccs::training
