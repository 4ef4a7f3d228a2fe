// SPDX-License-Identifier: Apache-2.0
//
// Whole runs of the trainer on a task that can be learnt in a second: what it writes, that it continues, what it
// refuses.
#include "training/trainer.h"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <random>
#include <span>

#include "hccs/safetensors.h"
#include "trainer_case.h"
#include "training/weights.h"

namespace hccs::training {
namespace {

namespace fs = std::filesystem;

TEST_F(TrainerTest, TheFolderHasTheReportedAccuracyInEverySoftmax) {
  const fs::path start = float_model();
  struct Case {
    std::string name;
    SoftmaxKind kind;
    Normalisation normalisation = Normalisation::kScaled;
    OutputType output = OutputType::kUint8;
    bool learnable = false;
    bool quantise_all = false;
  };
  const std::vector<Case> cases = {
      {"exact", SoftmaxKind::kExact},
      {"int8", SoftmaxKind::kInt8Exact},
      {"scaled", SoftmaxKind::kHccs},
      {"div", SoftmaxKind::kHccs, Normalisation::kDiv, OutputType::kInt16},
      {"clb", SoftmaxKind::kHccs, Normalisation::kClb, OutputType::kUint8},
      {"learnable", SoftmaxKind::kHccs, Normalisation::kScaled, OutputType::kUint8, true},
      {"int8-all", SoftmaxKind::kInt8Exact, Normalisation::kScaled, OutputType::kUint8, false, true},
      {"hccs-all", SoftmaxKind::kHccs, Normalisation::kScaled, OutputType::kInt16, true, true},
  };
  for (const Case& c : cases) {
    TrainOptions o = options(c.name);
    o.model = start;
    o.softmax = c.kind;
    o.normalisation = c.normalisation;
    o.output_type = c.output;
    o.learnable = c.learnable;
    o.quantise_all = c.quantise_all;
    if (c.normalisation != Normalisation::kScaled) {  // made for the paper's limits: beyond, div loses its mass
      o.calibration.limits = Limits::kPaper;
      o.calibration.length = 16;
      o.calibration.knees = 1;
    }
    o.epochs = 1;
    o.learning_rate = 1e-3;
    const auto result = run(o);
    ASSERT_TRUE(result.ok()) << c.name << ": " << result.status().message();
    EXPECT_GT(result->dev_accuracy, 0.8) << c.name;
    ParamFile params;
    if (c.kind != SoftmaxKind::kExact) {
      const auto file = read_param_file(o.output / kParamsFile);
      ASSERT_TRUE(file.ok()) << file.status().message();  // valid integers, learnt ones too
      params = *file;
      const auto model = open_model_folder(o.output);
      ASSERT_TRUE(model.ok());
      EXPECT_TRUE(check_matches(params, model->name, 2, 2, 8, model->weights.digest()).ok());
    }
    const auto softmax = deployed_softmax(c.kind, params, c.normalisation, c.output);
    ASSERT_TRUE(softmax.ok()) << c.name << ": " << softmax.status().message();
    EXPECT_EQ(accuracy(o.output, **softmax, task_.dev), result->dev_accuracy) << c.name;
    ASSERT_EQ(result->test_accuracies.size(), 1U);
    EXPECT_EQ(accuracy(o.output, **softmax, task_.tests[0]), result->test_accuracies[0].second) << c.name;
    const auto report = nlohmann::json::parse(get(o.output / kReportFile));
    EXPECT_EQ(report["dev_accuracy"].get<double>(), result->dev_accuracy);
    EXPECT_FALSE(fs::exists(o.output / kCheckpointFile));
  }
  EXPECT_TRUE(fs::exists(folder() / "int8-all" / kActivationScalesFile));
}

TEST_F(TrainerTest, Int8ThroughoutWritesWeightsOnTheirGrids) {
  TrainOptions o = options("all");
  o.model = float_model();
  o.softmax = SoftmaxKind::kHccs;
  o.quantise_all = true;
  o.epochs = 1;
  ASSERT_TRUE(run(o).ok());
  const auto model = open_model_folder(o.output);
  ASSERT_TRUE(model.ok());
  const auto weights = read_weights(*model, task_.labels, std::nullopt, 1);
  ASSERT_TRUE(weights.ok());
  int matrices = 0;
  for (const Tensor& t : weights->tensors) {
    if (!is_int8_matrix(t)) continue;
    ++matrices;
    for (int64_t row = 0; row < t.shape[0]; ++row) {
      const float* w = t.values.data() + row * t.shape[1];
      float largest = 0;
      for (int64_t i = 0; i < t.shape[1]; ++i) largest = std::max(largest, std::abs(w[i]));
      for (int64_t i = 0; i < t.shape[1] && largest > 0; ++i) {
        const float units = w[i] / (largest / 127);
        ASSERT_NEAR(units, std::nearbyint(units), 1e-3) << t.name;
      }
    }
  }
  EXPECT_EQ(matrices, 3 + 2 * 6 + 2);
}

TEST_F(TrainerTest, ASeedAndAThreadCountDetermineTheWeights) {
  const auto weights = [&](const std::string& name, uint64_t seed) {
    TrainOptions o = options(name);
    o.seed = seed;
    o.epochs = 1;
    EXPECT_TRUE(run(o).ok());
    return get(o.output / "model.safetensors");
  };
  const std::string first = weights("a", 1);
  EXPECT_EQ(first, weights("b", 1));
  EXPECT_NE(first, weights("c", 2));
}

TEST_F(TrainerTest, TheFirstLayersOfAFolderAreTaken) {
  TrainOptions o = options("one-layer");
  o.model = float_model();
  o.take_layers = 1;
  o.epochs = 0;
  ASSERT_TRUE(run(o).ok());
  const auto model = open_model_folder(o.output);
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_EQ(model->config.layers, 1);
  const auto original = Safetensors::open(*o.model / "model.safetensors");
  const std::string name = "bert.encoder.layer.0.output.dense.weight";
  EXPECT_EQ(*model->weights.read_float(name, std::array<int64_t, 2>{16, 24}),
            *original->read_float(name, std::array<int64_t, 2>{16, 24}));
  o.output = folder() / "three-layers";
  o.take_layers = 3;
  EXPECT_TRUE(test::fails(run(o), StatusCode::kMismatch, {"first 3 layers", "has 2"}));
}

// As Google's BERT checkpoints are: pre-training heads, "gamma" and "beta", no labels, no tokenizer_config.json.
TEST_F(TrainerTest, APreTrainingCheckpointIsTaken) {
  const auto model = open_model_folder(float_model());
  ASSERT_TRUE(model.ok()) << model.status().message();
  std::vector<TensorToWrite> tensors;
  const std::vector<float> unused(3);
  tensors.push_back({"cls.predictions.bias", "F32", {3}, std::as_bytes(std::span(unused))});
  for (const auto& [name, view] : model->weights.tensors()) {
    if (name.starts_with("classifier")) continue;
    const size_t norm = name.find("LayerNorm.");
    const std::string old = norm == std::string::npos
                                ? name
                                : name.substr(0, norm) + "LayerNorm." + (name.ends_with("weight") ? "gamma" : "beta");
    tensors.push_back({old, view.dtype, view.shape, view.data});
  }
  const fs::path start = folder() / "google";
  fs::create_directories(start);
  ASSERT_TRUE(write_safetensors(start / "model.safetensors", tensors).ok());
  fs::copy_file(vocabulary_, start / "vocab.txt");
  put("google/config.json", R"({"model_type": "bert", "hidden_act": "gelu", "hidden_size": 16, "num_hidden_layers": 2,
    "num_attention_heads": 2, "intermediate_size": 24, "max_position_embeddings": 16, "type_vocab_size": 2,
    "vocab_size": 12, "initializer_range": 0.02, "attention_probs_dropout_prob": 0.1})");
  TrainOptions o = options("fine-tuned");
  o.model = start;
  o.epochs = 1;
  o.learning_rate = 0;  // a new classifier, and the encoder as it is
  ASSERT_TRUE(run(o).ok());
  const auto tuned = open_model_folder(o.output);
  ASSERT_TRUE(tuned.ok()) << tuned.status().message();
  EXPECT_EQ(tuned->labels, task_.labels);
  for (const auto& [name, view] : model->weights.tensors()) {
    if (name.starts_with("classifier")) continue;
    const auto now = tuned->weights.tensors().find(name);
    ASSERT_NE(now, tuned->weights.tensors().end()) << name;
    EXPECT_TRUE(std::ranges::equal(view.data, now->second.data)) << name;
  }
}

TEST_F(TrainerTest, EarlyStopKeepsTheBest) {
  TrainOptions o = options("patient");
  o.epochs = 40;
  o.patience = 2;
  const auto result = run(o);
  ASSERT_TRUE(result.ok()) << result.status().message();
  EXPECT_LT(result->steps, 400);
  double best = 0;
  for (const Evaluation& e : result->history) best = std::max(best, e.accuracy);
  EXPECT_EQ(result->dev_accuracy, best);
  EXPECT_EQ(std::ssize(result->history) * 10, result->steps);
}

TEST_F(TrainerTest, ALossThatIsNotFiniteStopsTheRun) {
  const fs::path start = float_model();
  const auto model = open_model_folder(start);
  Weights weights = *read_weights(*model, task_.labels, std::nullopt, 1);
  for (Tensor& t : weights.tensors) {
    if (t.name == "bert.encoder.layer.1.output.dense.bias") t.values[3] = std::numeric_limits<float>::infinity();
  }
  ASSERT_TRUE(write_weights(start / "model.safetensors", weights, false).ok());
  TrainOptions o = options("broken");
  o.model = start;
  EXPECT_TRUE(test::fails(run(o), StatusCode::kBadData, {"loss", "step 1,", "no checkpoint yet"}));
  EXPECT_FALSE(fs::exists(o.output / "model.safetensors"));
}

TEST_F(TrainerTest, ADivergingRunKeepsItsLastCheckpoint) {
  TrainOptions o = options("diverging");
  o.learning_rate = 1e6;  // rises to that, and the weights with it, until products overflow
  o.warmup = 1;
  o.epochs = 4;
  o.checkpoint_steps = 1;
  const auto result = run(o);
  EXPECT_TRUE(test::fails(result, StatusCode::kBadData, {"must be finite; the last checkpoint is", kCheckpointFile}));
  const auto checkpoint = Safetensors::open(o.output / kCheckpointFile);
  ASSERT_TRUE(checkpoint.ok());
  expect_finite(*checkpoint);
}

TEST_F(TrainerTest, WeightsThatTheLastStepBrokeAreNoModel) {
  TrainOptions o = options("last");
  o.batch_size = 256;  // one step
  o.epochs = 1;
  o.learning_rate = 1e30;
  EXPECT_TRUE(test::fails(run(o), StatusCode::kBadData, {"dev set after step 1", "results are finite"}));
  EXPECT_FALSE(fs::exists(o.output / "model.safetensors"));
  EXPECT_FALSE(fs::exists(o.output / kReportFile));
}

// ---- The output folder ---------------------------------------------------------------------------

TEST_F(TrainerTest, AModelIsNotOverwritten) {
  TrainOptions o = options("float");
  o.model = float_model();
  fs::remove(o.output / kReportFile);  // as any folder of Hugging Face
  const std::string weights = get(o.output / "model.safetensors");
  const std::string config = get(o.output / "config.json");
  for (const bool resume : {false, true}) {
    o.resume = resume;
    EXPECT_TRUE(test::fails(run(o), StatusCode::kInvalidArgument, {"holds a model (model.safetensors)"}));
  }
  EXPECT_EQ(get(o.output / "model.safetensors"), weights);
  EXPECT_EQ(get(o.output / "config.json"), config);
}

TEST_F(TrainerTest, WhatAnEarlierRunLeftDoesNotCount) {
  TrainOptions clean = options("clean");
  clean.model = float_model();
  clean.epochs = 1;
  const auto expected = run(clean);
  ASSERT_TRUE(expected.ok());

  TrainOptions o = options("left");
  o.model = clean.model;
  o.softmax = SoftmaxKind::kHccs;
  o.quantise_all = true;
  ASSERT_FALSE(train(task_, o, [](const TrainProgress& p) { return p.step < 12; }).ok());  // after an evaluation
  ASSERT_TRUE(fs::exists(o.output / kActivationScalesFile) && fs::exists(o.output / kParamsFile));
  fs::remove(o.output / kCheckpointFile);

  clean.output = o.output;
  const auto result = run(clean);
  ASSERT_TRUE(result.ok()) << result.status().message();
  EXPECT_EQ(result->dev_accuracy, expected->dev_accuracy);
  EXPECT_EQ(get(o.output / "model.safetensors"), get(folder() / "clean" / "model.safetensors"));
  EXPECT_FALSE(fs::exists(o.output / kActivationScalesFile));
  EXPECT_FALSE(fs::exists(o.output / kParamsFile));
}

TEST_F(TrainerTest, TheModelsNameIsItsFoldersHoweverThatIsWritten) {
  TrainOptions o = options("slash");
  o.output = folder() / "slash" / "";
  o.model = float_model();
  o.softmax = SoftmaxKind::kHccs;
  o.epochs = 0;
  ASSERT_TRUE(run(o).ok());
  const auto params = read_param_file(folder() / "slash" / kParamsFile);
  const auto model = open_model_folder(folder() / "slash");
  ASSERT_TRUE(params.ok() && model.ok());
  EXPECT_EQ(model->name, "slash");
  EXPECT_TRUE(check_matches(*params, model->name, 2, 2, 8, model->weights.digest()).ok());
}

// ---- Learnable parameters ------------------------------------------------------------------------

TEST_F(TrainerTest, HeadsLearnAtARateOfTheirOwn) {
  TrainOptions o = options("heads");
  o.model = float_model();
  o.softmax = SoftmaxKind::kHccs;
  o.learnable = true;
  o.learning_rate = 0;  // so that nothing else moves
  o.epochs = 1;
  std::string start;
  for (const double rate : {0.01, 1000.0}) {  // the second: to the ends of all ranges
    o.head_learning_rate = rate;
    o.output = folder() / fmt::format("heads-{}", rate);
    const auto result = run(o);
    ASSERT_TRUE(result.ok()) << result.status().message();
    EXPECT_EQ(get(o.output / "model.safetensors"), get(*o.model / "model.safetensors"));
    const auto params = read_param_file(o.output / kParamsFile);
    ASSERT_TRUE(params.ok()) << params.status().message();
    for (const HeadEntry& e : params->entries) {
      const double b = e.params.offset;
      EXPECT_EQ(e.max_probability, b / (b + static_cast<double>((params->sequence_length - 1) * e.params.floor())));
    }
    const std::string integers = get(o.output / kParamsFile);
    EXPECT_NE(integers.substr(integers.find("parameters")), start);
    start = integers.substr(integers.find("parameters"));
  }
}

TEST_F(TrainerTest, LearnableParametersAreNativeAndNotShared) {
  TrainOptions o = options("x");
  o.model = float_model();
  o.softmax = SoftmaxKind::kHccs;
  o.learnable = true;
  o.calibration.limits = Limits::kPaper;
  o.calibration.knees = 1;
  o.calibration.length = 16;
  EXPECT_TRUE(test::fails(run(o), StatusCode::kInvalidArgument, {"native", "paper"}));

  TrainOptions shared = options("shared");
  shared.model = o.model;
  shared.softmax = SoftmaxKind::kHccs;
  shared.calibration.share = Share::kGlobal;
  shared.epochs = 0;
  ASSERT_TRUE(run(shared).ok());
  o.model = shared.output;
  o.params = shared.output / kParamsFile;
  o.calibration = {.knees = 2};
  EXPECT_TRUE(test::fails(run(o), StatusCode::kInvalidArgument, {"one set a head", "global"}));
  o.learnable = false;
  o.epochs = 0;
  ASSERT_TRUE(run(o).ok());
  const auto report = nlohmann::json::parse(get(o.output / kReportFile));
  EXPECT_EQ(report["options"]["share"], "global");  // the file's
}

TEST_F(TrainerTest, BadInputIsRefused) {
  const auto refused = [&](const TrainOptions& o, StatusCode code, const std::vector<std::string>& parts) {
    EXPECT_TRUE(test::fails(run(o), code, parts));
  };
  TrainOptions o = options("x");
  o.vocabulary = folder() / "nothing.txt";
  refused(o, StatusCode::kIo, {"nothing.txt"});

  o = options("x");
  o.model = float_model();
  fs::remove(*o.model / "vocab.txt");
  refused(o, StatusCode::kIo, {"vocab.txt"});
  fs::copy_file(vocabulary_, *o.model / "vocab.txt");

  // Parameters of another shape.
  ParamFile params{.model = "m", .layers = 3, .heads = 2, .sequence_length = 8};
  params.entries.assign(6, {.params = HeadParams(100, {{1, 50}}), .step = 0.1, .rows = 1});
  ASSERT_TRUE(write_param_file(folder() / "other.json", params).ok());
  o.softmax = SoftmaxKind::kHccs;
  o.params = folder() / "other.json";
  refused(o, StatusCode::kMismatch, {"other.json", "3 layers, 2 heads", "2 layers, 2 heads"});

  // Parameters of other weights.
  TrainOptions calibrated = options("calibrated");
  calibrated.model = o.model;
  calibrated.softmax = SoftmaxKind::kHccs;
  calibrated.epochs = 0;
  ASSERT_TRUE(run(calibrated).ok());
  auto theirs = read_param_file(calibrated.output / kParamsFile);
  ASSERT_TRUE(theirs.ok()) << theirs.status().message();
  theirs->weights_digest = "xxh3-128:0";
  ASSERT_TRUE(write_param_file(folder() / "theirs.json", *theirs).ok());
  o.params = folder() / "theirs.json";
  refused(o, StatusCode::kMismatch, {"theirs.json", "xxh3-128:0", "\"calibrated\"", "\"float\""});
  // Those of the same weights under another name are its own.
  TrainOptions accepted = calibrated;
  accepted.output = folder() / "accepted";
  accepted.params = calibrated.output / kParamsFile;
  EXPECT_TRUE(run(accepted).ok());

  o = options("x");
  o.dropout = 1.5;
  refused(o, StatusCode::kInvalidArgument, {"dropout = 1.5"});
  o = options("x");
  o.quantise_all = true;
  refused(o, StatusCode::kInvalidArgument, {"int8"});
  o = options("x");
  o.learnable = true;
  refused(o, StatusCode::kInvalidArgument, {"HCCS"});
  o = options("x");
  o.shape.heads = 3;
  refused(o, StatusCode::kInvalidArgument, {"multiple"});
  o = options("x");
  o.shape.max_positions = 1;
  refused(o, StatusCode::kInvalidArgument, {"1 positions"});
  o = options("x");
  o.patience = -1;
  refused(o, StatusCode::kInvalidArgument, {"patience = -1"});
  o = options("x");
  o.max_examples = -1;
  refused(o, StatusCode::kInvalidArgument, {"maximum examples = -1"});
  for (const double decay : {-5.0, std::numeric_limits<double>::quiet_NaN()}) {
    o = options("x");
    o.adamw.weight_decay = decay;
    refused(o, StatusCode::kInvalidArgument, {"weight decay"});
  }
}

TEST_F(TrainerTest, AClassifierOfOtherLabelsIsReplacedAndSaidToBe) {
  TrainOptions o = options("relabelled");
  o.model = float_model();
  Task task = task_;
  task.labels = {"bad", "good"};
  o.epochs = 0;
  EXPECT_TRUE(test::fails(train(task, o, {}), StatusCode::kMismatch, {"no, yes", "bad, good", "0 epochs"}));
  o.epochs = 1;
  const auto replaced = train(task, o, {});
  ASSERT_TRUE(replaced.ok()) << replaced.status().message();
  EXPECT_TRUE(replaced->replaced_classifier);
  o.output = folder() / "kept";
  const auto kept = run(o);
  ASSERT_TRUE(kept.ok());
  EXPECT_FALSE(kept->replaced_classifier);
}

TEST_F(TrainerTest, AnotherVocabularyIsRefused) {
  std::string words = get(vocabulary_);
  std::swap_ranges(words.end() - 8, words.end() - 4, words.end() - 4);  // "the\n" and "and\n"
  const fs::path other = put("other.txt", words);

  TrainOptions o = options("resumed");
  ASSERT_FALSE(train(task_, o, [](const TrainProgress& p) { return p.step < 3; }).ok());
  o.vocabulary = other;
  o.resume = true;
  EXPECT_TRUE(test::fails(run(o), StatusCode::kMismatch, {"vocabulary_digest"}));

  o = options("taught");
  o.vocabulary = other;
  o.teacher = float_model();
  EXPECT_TRUE(test::fails(run(o), StatusCode::kMismatch, {"another vocabulary", "other.txt"}));
}

TEST_F(TrainerTest, AClassThatTrainingLacksIsRefused) {
  Task task = task_;
  task.train.examples.erase(std::remove_if(task.train.examples.begin(), task.train.examples.end(),
                                           [](const Example& e) { return e.label == 1; }),
                            task.train.examples.end());
  EXPECT_TRUE(test::fails(train(task, options("x"), {}), StatusCode::kMismatch, {"\"yes\"", "dev but not in train"}));
  TrainOptions o = options("x");
  o.max_examples = 1;  // of one class, whichever
  EXPECT_TRUE(test::fails(run(o), StatusCode::kMismatch, {"dev but not in train (1 examples)"}));
}

}  // namespace
}  // namespace hccs::training
