// SPDX-License-Identifier: Apache-2.0
//
// What the backward of a quantised pass differentiates, written down a second time: BERT in double in which every
// rounding of one recorded pass is replaced by its surrogate. A value that was rounded by r becomes x + r, one that was
// cut off a constant, probabilities of HCCS their smooth surrogate plus what the integers differed by. So this network
// has the pass' values at the pass' weights and a derivative everywhere; finite differences of it are the gradients
// that straight-through estimation defines. No dropout.
#ifndef HCCS_TESTS_TRAINING_SURROGATE_BERT_H_
#define HCCS_TESTS_TRAINING_SURROGATE_BERT_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "hccs/calibration.h"
#include "hccs/encoder.h"
#include "training/bert.h"

namespace hccs::training {

using Matrix = std::vector<std::vector<double>>;

class SurrogateBert {
 public:
  // What the loss may be differentiated by.
  struct Parameters {
    Matrix tensors;                   // as Weights::tensors
    std::vector<HeadGradient> heads;  // the parameters themselves: layers * heads
  };

  // Records a pass with these options. `heads` are those that `softmax` was made of.
  SurrogateBert(const Weights& weights, BertPass& pass, const PackedTexts& texts, const TrainingSoftmax& softmax,
                std::vector<HeadEntry> heads, const PassOptions& options)
      : config_(weights.config), texts_(texts), softmax_(softmax), entries_(std::move(heads)) {
    for (const Tensor& tensor : weights.tensors) {
      index_[tensor.name] = rounding_.size();
      std::vector<float> rounded = tensor.values;
      if (options.int8_weights && is_int8_matrix(tensor)) {
        round_rows_to_int8_grid(tensor.shape[1], tensor.values, rounded.data());
      }
      rounding_.emplace_back();
      for (size_t i = 0; i < rounded.size(); ++i) {
        rounding_.back().push_back(double{rounded[i]} - double{tensor.values[i]});
      }
    }
    const auto logits = pass.logits(
        texts, softmax, options,
        [&](int64_t layer, int64_t head, int64_t text, int64_t length, const float* values) -> Status {
          logits_[{layer, head, text}].assign(values, values + length * length);
          return {};
        },
        [&](const ActivationPlace& place, std::span<const float> values) -> Status {
          record(place, values, options.scales == nullptr ? 0 : options.scales->at(place));
          return {};
        });
    EXPECT_TRUE(logits.ok()) << logits.status().message();
  }

  static Parameters parameters(const Weights& weights, const std::vector<HeadEntry>& heads) {
    Parameters out;
    for (const Tensor& tensor : weights.tensors) out.tensors.emplace_back(tensor.values.begin(), tensor.values.end());
    for (const HeadEntry& head : heads) {
      HeadGradient& h = out.heads.emplace_back();
      h.offset = head.params.offset;
      h.step = head.step;
      for (int k = 0; k < head.params.knee_count; ++k) {
        h.slope[k] = head.params.knees[k].slope;
        h.position[k] = head.params.knees[k].position;
      }
    }
    return out;
  }

  // How many activations of each place the grid cut off.
  const std::map<ActivationPlace, int64_t>& cut() const { return cut_; }

  // The mean cross-entropy.
  double loss(const Parameters& at, std::span<const int32_t> labels) const {
    const int64_t hidden = config_.hidden_size;
    Matrix x;
    for (size_t t = 0; t < texts_.ids.size(); ++t) {
      std::vector<double>& row = x.emplace_back(hidden);
      add_row(at, "bert.embeddings.word_embeddings.weight", texts_.ids[t], &row);
      add_row(at, "bert.embeddings.position_embeddings.weight", texts_.positions[t], &row);
      add_row(at, "bert.embeddings.token_type_embeddings.weight", texts_.types[t], &row);
    }
    norm(at, "bert.embeddings.LayerNorm", &x);
    at_place({0, ActivationPlace::kInput}, &x);
    for (int64_t l = 0; l < config_.layers; ++l) {
      const std::string layer = "bert.encoder.layer." + std::to_string(l) + ".";
      Matrix query_key_value[3];
      const char* names[] = {"query", "key", "value"};
      const ActivationPlace::Kind kinds[] = {ActivationPlace::kQuery, ActivationPlace::kKey, ActivationPlace::kValue};
      for (int i = 0; i < 3; ++i) {
        query_key_value[i] = linear(at, layer + "attention.self." + names[i], x);
        at_place({l, kinds[i]}, &query_key_value[i]);
      }
      Matrix context = attention(at, l, query_key_value);
      at_place({l, ActivationPlace::kContext}, &context);
      add(linear(at, layer + "attention.output.dense", context), &x);
      norm(at, layer + "attention.output.LayerNorm", &x);
      at_place({l, ActivationPlace::kAttention}, &x);
      Matrix inner = linear(at, layer + "intermediate.dense", x);
      for (auto& row : inner) {
        for (double& v : row) v = 0.5 * v * (1 + std::erf(v / std::sqrt(2.0)));
      }
      at_place({l, ActivationPlace::kIntermediate}, &inner);
      add(linear(at, layer + "output.dense", inner), &x);
      norm(at, layer + "output.LayerNorm", &x);
      const bool last = l + 1 == config_.layers;
      at_place(last ? ActivationPlace{0, ActivationPlace::kOutput} : ActivationPlace{l + 1, ActivationPlace::kInput},
               &x);
    }
    Matrix firsts;
    for (int64_t text = 0; text < texts_.texts(); ++text) firsts.push_back(x[texts_.offsets[text]]);
    Matrix pooled = linear(at, "bert.pooler.dense", firsts);
    for (auto& row : pooled) {
      for (double& v : row) v = std::tanh(v);
    }
    at_place({0, ActivationPlace::kPooled}, &pooled);
    const Matrix logits = linear(at, "classifier", pooled);
    double total = 0;
    for (size_t text = 0; text < logits.size(); ++text) {
      double sum = 0;
      for (const double v : logits[text]) sum += std::exp(v);
      total += std::log(sum) - logits[text][labels[text]];
    }
    return total / static_cast<double>(logits.size());
  }

 private:
  // What a grid did to a value: x + add, or the constant `add`.
  struct Rounding {
    bool passes = true;
    double add = 0;
    double operator()(double x) const { return passes ? x + add : add; }
  };

  void record(const ActivationPlace& place, std::span<const float> values, double grid) {
    std::vector<Rounding>& roundings = activations_[place];
    int64_t& cut = cut_[place];
    if (grid == 0) {
      roundings.assign(values.size(), {});
      return;
    }
    std::vector<float> rounded(values.begin(), values.end());
    round_to_int8_grid(static_cast<float>(grid), rounded);
    for (size_t i = 0; i < values.size(); ++i) {
      const bool passes = std::abs(std::nearbyint(values[i] / static_cast<float>(grid))) <= 127;
      roundings.push_back({passes, double{rounded[i]} - (passes ? double{values[i]} : 0.0)});
      cut += passes ? 0 : 1;
    }
  }

  void at_place(const ActivationPlace& place, Matrix* x) const {
    const Rounding* rounding = activations_.at(place).data();
    for (auto& row : *x) {
      for (double& v : row) v = (*rounding++)(v);
    }
  }

  // Element i of a tensor as the pass used it.
  double weight(const Parameters& at, size_t tensor, int64_t i) const {
    return at.tensors[tensor][i] + rounding_[tensor][i];
  }

  void add_row(const Parameters& at, const std::string& table, int64_t row, std::vector<double>* to) const {
    const size_t tensor = index_.at(table);
    for (int64_t i = 0; i < config_.hidden_size; ++i) {
      (*to)[i] += weight(at, tensor, row * config_.hidden_size + i);
    }
  }

  static void add(const Matrix& from, Matrix* to) {
    for (size_t r = 0; r < from.size(); ++r) {
      for (size_t i = 0; i < from[r].size(); ++i) (*to)[r][i] += from[r][i];
    }
  }

  Matrix linear(const Parameters& at, const std::string& name, const Matrix& x) const {
    const size_t w = index_.at(name + ".weight");
    const std::vector<double>& bias = at.tensors[index_.at(name + ".bias")];
    Matrix out;
    for (const auto& row : x) {
      std::vector<double>& to = out.emplace_back(bias);
      for (size_t o = 0; o < to.size(); ++o) {
        for (size_t i = 0; i < row.size(); ++i)
          to[o] += weight(at, w, static_cast<int64_t>(o * row.size() + i)) * row[i];
      }
    }
    return out;
  }

  void norm(const Parameters& at, const std::string& name, Matrix* x) const {
    const std::vector<double>& gain = at.tensors[index_.at(name + ".weight")];
    const std::vector<double>& bias = at.tensors[index_.at(name + ".bias")];
    for (auto& row : *x) {
      double mean = 0;
      double variance = 0;
      for (const double v : row) mean += v / static_cast<double>(row.size());
      for (const double v : row) variance += (v - mean) * (v - mean) / static_cast<double>(row.size());
      const double inverse = 1 / std::sqrt(variance + config_.layer_norm_epsilon);
      for (size_t i = 0; i < row.size(); ++i) row[i] = (row[i] - mean) * inverse * gain[i] + bias[i];
    }
  }

  Matrix attention(const Parameters& at, int64_t layer, const Matrix (&query_key_value)[3]) const {
    const auto& [query, key, value] = query_key_value;
    const int64_t dimension = config_.head_dimension();
    Matrix context(query.size(), std::vector<double>(config_.hidden_size));
    for (int64_t text = 0; text < texts_.texts(); ++text) {
      const int64_t begin = texts_.offsets[text];
      const int64_t length = texts_.offsets[text + 1] - begin;
      for (int64_t head = 0; head < config_.heads; ++head) {
        const std::vector<float>& recorded = logits_.at({layer, head, text});
        for (int64_t q = 0; q < length; ++q) {
          std::vector<double> row(length);
          for (int64_t k = 0; k < length; ++k) {
            for (int64_t i = head * dimension; i < (head + 1) * dimension; ++i) {
              row[k] += query[begin + q][i] * key[begin + k][i];
            }
            row[k] /= std::sqrt(static_cast<double>(dimension));
          }
          const std::vector<double> p =
              probabilities(at, layer * config_.heads + head, row, std::span(recorded).subspan(q * length, length));
          for (int64_t k = 0; k < length; ++k) {
            for (int64_t i = head * dimension; i < (head + 1) * dimension; ++i) {
              context[begin + q][i] += p[k] * value[begin + k][i];
            }
          }
        }
      }
    }
    return context;
  }

  std::vector<double> probabilities(const Parameters& at, int64_t head, const std::vector<double>& logits,
                                    std::span<const float> recorded) const {
    const auto n = logits.size();
    if (softmax_.kind() == SoftmaxKind::kExact) return exponential(logits);
    const double step = entries_[head].step;  // that of the pass
    std::vector<int8_t> x(n);
    quantise_logits(recorded, step, x);
    std::vector<Rounding> rounding;  // of logits in steps
    for (size_t i = 0; i < n; ++i) {
      const double t = recorded[i] / step;
      const bool passes = t >= -128 && t <= 127;
      rounding.push_back({passes, x[i] - (passes ? t : 0.0)});
    }
    if (softmax_.kind() == SoftmaxKind::kInt8Exact) {
      std::vector<double> rounded;
      for (size_t i = 0; i < n; ++i) rounded.push_back(step * rounding[i](logits[i] / step));
      return exponential(rounded);
    }
    std::vector<float> integers(n);
    EXPECT_TRUE(
        softmax_.forward({.head = head, .rows = 1, .keys = static_cast<int64_t>(n)}, recorded.data(), integers.data())
            .ok());
    const auto top = static_cast<size_t>(std::max_element(x.begin(), x.end()) - x.begin());
    const HeadGradient& moved = at.heads[head];
    const HeadParams& params = entries_[head].params;
    const double maximum = rounding[top](logits[top] / moved.step);
    std::vector<double> p, before;
    double sum = 0;
    double sum_before = 0;
    for (size_t i = 0; i < n; ++i) {
      const int distance = x[top] - x[i];
      before.push_back(static_cast<double>(params.score(distance)));
      double s = moved.offset;
      for (int k = 0; k < params.knee_count; ++k) {
        // A distance stays on the side of the knee where the pass had it; at the knee itself it is a constant.
        const int knee = params.knees[k].position;
        const double reached = distance < knee   ? maximum - rounding[i](logits[i] / moved.step)
                               : distance > knee ? moved.position[k]
                                                 : knee;
        s -= moved.slope[k] * reached;
      }
      p.push_back(s);
      sum += s;
      sum_before += before.back();
    }
    for (size_t i = 0; i < n; ++i) p[i] = p[i] / sum + (integers[i] - before[i] / sum_before);
    return p;
  }

  static std::vector<double> exponential(const std::vector<double>& logits) {
    std::vector<double> p;
    double sum = 0;
    for (const double l : logits) sum += p.emplace_back(std::exp(l));
    for (double& v : p) v /= sum;
    return p;
  }

  BertConfig config_;
  const PackedTexts& texts_;
  const TrainingSoftmax& softmax_;
  std::vector<HeadEntry> entries_;
  std::map<std::string, size_t> index_;
  Matrix rounding_;  // of each weight
  std::map<ActivationPlace, std::vector<Rounding>> activations_;
  std::map<ActivationPlace, int64_t> cut_;
  std::map<std::tuple<int64_t, int64_t, int64_t>, std::vector<float>> logits_;  // by layer, head and text
};

}  // namespace hccs::training

#endif  // HCCS_TESTS_TRAINING_SURROGATE_BERT_H_
