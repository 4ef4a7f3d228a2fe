// SPDX-License-Identifier: Apache-2.0
#include "hccs/quantise_model.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <dnnl.hpp>

#include "contract/exceptions.h"
#include "formats/check_encodings.h"
#include "hccs/calibrate_model.h"
#include "hccs/digest.h"
#include "integer_encoder/file.h"
#include "quantiser/layer_cosines.h"
#include "quantiser/make_layers.h"
#include "quantiser/statistics.h"

namespace hccs {
namespace {

using internal::FloatBert;
using internal::IntegerModel;
using internal::Statistics;

// Whole texts, evenly spread, until there are so many tokens.
std::vector<Encoding> spread_texts(std::vector<Encoding> all, int64_t tokens) {
  int64_t total = 0;
  for (const Encoding& text : all) total += std::ssize(text.ids);
  if (total <= tokens) return all;
  const auto count = std::max<int64_t>(1, std::ssize(all) * tokens / total);
  std::vector<Encoding> chosen;
  for (int64_t i = 0; i < count; ++i)
    chosen.push_back(std::move(all[static_cast<size_t>(i * std::ssize(all) / count)]));
  return chosen;
}

Status unsupported(const ModelFolder& model, const std::string& what) {
  return {StatusCode::kUnsupported, fmt::format("{}: {}", model.name, what)};
}

// How the embedding is made of the tokens. That of a classifier's folder too, as its file embeds as well.
Status set_pipeline(const ModelFolder& folder, IntegerModel* model) {
  const SentencePipeline& sentence = folder.sentence;
  model->max_length = sentence.max_length > 0 ? sentence.max_length : folder.max_length;
  model->classifier_max_length = folder.max_length;
  model->prompt = sentence.prompt;
  model->prompt_tokens = sentence.prompt_tokens;
  model->lower_case = sentence.lower_case;
  HCCS_RETURN_IF_ERROR(sentence.embeds);
  const bool dense = std::any_of(sentence.modules.begin(), sentence.modules.end(),
                                 [](const SentenceModule& m) { return m.kind == SentenceModule::kDense; });
  const bool one = sentence.pooling.size() == 1;
  const Pooling pooling = one ? sentence.pooling[0] : Pooling::kMean;
  // The length of a mean cancels when it is normalised.
  const bool is_mean = pooling == Pooling::kMean || pooling == Pooling::kMeanSqrt;
  model->pooling = pooling == Pooling::kFirst ? internal::IntPooling::kFirst : internal::IntPooling::kMean;
  if (dense) return unsupported(folder, "a Dense module follows the pooling, but integer models have none");
  if (!one || (!is_mean && pooling != Pooling::kFirst)) {
    return unsupported(folder, "its pooling is neither the mean nor the first token, but integer models have these");
  }
  return {};
}

Status check_supported(const ModelFolder& model) {
  const BertConfig& config = model.config;
  if (config.hidden_size > internal::kMaxHidden) {
    return unsupported(model, fmt::format("{} hidden channels, but an integer model has at most {}", config.hidden_size,
                                          internal::kMaxHidden));
  }
  if (config.intermediate_size > internal::kMaxInner - internal::kSplitColumns) {
    return unsupported(model, fmt::format("{} inner channels, but an integer model has at most {}",
                                          config.intermediate_size, internal::kMaxInner - internal::kSplitColumns));
  }
  return {};
}

Expected<IntegerModel> make_model(const ModelFolder& folder, const FloatBert& source, const Statistics& statistics,
                                  const ParamFile& params, const QuantiseModelOptions& options,
                                  std::span<const Encoding> texts) {
  IntegerModel model{.hidden = folder.config.hidden_size,
                     .heads = folder.config.heads,
                     .inner = folder.config.intermediate_size,
                     .vocabulary = folder.config.vocabulary_size,
                     .positions = folder.config.max_positions,
                     .types = source.types,
                     .weights = options.attention_weights,
                     .tokenizer = folder.tokenizer};
  HCCS_RETURN_IF_ERROR(set_pipeline(folder, &model));
  model.layers.resize(source.layers.size());
  auto storage = std::make_shared<internal::Storage>();
  storage->push_back(internal::set_embeddings(source, statistics, &model));
  internal::set_norms(source, statistics, &model);
  HCCS_ASSIGN_OR_RETURN(internal::Storage of_layers,
                        internal::make_layers(source, statistics, params, options, texts, folder.labels, &model));
  storage->insert(storage->end(), of_layers.begin(), of_layers.end());
  model.storage = std::move(storage);
  return model;
}

Expected<QuantisedModel> quantise_encoded(const ModelFolder& model, std::vector<Encoding> texts,
                                          const std::string& digest, const ParamFile& params,
                                          const QuantiseModelOptions& options, const std::filesystem::path& output) {
  const std::vector<Encoding> chosen = spread_texts(std::move(texts), options.tokens);
  HCCS_ASSIGN_OR_RETURN(FloatBert source, FloatBert::load(model));
  if (options.heads == HeadUse::kTrained) source.trained_heads = params.entries;
  HCCS_ASSIGN_OR_RETURN(const Statistics statistics, internal::observe(source, chosen, options.observe_progress));
  HCCS_ASSIGN_OR_RETURN(IntegerModel integers, make_model(model, source, statistics, params, options, chosen));
  integers.origin = {.name = model.name,
                     .weights_digest = model.weights.digest(),
                     .calibration_digest = digest,
                     .calibration_texts = statistics.texts,
                     .calibration_tokens = statistics.tokens,
                     .knees = static_cast<int32_t>(params.knees)};
  HCCS_RETURN_IF_ERROR(internal::write_integer_model(output, integers));
  QuantisedModel result{.texts = statistics.texts, .tokens = statistics.tokens};
  if (options.report_texts > 0) {
    const auto count = std::min(static_cast<size_t>(options.report_texts), chosen.size());
    HCCS_ASSIGN_OR_RETURN(result.layers, internal::layer_cosines(source, integers, std::span(chosen).first(count)));
  }
  return result;
}

Status check_arguments(const ModelFolder& model, size_t texts, const ParamFile& params,
                       const QuantiseModelOptions& options) {
  if (texts == 0) return {StatusCode::kInvalidArgument, "no texts, but scales are found from at least 1"};
  if (options.threads < 1 || options.tokens < 1) {
    return {StatusCode::kInvalidArgument,
            fmt::format("{} threads and {} tokens, but both are 1 or more", options.threads, options.tokens)};
  }
  if (options.heads == HeadUse::kStart && options.rounding == WeightRounding::kNearest) {
    return {StatusCode::kInvalidArgument,
            "heads are fitted together with the rounding of weights by GPTQ, not without"};
  }
  HCCS_RETURN_IF_ERROR(check_supported(model));
  return check_matches(params, model.name, model.config.layers, model.config.heads, model.config.head_dimension(),
                       model.weights.digest());
}

// The exception that is being handled.
Status status_of_quantiser(const std::string& name) noexcept {
  try {
    try {
      throw;
    } catch (const dnnl::error& error) {
      return {StatusCode::kUnsupported, fmt::format("{}: oneDNN: {}", name, error.what())};
    }
  } catch (...) {
    return internal::status_of_exception(name);
  }
}

}  // namespace

Expected<QuantisedModel> quantise_model(const ModelFolder& model, std::span<const std::string> texts,
                                        const ParamFile& params, const QuantiseModelOptions& options,
                                        const std::filesystem::path& output) try {
  HCCS_RETURN_IF_ERROR(check_arguments(model, texts.size(), params, options));
  HCCS_ASSIGN_OR_RETURN(EncodedTexts encoded, encode_texts(model, texts, options.max_length));
  Digest digest;
  for (const std::string& text : texts) digest.add(text);
  return quantise_encoded(model, std::move(encoded.encodings), digest.text(), params, options, output);
} catch (...) {
  return status_of_quantiser(model.name);
}

Expected<QuantisedModel> quantise_model_on_tokens(const ModelFolder& model, std::span<const Encoding> texts,
                                                  const ParamFile& params, const QuantiseModelOptions& options,
                                                  const std::filesystem::path& output) try {
  HCCS_RETURN_IF_ERROR(check_arguments(model, texts.size(), params, options));
  HCCS_RETURN_IF_ERROR(internal::check_encodings(texts, model.config.max_positions, model.config.vocabulary_size));
  Digest digest;
  for (const Encoding& text : texts) {
    const std::string ids = fmt::format("{}|{}", fmt::join(text.ids, " "), text.second_begin.value_or(-1));
    digest.add(ids);
  }
  return quantise_encoded(model, {texts.begin(), texts.end()}, digest.text(), params, options, output);
} catch (...) {
  return status_of_quantiser(model.name);
}

}  // namespace hccs
