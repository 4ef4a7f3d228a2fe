// SPDX-License-Identifier: Apache-2.0
#include "quantiser/make_layers.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

#include "encoder/single_threaded.h"
#include "quantiser/fit_heads.h"
#include "quantiser/integer_rows.h"
#include "quantiser/parallel.h"
#include "quantiser/places.h"

namespace hccs::internal {
namespace {

// (exact - centre) / scale - integer, of rows [rows, channels].
template <class Integer>
std::vector<float> input_errors(std::span<const float> exact, std::span<const Integer> integers,
                                const ProductInput& input) {
  const size_t n = input.scales.size();
  std::vector<float> errors(exact.size());
  for (size_t i = 0; i < exact.size(); ++i) {
    const size_t c = i % n;
    errors[i] = static_cast<float>((exact[i] - input.centres[c]) / input.scales[c] - integers[i]);
  }
  return errors;
}

std::vector<float> residual_errors(std::span<const float> exact, std::span<const int16_t> skip, double scale) {
  std::vector<float> errors(exact.size());
  for (size_t i = 0; i < exact.size(); ++i) errors[i] = static_cast<float>(exact[i] - skip[i] * scale);
  return errors;
}

template <class Integer>
std::vector<float> floats(std::span<const Integer> integers) {
  return {integers.begin(), integers.end()};
}

// What the columns of each inner channel add up to, less the code of 0: [rows, inner].
std::vector<int16_t> codes_of(const IntGelu& gelu, std::span<const uint8_t> columns, size_t inner) {
  const size_t width = std::accumulate(gelu.splits.begin(), gelu.splits.end(), inner);
  std::vector<int16_t> codes;
  for (; !columns.empty(); columns = columns.subspan(width)) {
    const auto row = std::ssize(codes);
    for (size_t j = 0; j < inner; ++j) codes.push_back(static_cast<int16_t>(columns[j] - gelu.zero));
    size_t column = inner;
    for (const int32_t channels : gelu.splits) {
      for (int32_t c = 0; c < channels; ++c) codes[static_cast<size_t>(row + c)] += columns[column++];
    }
  }
  return codes;
}

// The texts' tokens in both models, on the way through the layers.
class LayerMaker {
 public:
  LayerMaker(const FloatBert& source, const Statistics& statistics, const ParamFile& params,
             const QuantiseModelOptions& options, std::span<const Encoding> texts, IntegerModel* model)
      : source_(source), statistics_(statistics), params_(params), options_(options), model_(*model) {
    batches_ = batches_of(texts);
    for (const std::span<const Encoding> batch : batches_) {
      Rows& rows = rows_.emplace_back();
      rows.exact = embedding_sums(source_, batch);
      normalise(source_.embedding_norm, source_.config.layer_norm_epsilon, rows.exact);
      for (const Encoding& text : batch) {
        const HiddenStates states =
            reference_embedded_tokens(model_, text.ids, text.second_begin.value_or(std::ssize(text.ids)));
        rows.states.skip.insert(rows.states.skip.end(), states.skip.begin(), states.skip.end());
        rows.states.int8.insert(rows.states.int8.end(), states.int8.begin(), states.int8.end());
      }
    }
  }

  Status make(int64_t index, Storage* storage);

  // Of the first tokens after the last layer, for the pooler.
  ProductErrors first_tokens() const;

 private:
  // Of a batch's tokens.
  struct Rows {
    std::vector<float> exact;  // the float model's hidden states
    HiddenStates states;       // the integer model's
  };

  Status make_attention(int64_t index, Storage* storage);
  // `exact` are the float model's contexts, of each batch.
  void fit_heads(int64_t index, const ProductInput& values, const std::vector<std::vector<float>>& exact);
  void make_feed_forward(int64_t index, Storage* storage);

  const FloatBert& source_;
  const Statistics& statistics_;
  const ParamFile& params_;
  const QuantiseModelOptions& options_;
  IntegerModel& model_;
  std::vector<std::span<const Encoding>> batches_;
  std::vector<Rows> rows_;
};

Status LayerMaker::make(int64_t index, Storage* storage) {
  HCCS_RETURN_IF_ERROR(make_attention(index, storage));
  make_feed_forward(index, storage);
  return {};
}

void LayerMaker::fit_heads(int64_t index, const ProductInput& values, const std::vector<std::vector<float>>& exact) {
  const FloatLayer& from = source_.layers[static_cast<size_t>(index)];
  IntLayer& layer = model_.layers[static_cast<size_t>(index)];
  const auto hidden = static_cast<size_t>(model_.hidden);
  const auto dimension = static_cast<size_t>(model_.head_dimension());
  int64_t positions = 0;
  for (const auto& batch : batches_) {
    for (const Encoding& text : batch) positions += std::ssize(text.ids) * std::ssize(text.ids);
  }
  const int64_t every = std::max<int64_t>(1, positions / 30000);
  std::vector<HeadRows> heads;
  for (size_t h = 0; h < layer.heads.size(); ++h) {
    std::vector<float> metric;
    for (size_t j = 0; j < hidden; ++j) {
      const float* row = from.attention_output.weights.data() + j * hidden + h * dimension;
      metric.insert(metric.end(), row, row + dimension);
    }
    heads.emplace_back(metric, std::span(values.scales).subspan(h * dimension, dimension),
                       std::span(values.centres).subspan(h * dimension, dimension));
  }
  int64_t token = 0;
  for (size_t b = 0; b < rows_.size(); ++b) {
    const std::vector<int8_t> qkv = integer_query_key_value(layer.query_key_value, rows_[b].states.int8);
    size_t row = 0;
    for (const Encoding& text : batches_[b]) {
      const auto tokens = std::ssize(text.ids);
      const int64_t first = (every - token % every) % every;
      for (size_t h = 0; h < heads.size(); ++h) {
        const int8_t* q = qkv.data() + row * 3 * hidden + h * dimension;
        heads[h].add_text(q, q + hidden, q + 2 * hidden, static_cast<int64_t>(3 * hidden),
                          exact[b].data() + row * hidden + h * dimension, static_cast<int64_t>(hidden), tokens, first,
                          every);
      }
      token += tokens;
      row += static_cast<size_t>(tokens);
    }
  }
  parallel_for(options_.threads, heads.size(), [&](size_t h) {
    const FittedHead fitted = fit_head(heads[h], {layer.heads[h], layer.rescale[h]}, model_.weights);
    layer.heads[h] = fitted.params;
    layer.rescale[h] = fitted.rescale;
  });
}

Status LayerMaker::make_attention(int64_t index, Storage* storage) {
  const FloatLayer& from = source_.layers[static_cast<size_t>(index)];
  IntLayer& layer = model_.layers[static_cast<size_t>(index)];
  const int64_t hidden = model_.hidden;
  const ProductInput input = input_of(statistics_.at(Place::kInput, index), from.query_key_value);
  ProductErrors errors(hidden, 0);
  for (const Rows& rows : rows_) {
    const std::span<const int8_t> x = rows.states.int8;
    errors.add(floats(x), input_errors<int8_t>(rows.exact, x, input), {});
  }
  const ProductInput context_input =
      make_query_key_value(source_, statistics_, params_, &errors, options_.threads, index, &layer, storage);

  std::vector<float> wide;
  std::vector<std::vector<float>> exact_contexts;
  for (size_t b = 0; b < rows_.size(); ++b) {
    apply(from.query_key_value, rows_[b].exact, &wide);
    exact_contexts.push_back(attend(source_, index, batches_[b], wide));
  }
  if (options_.heads == HeadUse::kStart) fit_heads(index, context_input, exact_contexts);
  const double skip_scale = std::ldexp(sum_scale(statistics_, Place::kAttentionSum, index), layer.attention_skip);
  ProductErrors context_errors(hidden, hidden);
  std::vector<std::vector<int8_t>> contexts;
  std::vector<float> product;
  for (size_t b = 0; b < rows_.size(); ++b) {
    Rows& rows = rows_[b];
    HCCS_ASSIGN_OR_RETURN(std::vector<int8_t> context, integer_context(model_, layer, batches_[b], rows.states.int8));
    context_errors.add(floats<int8_t>(context), input_errors<int8_t>(exact_contexts[b], context, context_input),
                       residual_errors(rows.exact, rows.states.skip, skip_scale));
    contexts.push_back(std::move(context));
    apply(from.attention_output, exact_contexts[b], &product);
    add(product, rows.exact);
    normalise(from.attention_norm, source_.config.layer_norm_epsilon, rows.exact);
  }
  make_attention_output(source_, statistics_, context_input, &context_errors, options_.threads, index, &layer, storage);
  for (size_t b = 0; b < rows_.size(); ++b) {
    rows_[b].states = integer_sum(layer.attention_output, floats<int8_t>(contexts[b]), rows_[b].states.skip,
                                  layer.attention_skip, layer.attention_norm);
  }
  return {};
}

void LayerMaker::make_feed_forward(int64_t index, Storage* storage) {
  const FloatLayer& from = source_.layers[static_cast<size_t>(index)];
  IntLayer& layer = model_.layers[static_cast<size_t>(index)];
  const Splits splits = find_splits(statistics_.at(Place::kActivated, index));
  const FloatLinear intermediate = ordered_intermediate(from, splits);
  const ProductInput input = input_of(statistics_.at(Place::kAttention, index), intermediate);
  ProductErrors errors(model_.hidden, 0);
  for (const Rows& rows : rows_) {
    const std::span<const int8_t> x = rows.states.int8;
    errors.add(floats(x), input_errors<int8_t>(rows.exact, x, input), {});
  }
  const double code =
      make_intermediate(intermediate, splits, statistics_, &errors, options_.threads, index, &layer, storage);
  const auto inner = static_cast<size_t>(intermediate.out);
  const ProductInput codes{.scales = std::vector<double>(inner, code), .centres = std::vector<double>(inner)};
  const FloatLinear output = ordered_output(from, splits);
  const double skip_scale = std::ldexp(sum_scale(statistics_, Place::kOutputSum, index), layer.output_skip);
  ProductErrors code_errors(intermediate.out, model_.hidden);
  std::vector<std::vector<uint8_t>> columns;
  std::vector<float> wide;
  std::vector<float> product;
  for (Rows& rows : rows_) {
    columns.push_back(integer_columns(layer, floats<int8_t>(rows.states.int8)));
    const std::vector<int16_t> wide_codes = codes_of(layer.gelu, columns.back(), inner);
    apply(intermediate, rows.exact, &wide);
    activate(wide);
    code_errors.add(floats<int16_t>(wide_codes), input_errors<int16_t>(wide, wide_codes, codes),
                    residual_errors(rows.exact, rows.states.skip, skip_scale));
    apply(output, wide, &product);
    add(product, rows.exact);
    normalise(from.output_norm, source_.config.layer_norm_epsilon, rows.exact);
  }
  make_output(output, code, statistics_, &code_errors, options_.threads, index, &layer, storage);
  for (size_t b = 0; b < rows_.size(); ++b) {
    rows_[b].states = integer_sum(layer.output, floats<uint8_t>(columns[b]), rows_[b].states.skip, layer.output_skip,
                                  layer.output_norm);
  }
}

ProductErrors LayerMaker::first_tokens() const {
  ProductErrors errors(model_.hidden, 0);
  const ProductInput input = input_of(statistics_.first_tokens, *source_.pooler);
  const auto hidden = static_cast<size_t>(model_.hidden);
  for (size_t b = 0; b < rows_.size(); ++b) {
    size_t row = 0;
    for (const Encoding& text : batches_[b]) {
      const std::span<const int8_t> x = std::span(rows_[b].states.int8).subspan(row, hidden);
      const std::span<const float> exact = std::span(rows_[b].exact).subspan(row, hidden);
      errors.add(floats(x), input_errors<int8_t>(exact, x, input), {});
      row += hidden * text.ids.size();
    }
  }
  return errors;
}

// Without a look at the texts' rows.
void make_alone(const FloatBert& source, const Statistics& statistics, const ParamFile& params, int threads,
                int64_t index, IntLayer* layer, Storage* storage) {
  const FloatLayer& from = source.layers[static_cast<size_t>(index)];
  const ProductInput context =
      make_query_key_value(source, statistics, params, nullptr, threads, index, layer, storage);
  make_attention_output(source, statistics, context, nullptr, threads, index, layer, storage);
  const Splits splits = find_splits(statistics.at(Place::kActivated, index));
  const double code = make_intermediate(ordered_intermediate(from, splits), splits, statistics, nullptr, threads, index,
                                        layer, storage);
  make_output(ordered_output(from, splits), code, statistics, nullptr, threads, index, layer, storage);
}

}  // namespace

Expected<Storage> make_layers(const FloatBert& source, const Statistics& statistics, const ParamFile& params,
                              const QuantiseModelOptions& options, std::span<const Encoding> texts,
                              const std::vector<std::string>& labels, IntegerModel* model) {
  const SingleThreaded single_threaded;
  Storage storage;
  std::optional<LayerMaker> maker;
  if (options.rounding == WeightRounding::kGptq) maker.emplace(source, statistics, params, options, texts, model);
  for (int64_t l = 0; l < std::ssize(model->layers); ++l) {
    if (maker) {
      HCCS_RETURN_IF_ERROR(maker->make(l, &storage));
    } else {
      make_alone(source, statistics, params, options.threads, l, &model->layers[static_cast<size_t>(l)], &storage);
    }
    if (options.quantise_progress && !options.quantise_progress(l + 1, std::ssize(model->layers))) {
      return Status(StatusCode::kCancelled, fmt::format("cancelled after {} layers", l + 1));
    }
  }
  if (!source.pooler) return storage;
  std::optional<ProductErrors> errors;
  if (maker) errors = maker->first_tokens();
  for (auto& part : set_classifier(source, statistics, errors ? &*errors : nullptr, options.threads, labels, model)) {
    storage.push_back(std::move(part));
  }
  return storage;
}

}  // namespace hccs::internal
