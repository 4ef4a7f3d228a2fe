// SPDX-License-Identifier: Apache-2.0
//
// The pass against finite differences, of itself and of its surrogate, and against the encoder that deploys its
// weights.
#include "training/bert.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <functional>
#include <random>

#include "../formats/temporary_folder.h"
#include "hccs/calibrate_model.h"
#include "hccs/encoder.h"
#include "surrogate_bert.h"
#include "training/calibrate_heads.h"

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
    EXPECT_TRUE(
        write_model_files(target, weights_, "tiny", std::vector<ModelFile>{{"vocab.txt", vocabulary}}, 24).ok());
    EXPECT_TRUE(write_weights(target / "model.safetensors", weights_, int8).ok());
    if (scales != nullptr) put("model/" + std::string(kActivationScalesFile), to_json(*scales));
    Expected<ModelFolder> model = open_model_folder(target);
    EXPECT_TRUE(model.ok()) << model.status().message();
    return *model;
  }

  BertPass make_pass() {
    Expected<BertPass> pass = BertPass::make(weights_);
    EXPECT_TRUE(pass.ok()) << pass.status().message();
    return std::move(*pass);
  }

  std::vector<double> steps() const {
    std::vector<double> steps;
    for (const HeadEntry& e : entries_) steps.push_back(e.step);
    return steps;
  }

  // Of the last run, as Weights::tensors: those of the words in the table's place.
  std::vector<std::vector<float>> gradients(const BertPass& pass) const {
    std::vector<std::vector<float>> gradients(pass.gradients().begin(), pass.gradients().end());
    const int64_t hidden = weights_.config.hidden_size;
    gradients[kWordEmbeddings].resize(weights_.tensors[kWordEmbeddings].values.size());
    for (size_t t = 0; t < packed_.ids.size(); ++t) {
      for (int64_t i = 0; i < hidden; ++i) {
        gradients[kWordEmbeddings][packed_.ids[t] * hidden + i] += pass.word_gradient()[t * hidden + i];
      }
    }
    return gradients;
  }

  // No two alike, the last with a step at which logits leave int8's range.
  static std::vector<HeadEntry> different_heads() {
    return {{.params = HeadParams(900, {{20, 8}, {7, 25}}), .step = 0.05},
            {.params = HeadParams(2000, {{40, 6}, {11, 14}, {3, 30}}), .step = 0.04},
            {.params = HeadParams(300, {{5, 20}}), .step = 0.03},
            {.params = HeadParams(1200, {{30, 9}, {8, 50}}), .step = 0.008}};
  }

  // Grids that cut off the upper third of what each place's values reach.
  ActivationScales cutting_scales(BertPass& pass) const {
    ActivationScales scales;
    scales.layers.resize(kLayers);
    // A place is shown before it is rounded, so what comes after it sees its grid.
    const auto logits = pass.logits(packed_, TrainingSoftmax::exact(), {.scales = &scales}, {},
                                    [&](const ActivationPlace& place, std::span<const float> values) -> Status {
                                      float largest = 0;
                                      for (const float v : values) largest = std::max(largest, std::abs(v));
                                      scales.at(place) = 0.65 * largest / 127;
                                      return {};
                                    });
    EXPECT_TRUE(logits.ok()) << logits.status().message();
    return scales;
  }

  Weights weights_;
  std::vector<Encoding> texts_;
  PackedTexts packed_;
  std::vector<HeadEntry> entries_;
  const std::vector<int32_t> labels_ = {0, 2, 1, 2, 0};
};

// With dropout too: a mask is a function of its seed, so the loss has a derivative.
TEST_F(BertPassTest, GradientsAreTheLossesDerivatives) {
  BertPass pass = make_pass();
  const TrainingSoftmax exact = TrainingSoftmax::exact();
  const std::vector<float> teacher = {1, 0, -1, 0.5, 2, 0, 0, 0, 1, -1, 1, 0, 0.3F, 0.2F, 0.1F};
  const LossOptions loss{.labels = labels_, .teacher_logits = teacher, .distillation_weight = 0.3, .batch_texts = 5};
  for (const PassOptions& options : {PassOptions{}, PassOptions{.hidden_dropout = 0.2, .dropout_seed = 3},
                                     PassOptions{.attention_dropout = 0.3, .dropout_seed = 3}}) {
    const auto value = [&] {
      const Expected<Loss> result = pass.run(packed_, exact, options, loss);
      EXPECT_TRUE(result.ok()) << result.status().message();
      return result->total;
    };
    value();
    const std::vector<std::vector<float>> found = gradients(pass);
    const std::string where = fmt::format(", dropout {} and {} by seed {}, seed {}", options.hidden_dropout,
                                          options.attention_dropout, options.dropout_seed, kSeed);
    std::mt19937_64 random(kSeed);
    int directions = 0;
    for (size_t t = 0; t < found.size(); ++t) {
      std::vector<float>& values = weights_.tensors[t].values;
      const std::vector<float> before = values;
      const auto derivative = [&](const std::function<float(size_t)>& direction) {
        constexpr float kStep = 4e-3F;
        for (size_t i = 0; i < values.size(); ++i) values[i] = before[i] + kStep * direction(i);
        const double up = value();
        for (size_t i = 0; i < values.size(); ++i) values[i] = before[i] - kStep * direction(i);
        const double down = value();
        values = before;
        return (up - down) / (2 * kStep);
      };
      for (int draw = 0; draw < 2; ++draw) {
        const size_t element = random() % values.size();
        const double slope = derivative([&](size_t i) { return i == element ? 1.0F : 0.0F; });
        EXPECT_NEAR(found[t][element], slope, 2e-3 + 0.02 * std::abs(slope))
            << weights_.tensors[t].name << "[" << element << "]" << where;
      }
      double squares = 0;
      for (const float g : found[t]) squares += double{g} * g;
      const double norm = std::sqrt(squares);
      if (norm < 1e-3) continue;  // the keys' biases: attention does not see them
      ++directions;
      const double slope = derivative([&](size_t i) { return static_cast<float>(found[t][i] / norm); });
      EXPECT_NEAR(slope, norm, 2e-4 + 0.01 * norm) << weights_.tensors[t].name << ", along its gradient" << where;
    }
    EXPECT_EQ(directions, std::ssize(found) - kLayers) << where;  // there was something to compare
  }
}

// The cross entropy is the same with and without a teacher; the distillation is a KL, 0 for a teacher that says the
// same.
TEST_F(BertPassTest, TheLossHasItsParts) {
  BertPass pass = make_pass();
  const TrainingSoftmax exact = TrainingSoftmax::exact();
  const Expected<Loss> alone = pass.run(packed_, exact, {}, {.labels = labels_, .batch_texts = 5});
  const Expected<std::vector<float>> own = pass.logits(packed_, exact, {});
  ASSERT_TRUE(alone.ok() && own.ok());
  EXPECT_NEAR(alone->total, alone->cross_entropy, 1e-6);
  EXPECT_EQ(alone->distillation, 0);
  constexpr double kTemperature = 3;
  constexpr double kWeight = 0.3;
  const auto taught_by = [&](const std::vector<float>& teacher) {
    return *pass.run(packed_, exact, {},
                     {.labels = labels_,
                      .teacher_logits = teacher,
                      .distillation_weight = kWeight,
                      .temperature = kTemperature,
                      .batch_texts = 5});
  };
  const Loss same = taught_by(*own);
  EXPECT_EQ(same.cross_entropy, alone->cross_entropy);
  EXPECT_NEAR(same.distillation, 0, 1e-6);

  const std::vector<float> teacher = {1, 0, -1, 0.5, 2, 0, 0, 0, 1, -1, 1, 0, 0.3F, 0.2F, 0.1F};
  const Loss other = taught_by(teacher);
  EXPECT_EQ(other.cross_entropy, alone->cross_entropy);
  double kl = 0;
  double entropy = 0;
  const auto softmax = [](const float* logits) {
    std::array<double, 3> p{};
    double sum = 0;
    for (int c = 0; c < 3; ++c) sum += p[c] = std::exp(logits[c] / kTemperature);
    for (double& value : p) value /= sum;
    return p;
  };
  for (int t = 0; t < 5; ++t) {
    const auto p = softmax(&teacher[3 * t]);
    const auto q = softmax(&(*own)[3 * t]);
    for (int c = 0; c < 3; ++c) {
      kl += p[c] * std::log(p[c] / q[c]) / 5;
      entropy -= p[c] * std::log(p[c]) / 5;
    }
  }
  EXPECT_NEAR(other.distillation, kl, 1e-5);
  const double soft = kTemperature * kTemperature * (kl + entropy);
  EXPECT_NEAR(other.total, (1 - kWeight) * other.cross_entropy + kWeight * soft, 1e-5);
}

TEST_F(BertPassTest, RoundedWeightsHaveTheGradientsAtTheirRoundedValues) {
  BertPass pass = make_pass();
  const TrainingSoftmax softmax = *TrainingSoftmax::hccs(different_heads(), Normalisation::kDiv, OutputType::kInt16);
  const LossOptions loss{.labels = labels_, .batch_texts = 5};
  const Expected<Loss> plain = pass.run(packed_, softmax, {}, loss);
  const Expected<Loss> rounded = pass.run(packed_, softmax, {.int8_weights = true}, loss);
  const std::vector<std::vector<float>> found = gradients(pass);
  for (Tensor& t : weights_.tensors) {
    if (is_int8_matrix(t)) round_rows_to_int8_grid(t.shape[1], std::vector<float>(t.values), t.values.data());
  }
  const Expected<Loss> at_rounded = pass.run(packed_, softmax, {}, loss);
  ASSERT_TRUE(plain.ok() && rounded.ok() && at_rounded.ok());
  EXPECT_NE(rounded->total, plain->total);
  EXPECT_NEAR(rounded->total, at_rounded->total, 1e-6);
  const std::vector<std::vector<float>> expected = gradients(pass);
  for (size_t t = 0; t < expected.size(); ++t) {
    for (size_t i = 0; i < expected[t].size(); ++i) {
      EXPECT_NEAR(found[t][i], expected[t][i], 1e-6) << weights_.tensors[t].name << "[" << i << "], seed " << kSeed;
    }
  }
}

// Every gradient, the heads' too, is the derivative of the surrogate of everything that was rounded or cut off.
TEST_F(BertPassTest, QuantisedGradientsAreTheSurrogatesDerivatives) {
  BertPass pass = make_pass();
  const std::vector<HeadEntry> heads = different_heads();
  std::vector<double> steps;
  for (const HeadEntry& head : heads) steps.push_back(head.step);
  const ActivationScales scales = cutting_scales(pass);
  struct Case {
    const char* name;
    TrainingSoftmax softmax;
    PassOptions options;
  };
  const TrainingSoftmax hccs = *TrainingSoftmax::hccs(heads, Normalisation::kScaled, OutputType::kUint8);
  for (const Case& c : {Case{"int8 activations", TrainingSoftmax::exact(), {.scales = &scales}},
                        Case{"int8-exact", *TrainingSoftmax::int8_exact(steps), {}}, Case{"HCCS", hccs, {}},
                        Case{"HCCS, int8 throughout", hccs, {.int8_weights = true, .scales = &scales}}}) {
    SCOPED_TRACE(fmt::format("{}, seed {}", c.name, kSeed));
    const SurrogateBert surrogate(weights_, pass, packed_, c.softmax, heads, c.options);
    if (c.options.scales != nullptr) {
      EXPECT_EQ(std::ssize(surrogate.cut()), 7 * kLayers + 2);  // every place has a grid
      for (const auto& [place, cut] : surrogate.cut())
        EXPECT_GT(cut, 0) << "layer " << place.layer << ", " << place.kind;
    }
    const Expected<Loss> loss = pass.run(packed_, c.softmax, c.options, {.labels = labels_, .batch_texts = 5});
    ASSERT_TRUE(loss.ok()) << loss.status().message();
    SurrogateBert::Parameters at = SurrogateBert::parameters(weights_, heads);
    EXPECT_NEAR(loss->total, surrogate.loss(at, labels_), 1e-5);
    const auto derivative = [&](double& value, double step) {
      const double before = value;
      value = before + step;
      const double up = surrogate.loss(at, labels_);
      value = before - step;
      const double down = surrogate.loss(at, labels_);
      value = before;
      return (up - down) / (2 * step);
    };
    const std::vector<std::vector<float>> found = gradients(pass);
    std::mt19937_64 random(kSeed);
    int compared = 0;
    for (size_t t = 0; t < found.size(); ++t) {
      for (int draw = 0; draw < 4; ++draw) {
        const size_t i = random() % found[t].size();
        const double slope = derivative(at.tensors[t][i], 1e-5);
        EXPECT_NEAR(found[t][i], slope, 1e-5 + 1e-3 * std::abs(slope)) << weights_.tensors[t].name << "[" << i << "]";
        if (std::abs(slope) > 1e-3) ++compared;
      }
    }
    EXPECT_GT(compared, 2 * std::ssize(found));
    for (size_t h = 0; h < heads.size(); ++h) {
      // In the units of the parameter, so that each is of the loss' size.
      const HeadGradient& gradient = pass.head_gradients()[h];
      HeadGradient& head = at.heads[h];
      const auto expect = [&](double derived, double& value, double unit, const std::string& what) {
        const bool learnable = c.softmax.kind() == SoftmaxKind::kHccs;
        const double slope = unit * derivative(value, 1e-5 * unit);
        EXPECT_NEAR(unit * derived, slope, 1e-5 + 1e-3 * std::abs(slope)) << what << " of head " << h;
        EXPECT_EQ(derived != 0, learnable) << what << " of head " << h;
      };
      expect(gradient.offset, head.offset, head.offset, "B");
      expect(gradient.step, head.step, head.step, "step");
      for (int k = 0; k < heads[h].params.knee_count; ++k) {
        expect(gradient.slope[k], head.slope[k], head.slope[k], fmt::format("S_{}", k + 1));
        expect(gradient.position[k], head.position[k], 32, fmt::format("D_{}", k + 1));
      }
    }
  }
}

TEST_F(BertPassTest, OnlyAHeadThatTheLossSeesHasAGradient) {
  BertPass pass = make_pass();
  const TrainingSoftmax softmax = *TrainingSoftmax::hccs(different_heads(), Normalisation::kDiv, OutputType::kInt16);
  const int64_t hidden = weights_.config.hidden_size;
  const int64_t dimension = weights_.config.head_dimension();
  const Weights all = weights_;
  for (int64_t seen = 0; seen < kLayers * kHeads; ++seen) {
    for (int64_t l = 0; l < kLayers; ++l) {
      const std::string name = fmt::format("bert.encoder.layer.{}.attention.output.dense.weight", l);
      const auto tensor = std::find_if(weights_.tensors.begin(), weights_.tensors.end(),
                                       [&](const Tensor& t) { return t.name == name; });
      for (int64_t i = 0; i < hidden * hidden; ++i) {
        const int64_t head = l * kHeads + i % hidden / dimension;  // whose context this column takes
        tensor->values[i] = head == seen ? all.at(name).values[i] : 0.0F;
      }
    }
    ASSERT_TRUE(pass.run(packed_, softmax, {}, {.labels = labels_, .batch_texts = 5}).ok());
    for (int64_t h = 0; h < kLayers * kHeads; ++h) {
      const HeadGradient& g = pass.head_gradients()[h];
      for (const double value : {g.offset, g.slope[0], g.position[0], g.step}) {
        EXPECT_EQ(value != 0, h == seen) << "head " << h << ", the loss sees " << seen << ", seed " << kSeed;
      }
    }
  }
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
  const auto value = [](auto expected) {
    EXPECT_TRUE(expected.ok()) << expected.status().message();
    return std::move(*expected);
  };
  cases.push_back(
      {value(TrainingSoftmax::int8_exact(steps())), value(make_int8_exact_softmax(steps(), kHeads)), 2e-2F});
  for (const Normalisation n : {Normalisation::kDiv, Normalisation::kClb, Normalisation::kScaled}) {
    for (const OutputType o : {OutputType::kUint8, OutputType::kInt16}) {
      cases.push_back({value(TrainingSoftmax::hccs(entries_, n, o)), value(make_hccs_softmax(params, n, o)), 2e-2F});
    }
  }
  BertPass pass = make_pass();
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
  BertPass pass = make_pass();
  const TrainingSoftmax softmax = *TrainingSoftmax::hccs(entries_, Normalisation::kScaled, OutputType::kUint8);
  ParamFile params{.model = "tiny", .layers = kLayers, .heads = kHeads, .knees = 2, .entries = entries_};
  const auto found = pass.logits(packed_, softmax, {.int8_weights = true, .scales = &scales});
  const auto plain = pass.logits(packed_, softmax, {});
  const auto deployed = make_hccs_softmax(params, Normalisation::kScaled, OutputType::kUint8);
  ASSERT_TRUE(deployed.ok()) << deployed.status().message();
  const auto expected = encoder->classify(texts_, **deployed, {});
  ASSERT_TRUE(found.ok() && plain.ok() && expected.ok()) << found.status().message() << expected.status().message();
  double moved = 0;
  for (size_t i = 0; i < found->size(); ++i) {
    EXPECT_NEAR((*found)[i], (*expected)[i], 0.1) << "logit " << i;
    moved = std::max(moved, std::abs(double{(*found)[i]} - (*plain)[i]));
  }
  EXPECT_GT(moved, 1e-3);
}

// Whatever fails inside a pass comes out of it as the Status that it is, through torch and back.
TEST_F(BertPassTest, AnErrorWithinAPassIsItsResult) {
  BertPass pass = make_pass();
  const LossOptions loss{.labels = labels_, .batch_texts = 5};
  const auto expect_error = [](const Status& status, StatusCode code, const std::string& message) {
    EXPECT_EQ(status.code(), code);
    EXPECT_EQ(status.message(), message);
  };
  const std::vector<HeadEntry> too_few(entries_.begin(), entries_.end() - 1);
  const TrainingSoftmax softmax = *TrainingSoftmax::hccs(too_few, Normalisation::kScaled, OutputType::kUint8);
  const std::string message = fmt::format("head {}, but the softmax has {}", too_few.size(), too_few.size());
  expect_error(pass.run(packed_, softmax, {}, loss).status(), StatusCode::kMismatch, message);
  expect_error(pass.logits(packed_, softmax, {}).status(), StatusCode::kMismatch, message);

  const TrainingSoftmax exact = TrainingSoftmax::exact();
  const Status full(StatusCode::kIo, "the disk is full");
  const auto with_logits = [&](const std::function<Status()>& sink) {
    return pass.logits(packed_, exact, {}, [&](int64_t, int64_t, int64_t, int64_t, const float*) { return sink(); })
        .status();
  };
  const auto with_activations = [&](const std::function<Status()>& sink) {
    return pass.logits(packed_, exact, {}, {}, [&](const ActivationPlace&, std::span<const float>) { return sink(); })
        .status();
  };
  expect_error(with_logits([&] { return full; }), full.code(), full.message());
  expect_error(with_activations([&] { return full; }), full.code(), full.message());
  const auto out_of_memory = []() -> Status { throw std::bad_alloc(); };
  expect_error(with_logits(out_of_memory), StatusCode::kOutOfMemory, "training: out of memory");
  expect_error(with_activations(out_of_memory), StatusCode::kOutOfMemory, "training: out of memory");

  PackedTexts beyond;  // a token that no table has
  beyond.add({.ids = {1, 2}, .untruncated_size = 2});
  beyond.positions[1] = 1 << 20;
  const Status refused = pass.logits(beyond, exact, {}).status();
  EXPECT_EQ(refused.code(), StatusCode::kUnsupported);
  EXPECT_EQ(refused.message().find("training: torch: "), 0U) << refused.message();

  EXPECT_TRUE(pass.run(packed_, exact, {}, loss).ok()) << "a pass after a failed one is as good";
}

TEST_F(BertPassTest, DropoutDependsOnItsSeedAlone) {
  BertPass pass = make_pass();
  const TrainingSoftmax exact = TrainingSoftmax::exact();
  const LossOptions loss{.labels = labels_, .batch_texts = 5};
  const auto value = [&](uint64_t seed) {
    return pass.run(packed_, exact, {.hidden_dropout = 0.2, .attention_dropout = 0.2, .dropout_seed = seed}, loss)
        ->total;
  };
  const double one = value(1);
  EXPECT_NE(one, value(2));
  EXPECT_EQ(one, value(1));
}

// The trainer and `hccs calibrate` calibrate on the same rows of the same texts: their results differ by what the two
// passes' sums round. Other rows, those of another seed, would differ by far more.
TEST_F(BertPassTest, HeadsAreCalibratedOnTheRowsThatTheLibrarySamples) {
  const BertConfig& config = weights_.config;
  const std::vector<std::vector<int32_t>> batches = {{0, 1}, {2, 3, 4}};  // as the texts stand
  BertPass pass = make_pass();
  const auto trained =
      calibrate_heads(pass, config, texts_, batches, {.model = "m", .seed = 5, .options = {.knees = 2}});
  ASSERT_TRUE(trained.ok()) << trained.status().message();

  const auto encoder = BertEncoder::load(save());
  ASSERT_TRUE(encoder.ok()) << encoder.status().message();
  const auto by_library = [&](uint64_t seed) {
    const CalibrateModelOptions options{.calibration = {.knees = 2}, .seed = seed};
    HeadSamples samples(config.layers, config.heads, options.rows, options.seed);
    const auto softmax = make_capturing_softmax(make_exact_softmax(), [&](const AttentionBlock& b) {
      return samples.add(b.layer, b.head, b.text, b.length, b.logits);
    });
    EXPECT_TRUE(encoder->embed(texts_, **softmax, {}).ok());
    const auto fits = calibrate(samples.samples(), config.heads, options.calibration);
    EXPECT_TRUE(fits.ok()) << fits.status().message();
    return make_param_file(*fits, options, {.name = "m", .layers = config.layers, .heads = config.heads});
  };
  const ParamFile same = by_library(5);
  const ParamFile other = by_library(6);
  ASSERT_EQ(trained->entries.size(), same.entries.size());
  EXPECT_EQ(trained->sequence_length, same.sequence_length);
  EXPECT_EQ(trained->seed, same.seed);
  double moved = 0;  // by other rows, in the head that these move most
  for (size_t i = 0; i < same.entries.size(); ++i) {
    EXPECT_EQ(trained->entries[i].rows, same.entries[i].rows) << i;
    EXPECT_NEAR(trained->entries[i].kl_continuous, same.entries[i].kl_continuous, 1e-5) << i;
    moved = std::max(moved, std::abs(trained->entries[i].kl_continuous - other.entries[i].kl_continuous));
  }
  EXPECT_GT(moved, 1e-3);
}

}  // namespace
}  // namespace hccs::training
