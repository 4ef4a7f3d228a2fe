// SPDX-License-Identifier: Apache-2.0
//
// Runs of the trainer that are stopped, and runs that train nothing.
#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "hccs/safetensors.h"
#include "trainer_case.h"
#include "training/trainer.h"
#include "training/weights.h"

namespace hccs::training {
namespace {

namespace fs = std::filesystem;

TEST_F(TrainerTest, AStoppedRunContinuesToTheSameWeights) {
  const fs::path start = float_model();
  for (const bool learnable : {false, true}) {
    TrainOptions o = options(learnable ? "whole-l" : "whole");
    o.model = start;
    o.softmax = SoftmaxKind::kHccs;
    o.learnable = learnable;
    o.quantise_all = learnable;
    o.teacher = start;
    o.epochs = 2;
    o.evaluations = 2;
    ASSERT_TRUE(run(o).ok());
    const std::string whole = get(o.output / "model.safetensors");
    const std::string whole_params = get(o.output / kParamsFile);
    const nlohmann::json whole_report = nlohmann::json::parse(get(o.output / kReportFile));

    o.output = folder() / (learnable ? "l" : "n") / o.output.filename();  // the model's name is its folder's
    // After steps, and in evaluations: of dev, once more when it is repeated, and of the test set at the end.
    struct Stop {
      int64_t step;
      std::string evaluating{};
    };
    for (const Stop& stop : {Stop{3}, {5, "dev"}, {5, "dev"}, {7}, {13}, {20, "dev"}, {20, "test"}}) {
      const auto result = train(
          task_, o, [&](const TrainProgress& p) { return p.step != stop.step || p.evaluating != stop.evaluating; });
      EXPECT_TRUE(test::fails(result, StatusCode::kCancelled, {"--resume"}));
      EXPECT_TRUE(fs::exists(o.output / kCheckpointFile));
      if (!o.resume) {
        EXPECT_TRUE(test::fails(run(o), StatusCode::kInvalidArgument, {"unfinished run"}));
      }
      o.resume = true;
    }
    TrainOptions other = o;
    other.learning_rate = 0.5;
    EXPECT_TRUE(test::fails(run(other), StatusCode::kMismatch, {"learning_rate was 0.01, now 0.5"}));
    ASSERT_TRUE(run(o).ok());
    EXPECT_TRUE(get(o.output / "model.safetensors") == whole);
    EXPECT_EQ(get(o.output / kParamsFile), whole_params);
    const nlohmann::json report = nlohmann::json::parse(get(o.output / kReportFile));
    for (const char* field : {"history", "best_step", "dev_accuracy", "accuracy"}) {
      EXPECT_EQ(report[field], whole_report[field]) << field;
    }
    EXPECT_TRUE(test::fails(run(o), StatusCode::kInvalidArgument, {"finished run"}));
  }
}

TEST_F(TrainerTest, AStopWritesNoCheckpointOfBrokenWeights) {
  TrainOptions o = options("stopped");
  o.learning_rate = 1e30;
  o.warmup = 0;
  const auto result = train(task_, o, [](const TrainProgress& p) { return p.step < 1; });
  EXPECT_TRUE(test::fails(result, StatusCode::kBadData, {"must be finite", "no checkpoint yet"}));
  EXPECT_FALSE(fs::exists(o.output / kCheckpointFile));
}

// Calibration before the first step tells how far it is, and stops when it is told to.
TEST_F(TrainerTest, ARunStopsWhileItReadsTrainingTexts) {
  TrainOptions o = options("reading");
  o.model = float_model();
  o.softmax = SoftmaxKind::kHccs;
  o.quantise_all = true;
  for (const char* part : {"reading activations", "reading logits", "fitting, K = 2"}) {
    const auto result = train(task_, o, {}, [&](const std::string& label, const std::string&) -> Progress {
      return [stop = label == part](int64_t, int64_t) { return !stop; };
    });
    EXPECT_TRUE(test::fails(result, StatusCode::kCancelled, {})) << part;
  }
  EXPECT_TRUE(run(o).ok());
}

// Nothing is trained, so nothing is invented: the folder holds the encoder that it came from, and its parameters serve
// both.
TEST_F(TrainerTest, WithoutEpochsAModelWithoutAClassifierGetsNone) {
  const auto model = open_model_folder(float_model());
  ASSERT_TRUE(model.ok()) << model.status().message();
  std::vector<TensorToWrite> tensors;
  for (const auto& [name, view] : model->weights.tensors()) {
    if (!name.starts_with("classifier")) tensors.push_back({name, view.dtype, view.shape, view.data});
  }
  // As sentence-transformers wrote it: the Transformer in a folder of its own.
  const fs::path plain = folder() / "plain" / "0_Transformer";
  fs::create_directories(plain);
  ASSERT_TRUE(write_safetensors(plain / "model.safetensors", tensors).ok());
  fs::copy_file(vocabulary_, plain / "vocab.txt");
  nlohmann::json config = nlohmann::json::parse(get(float_model() / "config.json"));
  config["architectures"] = {"BertModel"};
  put("plain/0_Transformer/config.json", config.dump());
  put("plain/modules.json", R"([{"path": "0_Transformer", "type": "sentence_transformers.models.Transformer"},
                               {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}])");
  fs::create_directories(folder() / "plain" / "1_Pooling");
  put("plain/1_Pooling/config.json", R"({"word_embedding_dimension": 16, "pooling_mode_cls_token": true,
                                         "pooling_mode_mean_tokens": false})");
  struct Case {
    std::string name;
    bool quantise_all = false;
    std::optional<int64_t> take_layers{};
  };
  for (const Case& c : {Case{"as-it-is"}, {"int8", true}, {"one-layer", false, 1}}) {
    TrainOptions o = options(c.name);
    o.model = folder() / "plain";
    o.softmax = SoftmaxKind::kHccs;
    o.quantise_all = c.quantise_all;
    o.take_layers = c.take_layers;
    o.epochs = 0;
    const auto result = run(o);
    ASSERT_TRUE(result.ok()) << c.name << ": " << result.status().message();
    EXPECT_TRUE(result->without_classifier);
    const auto made = open_model_folder(o.output);
    ASSERT_TRUE(made.ok()) << c.name << ": " << made.status().message();
    EXPECT_EQ(made->architecture, "BertModel");
    EXPECT_FALSE(made->classifier.ok());
    EXPECT_FALSE(made->weights.tensors().contains("classifier.weight"));
    const auto params = read_param_file(o.output / kParamsFile);
    ASSERT_TRUE(params.ok()) << params.status().message();
    EXPECT_TRUE(check_matches(*params, made->name, params->layers, 2, 8, made->weights.digest()).ok()) << c.name;
    if (c.name != "as-it-is") continue;
    EXPECT_TRUE(get(o.output / "model.safetensors") == get(plain / "model.safetensors"));
    const auto base = open_model_folder(*o.model);
    ASSERT_TRUE(base.ok());
    EXPECT_TRUE(check_matches(*params, base->name, 2, 2, 8, base->weights.digest()).ok());
  }
}

}  // namespace
}  // namespace hccs::training
