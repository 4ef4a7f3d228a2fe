// SPDX-License-Identifier: Apache-2.0
//
// The encoder on tiny random BERTs that the test writes itself, against plain loops in double.
#include "hccs/encoder.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <omp.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <mutex>
#include <numeric>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <tuple>

#include "hccs/calibration.h"

namespace hccs {
namespace {

using Matrix = std::vector<double>;  // row-major

// ---- A random model, as files and as numbers ------------------------------------------------

struct TinyBert {
  BertConfig config;
  std::string prefix;
  std::map<std::string, std::pair<std::vector<int64_t>, Matrix>> tensors;  // shape, values

  const Matrix& at(const std::string& name) const { return tensors.at(prefix + name).second; }
};

// Values are multiples of 1/256 below 8: exact in F16, so that both types hold the same model.
TinyBert make_tiny_bert(const BertConfig& config, const std::string& prefix, uint64_t seed) {
  TinyBert model{config, prefix, {}};
  std::mt19937_64 random(seed);
  const auto add = [&](const std::string& name, std::vector<int64_t> shape, double centre, double deviation) {
    std::normal_distribution<double> normal(centre, deviation);
    Matrix values(std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>()));
    for (double& v : values) v = std::clamp(std::round(normal(random) * 256), -2047.0, 2047.0) / 256;
    model.tensors[prefix + name] = {std::move(shape), std::move(values)};
  };
  const int64_t hidden = config.hidden_size;
  const auto add_norm = [&](const std::string& name) {
    add(name + ".weight", {hidden}, 1.0, 0.3);
    add(name + ".bias", {hidden}, 0.0, 0.3);
  };
  const auto add_linear = [&](const std::string& name, int64_t in, int64_t out) {
    add(name + ".weight", {out, in}, 0.0, 1.5 / std::sqrt(static_cast<double>(in)));
    add(name + ".bias", {out}, 0.0, 0.3);
  };
  add("embeddings.word_embeddings.weight", {config.vocabulary_size, hidden}, 0.0, 1.0);
  add("embeddings.position_embeddings.weight", {config.max_positions, hidden}, 0.0, 0.5);
  add("embeddings.token_type_embeddings.weight", {config.type_vocabulary_size, hidden}, 0.0, 0.5);
  add_norm("embeddings.LayerNorm");
  for (int64_t l = 0; l < config.layers; ++l) {
    const std::string layer = fmt::format("encoder.layer.{}.", l);
    for (const char* part : {"query", "key", "value"}) add_linear(layer + "attention.self." + part, hidden, hidden);
    add_linear(layer + "attention.output.dense", hidden, hidden);
    add_norm(layer + "attention.output.LayerNorm");
    add_linear(layer + "intermediate.dense", hidden, config.intermediate_size);
    add_linear(layer + "output.dense", config.intermediate_size, hidden);
    add_norm(layer + "output.LayerNorm");
  }
  return model;
}

// Of a multiple of 1/256 below 8, which F16's 11 significant bits hold exactly.
uint16_t half_bits(double value) {
  if (value == 0) return 0;
  int exponent = 0;
  const double fraction = std::frexp(std::abs(value), &exponent);  // 0.5..1
  return static_cast<uint16_t>((value < 0 ? 0x8000 : 0) | ((exponent + 14) << 10) |
                               static_cast<int>(fraction * 2048 - 1024));
}

std::string to_safetensors(const TinyBert& model, const std::string& dtype) {
  std::string header;
  std::string data;
  for (const auto& [name, tensor] : model.tensors) {
    const size_t begin = data.size();
    for (const double value : tensor.second) {
      const auto append = [&](auto bits) { data.append(reinterpret_cast<const char*>(&bits), sizeof bits); };
      dtype == "F16" ? append(half_bits(value)) : append(static_cast<float>(value));
    }
    header += fmt::format(R"({}"{}":{{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})", header.empty() ? "" : ",",
                          name, dtype, fmt::join(tensor.first, ","), begin, data.size());
  }
  header = "{" + header + "}";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  const uint64_t length = header.size();
  return std::string(reinterpret_cast<const char*>(&length), sizeof length) + header + data;
}

class EncoderTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::path(testing::TempDir()) / fmt::format("hccs_encoder_test_{}", getpid());
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  BertEncoder load(const TinyBert& model, const std::string& dtype = "F32") {
    const BertConfig& c = model.config;
    write("config.json",
          fmt::format(R"({{"architectures": ["{}"], "model_type": "bert", "hidden_act": "gelu", "hidden_size": {},
            "num_hidden_layers": {}, "num_attention_heads": {}, "intermediate_size": {}, "max_position_embeddings": {},
            "type_vocab_size": {}, "vocab_size": {}, "layer_norm_eps": {}, "position_embedding_type": "absolute"}})",
                      model.prefix.empty() ? "BertModel" : "BertForMaskedLM", c.hidden_size, c.layers, c.heads,
                      c.intermediate_size, c.max_positions, c.type_vocabulary_size, c.vocabulary_size,
                      c.layer_norm_epsilon));
    std::string vocabulary = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n";
    for (int64_t i = 4; i < c.vocabulary_size; ++i) vocabulary += fmt::format("w{}\n", i);
    write("vocab.txt", vocabulary);
    write("model.safetensors", to_safetensors(model, dtype));
    const Expected<ModelFolder> opened = open_model_folder(folder_);
    if (!opened.ok()) throw std::runtime_error(opened.status().message());
    const Expected<BertEncoder> encoder = BertEncoder::load(*opened);
    if (!encoder.ok()) throw std::runtime_error(encoder.status().message());
    return *encoder;
  }

  void write(const std::string& name, const std::string& content) {
    std::ofstream(folder_ / name, std::ios::binary) << content;
  }

  std::filesystem::path folder_;
};

BertConfig make_config(int64_t hidden, int64_t heads, int64_t intermediate, int64_t layers = 2,
                       int64_t positions = 40) {
  return {.vocabulary_size = 50,
          .hidden_size = hidden,
          .layers = layers,
          .heads = heads,
          .intermediate_size = intermediate,
          .max_positions = positions,
          .type_vocabulary_size = 2,
          .layer_norm_epsilon = 1e-5};
}

std::vector<Encoding> make_texts(const BertConfig& config, std::span<const int64_t> lengths, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<Encoding> texts;
  for (const int64_t length : lengths) {
    Encoding text{{}, length};
    for (int64_t i = 0; i < length; ++i) {
      text.ids.push_back(static_cast<int32_t>(random() % static_cast<uint64_t>(config.vocabulary_size)));
    }
    texts.push_back(std::move(text));
  }
  return texts;
}

std::vector<int64_t> random_lengths(size_t count, int64_t longest, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<int64_t> lengths(count);
  for (int64_t& length : lengths) length = 1 + static_cast<int64_t>(random() % static_cast<uint64_t>(longest));
  return lengths;
}

// ---- The forward pass, in plain loops -------------------------------------------------------

using Softmax = std::function<void(int64_t layer, int64_t head, Matrix& row)>;

void exact(int64_t, int64_t, Matrix& row) {
  const double maximum = *std::max_element(row.begin(), row.end());
  double sum = 0;
  for (double& v : row) sum += v = std::exp(v - maximum);
  for (double& v : row) v /= sum;
}

Matrix linear(const TinyBert& model, const std::string& name, const Matrix& x, int64_t in) {
  const Matrix& weights = model.at(name + ".weight");
  const Matrix& bias = model.at(name + ".bias");
  const auto out = std::ssize(bias);
  Matrix y(std::ssize(x) / in * out);
  for (int64_t r = 0; r < std::ssize(x) / in; ++r) {
    for (int64_t o = 0; o < out; ++o) {
      double sum = bias[o];
      for (int64_t i = 0; i < in; ++i) sum += x[r * in + i] * weights[o * in + i];
      y[r * out + o] = sum;
    }
  }
  return y;
}

void add_and_normalise(const TinyBert& model, const std::string& name, Matrix& x, const Matrix& residual) {
  const Matrix& scale = model.at(name + ".weight");
  const Matrix& shift = model.at(name + ".bias");
  const auto size = std::ssize(scale);
  for (int64_t r = 0; r < std::ssize(x); r += size) {
    double mean = 0;
    double variance = 0;
    for (int64_t i = 0; i < size; ++i) mean += (x[r + i] += residual[r + i]) / size;
    for (int64_t i = 0; i < size; ++i) variance += std::pow(x[r + i] - mean, 2) / size;
    for (int64_t i = 0; i < size; ++i) {
      x[r + i] = (x[r + i] - mean) / std::sqrt(variance + model.config.layer_norm_epsilon) * scale[i] + shift[i];
    }
  }
}

// The embedding; every block's logits go to *logits, [layer][head], if it is not null.
Matrix reference(const TinyBert& model, const std::vector<int32_t>& ids, const Softmax& softmax = exact,
                 std::vector<Matrix>* logits = nullptr) {
  const int64_t hidden = model.config.hidden_size;
  const int64_t dh = hidden / model.config.heads;
  const auto n = std::ssize(ids);
  Matrix x(n * hidden);
  Matrix rest(n * hidden);
  for (int64_t r = 0; r < n; ++r) {
    for (int64_t i = 0; i < hidden; ++i) {
      x[r * hidden + i] = model.at("embeddings.word_embeddings.weight")[ids[r] * hidden + i];
      rest[r * hidden + i] = model.at("embeddings.position_embeddings.weight")[r * hidden + i] +
                             model.at("embeddings.token_type_embeddings.weight")[i];
    }
  }
  add_and_normalise(model, "embeddings.LayerNorm", x, rest);
  for (int64_t l = 0; l < model.config.layers; ++l) {
    const std::string layer = fmt::format("encoder.layer.{}.", l);
    const Matrix q = linear(model, layer + "attention.self.query", x, hidden);
    const Matrix k = linear(model, layer + "attention.self.key", x, hidden);
    const Matrix v = linear(model, layer + "attention.self.value", x, hidden);
    Matrix context(n * hidden, 0.0);
    for (int64_t h = 0; h < model.config.heads; ++h) {
      Matrix block;
      for (int64_t a = 0; a < n; ++a) {
        Matrix row(n, 0.0);
        for (int64_t b = 0; b < n; ++b) {
          for (int64_t i = h * dh; i < (h + 1) * dh; ++i) row[b] += q[a * hidden + i] * k[b * hidden + i];
          row[b] /= std::sqrt(static_cast<double>(dh));
        }
        block.insert(block.end(), row.begin(), row.end());
        softmax(l, h, row);
        for (int64_t b = 0; b < n; ++b) {
          for (int64_t i = h * dh; i < (h + 1) * dh; ++i) context[a * hidden + i] += row[b] * v[b * hidden + i];
        }
      }
      if (logits != nullptr) logits->push_back(std::move(block));
    }
    add_and_normalise(model, layer + "attention.output.LayerNorm", x,
                      linear(model, layer + "attention.output.dense", context, hidden));
    Matrix inner = linear(model, layer + "intermediate.dense", x, hidden);
    for (double& value : inner) value *= 0.5 * (1 + std::erf(value / std::sqrt(2.0)));
    add_and_normalise(model, layer + "output.LayerNorm", x,
                      linear(model, layer + "output.dense", inner, model.config.intermediate_size));
  }
  Matrix mean(hidden, 0.0);
  for (int64_t r = 0; r < n; ++r) {
    for (int64_t i = 0; i < hidden; ++i) mean[i] += x[r * hidden + i] / static_cast<double>(n);
  }
  const double norm = std::sqrt(std::inner_product(mean.begin(), mean.end(), mean.begin(), 0.0));
  for (double& value : mean) value /= norm;
  return mean;
}

void expect_near_reference(const TinyBert& model, const std::vector<Encoding>& texts,
                           const std::vector<float>& embeddings, const Softmax& softmax = exact) {
  const auto hidden = static_cast<size_t>(model.config.hidden_size);
  ASSERT_EQ(embeddings.size(), texts.size() * hidden);
  for (size_t t = 0; t < texts.size(); ++t) {
    const Matrix expected = reference(model, texts[t].ids, softmax);
    for (size_t i = 0; i < hidden; ++i) {
      ASSERT_NEAR(embeddings[t * hidden + i], expected[i], 1e-5)
          << "text " << t << " of " << texts[t].ids.size() << " tokens, component " << i;
    }
  }
}

// ---- Embeddings -----------------------------------------------------------------------------

TEST_F(EncoderTest, EqualsPlainLoopsForAnySizes) {
  struct Case {
    BertConfig config;
    const char* prefix;
    const char* dtype;
  };
  const Case cases[] = {{make_config(24, 3, 40), "", "F32"},
                        {make_config(24, 3, 40), "", "F16"},
                        {make_config(21, 3, 37), "bert.", "F32"},
                        {make_config(8, 1, 5, 3), "", "F32"},
                        {make_config(70, 2, 130, 1, 100), "", "F16"}};
  uint64_t seed = 71;
  for (const Case& c : cases) {
    SCOPED_TRACE(fmt::format("hidden {}, heads {}, {}, seed {}", c.config.hidden_size, c.config.heads, c.dtype, seed));
    const TinyBert model = make_tiny_bert(c.config, c.prefix, seed);
    std::vector<int64_t> lengths = random_lengths(60, c.config.max_positions, seed);
    lengths.insert(lengths.end(), {1, 2, c.config.max_positions});
    const std::vector<Encoding> texts = make_texts(c.config, lengths, seed);
    const auto embeddings = load(model, c.dtype).embed(texts, *make_exact_softmax(), {.threads = 2});
    ASSERT_TRUE(embeddings.ok()) << embeddings.status().message();
    expect_near_reference(model, texts, *embeddings);
    ++seed;
  }
}

TEST_F(EncoderTest, OneTextMayBeLongerThanABatch) {
  const BertConfig config = make_config(12, 2, 16, 1, 1100);
  const TinyBert model = make_tiny_bert(config, "", 5);
  const std::vector<Encoding> texts =
      make_texts(config, std::vector<int64_t>{3, 1100, 47, 48, 49, 479, 480, 481, 1}, 6);
  const auto embeddings = load(model).embed(texts, *make_exact_softmax(), {});
  ASSERT_TRUE(embeddings.ok()) << embeddings.status().message();
  expect_near_reference(model, texts, *embeddings);
}

TEST_F(EncoderTest, NoTextsGiveNoEmbeddings) {
  const auto embeddings = load(make_tiny_bert(make_config(8, 2, 8), "", 1)).embed({}, *make_exact_softmax(), {});
  ASSERT_TRUE(embeddings.ok()) << embeddings.status().message();
  EXPECT_TRUE(embeddings->empty());
}

TEST_F(EncoderTest, SameBitsForAnyThreadsOrderAndCompany) {
  const BertConfig config = make_config(24, 3, 40);
  const BertEncoder encoder = load(make_tiny_bert(config, "", 11));
  const std::vector<Encoding> texts = make_texts(config, random_lengths(300, 40, 12), 13);
  const auto softmax = make_exact_softmax();
  const auto embed = [&](std::span<const Encoding> some, int threads) {
    const auto embeddings = encoder.embed(some, *softmax, {.threads = threads});
    return embeddings.ok() ? *embeddings : std::vector<float>();
  };
  const std::vector<float> expected = embed(texts, 1);
  ASSERT_EQ(expected.size(), texts.size() * 24);
  for (const int threads : {2, 3, 8, 100}) EXPECT_EQ(embed(texts, threads), expected) << threads << " threads";

  std::vector<size_t> order(texts.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::shuffle(order.begin(), order.end(), std::mt19937_64(14));
  std::vector<Encoding> shuffled;
  for (const size_t t : order) shuffled.push_back(texts[t]);
  const std::vector<float> result = embed(shuffled, 2);
  ASSERT_EQ(result.size(), expected.size());
  for (size_t i = 0; i < order.size(); ++i) {
    ASSERT_TRUE(std::equal(result.begin() + i * 24, result.begin() + (i + 1) * 24, expected.begin() + order[i] * 24))
        << "text " << order[i] << " at place " << i << ", shuffled with seed 14";
  }
  for (size_t t = 0; t < texts.size(); t += 37) {
    const std::vector<float> alone = embed(std::span(texts).subspan(t, 1), 1);
    ASSERT_TRUE(std::equal(alone.begin(), alone.end(), expected.begin() + t * 24)) << "text " << t << " alone";
  }
}

TEST_F(EncoderTest, LeavesTheCallersOpenMpAlone) {
  const BertConfig config = make_config(8, 2, 8);
  const int before = omp_get_max_threads();
  omp_set_num_threads(before + 2);
  const BertEncoder encoder = load(make_tiny_bert(config, "", 1));
  EXPECT_EQ(omp_get_max_threads(), before + 2);
  EXPECT_TRUE(encoder.embed(make_texts(config, std::vector<int64_t>{3, 4}, 1), *make_exact_softmax(), {}).ok());
  EXPECT_EQ(omp_get_max_threads(), before + 2);
  omp_set_num_threads(before);
}

// ---- The softmax interface ------------------------------------------------------------------

TEST_F(EncoderTest, CaptureSeesEveryBlockOnceWithItsLogits) {
  const BertConfig config = make_config(21, 3, 20);
  const TinyBert model = make_tiny_bert(config, "", 21);
  const std::vector<Encoding> texts = make_texts(config, random_lengths(80, 40, 22), 23);
  std::mutex mutex;
  std::map<std::tuple<int64_t, int64_t, int64_t>, std::vector<float>> blocks;  // text, layer, head
  int64_t calls = 0;
  const auto capture = make_capturing_softmax(make_exact_softmax(), [&](const AttentionBlock& block) -> Status {
    const std::lock_guard lock(mutex);
    ++calls;
    blocks[{block.text, block.layer, block.head}].assign(block.logits, block.logits + block.length * block.length);
    const int64_t dimension = config.hidden_size / config.heads;
    for (int64_t i = 0; i < block.length; ++i) {
      for (int64_t j = 0; j < block.length; ++j) {
        const float* query = block.query + i * block.row_stride;
        const double product = std::inner_product(query, query + dimension, block.key + j * block.row_stride, 0.0);
        EXPECT_NEAR(product / std::sqrt(dimension), block.logits[i * block.length + j], 1e-4);
      }
    }
    EXPECT_EQ(block.value - block.key, block.key - block.query);
    return {};
  });
  ASSERT_TRUE(capture.ok()) << capture.status().message();
  const BertEncoder encoder = load(model);
  const auto embeddings = encoder.embed(texts, **capture, {.threads = 2});
  ASSERT_TRUE(embeddings.ok()) << embeddings.status().message();
  EXPECT_EQ(*embeddings, *encoder.embed(texts, *make_exact_softmax(), {}));
  ASSERT_EQ(calls, std::ssize(texts) * 2 * 3);
  ASSERT_EQ(std::ssize(blocks), calls);
  for (size_t t = 0; t < texts.size(); ++t) {
    std::vector<Matrix> expected;
    reference(model, texts[t].ids, exact, &expected);
    for (int64_t layer = 0; layer < 2; ++layer) {
      for (int64_t head = 0; head < 3; ++head) {
        const auto found = blocks.find({static_cast<int64_t>(t), layer, head});
        ASSERT_NE(found, blocks.end());
        const Matrix& wanted = expected[layer * 3 + head];
        ASSERT_EQ(found->second.size(), wanted.size());
        for (size_t i = 0; i < wanted.size(); ++i) ASSERT_NEAR(found->second[i], wanted[i], 1e-4);
      }
    }
  }
}

// Depends on layer and head, and on no logit.
void recency(int64_t layer, int64_t head, Matrix& row) {
  double sum = 0;
  for (size_t i = 0; i < row.size(); ++i) sum += row[i] = 1.0 + static_cast<double>(i * (1 + layer + 2 * head));
  for (double& v : row) v /= sum;
}

TEST_F(EncoderTest, UsesTheProbabilitiesItIsGiven) {
  class Recency final : public AttentionSoftmax {
    Status apply(const AttentionBlock& block, float* probabilities) const override {
      Matrix row(block.length);
      recency(block.layer, block.head, row);
      for (int64_t q = 0; q < block.length; ++q) std::copy(row.begin(), row.end(), probabilities + q * block.length);
      return {};
    }
  };
  const BertConfig config = make_config(24, 3, 40);
  const TinyBert model = make_tiny_bert(config, "", 31);
  const std::vector<Encoding> texts = make_texts(config, random_lengths(50, 40, 32), 33);
  const auto embeddings = load(model).embed(texts, Recency(), {.threads = 2});
  ASSERT_TRUE(embeddings.ok()) << embeddings.status().message();
  expect_near_reference(model, texts, *embeddings, recency);
}

struct LogitBlocks {
  std::vector<AttentionBlock> blocks;
  std::vector<std::vector<float>> logits;
};

// Random blocks for every head of 2 layers of 3 heads: small, large and saturating logits, ties, constants.
LogitBlocks random_blocks(uint64_t seed) {
  LogitBlocks result;
  std::mt19937_64 random(seed);
  for (int64_t i = 0; i < 240; ++i) {
    const auto length = static_cast<int64_t>(1 + random() % 70);
    std::normal_distribution<float> normal(0.0F, std::array{0.0F, 0.5F, 4.0F, 60.0F}[i % 4]);
    std::vector<float> logits(length * length);
    for (float& v : logits) v = normal(random);
    for (size_t j = 1; j < logits.size(); j += 5) logits[j] = logits[j - 1];
    result.logits.push_back(std::move(logits));
    result.blocks.push_back({i / 3 % 2, i % 3, i, length, result.logits.back().data()});
  }
  return result;
}

// Applies `softmax` beside the logits and in place, which must agree.
std::vector<float> apply_twice(const AttentionSoftmax& softmax, const AttentionBlock& block) {
  std::vector<float> beside(block.length * block.length);
  EXPECT_TRUE(softmax.apply(block, beside.data()).ok());
  std::vector<float> in_place(block.logits, block.logits + beside.size());
  AttentionBlock aliased = block;
  aliased.logits = in_place.data();
  EXPECT_TRUE(softmax.apply(aliased, in_place.data()).ok());
  EXPECT_EQ(beside, in_place);
  return beside;
}

const std::vector<double> kSteps = {0.02, 0.05, 0.1, 0.3, 0.5, 1.5};  // 2 layers x 3 heads

TEST(AttentionSoftmaxTest, ExactEqualsDouble) {
  const LogitBlocks data = random_blocks(41);
  const auto softmax = make_exact_softmax();
  for (const AttentionBlock& block : data.blocks) {
    const std::vector<float> p = apply_twice(*softmax, block);
    for (int64_t q = 0; q < block.length; ++q) {
      Matrix row(block.logits + q * block.length, block.logits + (q + 1) * block.length);
      exact(0, 0, row);
      for (int64_t i = 0; i < block.length; ++i)
        ASSERT_NEAR(p[q * block.length + i], row[i], 1e-6) << "block " << block.text;
    }
  }
}

TEST(AttentionSoftmaxTest, Int8ExactIsQuantisationThenExact) {
  const LogitBlocks data = random_blocks(42);
  const auto softmax = make_int8_exact_softmax(kSteps, 3);
  ASSERT_TRUE(softmax.ok()) << softmax.status().message();
  for (const AttentionBlock& block : data.blocks) {
    const std::vector<float> p = apply_twice(**softmax, block);
    const double step = kSteps[block.layer * 3 + block.head];
    std::vector<int8_t> x(block.length);
    for (int64_t q = 0; q < block.length; ++q) {
      quantise_logits(std::span(block.logits + q * block.length, x.size()), step, x);
      Matrix row(x.begin(), x.end());
      for (double& v : row) v *= step;
      exact(0, 0, row);
      for (int64_t i = 0; i < block.length; ++i) {
        ASSERT_NEAR(p[q * block.length + i], row[i], 2e-6) << "block " << block.text << ", row " << q;
      }
    }
  }
}

ParamFile make_params() {
  const std::vector<HeadParams> heads = {{300, {{2, 100}}},
                                         {32767, {{127, 90}, {60, 127}}},
                                         {1000, {{20, 10}, {8, 40}, {2, 100}}},
                                         {700, {{3, 5}, {5, 30}, {2, 60}, {1, 127}}},
                                         {1, {{0, 1}}},
                                         {255, {{5, 51}}}};
  ParamFile params;
  params.layers = 2;
  params.heads = 3;
  for (size_t i = 0; i < heads.size(); ++i) {
    params.entries.push_back({.params = heads[i], .step = kSteps[i]});
    EXPECT_TRUE(validate(heads[i]).ok()) << validate(heads[i]).message();
  }
  return params;
}

template <class Out>
void expect_hccs_equals_reference(Normalisation normalisation, OutputType output, float full_scale) {
  const LogitBlocks data = random_blocks(43);
  const ParamFile params = make_params();
  const auto softmax = make_hccs_softmax(params, normalisation, output);
  ASSERT_TRUE(softmax.ok()) << softmax.status().message();
  for (const AttentionBlock& block : data.blocks) {
    const std::vector<float> p = apply_twice(**softmax, block);
    const HeadEntry& head = params.at(block.layer, block.head);
    std::vector<int8_t> x(block.length);
    std::vector<Out> expected(block.length);
    for (int64_t q = 0; q < block.length; ++q) {
      quantise_logits(std::span(block.logits + q * block.length, x.size()), head.step, x);
      ASSERT_TRUE(softmax_reference(head.params, normalisation, x, {}, std::span(expected)).ok());
      for (int64_t i = 0; i < block.length; ++i) {
        ASSERT_EQ(p[q * block.length + i], static_cast<float>(expected[i]) / full_scale)
            << name(normalisation) << " " << name(output) << ", block " << block.text << ", row " << q << ", " << i;
      }
    }
  }
}

TEST(AttentionSoftmaxTest, HccsEqualsTheReference) {
  for (const Normalisation mode : {Normalisation::kDiv, Normalisation::kClb, Normalisation::kScaled}) {
    expect_hccs_equals_reference<uint8_t>(mode, OutputType::kUint8, 255.0F);
    expect_hccs_equals_reference<int16_t>(mode, OutputType::kInt16, 32767.0F);
  }
}

// ---- Progress and errors --------------------------------------------------------------------

TEST_F(EncoderTest, ReportsEveryTextFromOneThreadAtATime) {
  const BertConfig config = make_config(8, 2, 8);
  const std::vector<Encoding> texts = make_texts(config, random_lengths(500, 40, 52), 53);
  std::atomic<int> inside = 0;
  std::vector<int64_t> reports;
  const auto progress = [&](int64_t done, int64_t total) {
    EXPECT_EQ(++inside, 1);
    EXPECT_EQ(total, 500);
    reports.push_back(done);
    --inside;
    return true;
  };
  const BertEncoder encoder = load(make_tiny_bert(config, "", 51));
  ASSERT_TRUE(encoder.embed(texts, *make_exact_softmax(), {.threads = 3, .progress = progress}).ok());
  ASSERT_GT(reports.size(), 3);
  EXPECT_TRUE(std::is_sorted(reports.begin(), reports.end(), std::less_equal<>()));
  EXPECT_EQ(reports.back(), 500);
}

TEST_F(EncoderTest, ProgressCanCancel) {
  const BertConfig config = make_config(8, 2, 8);
  const std::vector<Encoding> texts = make_texts(config, std::vector<int64_t>(2000, 20), 55);
  const BertEncoder encoder = load(make_tiny_bert(config, "", 54));
  for (const int threads : {1, 3}) {
    int calls = 0;
    const auto cancel = [&](int64_t, int64_t) { return ++calls < 3; };
    const auto result = encoder.embed(texts, *make_exact_softmax(), {.threads = threads, .progress = cancel});
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.status().code(), StatusCode::kCancelled) << result.status().message();
    EXPECT_EQ(calls, 3) << "no report after the one that cancelled";
  }
}

TEST_F(EncoderTest, RefusesBadTextsByIndexAndValue) {
  const BertConfig config = make_config(8, 2, 8);
  const BertEncoder encoder = load(make_tiny_bert(config, "", 61));
  struct Case {
    std::vector<int32_t> ids;
    std::vector<const char*> words;
  };
  const std::vector<Case> cases = {{{}, {"text 2", "no tokens"}},
                                   {std::vector<int32_t>(41, 5), {"text 2", "41 tokens", "40 positions"}},
                                   {{5, -1}, {"text 2", "token 1", "-1"}},
                                   {{50}, {"text 2", "token 0", "50"}}};
  for (const Case& c : cases) {
    std::vector<Encoding> texts = make_texts(config, std::vector<int64_t>{3, 40, 1, 7}, 62);
    texts[2].ids = c.ids;
    const auto result = encoder.embed(texts, *make_exact_softmax(), {});
    ASSERT_FALSE(result.ok()) << c.words[1];
    EXPECT_EQ(result.status().code(), StatusCode::kInvalidArgument);
    for (const char* word : c.words) {
      EXPECT_NE(result.status().message().find(word), std::string::npos)
          << result.status().message() << " lacks " << word;
    }
  }
  for (const int threads : {0, -3}) {
    const auto result = encoder.embed({}, *make_exact_softmax(), {.threads = threads});
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.status().code(), StatusCode::kInvalidArgument);
    EXPECT_NE(result.status().message().find(std::to_string(threads)), std::string::npos) << result.status().message();
  }
}

// What a softmax says ends the run, whole: code and message.
TEST_F(EncoderTest, TheErrorOfASoftmaxIsTheRunsError) {
  const BertConfig config = make_config(9, 3, 8);
  const BertEncoder encoder = load(make_tiny_bert(config, "", 63));
  const std::vector<Encoding> texts = make_texts(config, std::vector<int64_t>(100, 20), 64);
  ParamFile one_layer = make_params();
  one_layer.layers = 1;
  one_layer.entries.resize(3);
  ParamFile two_heads = make_params();
  two_heads.layers = 3;
  two_heads.heads = 2;
  struct Case {
    StatusCode code;
    const char* words;
    Expected<std::unique_ptr<AttentionSoftmax>> softmax;
  };
  std::vector<Case> cases;
  cases.push_back({StatusCode::kMismatch, "layer 1, head 0: the softmax has 3 entries, 3 a layer",
                   make_hccs_softmax(one_layer, Normalisation::kScaled, OutputType::kUint8)});
  cases.push_back({StatusCode::kMismatch, "layer 0, head 2: the softmax has 6 entries, 2 a layer",
                   make_hccs_softmax(two_heads, Normalisation::kScaled, OutputType::kUint8)});
  cases.push_back({StatusCode::kMismatch, "layer 1, head 0: the softmax has 3 entries, 3 a layer",
                   make_int8_exact_softmax(std::span(kSteps).first(3), 3)});
  const auto capture = [](AttentionSink sink) { return make_capturing_softmax(make_exact_softmax(), std::move(sink)); };
  cases.push_back({StatusCode::kIo, "the disk is full",
                   capture([](const AttentionBlock&) { return Status(StatusCode::kIo, "the disk is full"); })});
  cases.push_back({StatusCode::kInvalidArgument, "attention sink: the sink is full",
                   capture([](const AttentionBlock&) -> Status { throw std::runtime_error("the sink is full"); })});
  cases.push_back({StatusCode::kOutOfMemory, "attention sink: out of memory",
                   capture([](const AttentionBlock&) -> Status { throw std::bad_alloc(); })});
  cases.push_back({StatusCode::kInvalidArgument, "attention sink: an exception of a type that is none of std",
                   capture([](const AttentionBlock&) -> Status { throw 7; })});
  for (const Case& c : cases) {
    ASSERT_TRUE(c.softmax.ok()) << c.softmax.status().message();
    const auto result = encoder.embed(texts, **c.softmax, {.threads = 2});
    ASSERT_FALSE(result.ok()) << c.words;
    EXPECT_EQ(result.status().code(), c.code) << c.words;
    EXPECT_EQ(result.status().message(), c.words);
  }
}

// A caller's own class, or its progress callback.
TEST_F(EncoderTest, AnExceptionOfTheCallersIsAnError) {
  class Throws final : public AttentionSoftmax {
    Status apply(const AttentionBlock&, float*) const override { throw std::runtime_error("no such head"); }
  };
  const BertConfig config = make_config(8, 2, 8);
  const BertEncoder encoder = load(make_tiny_bert(config, "", 65));
  const std::vector<Encoding> texts = make_texts(config, std::vector<int64_t>(100, 20), 66);
  const auto expect_error = [&](const Status& status, StatusCode code, const std::string& message) {
    EXPECT_EQ(status.code(), code);
    EXPECT_EQ(status.message(), message);
  };
  for (const int threads : {1, 3}) {
    const auto with = [&](Progress progress) {
      return encoder.embed(texts, *make_exact_softmax(), {.threads = threads, .progress = std::move(progress)})
          .status();
    };
    expect_error(encoder.embed(texts, Throws(), {.threads = threads}).status(), StatusCode::kInvalidArgument,
                 "encoder: no such head");
    expect_error(with([](int64_t, int64_t) -> bool { throw std::logic_error("no window"); }),
                 StatusCode::kInvalidArgument, "encoder: no window");
    expect_error(with([](int64_t, int64_t) -> bool { throw std::bad_alloc(); }), StatusCode::kOutOfMemory,
                 "encoder: out of memory");
    expect_error(with([](int64_t, int64_t) -> bool {
                   throw std::system_error(std::make_error_code(std::errc::no_space_on_device));
                 }),
                 StatusCode::kIo, "encoder: No space left on device");
  }
}

TEST(AttentionSoftmaxTest, FactoriesRefuseWhatCannotRun) {
  const auto refused = [](const Expected<std::unique_ptr<AttentionSoftmax>>& softmax, const std::string& message) {
    EXPECT_EQ(softmax.status().code(), StatusCode::kInvalidArgument);
    EXPECT_EQ(softmax.status().message(), message);
  };
  refused(make_int8_exact_softmax({}, 3), "0 steps are not a positive multiple of 3 heads a layer");
  refused(make_int8_exact_softmax(kSteps, 0), "6 steps are not a positive multiple of 0 heads a layer");
  refused(make_int8_exact_softmax(std::span(kSteps).first(5), 3),
          "5 steps are not a positive multiple of 3 heads a layer");
  const auto with_step = [](double step) {
    std::vector<double> steps = kSteps;
    steps[4] = step;
    return make_int8_exact_softmax(steps, 3);
  };
  refused(with_step(0), "layer 1, head 1: step 0, but a logit step is positive and finite");
  refused(with_step(-0.1), "layer 1, head 1: step -0.1, but a logit step is positive and finite");
  refused(with_step(INFINITY), "layer 1, head 1: step inf, but a logit step is positive and finite");
  refused(with_step(NAN), "layer 1, head 1: step nan, but a logit step is positive and finite");

  const auto hccs = [](const std::function<void(ParamFile&)>& change) {
    ParamFile params = make_params();
    change(params);
    return make_hccs_softmax(params, Normalisation::kScaled, OutputType::kInt16);
  };
  refused(hccs([](ParamFile& p) { p.entries.pop_back(); }), "5 entries, but 2 layers of 3 heads");
  refused(hccs([](ParamFile& p) { p.entries.clear(); }), "0 entries, but 2 layers of 3 heads");
  refused(hccs([](ParamFile& p) { p.heads = 2; }), "6 entries, but 2 layers of 2 heads");
  refused(hccs([](ParamFile& p) { p.heads = 0; }), "6 entries, but 2 layers of 0 heads");
  refused(hccs([](ParamFile& p) { p.layers = -2; }), "6 entries, but -2 layers of 3 heads");
  refused(hccs([](ParamFile& p) { p.entries[5].step = NAN; }),
          "layer 1, head 2: step nan, but a logit step is positive and finite");
  const auto invalid = hccs([](ParamFile& p) { p.entries[4].params.offset = 0; });
  EXPECT_EQ(invalid.status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(invalid.status().message().find("layer 1, head 1: offset B = 0"), 0) << invalid.status().message();

  const AttentionSink sink = [](const AttentionBlock&) { return Status(); };
  refused(make_capturing_softmax(nullptr, sink), "a capturing softmax needs a sink and a softmax to apply");
  refused(make_capturing_softmax(make_exact_softmax(), {}), "a capturing softmax needs a sink and a softmax to apply");
}

TEST_F(EncoderTest, LoadReportsATensorThatIsNotThere) {
  const TinyBert model = make_tiny_bert(make_config(8, 2, 8), "", 65);
  load(model);
  Expected<ModelFolder> folder = open_model_folder(folder_);
  ASSERT_TRUE(folder.ok()) << folder.status().message();
  folder->config.layers = 3;  // the file has 2
  const auto result = BertEncoder::load(*folder);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.status().code(), StatusCode::kBadData);
  EXPECT_NE(result.status().message().find("encoder.layer.2."), std::string::npos) << result.status().message();
}

}  // namespace
}  // namespace hccs
