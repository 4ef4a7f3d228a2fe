// SPDX-License-Identifier: Apache-2.0
//
// How the quantiser follows the integer model on the texts: its steps on many rows, the errors that products take back,
// and heads that are fitted to attention's output.
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "quantiser/fit_heads.h"
#include "quantiser/integer_rows.h"
#include "quantiser/requantise.h"
#include "random_model.h"

namespace hccs::internal {
namespace {

template <class Integer>
std::vector<float> floats(const std::vector<Integer>& x) {
  return {x.begin(), x.end()};
}

TEST(IntegerRows, AreTheDefinitions) {
  for (const Weights weights : {Weights::kRandom, Weights::kLargest}) {
    // More inner channels than a float adds up exactly.
    ModelMaker maker({.hidden = 48, .heads = 4, .inner = 1100, .weights = weights}, 11);
    const IntegerModel model = maker.make();
    std::vector<Encoding> texts;
    HiddenStates states;
    HiddenStates expected;
    const auto append = [](const HiddenStates& from, HiddenStates* to) {
      to->skip.insert(to->skip.end(), from.skip.begin(), from.skip.end());
      to->int8.insert(to->int8.end(), from.int8.begin(), from.int8.end());
    };
    for (const int64_t length : {1, 7, 40}) {
      texts.push_back({.ids = maker.ids(length)});
      append(reference_embedded_tokens(model, texts.back().ids, length), &states);
      append(*reference_forward(model, texts.back().ids, length), &expected);
    }
    for (const IntLayer& layer : model.layers) {
      const std::vector<int8_t> context = *integer_context(model, layer, texts, states.int8);
      states =
          integer_sum(layer.attention_output, floats(context), states.skip, layer.attention_skip, layer.attention_norm);
      const std::vector<uint8_t> columns = integer_columns(layer, floats(states.int8));
      states = integer_sum(layer.output, floats(columns), states.skip, layer.output_skip, layer.output_norm);
    }
    EXPECT_EQ(states.skip, expected.skip);
    EXPECT_EQ(states.int8, expected.int8);
  }
}

// Inputs whose integers miss a constant, and a part that the other channels show, are made up for.
TEST(MakeProduct, TakesBackWhatTheInputsHaveLost) {
  std::mt19937_64 random(5);
  std::normal_distribution<float> normal;
  const int64_t in = 6;
  const int64_t out = 3;
  const int64_t rows = 4000;
  FloatLinear linear{.in = in, .out = out};
  for (int64_t i = 0; i < in * out; ++i) linear.weights.push_back(normal(random));
  linear.bias = {0.5F, -1, 0};
  std::vector<float> x;
  std::vector<float> d;
  std::vector<float> e;
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < in; ++c) x.push_back(std::nearbyint(30 * normal(random) + 5));
    const float* row = &x[static_cast<size_t>(r * in)];
    for (int64_t c = 0; c < in; ++c) d.push_back(c == 2 ? 0.5F * row[1] : 4);
    for (int64_t j = 0; j < out; ++j) e.push_back(static_cast<float>(j) + 0.25F * row[0]);
  }
  ProductErrors errors(in, out);
  errors.add(x, d, e);
  const ProductInput input{.scales = std::vector<double>(in, 0.1), .centres = std::vector<double>(in, 2.0)};
  // The mean square of what each product differs by from that of the float model's inputs, residual and all.
  const auto cost = [&](const Product& product) {
    double sum = 0;
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t j = 0; j < out; ++j) {
        double expected = linear.bias[static_cast<size_t>(j)] + e[static_cast<size_t>(r * out + j)];
        double found = product.bias[static_cast<size_t>(j)];
        for (int64_t i = 0; i < in; ++i) {
          const auto at = static_cast<size_t>(r * in + i);
          const auto weight = static_cast<size_t>(j * in + i);
          expected += linear.weights[weight] * ((double{x[at]} + d[at]) * 0.1 + 2.0);
          found += product.linear.weights[weight] * product.units[static_cast<size_t>(j)] * x[at];
        }
        sum += (expected - found) * (expected - found);
      }
    }
    return sum / static_cast<double>(rows * out);
  };
  const double alone = cost(make_product(linear, input, nullptr, 1));
  const Product corrected = make_product(linear, input, &errors, 1);
  EXPECT_LT(cost(corrected), 0.35 * alone);
  const Product again = make_product(linear, input, &errors, 3);
  EXPECT_EQ(again.bias, corrected.bias);
  EXPECT_TRUE(std::equal(again.linear.weights.begin(), again.linear.weights.end(), corrected.linear.weights.begin()));
}

TEST(FitHead, LowersTheErrorOfTheContext) {
  std::mt19937_64 random(6);
  const int64_t dimension = 8;
  const int64_t tokens = 24;
  const std::vector<double> scales(dimension, 0.05);
  const std::vector<double> centres(dimension, 0.3);
  std::vector<float> metric(static_cast<size_t>(3 * dimension));
  for (float& m : metric) m = static_cast<float>(random() % 100) / 50 - 1;
  HeadRows rows(metric, scales, centres);
  const double unit = 0.002;  // nats, of a product of a query and a key
  for (int text = 0; text < 6; ++text) {
    std::vector<int8_t> qkv(static_cast<size_t>(tokens * 3 * dimension));
    for (int8_t& v : qkv) v = static_cast<int8_t>(static_cast<int64_t>(random() % 101) - 50);
    std::vector<float> exact;
    for (int64_t q = 0; q < tokens; ++q) {
      std::vector<double> sum(dimension);
      double total = 0;
      for (int64_t k = 0; k < tokens; ++k) {
        double logit = 0;
        for (int64_t c = 0; c < dimension; ++c) {
          logit += unit * qkv[static_cast<size_t>(q * 3 * dimension + c)] *
                   qkv[static_cast<size_t>(k * 3 * dimension + dimension + c)];
        }
        total += std::exp(logit);
        for (int64_t c = 0; c < dimension; ++c) {
          sum[static_cast<size_t>(c)] +=
              std::exp(logit) * (0.05 * qkv[static_cast<size_t>(k * 3 * dimension + 2 * dimension + c)] + 0.3);
        }
      }
      for (const double s : sum) exact.push_back(static_cast<float>(s / total));
    }
    rows.add_text(qkv.data(), qkv.data() + dimension, qkv.data() + 2 * dimension, 3 * dimension, exact.data(),
                  dimension, tokens, text % 3, 3);
  }
  // 1 / 16 nat a unit of the distance.
  const Factor factor = factor_of(unit * 16);
  const FittedHead crude{HeadParams(200, {{8, 20}}), {factor.multiplier, factor.shift}};
  for (const AttentionWeights weights : {AttentionWeights::kUint8, AttentionWeights::kWide}) {
    const FittedHead fitted = fit_head(rows, crude, weights);
    EXPECT_TRUE(validate(fitted.params).ok());
    EXPECT_EQ(fitted.params.knee_count, 1);
    EXPECT_LT(rows.cost(fitted.params, fitted.rescale, weights), 0.8 * rows.cost(crude.params, crude.rescale, weights));
  }
}

}  // namespace
}  // namespace hccs::internal
