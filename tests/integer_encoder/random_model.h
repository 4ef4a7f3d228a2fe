// SPDX-License-Identifier: Apache-2.0
//
// Integer models of random, or hostile, numbers that tests make themselves. The same on every machine.
// HCCS_WITHOUT_TOKENIZER: as a build without the formats has them.
#ifndef HCCS_TESTS_INTEGER_ENCODER_RANDOM_MODEL_H_
#define HCCS_TESTS_INTEGER_ENCODER_RANDOM_MODEL_H_

#include <algorithm>
#include <cstdint>
#include <list>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "integer_encoder/model.h"

namespace hccs::internal {

// What the weights are.
enum class Weights { kRandom, kLargest, kZero, kOneOutlier };

struct ModelShape {
  int64_t hidden = 24;
  int64_t heads = 3;
  int64_t inner = 40;
  int64_t layers = 2;
  int64_t positions = 40;
  Weights weights = Weights::kRandom;
  AttentionWeights attention = AttentionWeights::kUint8;
  IntPooling pooling = IntPooling::kMean;
  bool hostile = false;  // biases, shifts and multipliers are at the ends of their ranges
};

class ModelMaker {
 public:
  ModelMaker(const ModelShape& shape, uint64_t seed) : shape_(shape), random_(seed) {}

  IntegerModel make() {
    IntegerModel model{.origin = {.name = "random", .weights_digest = "w", .calibration_digest = "c", .knees = 3},
                       .hidden = shape_.hidden,
                       .heads = shape_.heads,
                       .inner = shape_.inner,
                       .vocabulary = 50,
                       .positions = shape_.positions,
                       .types = 2,
                       .weights = shape_.attention};
    model.words = bytes(model.vocabulary * shape_.hidden);
    model.word_multipliers = numbers<int16_t>(model.vocabulary, 1000, 32767);
    model.word_shift = 7;
    model.position_rows = numbers<int16_t>(model.types * model.positions * shape_.hidden, -3000, 3000);
    model.embedding_norm = norm();
    for (int64_t l = 0; l < shape_.layers; ++l) model.layers.push_back(layer());
    model.pooling = shape_.pooling;
    model.max_length = shape_.positions;
    model.classifier_max_length = shape_.positions;
    IntClassifier& classifier = model.classifier.emplace();
    classifier.labels = {"no", "yes", "perhaps"};
    classifier.pooler = linear(shape_.hidden, shape_.hidden, 1 << 12, 3, false);
    classifier.logits = linear(shape_.hidden, 3, 1 << 12, 0, true);
#if !defined(HCCS_WITHOUT_TOKENIZER)
    std::vector<std::string> tokens = {"[PAD]", "[UNK]", "[CLS]", "[SEP]"};
    while (std::ssize(tokens) < model.vocabulary) tokens.push_back("w" + std::to_string(tokens.size()));
    model.tokenizer = *WordPieceTokenizer::make(std::move(tokens), "random model");
#endif
    model.storage = storage_;
    return model;
  }

  std::vector<int32_t> ids(int64_t count) { return numbers<int32_t>(count, 0, 49); }

 private:
  int64_t number(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(random_() % static_cast<uint64_t>(high - low + 1));
  }

  template <class T>
  std::vector<T> numbers(int64_t count, int64_t low, int64_t high) {
    std::vector<T> out;
    for (int64_t i = 0; i < count; ++i) out.push_back(static_cast<T>(number(low, high)));
    return out;
  }

  std::span<const int8_t> bytes(int64_t count) {
    auto& stored = storage_->emplace_back(numbers<int8_t>(count, -127, 127));
    for (int8_t& w : stored) {
      if (shape_.weights == Weights::kLargest) w = w < 0 ? -127 : 127;
      if (shape_.weights == Weights::kZero) w = 0;
      if (shape_.weights == Weights::kOneOutlier) w = static_cast<int8_t>(w % 2);
    }
    if (shape_.weights == Weights::kOneOutlier) stored[0] = 127;
    return stored;
  }

  IntLinear linear(int64_t in, int64_t out, int64_t bias, int shift, bool residual) {
    IntLinear linear{.in = in, .out = out, .weights = bytes(in * out)};
    linear.bias = numbers<int32_t>(out, -bias, bias);
    linear.shift = numbers<uint8_t>(out, std::max(0, shift - 2), shift + 2);
    linear.multiplier = numbers<int16_t>(out, 1 << 14, 32767);
    if (residual) linear.out_shift = numbers<uint8_t>(out, 15, 18);
    if (shape_.hostile) make_hostile(&linear);
    return linear;
  }

  void make_hostile(IntLinear* linear) {
    for (int32_t& bias : linear->bias) bias = pick({-kMaxBias, -1, 0, 1, kMaxBias, bias});
    for (uint8_t& shift : linear->shift) shift = static_cast<uint8_t>(pick({0, 1, 24, shift}));
    for (int16_t& multiplier : linear->multiplier) multiplier = static_cast<int16_t>(pick({1 << 14, 32767}));
    for (uint8_t& shift : linear->out_shift) shift = static_cast<uint8_t>(pick({0, 1, 14, 30, shift}));
  }

  int32_t pick(std::initializer_list<int32_t> choices) {
    return *(choices.begin() + number(0, static_cast<int64_t>(choices.size()) - 1));
  }

  IntAffine affine(int64_t bias, int shift) {
    if (shape_.hostile) {
      bias = number(0, 1) == 0 ? kMaxNormBias : 1;
      shift = pick({1, 12, 24});
    }
    return {.scale = numbers<int16_t>(shape_.hidden, -32767, 32767),
            .bias = numbers<int32_t>(shape_.hidden, -bias, bias),
            .shift = shift};
  }

  IntNorm norm() { return {.epsilon = number(16, 4000), .int8 = affine(1 << 24, 20), .skip = affine(1 << 22, 14)}; }

  IntLayer layer() {
    IntLayer layer;
    layer.query_key_value = linear(shape_.hidden, 3 * shape_.hidden, 1 << 14, 1, false);
    for (int64_t h = 0; h < shape_.heads; ++h) {
      layer.heads.push_back(HeadParams(static_cast<int32_t>(number(200, 5000)), {{2, 20}, {1, 60}}));
      layer.rescale.push_back({static_cast<int32_t>(number(1 << 14, 32767)), static_cast<int32_t>(number(22, 26))});
    }
    layer.attention_output = linear(shape_.hidden, shape_.hidden, 1 << 12, 2, true);
    layer.attention_skip = static_cast<int32_t>(number(0, kMaxSkipShift));
    layer.attention_norm = norm();
    layer.intermediate = linear(shape_.hidden, shape_.inner, 1 << 14, 2, false);
    layer.gelu = {.fraction = static_cast<int32_t>(number(4, 13)),
                  .multiplier = static_cast<int32_t>(number(200, 32767)),
                  .zero = static_cast<int32_t>(number(0, 30)),
                  .splits = {5, 3, 1}};
    layer.output = linear(shape_.inner + 9, shape_.hidden, 1 << 14, 3, true);
    layer.output_skip = static_cast<int32_t>(number(0, kMaxSkipShift));
    layer.output_norm = norm();
    return layer;
  }

  ModelShape shape_;
  std::mt19937_64 random_;
  // The elements of a list do not move.
  std::shared_ptr<std::list<std::vector<int8_t>>> storage_ = std::make_shared<std::list<std::vector<int8_t>>>();
};

}  // namespace hccs::internal

#endif  // HCCS_TESTS_INTEGER_ENCODER_RANDOM_MODEL_H_
