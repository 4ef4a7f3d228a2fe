// SPDX-License-Identifier: Apache-2.0
#include "hccs/calibrate_model.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "contract/exceptions.h"
#include "hccs/encoder.h"
#include "pipeline/sampled_parts.h"

namespace hccs {
namespace {

// Rows longer than the paper's n would break its limits.
int64_t longest_text(const CalibrateModelOptions& options, int64_t folders) {
  const int64_t length = options.calibration.length;
  if (options.calibration.limits != Limits::kPaper || length == 0) return options.max_length;
  if (options.max_length != 0 && options.max_length <= length) return options.max_length;
  return std::min(length, folders);
}

}  // namespace

std::vector<int64_t> rows_to_sample(int64_t text, int64_t head, int64_t heads, int64_t length, uint64_t seed) {
  const int64_t count = std::min(kRowsPerText, length);
  const uint64_t first =
      seed + static_cast<uint64_t>(text) * static_cast<uint64_t>(heads) + static_cast<uint64_t>(head);
  std::vector<int64_t> queries;
  for (int64_t i = 0; i < count; ++i) {
    const uint64_t place = first + static_cast<uint64_t>(i * length / count);
    queries.push_back(static_cast<int64_t>(place % static_cast<uint64_t>(length)));
  }
  return queries;
}

HeadSamples::HeadSamples(int64_t layers, int64_t heads, int64_t rows, uint64_t seed)
    : heads_(heads),
      seed_(seed),
      samples_(static_cast<size_t>(layers * heads), RowSample(rows, seed)),
      locks_(std::make_unique<std::mutex[]>(samples_.size())) {}

Status HeadSamples::add(int64_t layer, int64_t head, int64_t text, int64_t length, const float* logits) {
  const int64_t index = layer * heads_ + head;
  const std::lock_guard lock(locks_[static_cast<size_t>(index)]);
  for (const int64_t query : rows_to_sample(text, index, std::ssize(samples_), length, seed_)) {
    const uint64_t id = static_cast<uint64_t>(text) * kMaxRowLength + static_cast<uint64_t>(query);
    const std::span row(logits + query * length, static_cast<size_t>(length));
    HCCS_RETURN_IF_ERROR(samples_[static_cast<size_t>(index)].add(id, row));
  }
  return {};
}

EncodedTexts truncation_of(std::span<const Encoding> encodings, int64_t max_length) {
  EncodedTexts texts{.count = std::ssize(encodings), .max_length = max_length};
  for (const Encoding& encoding : encodings) {
    texts.truncated += encoding.truncated() ? 1 : 0;
    texts.longest = std::max(texts.longest, encoding.untruncated_size);
  }
  return texts;
}

Expected<EncodedTexts> encode_texts(const ModelFolder& model, std::span<const std::string> texts,
                                    int64_t max_length) try {
  const int64_t positions = model.config.max_positions;
  if (max_length == 0) max_length = model.sentence.max_length;
  if (max_length < 2 || max_length > positions) {
    return Status(StatusCode::kInvalidArgument,
                  fmt::format("maximum length {}, but the model takes 2..{} tokens", max_length, positions));
  }
  std::vector<Encoding> encodings;
  encodings.reserve(texts.size());
  for (const std::string& text : texts) {
    const size_t tab = model.classifier.ok() ? text.find('\t') : std::string::npos;
    if (tab == std::string::npos) {
      encodings.push_back(model.tokenizer.encode(model.sentence.prepared(text), max_length));
      continue;
    }
    if (max_length < 3) {
      return Status(StatusCode::kInvalidArgument,
                    fmt::format("maximum length {}, but a pair of texts has 3 tokens or more", max_length));
    }
    const std::string_view pair = text;
    encodings.push_back(model.tokenizer.encode_pair(pair.substr(0, tab), pair.substr(tab + 1), max_length));
  }
  EncodedTexts encoded = truncation_of(encodings, max_length);
  encoded.encodings = std::move(encodings);
  return encoded;
} catch (...) {
  return internal::status_of_exception("texts");
}

Expected<SampledModel> sample_model(const ModelFolder& model, std::span<const std::string> texts,
                                    const CalibrateModelOptions& options) try {
  const BertConfig& config = model.config;
  HCCS_RETURN_IF_ERROR(internal::check_first(options.first));
  if (options.only_full && options.first != 0) {
    return Status(StatusCode::kInvalidArgument, "texts that are left out have no number, so that the first one is 0");
  }
  HCCS_ASSIGN_OR_RETURN(EncodedTexts encoded,
                        encode_texts(model, texts, longest_text(options, model.sentence.max_length)));
  if (options.only_full) {
    std::erase_if(encoded.encodings, [&](const Encoding& e) { return std::ssize(e.ids) < encoded.max_length; });
    if (encoded.encodings.empty()) {
      return Status(StatusCode::kInvalidArgument,
                    fmt::format("none of {} texts has {} tokens (the longest has {}), but only such were asked for",
                                encoded.count, encoded.max_length, encoded.longest));
    }
  }
  HCCS_ASSIGN_OR_RETURN(const BertEncoder encoder, BertEncoder::load(model));
  HeadSamples samples(config.layers, config.heads, options.rows, options.seed);
  const auto sink = [&](const AttentionBlock& block) {
    return samples.add(block.layer, block.head, options.first + block.text, block.length, block.logits);
  };
  HCCS_ASSIGN_OR_RETURN(const auto softmax, make_capturing_softmax(make_exact_softmax(), sink));
  HCCS_RETURN_IF_ERROR(encoder.run(encoded.encodings, *softmax,
                                   {.threads = options.calibration.threads, .progress = options.read_progress}));
  encoded.encodings.clear();
  return SampledModel{.heads = {samples.samples().begin(), samples.samples().end()},
                      .model = {.name = model.name,
                                .layers = config.layers,
                                .heads = config.heads,
                                .head_dimension = config.head_dimension(),
                                .data_digest = internal::digest_of_texts(texts),
                                .weights_digest = model.weights.digest()},
                      .texts = std::move(encoded),
                      .parts = {{.first = options.first,
                                 .count = std::ssize(texts),
                                 .texts = std::vector<std::string>(texts.begin(), texts.end())}}};
} catch (...) {
  return internal::status_of_exception(model.name);
}

ParamFile make_param_file(std::span<const HeadFit> fits, const CalibrateModelOptions& options,
                          const CalibratedModel& model) {
  ParamFile file{.model = model.name,
                 .layers = model.layers,
                 .heads = model.heads,
                 .head_dimension = model.head_dimension,
                 .sequence_length = options.calibration.length,
                 .knees = options.calibration.knees,
                 .limits = options.calibration.limits,
                 .share = options.calibration.share,
                 .seed = options.seed,
                 .data_digest = model.data_digest,
                 .weights_digest = model.weights_digest};
  for (const HeadFit& fit : fits) {
    file.sequence_length = std::max(file.sequence_length, fit.longest_row);
    file.entries.push_back({.params = fit.params,
                            .step = fit.step,
                            .kl = fit.kl,
                            .kl_continuous = fit.kl_continuous,
                            .rows = fit.rows,
                            .max_probability = fit.max_probability,
                            .is_default = !fit.unfit_reason.empty()});
  }
  return file;
}

namespace {

// Under the paper's limits no row may be longer than n.
Status check_longest(const SampledModel& sampled, const CalibrationOptions& options) {
  if (options.limits != Limits::kPaper) return {};
  for (int64_t head = 0; head < std::ssize(sampled.heads); ++head) {
    for (const RowSample::Row& row : sampled.heads[static_cast<size_t>(head)].rows()) {
      if (std::ssize(row.logits) <= options.length) continue;
      return {StatusCode::kInvalidArgument,
              fmt::format("{}: a row of {} positions, but the paper's limits are for rows of at most {}",
                          head_name(head / sampled.model.heads, head % sampled.model.heads), row.logits.size(),
                          options.length)};
    }
  }
  return {};
}

}  // namespace

Expected<ModelCalibration> calibrate_samples(const SampledModel& sampled, const CalibrateModelOptions& options) try {
  HCCS_RETURN_IF_ERROR(check_longest(sampled, options.calibration));
  HCCS_ASSIGN_OR_RETURN(std::vector<HeadFit> fits, calibrate(sampled.heads, sampled.model.heads, options.calibration));
  ParamFile params = make_param_file(fits, options, sampled.model);
  return ModelCalibration{.params = std::move(params), .fits = std::move(fits), .texts = sampled.texts};
} catch (...) {
  return internal::status_of_exception(sampled.model.name);
}

Expected<ModelCalibration> calibrate_model(const ModelFolder& model, std::span<const std::string> texts,
                                           const CalibrateModelOptions& options) {
  HCCS_ASSIGN_OR_RETURN(const SampledModel sampled, sample_model(model, texts, options));
  return calibrate_samples(sampled, options);
}

}  // namespace hccs
