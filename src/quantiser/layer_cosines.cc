// SPDX-License-Identifier: Apache-2.0
#include "quantiser/layer_cosines.h"

#include <algorithm>
#include <cmath>

#include "integer_encoder/engine.h"

namespace hccs::internal {
namespace {

double cosine(const float* a, const int16_t* b, int64_t n) {
  double dot = 0;
  double square_a = 0;
  double square_b = 0;
  for (int64_t i = 0; i < n; ++i) {
    dot += double{a[i]} * b[i];
    square_a += double{a[i]} * a[i];
    square_b += double{b[i] * 1.0} * b[i];
  }
  return square_a > 0 && square_b > 0 ? dot / std::sqrt(square_a * square_b) : 1.0;
}

}  // namespace

Expected<std::vector<LayerCosine>> layer_cosines(const FloatBert& source, const IntegerModel& model,
                                                 std::span<const Encoding> texts) {
  HCCS_ASSIGN_OR_RETURN(const std::unique_ptr<const Engine> engine, Engine::make(model));
  const int64_t hidden = model.hidden;
  std::vector<LayerCosine> layers(model.layers.size() + 1, LayerCosine{.mean = 0, .least = 1});
  int64_t tokens = 0;
  for (const Encoding& text : texts) {
    std::vector<std::vector<float>> expected(layers.size());
    source.run({&text, 1}, [&](Place place, int64_t layer, std::span<const float> rows, int64_t) {
      if (place == Place::kInput) expected[static_cast<size_t>(layer)].assign(rows.begin(), rows.end());
    });
    const auto count = std::ssize(text.ids);
    tokens += count;
    const auto sink = [&](int64_t layer, std::span<const int16_t> rows) {
      LayerCosine& result = layers[static_cast<size_t>(layer)];
      for (int64_t t = 0; t < count; ++t) {
        const float* row = expected[static_cast<size_t>(layer)].data() + t * hidden;
        const double value = cosine(row, rows.data() + t * hidden, hidden);
        result.mean += value;
        result.least = std::min(result.least, value);
      }
    };
    HCCS_RETURN_IF_ERROR(engine->forward(text.ids, text.second_begin.value_or(count), sink).status());
  }
  for (LayerCosine& layer : layers) layer.mean /= static_cast<double>(std::max<int64_t>(tokens, 1));
  return layers;
}

}  // namespace hccs::internal
