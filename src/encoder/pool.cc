// SPDX-License-Identifier: Apache-2.0
//
// From the last layer's tokens to one vector a text, as sentence-transformers' modules do it.
#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numbers>
#include <numeric>
#include <vector>

#include "encoder/bert_model.h"

namespace hccs {
namespace {

// The sum of the tokens from `first`, each times its weight, over the weights' sum to the power `power`.
template <class Weight>
void append_mean(std::span<const float> tokens, int64_t hidden, int64_t first, const Weight& weight, double power,
                 std::vector<double>& out) {
  std::vector<double> sum(static_cast<size_t>(hidden));
  double weights = 0;
  for (int64_t i = first; i < std::ssize(tokens) / hidden; ++i) {
    const double w = weight(i);
    weights += w;
    const float* row = tokens.data() + i * hidden;
    for (int64_t j = 0; j < hidden; ++j) sum[static_cast<size_t>(j)] += w * row[j];
  }
  const double divisor = weights > 0 ? std::pow(weights, power) : 1.0;
  for (const double s : sum) out.push_back(s / divisor);
}

void append_maximum(std::span<const float> tokens, int64_t hidden, int64_t first, std::vector<double>& out) {
  std::vector<float> largest(static_cast<size_t>(hidden), std::numeric_limits<float>::lowest());
  for (int64_t i = first; i < std::ssize(tokens) / hidden; ++i) {
    const float* row = tokens.data() + i * hidden;
    for (int64_t j = 0; j < hidden; ++j) {
      float& l = largest[static_cast<size_t>(j)];
      l = row[j] > l || std::isnan(row[j]) ? row[j] : l;
    }
  }
  out.insert(out.end(), largest.begin(), largest.end());
}

float activated(Activation activation, float x) {
  switch (activation) {
    case Activation::kIdentity:
      break;
    case Activation::kTanh:
      return std::tanh(x);
    case Activation::kRelu:
      return std::max(x, 0.0F);
    case Activation::kGelu:
      return 0.5F * x * (1.0F + std::erf(x * std::numbers::sqrt2_v<float> / 2.0F));
    case Activation::kSigmoid:
      return 1.0F / (1.0F + std::exp(-x));
  }
  return x;
}

}  // namespace

void internal::pool_tokens(std::span<const Pooling> poolings, std::span<const float> tokens, int64_t hidden,
                           int64_t left_out, std::vector<double>& out) {
  const auto width = static_cast<size_t>(hidden);
  // A text that is all prompt, since it was cut, keeps its last token.
  const int64_t first = std::min(left_out, std::ssize(tokens) / hidden - 1);
  const auto equal = [](int64_t) { return 1.0; };
  for (const Pooling pooling : poolings) {
    switch (pooling) {
      case Pooling::kFirst:
        out.insert(out.end(), tokens.begin(), tokens.begin() + hidden);
        break;
      case Pooling::kMax:
        append_maximum(tokens, hidden, first, out);
        break;
      case Pooling::kMean:
        append_mean(tokens, hidden, first, equal, 1.0, out);
        break;
      case Pooling::kMeanSqrt:
        append_mean(tokens, hidden, first, equal, 0.5, out);
        break;
      case Pooling::kWeightedMean:
        append_mean(
            tokens, hidden, first, [](int64_t i) { return static_cast<double>(i + 1); }, 1.0, out);
        break;
      case Pooling::kLast:
        out.insert(out.end(), tokens.end() - static_cast<ptrdiff_t>(width), tokens.end());
        break;
    }
  }
}

void internal::normalise(std::span<double> x) {
  const double squares = std::inner_product(x.begin(), x.end(), x.begin(), 0.0);
  const double inverse = squares > 0 ? 1.0 / std::sqrt(squares) : 0.0;
  for (double& v : x) v *= inverse;
}

void BertEncoder::Model::embed(std::span<const Encoding> texts, const Batch& batch, const Workspace& work,
                               std::span<float> embeddings) const {
  const auto hidden = static_cast<size_t>(config.hidden_size);
  std::span<const float> rest = work.hidden;
  std::vector<double> vector;
  std::vector<float> in;
  std::vector<float> out;
  for (const size_t t : batch.texts) {
    const size_t size = texts[t].ids.size() * hidden;
    vector.clear();
    internal::pool_tokens(sentence.pooling, rest.first(size), config.hidden_size, sentence.prompt_tokens, vector);
    rest = rest.subspan(size);
    auto layer = dense.begin();
    for (const SentenceModule& module : sentence.modules) {
      if (module.kind == SentenceModule::kNormalise) {
        internal::normalise(vector);
        continue;
      }
      in.assign(vector.begin(), vector.end());
      out.resize(layer->bias.size());
      layer->run(in.data(), out.data());
      vector.clear();
      for (const float x : out) vector.push_back(activated(module.activation, x));
      ++layer;
    }
    internal::normalise(vector);
    std::transform(vector.begin(), vector.end(), embeddings.begin() + static_cast<ptrdiff_t>(t * vector.size()),
                   [](double x) { return static_cast<float>(x); });
  }
}

}  // namespace hccs
