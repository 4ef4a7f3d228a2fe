// SPDX-License-Identifier: Apache-2.0
//
// Every operation of the library, with one allocation after the other failing: it returns kOutOfMemory, or succeeds in
// spite of it, and nothing is thrown.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <functional>
#include <new>
#include <optional>
#include <string>
#include <vector>

#include "formats/temporary_folder.h"
#include "hccs/calibration.h"
#include "hccs/encoder.h"
#include "hccs/npy.h"
#include "hccs/reference.h"
#include "hccs/softmax.h"
#include "hccs/text.h"
#include "tasks/task.h"

namespace {

// What operator new does while a test has armed it.
struct Failing {
  std::atomic<bool> armed = false;
  std::atomic<int64_t> left = 0;      // allocations of at least `least` bytes until one fails
  std::atomic<bool> forever = false;  // so do all that follow
  std::atomic<size_t> least = 0;

  bool fails(size_t size) {
    if (!armed || size < least) return false;
    const int64_t before = left--;
    return before == 0 || (forever && before < 0);
  }
} failing;

}  // namespace

// (Inlined, GCC takes free() for a mismatch.)
[[gnu::noinline]] void* operator new(size_t size) {
  if (failing.fails(size)) throw std::bad_alloc();
  if (void* p = std::malloc(size == 0 ? 1 : size)) return p;
  throw std::bad_alloc();
}
// What std::stable_sort takes its buffer by: without one it sorts in place.
[[gnu::noinline]] void* operator new(size_t size, const std::nothrow_t&) noexcept {
  return failing.fails(size) ? nullptr : std::malloc(size == 0 ? 1 : size);
}
[[gnu::noinline]] void operator delete(void* p) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, size_t) noexcept { std::free(p); }

namespace hccs {
namespace {

// Runs `operation` with each of its allocations of `least` bytes or more failing in turn, alone and with all that
// follow. It is then to be as good as ever.
void expect_survives(const std::string& name, size_t least, const std::function<Status()>& operation) {
  SCOPED_TRACE(name);
  ASSERT_TRUE(operation().ok()) << operation().message();
  int64_t refused = 0;
  for (const bool forever : {false, true}) {
    bool reached = true;
    // All of the first ones, then ever fewer: the later ones are mostly those of a loop.
    for (int64_t n = 0; reached; n += 1 + n / 16) {
      failing.least = least;
      failing.forever = forever;
      failing.left = n;
      failing.armed = true;
      const Status status = operation();
      failing.armed = false;
      reached = failing.left < 0;
      if (status.ok()) continue;
      ASSERT_TRUE(reached) << status.message();
      ++refused;
      ASSERT_EQ(status.code(), StatusCode::kOutOfMemory) << "allocation " << n << ": " << status.message();
      ASSERT_NE(status.message().find("memory"), std::string::npos) << status.message();
    }
  }
  EXPECT_GT(refused, 0) << "no allocation failed: is operator new replaced?";
  EXPECT_TRUE(operation().ok()) << operation().message();
}

std::vector<std::vector<float>> some_rows() {
  std::vector<std::vector<float>> rows;
  for (int r = 0; r < 6; ++r) {
    rows.emplace_back();
    for (int i = 0; i < 5 + r; ++i) rows.back().push_back(static_cast<float>((i * 7 + r * 3) % 11) * 0.4F);
  }
  return rows;
}

RowSample some_sample() {
  RowSample sample(4, 1);
  for (const auto& row : some_rows()) EXPECT_TRUE(sample.add(sample.rows_seen(), row).ok());
  return sample;
}

TEST(OutOfMemory, Calibration) {
  const std::vector<float> row(40, 1.0F);
  expect_survives("RowSample::add", 0, [&] {
    RowSample sample(2, 1);
    for (uint64_t id = 0; id < 6; ++id) HCCS_RETURN_IF_ERROR(sample.add(id, row));
    return Status();
  });
  const std::vector<RowSample> samples(3, some_sample());
  for (const int threads : {1, 2}) {
    expect_survives(fmt::format("calibrate, {} threads", threads), 0,
                    [&] { return calibrate(samples, 1, {.knees = 1, .threads = threads}).status(); });
  }
}

const HeadParams kParams(900, {{20, 15}, {7, 60}});

ParamFile some_params() {
  ParamFile params;
  params.model = "m";
  params.layers = 2;
  params.heads = 2;
  params.sequence_length = 8;
  params.knees = 2;
  params.entries.assign(4, {.params = kParams, .step = 0.1});
  return params;
}

TEST(OutOfMemory, Contract) {
  const std::vector<int8_t> x = {1, -5, 7, 20};
  const std::vector<int32_t> sums = {100, -5000, 700, 20};
  std::vector<uint8_t> p(x.size());
  std::vector<uint16_t> w(x.size());
  std::vector<int8_t> o(2);
  expect_survives("softmax_reference", 0,
                  [&] { return softmax_reference(kParams, Normalisation::kScaled, x, {}, std::span<uint8_t>(p)); });
  expect_survives("softmax_reference of sums", 0, [&] {
    return softmax_reference(kParams, Normalisation::kScaled, {1, 4}, sums, {}, std::span<uint8_t>(p));
  });
  expect_survives("attention_weights_reference", 0, [&] {
    return attention_weights_reference(kParams, {1, 4}, sums, {}, AttentionWeights::kUint8, w).status();
  });
  expect_survives("attention_reference", 0, [&] {
    return attention_reference(kParams, {1, 4}, std::span(x).first(2), x, x, {}, o);
  });
}

TEST(OutOfMemory, Softmax) {
  const std::vector<HeadParams> heads(3, kParams);
  expect_survives("SoftmaxPlan::hccs", 0,
                  [&] { return SoftmaxPlan::hccs(heads, Normalisation::kScaled, OutputType::kUint8).status(); });
  const std::vector<double> steps(4, 0.1);
  expect_survives("SoftmaxPlan::exact_lut", 0,
                  [&] { return SoftmaxPlan::exact_lut(steps, Normalisation::kScaled, OutputType::kUint8).status(); });

  const ParamFile params = some_params();
  const std::vector<float> logits(25, 0.5F);
  const AttentionBlock block{.layer = 1, .head = 1, .text = 0, .length = 5, .logits = logits.data()};
  const auto apply = [&](const Expected<std::unique_ptr<AttentionSoftmax>>& softmax) {
    std::array<float, 25> probabilities;
    return softmax.ok() ? (*softmax)->apply(block, probabilities.data()) : softmax.status();
  };
  expect_survives("int8-exact", 0, [&] { return apply(make_int8_exact_softmax(steps, 2)); });
  expect_survives("HCCS", 0,
                  [&] { return apply(make_hccs_softmax(params, Normalisation::kScaled, OutputType::kInt16)); });
}

class OutOfMemoryFiles : public test::WithFolder {};

TEST_F(OutOfMemoryFiles, Arrays) {
  const std::filesystem::path path = folder() / "array.npy";
  const std::vector<int64_t> shape = {4, 25};
  const std::vector<float> values(100, 0.5F);
  expect_survives("write_npy", 0, [&] { return write_npy<float>(path, shape, values); });
  expect_survives("read_npy", 0, [&] { return read_npy(path).status(); });
}

TEST_F(OutOfMemoryFiles, Texts) {
  const std::filesystem::path lines = put("lines.txt", "one line of text that is no short string\nanother\n");
  expect_survives("read_text_lines", 0, [&] { return read_text_lines(std::span(&lines, 1), false).status(); });
  std::string labelled;
  for (int i = 0; i < 8; ++i) labelled += fmt::format("{}\ta text of some length, that of example {}\n", i % 2, i);
  const std::filesystem::path examples = put("examples.tsv", labelled);
  const std::optional<std::filesystem::path> test = examples;
  expect_survives("read_task_files", 0, [&] { return read_task_files(examples, examples, test).status(); });
  const std::filesystem::path vocabulary = put("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\na\nb\n");
  expect_survives("WordPieceTokenizer::load", 0, [&] { return WordPieceTokenizer::load(vocabulary).status(); });
  const std::filesystem::path glosses = put("data.noun", "00001740 03 n 01 entity 0 000 | that which is perceived\n");
  expect_survives("read_wordnet_glosses", 0, [&] { return read_wordnet_glosses(glosses).status(); });
}

// nlohmann-json frees a value with the help of a small allocation, and ends the program where that fails. So only what
// is large can be missing here: the data themselves.
constexpr size_t kLarge = 1024;

TEST_F(OutOfMemoryFiles, ParameterFiles) {
  const std::filesystem::path path = folder() / "params.json";
  ParamFile params = some_params();
  params.layers = 10;
  params.entries.assign(20, params.entries[0]);
  expect_survives("write_param_file", kLarge, [&] { return write_param_file(path, params); });
  expect_survives("read_param_file", kLarge, [&] { return read_param_file(path).status(); });
}

class OutOfMemoryModel : public OutOfMemoryFiles {
 protected:
  void SetUp() override {
    put("config.json", R"({"model_type": "bert", "hidden_act": "gelu", "hidden_size": 48, "num_hidden_layers": 1,
        "num_attention_heads": 2, "intermediate_size": 64, "max_position_embeddings": 12, "type_vocab_size": 2,
        "vocab_size": 400, "layer_norm_eps": 1e-5, "architectures": ["BertForSequenceClassification"],
        "id2label": {"0": "no", "1": "yes"}, "label2id": {"no": 0, "yes": 1}})");
    std::string vocabulary = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n";
    for (int i = 4; i < 400; ++i) vocabulary += fmt::format("word{}\n", i);
    put("vocab.txt", vocabulary);
    add_linear("embeddings.word_embeddings", 400, 48, false);
    add_linear("embeddings.position_embeddings", 12, 48, false);
    add_linear("embeddings.token_type_embeddings", 2, 48, false);
    add_norm("embeddings.LayerNorm");
    const std::string layer = "encoder.layer.0.";
    for (const char* part : {"query", "key", "value"}) add_linear(layer + "attention.self." + part, 48, 48);
    add_linear(layer + "attention.output.dense", 48, 48);
    add_norm(layer + "attention.output.LayerNorm");
    add_linear(layer + "intermediate.dense", 64, 48);
    add_linear(layer + "output.dense", 48, 64);
    add_norm(layer + "output.LayerNorm");
    add_linear("pooler.dense", 48, 48);
    add("classifier.weight", {2, 48});
    add("classifier.bias", {2});
    ASSERT_TRUE(write().ok()) << write().message();
  }

  Status write() const { return write_safetensors(folder() / "model.safetensors", tensors_); }

 private:
  void add(const std::string& name, std::vector<int64_t> shape) {
    int64_t size = 1;
    for (const int64_t s : shape) size *= s;
    tensors_.push_back({name, "F32", std::move(shape), std::as_bytes(std::span(values_).first(size))});
  }
  void add_linear(const std::string& name, int64_t out, int64_t in, bool bias = true) {
    add("bert." + name + ".weight", {out, in});
    if (bias) add("bert." + name + ".bias", {out});
  }
  void add_norm(const std::string& name) {
    add("bert." + name + ".weight", {48});
    add("bert." + name + ".bias", {48});
  }

  const std::vector<float> values_ = std::vector<float>(400 * 48, 0.25F);
  std::vector<TensorToWrite> tensors_;
};

TEST_F(OutOfMemoryModel, FolderAndEncoder) {
  expect_survives("write_safetensors", kLarge, [&] { return write(); });
  expect_survives("open_model_folder", kLarge, [&] { return open_model_folder(folder()).status(); });
  const Expected<ModelFolder> model = open_model_folder(folder());
  ASSERT_TRUE(model.ok()) << model.status().message();
  expect_survives("BertEncoder::load", kLarge, [&] { return BertEncoder::load(*model).status(); });
  const Expected<BertEncoder> encoder = BertEncoder::load(*model);
  ASSERT_TRUE(encoder.ok()) << encoder.status().message();
  const std::vector<Encoding> texts(100, {.ids = {2, 4, 5, 3}, .untruncated_size = 4});
  const auto softmax = make_exact_softmax();
  for (const int threads : {1, 2}) {
    expect_survives(fmt::format("embed, {} threads", threads), kLarge,
                    [&] { return encoder->embed(texts, *softmax, {.threads = threads}).status(); });
    expect_survives(fmt::format("classify, {} threads", threads), kLarge,
                    [&] { return encoder->classify(texts, *softmax, {.threads = threads}).status(); });
  }
}

}  // namespace
}  // namespace hccs
