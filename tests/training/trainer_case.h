// SPDX-License-Identifier: Apache-2.0
//
// A task that can be learnt in a second, and options for runs on it.
#ifndef HCCS_TESTS_TRAINING_TRAINER_CASE_H_
#define HCCS_TESTS_TRAINING_TRAINER_CASE_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <random>
#include <string>

#include "../formats/temporary_folder.h"
#include "hccs/safetensors.h"
#include "training/trainer.h"

namespace hccs::training {

inline constexpr std::array<const char*, 8> kWords = {"good", "fine", "bad", "poor", "film", "plot", "the", "and"};

class TrainerTest : public test::WithFolder {
 protected:
  TrainerTest() {
    std::string words = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n";
    for (const char* w : kWords) words += std::string(w) + "\n";
    vocabulary_ = put("vocab.txt", words);
    put("train.tsv", lines(160, 1));
    put("dev.tsv", lines(60, 2));
    put("test.tsv", lines(90, 3));
    task_ = *read_task_files(folder() / "train.tsv", folder() / "dev.tsv", folder() / "test.tsv");
  }

  // Sentences whose label is whether they hold more of the first two words than of the next two.
  static std::string lines(int count, uint64_t seed) {
    std::mt19937_64 random(seed);
    std::string text;
    while (count > 0) {
      std::string sentence;
      int score = 0;
      const uint64_t length = 2 + random() % 9;
      for (uint64_t i = 0; i < length; ++i) {
        const uint64_t w = random() % kWords.size();
        score += w < 2 ? 1 : w < 4 ? -1 : 0;
        sentence += std::string(kWords[w]) + " ";
      }
      if (score == 0) continue;
      text += std::string(score > 0 ? "yes" : "no") + "\t" + sentence + "\n";
      --count;
    }
    return text;
  }

  TrainOptions options(const std::string& name) const {
    TrainOptions o;
    o.shape = {.hidden_size = 16,
               .layers = 2,
               .heads = 2,
               .intermediate_size = 24,
               .max_positions = 16,
               .type_vocabulary_size = 2};
    o.vocabulary = vocabulary_;
    o.calibration.knees = 2;
    o.calibration.on_unfit = OnUnfit::kDefault;
    o.epochs = 3;
    o.batch_size = 16;
    o.learning_rate = 1e-2;
    o.threads = 2;
    o.checkpoint_steps = 7;
    o.output = folder() / name;
    return o;
  }

  Expected<TrainResult> run(const TrainOptions& o) const { return train(task_, o, {}); }

  // A float model to start from.
  std::filesystem::path float_model() {
    const std::filesystem::path path = folder() / "float";
    if (!std::filesystem::exists(path)) {
      TrainOptions o = options("float");
      o.epochs = 6;
      const auto result = run(o);
      EXPECT_TRUE(result.ok()) << result.status().message();
      EXPECT_GT(result->dev_accuracy, 0.8);  // learnt
    }
    return path;
  }

  // Of the folder, by the encoder.
  double accuracy(const std::filesystem::path& path, const AttentionSoftmax& softmax, const ExampleSet& set) const {
    const auto model = open_model_folder(path);
    EXPECT_TRUE(model.ok()) << model.status().message();
    EXPECT_EQ(model->labels, task_.labels);
    const auto encoder = BertEncoder::load(*model);
    EXPECT_TRUE(encoder.ok());
    const auto logits = encoder->classify(encode_examples(model->tokenizer, set, model->max_length), softmax, {});
    EXPECT_TRUE(logits.ok()) << logits.status().message();
    const auto predicted = predicted_classes(*logits, 2);
    double hits = 0;
    for (size_t i = 0; i < predicted.size(); ++i) hits += predicted[i] == set.examples[i].label ? 1 : 0;
    return hits / static_cast<double>(predicted.size());
  }

  static void expect_finite(const Safetensors& file) {
    for (const auto& [name, view] : file.tensors()) {
      const auto values = file.read_float(name, view.shape);
      ASSERT_TRUE(values.ok()) << values.status().message();
      EXPECT_TRUE(std::ranges::all_of(*values, [](float v) { return std::isfinite(v); })) << name;
    }
  }

  std::filesystem::path vocabulary_;
  Task task_;
};

}  // namespace hccs::training

#endif  // HCCS_TESTS_TRAINING_TRAINER_CASE_H_
