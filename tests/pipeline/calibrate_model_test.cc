// SPDX-License-Identifier: Apache-2.0
//
// The main job on a small random BERT that the test writes itself.
#include "hccs/calibrate_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <numeric>
#include <random>
#include <set>
#include <thread>

#include "../formats/temporary_folder.h"
#include "hccs/dump_logits.h"
#include "hccs/encoder.h"
#include "hccs/npy.h"
#include "hccs/quantise.h"
#include "hccs/safetensors.h"

namespace hccs {
namespace {

using test::fails;

constexpr int64_t kLayers = 2;
constexpr int64_t kHeads = 3;
constexpr int64_t kHidden = 12;
constexpr int64_t kPositions = 24;
constexpr const char* kWords[] = {"the", "cat", "sat", "on", "a", "mat", "and", "dog", "ran", "home"};

// ---- Which rows -----------------------------------------------------------------------------

TEST(RowsToSample, AreSpreadOverTheTextAndStartWhereSeedTextAndHeadSay) {
  EXPECT_EQ(rows_to_sample(0, 0, 6, 8, 0), (std::vector<int64_t>{0, 2, 4, 6}));
  EXPECT_EQ(rows_to_sample(0, 0, 6, 8, 3), (std::vector<int64_t>{3, 5, 7, 1}));
  EXPECT_EQ(rows_to_sample(1, 2, 6, 11, 0), (std::vector<int64_t>{8, 10, 2, 5}));
  EXPECT_EQ(rows_to_sample(5, 1, 6, 3, 0), (std::vector<int64_t>{1, 2, 0}));
  EXPECT_EQ(rows_to_sample(5, 1, 6, 1, 9), (std::vector<int64_t>{0}));
}

TEST(RowsToSample, AreDistinctAndInRangeForEveryLengthAndLargeSeeds) {
  for (int64_t length = 1; length <= 300; ++length) {
    for (const uint64_t seed : {uint64_t{0}, uint64_t{1}, UINT64_MAX - 2}) {
      const std::vector<int64_t> rows = rows_to_sample(7, 4, 72, length, seed);
      ASSERT_EQ(std::ssize(rows), std::min(kRowsPerText, length));
      EXPECT_EQ(std::set(rows.begin(), rows.end()).size(), rows.size()) << length;
      for (const int64_t row : rows) ASSERT_TRUE(row >= 0 && row < length) << row << " of " << length;
    }
  }
}

// ---- A model --------------------------------------------------------------------------------

class CalibrateModel : public test::WithFolder {
 protected:
  void SetUp() override {
    put("config.json", fmt::format(R"({{"architectures": ["BertModel"], "model_type": "bert", "vocab_size": {},
      "hidden_size": {}, "num_hidden_layers": {}, "num_attention_heads": {}, "intermediate_size": 16,
      "max_position_embeddings": {}, "type_vocab_size": 2, "hidden_act": "gelu", "layer_norm_eps": 1e-12,
      "_name_or_path": "random/bert"}})",
                                   5 + std::size(kWords), kHidden, kLayers, kHeads, kPositions));
    std::string vocabulary = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n";
    for (const char* word : kWords) vocabulary += fmt::format("{}\n", word);
    put("vocab.txt", vocabulary);
    write_weights();
    auto model = open_model_folder(folder());
    ASSERT_TRUE(model.ok()) << model.status().message();
    model_.emplace(*std::move(model));
    std::mt19937_64 random(3);
    for (int i = 0; i < 60; ++i) {
      std::string text = kWords[random() % std::size(kWords)];
      for (uint64_t left = random() % 15; left > 0; --left) text += fmt::format(" {}", kWords[random() % 10]);
      texts_.push_back(text);
    }
  }

  void write_weights() {
    std::mt19937_64 random(1);
    std::vector<std::pair<std::string, std::vector<int64_t>>> shapes = {
        {"embeddings.word_embeddings.weight", {std::ssize(kWords) + 5, kHidden}},
        {"embeddings.position_embeddings.weight", {kPositions, kHidden}},
        {"embeddings.token_type_embeddings.weight", {2, kHidden}},
        {"embeddings.LayerNorm.weight", {kHidden}},
        {"embeddings.LayerNorm.bias", {kHidden}}};
    for (int64_t l = 0; l < kLayers; ++l) {
      const auto add = [&](const std::string& name, std::vector<int64_t> weight) {
        shapes.push_back({fmt::format("encoder.layer.{}.{}.bias", l, name), {weight[0]}});
        shapes.push_back({fmt::format("encoder.layer.{}.{}.weight", l, name), std::move(weight)});
      };
      for (const char* part : {"query", "key", "value"})
        add(fmt::format("attention.self.{}", part), {kHidden, kHidden});
      add("attention.output.dense", {kHidden, kHidden});
      add("attention.output.LayerNorm", {kHidden});
      add("intermediate.dense", {16, kHidden});
      add("output.dense", {kHidden, 16});
      add("output.LayerNorm", {kHidden});
    }
    std::vector<std::vector<float>> values;
    std::vector<TensorToWrite> tensors;
    std::normal_distribution<float> normal(0, 0.7F);
    for (const auto& [name, shape] : shapes) {
      auto& data = values.emplace_back(std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>()));
      const bool is_norm = name.find("LayerNorm.weight") != std::string::npos;
      for (float& x : data) x = is_norm ? 1.0F : normal(random);
    }
    for (size_t i = 0; i < shapes.size(); ++i)
      tensors.push_back({shapes[i].first, "F32", shapes[i].second, std::as_bytes(std::span(values[i]))});
    const Status status = write_safetensors(folder() / "model.safetensors", tensors);
    ASSERT_TRUE(status.ok()) << status.message();
  }

  // Every block of the texts, as the encoder hands them out: f(block).
  template <class F>
  void for_each_block(std::span<const std::string> texts, F f) {
    const auto encoded = encode_texts(*model_, texts, 0);
    ASSERT_TRUE(encoded.ok());
    const auto encoder = BertEncoder::load(*model_);
    ASSERT_TRUE(encoder.ok()) << encoder.status().message();
    std::mutex lock;
    const auto softmax = make_capturing_softmax(make_exact_softmax(), [&](const AttentionBlock& block) -> Status {
      const std::lock_guard guard(lock);
      f(block);
      return {};
    });
    ASSERT_TRUE(softmax.ok()) << softmax.status().message();
    ASSERT_TRUE(encoder->embed(encoded->encodings, **softmax, {}).ok());
  }

  std::optional<ModelFolder> model_;
  std::vector<std::string> texts_;
};

void expect_same_rows(std::span<const RowSample> a, std::span<const RowSample> b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t h = 0; h < a.size(); ++h) {
    ASSERT_EQ(a[h].rows().size(), b[h].rows().size()) << "head " << h;
    for (size_t r = 0; r < a[h].rows().size(); ++r) {
      EXPECT_EQ(a[h].rows()[r].id, b[h].rows()[r].id) << "head " << h;
      EXPECT_EQ(a[h].rows()[r].logits, b[h].rows()[r].logits) << "head " << h;
    }
  }
}

TEST_F(CalibrateModel, SamplesTheRowsOfEveryTextThatRowsToSampleNames) {
  const CalibrateModelOptions options{.calibration = {.threads = 2}, .seed = 5, .rows = 1 << 20};
  const auto sampled = sample_model(*model_, texts_, options);
  ASSERT_TRUE(sampled.ok()) << sampled.status().message();
  ASSERT_EQ(std::ssize(sampled->heads), kLayers * kHeads);
  std::vector<RowSample> expected(static_cast<size_t>(kLayers * kHeads), RowSample(options.rows, options.seed));
  for_each_block(texts_, [&](const AttentionBlock& block) {
    const int64_t head = block.layer * kHeads + block.head;
    for (const int64_t q : rows_to_sample(block.text, head, kLayers * kHeads, block.length, options.seed)) {
      const std::span row(block.logits + q * block.length, static_cast<size_t>(block.length));
      ASSERT_TRUE(expected[head].add(block.text * kMaxRowLength + q, row).ok());
    }
  });
  expect_same_rows(sampled->heads, expected);
}

TEST_F(CalibrateModel, SamplesDoNotDependOnTheOrderOfTexts) {
  HeadSamples forwards(kLayers, kHeads, 20, 9);
  HeadSamples backwards(kLayers, kHeads, 20, 9);
  std::vector<std::pair<AttentionBlock, std::vector<float>>> blocks;
  for_each_block(texts_, [&](const AttentionBlock& block) {
    blocks.emplace_back(block, std::vector(block.logits, block.logits + block.length * block.length));
  });
  const auto add = [](HeadSamples& samples, const auto& block) {
    const AttentionBlock& b = block.first;
    ASSERT_TRUE(samples.add(b.layer, b.head, b.text, b.length, block.second.data()).ok());
  };
  for (const auto& block : blocks) add(forwards, block);
  std::atomic<size_t> next{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (size_t i = next++; i < blocks.size(); i = next++) add(backwards, blocks[blocks.size() - 1 - i]);
    });
  }
  for (std::thread& thread : threads) thread.join();
  expect_same_rows(forwards.samples(), backwards.samples());
}

TEST_F(CalibrateModel, GivesTheParameterFileOfTheFits) {
  const CalibrateModelOptions options{
      .calibration = {.knees = 2, .share = Share::kLayer}, .seed = 7, .rows = 50, .max_length = 10};
  const auto calibrated = calibrate_model(*model_, texts_, options);
  ASSERT_TRUE(calibrated.ok()) << calibrated.status().message();
  const auto sampled = sample_model(*model_, texts_, options);
  ASSERT_TRUE(sampled.ok());
  const auto fits = calibrate(sampled->heads, kHeads, options.calibration);
  ASSERT_TRUE(fits.ok());

  const ParamFile& file = calibrated->params;
  EXPECT_EQ(file.model, "random/bert");
  EXPECT_EQ(file.layers, kLayers);
  EXPECT_EQ(file.heads, kHeads);
  EXPECT_EQ(file.head_dimension, kHidden / kHeads);
  EXPECT_EQ(file.knees, 2);
  EXPECT_EQ(file.limits, Limits::kNative);
  EXPECT_EQ(file.share, Share::kLayer);
  EXPECT_EQ(file.seed, 7);
  EXPECT_EQ(file.weights_digest, model_->weights.digest());
  EXPECT_EQ(file.sequence_length, 10);
  ASSERT_EQ(file.entries.size(), fits->size());
  for (size_t i = 0; i < fits->size(); ++i) {
    EXPECT_EQ(file.entries[i].params, (*fits)[i].params);
    EXPECT_EQ(file.entries[i].step, (*fits)[i].step);
    EXPECT_EQ(file.entries[i].kl, (*fits)[i].kl);
    EXPECT_EQ(file.entries[i].rows, (*fits)[i].rows);
    EXPECT_FALSE(file.entries[i].is_default);
  }
  EXPECT_TRUE(validate(file).ok());
  EXPECT_EQ(calibrated->texts.count, std::ssize(texts_));
  EXPECT_GT(calibrated->texts.truncated, 0);
  EXPECT_GT(calibrated->texts.longest, 10);
  EXPECT_EQ(calibrated->texts.max_length, 10);
}

TEST_F(CalibrateModel, ThePapersRowLengthTruncatesTexts) {
  CalibrateModelOptions options{.calibration = {.knees = 1, .limits = Limits::kPaper, .length = 8}};
  const auto calibrated = calibrate_model(*model_, texts_, options);
  ASSERT_TRUE(calibrated.ok()) << calibrated.status().message();
  EXPECT_EQ(calibrated->texts.max_length, 8);
  EXPECT_EQ(calibrated->params.sequence_length, 8);
  options.max_length = 6;  // the shorter of both
  const auto shorter = calibrate_model(*model_, texts_, options);
  ASSERT_TRUE(shorter.ok()) << shorter.status().message();
  EXPECT_EQ(shorter->texts.max_length, 6);
  EXPECT_EQ(shorter->params.sequence_length, 8);  // what the integers are for
}

TEST_F(CalibrateModel, BadOptionsAndCancelling) {
  EXPECT_TRUE(fails(calibrate_model(*model_, texts_, {.max_length = 1}), StatusCode::kInvalidArgument,
                    {"maximum length 1", "2..24"}));
  EXPECT_TRUE(fails(calibrate_model(*model_, texts_, {.max_length = 25}), StatusCode::kInvalidArgument,
                    {"maximum length 25", "2..24"}));
  EXPECT_TRUE(fails(calibrate_model(*model_, texts_, {.calibration = {.knees = 5}}), StatusCode::kInvalidArgument,
                    {"knees = 5"}));
  EXPECT_TRUE(fails(calibrate_model(*model_, texts_, {.read_progress = [](int64_t, int64_t) { return false; }}),
                    StatusCode::kCancelled, {}));
}

// ---- Logits as files ------------------------------------------------------------------------

std::vector<std::vector<float>> sorted_rows(const RowSample& sample) {
  std::vector<std::vector<float>> rows;
  for (const RowSample::Row& row : sample.rows()) rows.push_back(row.logits);
  std::sort(rows.begin(), rows.end());
  return rows;
}

TEST_F(CalibrateModel, WrittenLogitsAreReadAsTheSameRows) {
  const auto sampled = sample_model(*model_, texts_, {.rows = 50});
  ASSERT_TRUE(sampled.ok()) << sampled.status().message();
  const Status written = write_logits(*sampled, folder() / "dumps");
  ASSERT_TRUE(written.ok()) << written.message();
  const auto read = sample_dumps(folder() / "dumps", {});
  ASSERT_TRUE(read.ok()) << read.status().message();
  ASSERT_EQ(read->heads.size(), sampled->heads.size());
  EXPECT_EQ(read->model.layers, kLayers);
  for (size_t h = 0; h < read->heads.size(); ++h)
    EXPECT_EQ(sorted_rows(read->heads[h]), sorted_rows(sampled->heads[h]));
  EXPECT_TRUE(fails(write_logits(*sampled, folder() / "dumps"), StatusCode::kInvalidArgument, {"dumps", "exists"}));
}

TEST_F(CalibrateModel, Int8LogitsAreTheRowsAtTheHeadsSteps) {
  const CalibrateModelOptions options{.max_length = 9, .only_full = true};
  const auto calibrated = calibrate_model(*model_, texts_, options);
  ASSERT_TRUE(calibrated.ok()) << calibrated.status().message();
  const auto sampled = sample_model(*model_, texts_, options);
  ASSERT_TRUE(sampled.ok());
  ASSERT_TRUE(write_int8_logits(*sampled, calibrated->params, folder() / "int8").ok());
  for (int64_t layer = 0; layer < kLayers; ++layer) {
    const auto together = read_npy(folder() / "int8" / fmt::format("layer{}.npy", layer));
    ASSERT_TRUE(together.ok()) << together.status().message();
    const auto rows = std::ssize(sampled->heads[0].rows());
    ASSERT_EQ(together->shape, (std::vector<int64_t>{kHeads, rows, 9}));
    for (int64_t head = 0; head < kHeads; ++head) {
      const auto alone = read_npy(folder() / "int8" / fmt::format("layer{}_head{}.npy", layer, head));
      ASSERT_TRUE(alone.ok());
      ASSERT_EQ(alone->shape, (std::vector<int64_t>{rows, 9}));
      for (int64_t r = 0; r < rows; ++r) {
        std::vector<int8_t> x(9);
        quantise_logits(sampled->heads[layer * kHeads + head].rows()[r].logits, calibrated->params.at(layer, head).step,
                        x);
        for (int64_t i = 0; i < 9; ++i) {
          ASSERT_EQ(alone->as<int8_t>()[r * 9 + i], x[i]);
          ASSERT_EQ(together->as<int8_t>()[(head * rows + r) * 9 + i], x[i]);
        }
      }
    }
  }
  ParamFile other = calibrated->params;
  other.model = "another";
  other.weights_digest = "xxh3-128:0";
  EXPECT_TRUE(fails(write_int8_logits(*sampled, other, folder() / "none"), StatusCode::kMismatch, {"another"}));
  EXPECT_FALSE(std::filesystem::exists(folder() / "none"));
}

TEST_F(CalibrateModel, ShorterRowsOfInt8LogitsHaveLengths) {
  const auto calibrated = calibrate_model(*model_, texts_, {});
  const auto sampled = sample_model(*model_, texts_, {});
  ASSERT_TRUE(calibrated.ok() && sampled.ok());
  ASSERT_TRUE(write_int8_logits(*sampled, calibrated->params, folder() / "int8").ok());
  EXPECT_FALSE(std::filesystem::exists(folder() / "int8" / "layer0.npy"));
  const auto logits = read_npy(folder() / "int8" / "layer0_head0.npy");
  const auto lengths = read_npy(folder() / "int8" / "layer0_head0_lengths.npy");
  ASSERT_TRUE(logits.ok() && lengths.ok());
  const int64_t n = logits->shape[1];
  for (int64_t r = 0; r < logits->shape[0]; ++r) {
    EXPECT_EQ(lengths->as<int32_t>()[r], std::ssize(sampled->heads[0].rows()[r].logits));
    for (int64_t i = lengths->as<int32_t>()[r]; i < n; ++i) ASSERT_EQ(logits->as<int8_t>()[r * n + i], -128);
  }
}

TEST_F(CalibrateModel, OnlyFullRowsNeedsTextsThatLong) {
  const std::vector<std::string> few = {"the cat", "a dog ran home"};
  const auto sampled = sample_model(*model_, few, {.max_length = 6, .only_full = true});
  ASSERT_TRUE(sampled.ok()) << sampled.status().message();
  EXPECT_EQ(sampled->heads[0].rows_seen(), kRowsPerText);  // of the second text
  EXPECT_TRUE(fails(sample_model(*model_, few, {.max_length = 7, .only_full = true}), StatusCode::kInvalidArgument,
                    {"none of 2 texts has 7 tokens", "longest has 6"}));
}

// ---- Dumps ----------------------------------------------------------------------------------

class SampleDumps : public test::WithFolder {
 protected:
  // rows x n logits, and the rows' lengths.
  template <class T>
  void put_logits(const std::string& name, std::vector<T> values, std::vector<int64_t> shape) {
    ASSERT_TRUE(write_npy<T>(folder() / name, shape, values).ok());
  }
  void put_lengths(const std::string& name, std::vector<int32_t> lengths) {
    const std::vector<int64_t> shape{std::ssize(lengths)};
    put_logits<int32_t>(name, std::move(lengths), shape);
  }
};

TEST_F(SampleDumps, RowsAreThoseOfTheFiles) {
  put_logits<float>("layer0_head0.npy", {1, 2, 3, 4, 5, 6}, {2, 3});
  put_logits<float>("layer0_head1.npy", {-1, -2, -3, -4, -5, -6}, {2, 3});
  put_lengths("lengths.npy", {3, 1});
  put_lengths("layer0_head1_lengths.npy", {2, 3});
  const auto sampled = sample_dumps(folder(), {.seed = 4});
  ASSERT_TRUE(sampled.ok()) << sampled.status().message();
  EXPECT_EQ(sampled->model.layers, 1);
  EXPECT_EQ(sampled->model.heads, 2);
  EXPECT_EQ(sampled->model.name, folder().filename().string());
  std::vector<RowSample> expected(2, RowSample(4096, 4));
  const auto add = [&](int head, uint64_t id, std::vector<float> row) {
    ASSERT_TRUE(expected[static_cast<size_t>(head)].add(id, row).ok());
  };
  add(0, 0, {1, 2, 3});
  add(0, 1, {4});
  add(1, 0, {-1, -2});
  add(1, 1, {-4, -5, -6});
  expect_same_rows(sampled->heads, expected);
}

TEST_F(SampleDumps, BadFoldersAreRefusedByName) {
  EXPECT_TRUE(fails(sample_dumps(folder() / "absent", {}), StatusCode::kIo, {"absent", "not a folder"}));
  EXPECT_TRUE(fails(sample_dumps(folder(), {}), StatusCode::kBadData, {"no layer<L>_head<H>.npy"}));
  put_logits<float>("layer0_head1.npy", {1, 2}, {1, 2});
  EXPECT_TRUE(fails(sample_dumps(folder(), {}), StatusCode::kBadData,
                    {"layer0_head0.npy is missing", "1 dumps", "1 layers x 2 heads need 2"}));
  put_logits<float>("layer0_head0.npy", {1, 2}, {1, 2});
  std::filesystem::create_symlink("nowhere",
                                  folder() / "lengths.npy");  // there is an entry, so that lengths are not just absent
  EXPECT_TRUE(fails(sample_dumps(folder(), {}), StatusCode::kIo, {"lengths.npy"}));
  std::filesystem::remove(folder() / "lengths.npy");
  put_lengths("lengths.npy", {2, 2});
  EXPECT_TRUE(fails(sample_dumps(folder(), {}), StatusCode::kBadData, {"lengths.npy", "each of the 1 rows"}));
  put_lengths("lengths.npy", {3});
  EXPECT_TRUE(fails(sample_dumps(folder(), {}), StatusCode::kBadData, {"row 0 has length 3", "n = 2"}));
  put_lengths("lengths.npy", {0});
  EXPECT_TRUE(fails(sample_dumps(folder(), {}), StatusCode::kBadData, {"row 0 has length 0"}));
  put_lengths("lengths.npy", {2});
  EXPECT_TRUE(fails(sample_dumps(folder(), {.calibration = {.knees = 1, .limits = Limits::kPaper, .length = 1}}),
                    StatusCode::kBadData, {"row 0 has length 2", "row length is 1"}));
  put_logits<int8_t>("layer0_head0.npy", {1, 2}, {1, 2});
  EXPECT_TRUE(fails(sample_dumps(folder(), {}), StatusCode::kBadData, {"layer0_head0.npy", "int8", "float32"}));
  put_logits<float>("layer0_head0.npy", {1, 2}, {2});
  EXPECT_TRUE(fails(sample_dumps(folder(), {}), StatusCode::kBadData, {"layer0_head0.npy", "1 dimensions"}));
  EXPECT_TRUE(fails(sample_dumps(folder(), {.read_progress = [](int64_t, int64_t) { return false; }}),
                    StatusCode::kBadData, {"layer0_head0.npy"}));
  put_logits<float>("layer0_head0.npy", {1, 2}, {1, 2});
  EXPECT_TRUE(fails(sample_dumps(folder(), {.read_progress = [](int64_t, int64_t) { return false; }}),
                    StatusCode::kCancelled, {}));
}

}  // namespace
}  // namespace hccs
