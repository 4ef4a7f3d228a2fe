// SPDX-License-Identifier: Apache-2.0
#include "hccs/integer_encoder.h"

#include <fmt/core.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <functional>
#include <mutex>
#include <numeric>
#include <thread>

#include "contract/exceptions.h"
#include "formats/check_encodings.h"
#include "hccs/model_folder.h"
#include "hccs/safetensors.h"
#include "integer_encoder/file.h"
#include "integer_encoder/plain.h"
#include "integer_encoder/reference.h"

namespace hccs {

struct IntegerEncoder::Model {
  explicit Model(internal::IntegerModel loaded) : integers(std::move(loaded)), plain(integers) {
    const internal::IntegerModel& m = integers;
    info = {.name = m.origin.name,
            .weights_digest = m.origin.weights_digest,
            .calibration_digest = m.origin.calibration_digest,
            .calibration_texts = m.origin.calibration_texts,
            .calibration_tokens = m.origin.calibration_tokens,
            .layers = std::ssize(m.layers),
            .hidden_size = m.hidden,
            .heads = m.heads,
            .inner_size = m.inner,
            .vocabulary_size = m.vocabulary,
            .max_positions = m.positions,
            .max_length = m.max_length,
            .classifier_max_length = m.classifier_max_length,
            .knees = m.origin.knees,
            .attention_weights = m.weights,
            .labels = m.classifier ? m.classifier->labels : std::vector<std::string>()};
  }
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  internal::IntegerModel integers;
  internal::PlainEncoder plain;
  IntegerModelInfo info;
};

namespace {

using internal::HiddenStates;
using internal::IntegerModel;

using EncodeText = std::function<Status(size_t text)>;

// Calls `encode` for each text, on several threads.
Status for_each_text(std::span<const Encoding> texts, const IntegerEncoder::Options& options,
                     const EncodeText& encode) {
  std::atomic<size_t> next = 0;
  std::mutex mutex;  // guards done and outcome, and lets one thread at a time report progress
  int64_t done = 0;
  Status outcome;
  const auto encode_texts = [&]() -> Status {
    try {
      for (size_t t = next++; t < texts.size(); t = next++) {
        HCCS_RETURN_IF_ERROR(encode(t));
        const std::lock_guard lock(mutex);
        ++done;
        if (outcome.ok() && options.progress && !options.progress(done, std::ssize(texts))) {
          return {StatusCode::kCancelled, fmt::format("cancelled after {} of {} texts", done, texts.size())};
        }
      }
      return {};
    } catch (...) {
      return internal::status_of_exception("integer encoder");
    }
  };
  const auto work_until_done = [&] {
    if (Status status = encode_texts(); !status.ok()) {
      next = texts.size();
      const std::lock_guard lock(mutex);
      if (outcome.ok()) outcome = std::move(status);
    }
  };
  if (options.threads == 1) {
    work_until_done();
    return outcome;
  }
  {
    std::vector<std::jthread> workers;
    const size_t count = std::min(static_cast<size_t>(options.threads), texts.size());
    while (workers.size() < count) workers.emplace_back(work_until_done);
  }
  return outcome;
}

// One row of `width` integers a text, which `finish` makes of its hidden states.
template <class T, class Finish>
Expected<std::vector<T>> run(const IntegerModel& model, const internal::PlainEncoder& plain,
                             std::span<const Encoding> texts, const IntegerEncoder::Options& options, int64_t width,
                             const Finish& finish) {
  if (options.threads < 1) {
    return Status(StatusCode::kInvalidArgument, fmt::format("{} threads, but threads >= 1", options.threads));
  }
  HCCS_RETURN_IF_ERROR(internal::check_encodings(texts, model.positions, model.vocabulary));
  std::vector<T> out(texts.size() * static_cast<size_t>(width));
  HCCS_RETURN_IF_ERROR(for_each_text(texts, options, [&](size_t t) -> Status {
    const std::vector<int32_t>& ids = texts[t].ids;
    const int64_t second = texts[t].second_begin.value_or(std::ssize(ids));
    HiddenStates states;
    if (options.reference) {
      HCCS_ASSIGN_OR_RETURN(states, internal::reference_forward(model, ids, second));
    } else {
      states = plain.forward(ids, second);
    }
    const std::vector<T> row = finish(states);
    std::copy(row.begin(), row.end(), out.begin() + static_cast<int64_t>(t) * width);
    return {};
  }));
  return out;
}

template <class T>
std::vector<float> scaled(const std::vector<T>& integers, int fraction) {
  std::vector<float> out;
  out.reserve(integers.size());
  for (const T v : integers) out.push_back(std::ldexp(static_cast<float>(v), -fraction));
  return out;
}

}  // namespace

bool is_integer_model(const std::filesystem::path& path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) return false;
  const Expected<Safetensors> file = Safetensors::open(path);
  if (!file.ok()) return false;
  const auto format = file->metadata().find("format");
  return format != file->metadata().end() && format->second == kIntegerModelFormat;
}

Expected<IntegerEncoder> IntegerEncoder::load(const std::filesystem::path& path) try {
  HCCS_ASSIGN_OR_RETURN(IntegerModel model, internal::read_integer_model(path));
  return IntegerEncoder(std::make_shared<const Model>(std::move(model)));
} catch (...) {
  return internal::status_of_exception(path.native());
}

const IntegerModelInfo& IntegerEncoder::info() const noexcept { return model_->info; }

const WordPieceTokenizer& IntegerEncoder::tokenizer() const noexcept { return *model_->integers.tokenizer; }

Encoding IntegerEncoder::encode(std::string_view text, int64_t max_length) const {
  const IntegerModel& model = model_->integers;
  const SentencePipeline pipeline{.prompt = model.prompt, .lower_case = model.lower_case};
  return model.tokenizer->encode(pipeline.prepared(text), max_length == 0 ? model.max_length : max_length);
}

Expected<std::vector<int16_t>> IntegerEncoder::embed_integers(std::span<const Encoding> texts,
                                                              const Options& options) const try {
  const IntegerModel& model = model_->integers;
  return run<int16_t>(model, model_->plain, texts, options, model.hidden,
                      [&](const HiddenStates& states) { return internal::reference_embedding(model, states); });
} catch (...) {
  return internal::status_of_exception("integer encoder");
}

Expected<std::vector<float>> IntegerEncoder::embed(std::span<const Encoding> texts, const Options& options) const try {
  HCCS_ASSIGN_OR_RETURN(const std::vector<int16_t> integers, embed_integers(texts, options));
  return scaled(integers, 15);
} catch (...) {
  return internal::status_of_exception("integer encoder");
}

Expected<std::vector<float>> IntegerEncoder::embed_texts(std::span<const std::string> texts,
                                                         const Options& options) const try {
  std::vector<Encoding> encodings;
  for (const std::string& text : texts) encodings.push_back(encode(text));
  return embed(encodings, options);
} catch (...) {
  return internal::status_of_exception("integer encoder");
}

Expected<std::vector<float>> IntegerEncoder::classify(std::span<const Encoding> texts, const Options& options) const
    try {
  const IntegerModel& model = model_->integers;
  if (!model.classifier) {
    return Status(StatusCode::kUnsupported, fmt::format("{}: it is no classifier of texts", model.origin.name));
  }
  HCCS_ASSIGN_OR_RETURN(
      const std::vector<int32_t> logits,
      run<int32_t>(model, model_->plain, texts, options, std::ssize(model.classifier->labels),
                   [&](const HiddenStates& states) { return internal::reference_logits(model, states); }));
  return scaled(logits, internal::kLogitFraction);
} catch (...) {
  return internal::status_of_exception("integer encoder");
}

}  // namespace hccs
