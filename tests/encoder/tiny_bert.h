// SPDX-License-Identifier: Apache-2.0
//
// Small random BERTs that tests write themselves, and their forward pass in plain loops in double.
#ifndef HCCS_TESTS_ENCODER_TINY_BERT_H_
#define HCCS_TESTS_ENCODER_TINY_BERT_H_

#include <fmt/format.h>
#include <gtest/gtest.h>
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

#include "hccs/encoder.h"

namespace hccs {

using Matrix = std::vector<double>;  // row-major

// ---- A random model, as files and as numbers ------------------------------------------------

struct TinyBert {
  BertConfig config;
  std::string prefix;
  std::map<std::string, std::pair<std::vector<int64_t>, Matrix>> tensors;  // shape, values

  const Matrix& at(const std::string& name) const { return tensors.at(prefix + name).second; }
};

// Values are multiples of 1/256 below 8: exact in F16, so that both types hold the same model.
inline TinyBert make_tiny_bert(const BertConfig& config, const std::string& prefix, uint64_t seed) {
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
inline uint16_t half_bits(double value) {
  if (value == 0) return 0;
  int exponent = 0;
  const double fraction = std::frexp(std::abs(value), &exponent);  // 0.5..1
  return static_cast<uint16_t>((value < 0 ? 0x8000 : 0) | ((exponent + 14) << 10) |
                               static_cast<int>(fraction * 2048 - 1024));
}

inline std::string to_safetensors(const TinyBert& model, const std::string& dtype) {
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

inline BertConfig make_config(int64_t hidden, int64_t heads, int64_t intermediate, int64_t layers = 2,
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

inline std::vector<Encoding> make_texts(const BertConfig& config, std::span<const int64_t> lengths, uint64_t seed) {
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

inline std::vector<int64_t> random_lengths(size_t count, int64_t longest, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<int64_t> lengths(count);
  for (int64_t& length : lengths) length = 1 + static_cast<int64_t>(random() % static_cast<uint64_t>(longest));
  return lengths;
}

// ---- The forward pass, in plain loops -------------------------------------------------------

using Softmax = std::function<void(int64_t layer, int64_t head, Matrix& row)>;

inline void exact(int64_t, int64_t, Matrix& row) {
  const double maximum = *std::max_element(row.begin(), row.end());
  double sum = 0;
  for (double& v : row) sum += v = std::exp(v - maximum);
  for (double& v : row) v /= sum;
}

inline Matrix linear(const TinyBert& model, const std::string& name, const Matrix& x, int64_t in) {
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

inline void add_and_normalise(const TinyBert& model, const std::string& name, Matrix& x, const Matrix& residual) {
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
inline Matrix reference(const TinyBert& model, const std::vector<int32_t>& ids, const Softmax& softmax = exact,
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

inline void expect_near_reference(const TinyBert& model, const std::vector<Encoding>& texts,
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

}  // namespace hccs

#endif  // HCCS_TESTS_ENCODER_TINY_BERT_H_
