// SPDX-License-Identifier: Apache-2.0
#include "training/optimiser.h"

#include <algorithm>
#include <cmath>

namespace hccs::training {
namespace {

// Factors of one update that are the same for every element.
struct Update {
  float beta1, beta2, epsilon;
  float rate;    // learning rate over the first moment's bias correction
  float unbias;  // 1 / sqrt of the second moment's
  float decay;   // 1 - learning rate * weight decay
  float clip;

  void run(const float* gradient, float* m, float* v, float* w, int64_t count) const {
#pragma omp simd
    for (int64_t i = 0; i < count; ++i) {
      const float g = gradient[i] * clip;
      m[i] = beta1 * m[i] + (1.0F - beta1) * g;
      v[i] = beta2 * v[i] + (1.0F - beta2) * g * g;
      w[i] = w[i] * decay - rate * m[i] / (std::sqrt(v[i]) * unbias + epsilon);
    }
  }
};

double squared_norm(std::span<const float> values) {
  double sum = 0;
  for (const float v : values) sum += double{v} * v;
  return sum;
}

constexpr int kLatents = 2 * kMaxKnees + 2;  // offset, slopes, positions, log step
constexpr double kLargestLogStep = 69;       // steps from 1e-30 to 1e30, so that float has them and their inverses

// What a latent's unit is worth.
struct Units {
  double offset;
  double slope;
  static constexpr double kPosition = 32;

  explicit Units(const HeadParams& params) : offset(params.offset), slope(1) {
    for (const Knee& knee : params.active_knees()) slope = std::max<double>(slope, knee.slope);
  }
};

}  // namespace

AdamW::AdamW(const Weights& weights, const AdamWOptions& options) : options_(options) {
  for (const Tensor& tensor : weights.tensors) {
    m_.emplace_back(tensor.values.size());
    v_.emplace_back(tensor.values.size());
    sum_.emplace_back(m_.size() - 1 == kWordEmbeddings ? 0 : tensor.values.size());
  }
  word_place_.assign(static_cast<size_t>(weights.config.vocabulary_size), -1);
}

double AdamW::step(double learning_rate, std::span<const ShardGradients> shards, Weights* weights) {
  const int64_t hidden = weights->config.hidden_size;
  const auto tensors = std::ssize(weights->tensors);
  std::vector<double> squares(static_cast<size_t>(tensors), 0.0);
  // Every tensor is one thread's, so the result does not depend on their number.
#pragma omp parallel for schedule(dynamic) num_threads(static_cast <int>(shards.size()))
  for (int64_t t = 0; t < tensors; ++t) {
    if (t == static_cast<int64_t>(kWordEmbeddings)) continue;
    std::vector<float>& sum = sum_[t];
    std::copy(shards[0].tensors[t].begin(), shards[0].tensors[t].end(), sum.begin());
    for (size_t s = 1; s < shards.size(); ++s) {
      const float* from = shards[s].tensors[t].data();
      for (size_t i = 0; i < sum.size(); ++i) sum[i] += from[i];
    }
    squares[t] = squared_norm(sum);
  }
  words_.clear();
  word_sum_.clear();
  if (!options_.freeze_word_embeddings) {
    for (const ShardGradients& shard : shards) {
      for (size_t token = 0; token < shard.ids.size(); ++token) {
        int32_t& place = word_place_[shard.ids[token]];
        const float* from = shard.words.data() + token * hidden;
        if (place < 0) {
          place = static_cast<int32_t>(words_.size());
          words_.push_back(shard.ids[token]);
          word_sum_.insert(word_sum_.end(), from, from + hidden);
        } else {
          float* to = word_sum_.data() + place * hidden;
          for (int64_t i = 0; i < hidden; ++i) to[i] += from[i];
        }
      }
    }
    for (const int32_t id : words_) word_place_[id] = -1;
    squares[kWordEmbeddings] = squared_norm(word_sum_);
  }
  double norm = 0;
  for (const double s : squares) norm += s;
  norm = std::sqrt(norm);
  if (!std::isfinite(norm)) return norm;

  ++steps_;
  const double correction1 = 1.0 - std::pow(options_.beta1, static_cast<double>(steps_));
  const double correction2 = 1.0 - std::pow(options_.beta2, static_cast<double>(steps_));
  const double clip = options_.clip_norm > 0 && norm > options_.clip_norm ? options_.clip_norm / norm : 1.0;
  const auto update_for = [&](bool decays) {
    return Update{.beta1 = static_cast<float>(options_.beta1),
                  .beta2 = static_cast<float>(options_.beta2),
                  .epsilon = static_cast<float>(options_.epsilon),
                  .rate = static_cast<float>(learning_rate / correction1),
                  .unbias = static_cast<float>(1.0 / std::sqrt(correction2)),
                  .decay = decays ? static_cast<float>(1.0 - learning_rate * options_.weight_decay) : 1.0F,
                  .clip = static_cast<float>(clip)};
  };
  const Update with_decay = update_for(true);
  const Update without_decay = update_for(false);
#pragma omp parallel for schedule(dynamic) num_threads(static_cast <int>(shards.size()))
  for (int64_t t = 0; t < tensors; ++t) {
    Tensor& tensor = weights->tensors[t];
    if (t != static_cast<int64_t>(kWordEmbeddings)) {
      (is_int8_matrix(tensor) ? with_decay : without_decay)
          .run(sum_[t].data(), m_[t].data(), v_[t].data(), tensor.values.data(), std::ssize(sum_[t]));
      continue;
    }
    for (size_t w = 0; w < words_.size(); ++w) {
      const int64_t row = words_[w] * hidden;
      with_decay.run(word_sum_.data() + w * hidden, m_[t].data() + row, v_[t].data() + row, tensor.values.data() + row,
                     hidden);
    }
  }
  return norm;
}

LearnableHeads::LearnableHeads(std::span<const HeadEntry> start) : start_(start.begin(), start.end()) {
  state_.assign(start_.size() * 3 * kLatents, 0.0);
  for (size_t h = 0; h < start_.size(); ++h) {
    const HeadParams& params = start_[h].params;
    const Units units(params);
    double* values = state_.data() + h * 3 * kLatents;
    values[0] = params.offset / units.offset;
    const auto knees = params.active_knees();
    for (size_t k = 0; k < knees.size(); ++k) {
      values[1 + k] = knees[k].slope / units.slope;
      values[1 + kMaxKnees + k] = knees[k].position / Units::kPosition;
    }
    values[kLatents - 1] = std::log(start_[h].step);
  }
}

void LearnableHeads::step(double learning_rate, std::span<const HeadGradient> gradients) {
  constexpr double kBeta1 = 0.9;
  constexpr double kBeta2 = 0.999;
  ++steps_;
  const double correction1 = 1.0 - std::pow(kBeta1, static_cast<double>(steps_));
  const double correction2 = 1.0 - std::pow(kBeta2, static_cast<double>(steps_));
  const std::vector<HeadEntry> now = entries();
  for (size_t h = 0; h < start_.size(); ++h) {
    const Units units(start_[h].params);
    double* values = state_.data() + h * 3 * kLatents;
    double* m = values + kLatents;
    double* v = m + kLatents;
    std::array<double, kLatents> gradient{};
    gradient[0] = gradients[h].offset * units.offset;
    for (int k = 0; k < start_[h].params.knee_count; ++k) {
      gradient[1 + k] = gradients[h].slope[k] * units.slope;
      gradient[1 + kMaxKnees + k] = gradients[h].position[k] * Units::kPosition;
    }
    gradient[kLatents - 1] = gradients[h].step * now[h].step;
    for (int i = 0; i < kLatents; ++i) {
      m[i] = kBeta1 * m[i] + (1 - kBeta1) * gradient[i];
      v[i] = kBeta2 * v[i] + (1 - kBeta2) * gradient[i] * gradient[i];
      values[i] -= learning_rate * (m[i] / correction1) / (std::sqrt(v[i] / correction2) + 1e-12);
    }
    // Within what the integers can be, so that a latent never has a long way back.
    values[0] = std::clamp(values[0], 1.0 / units.offset, kMaxOffset / units.offset);
    values[kLatents - 1] = std::clamp(values[kLatents - 1], -kLargestLogStep, kLargestLogStep);
    for (int k = 0; k < start_[h].params.knee_count; ++k) {
      values[1 + k] = std::clamp(values[1 + k], 0.0, kMaxSlope / units.slope);
      values[1 + kMaxKnees + k] =
          std::clamp(values[1 + kMaxKnees + k], 1 / Units::kPosition, kMaxKneePosition / Units::kPosition);
    }
  }
}

std::vector<HeadEntry> LearnableHeads::entries() const {
  std::vector<HeadEntry> entries = start_;
  for (size_t h = 0; h < entries.size(); ++h) {
    HeadParams& params = entries[h].params;
    const Units units(params);
    const double* values = state_.data() + h * 3 * kLatents;
    const int count = params.knee_count;
    params.offset = static_cast<int32_t>(std::clamp<double>(std::nearbyint(values[0] * units.offset), 1, kMaxOffset));
    for (int k = 0; k < count; ++k) {
      params.knees[k].slope =
          static_cast<int32_t>(std::clamp<double>(std::nearbyint(values[1 + k] * units.slope), 0, kMaxSlope));
      params.knees[k].position = static_cast<int32_t>(std::nearbyint(values[1 + kMaxKnees + k] * Units::kPosition));
    }
    // Positions in order, with room for the knees that follow.
    int32_t least = 1;
    for (int k = 0; k < count; ++k) {
      int32_t& position = params.knees[k].position;
      position = std::clamp(position, least, kMaxKneePosition - (count - 1 - k));
      least = position + 1;
    }
    // F >= 0: the last knees give way first.
    for (int k = count - 1; k >= 0 && params.floor() < 0; --k) {
      Knee& knee = params.knees[k];
      const int64_t others = params.floor() + int64_t{knee.slope} * knee.position;
      knee.slope = static_cast<int32_t>(std::max<int64_t>(0, others) / knee.position);
    }
    entries[h].step = std::exp(values[kLatents - 1]);
  }
  return entries;
}

}  // namespace hccs::training
