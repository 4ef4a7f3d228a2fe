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
#include "integer_encoder/engine.h"
#include "integer_encoder/file.h"
#include "integer_encoder/reference.h"

namespace hccs {

struct IntegerEncoder::Model {
  explicit Model(internal::IntegerModel loaded) : integers(std::move(loaded)) {
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
  std::unique_ptr<const internal::Engine> engine;  // of the integers above
  IntegerModelInfo info;
};

namespace {

using internal::HiddenStates;
using internal::IntegerModel;
using internal::TextTokens;

// Texts that are computed together: begin <= t < end.
struct Group {
  size_t begin;
  size_t end;
};

// So many tokens load the weights often enough: more would gain nothing.
constexpr int64_t kGroupTokens = 256;

// Consecutive texts, with no more tokens than pay, and in groups for all threads.
std::vector<Group> make_groups(std::span<const Encoding> texts, int threads) {
  int64_t all = 0;
  for (const Encoding& text : texts) all += std::ssize(text.ids);
  const int64_t limit = std::min(kGroupTokens, all / threads);
  std::vector<Group> groups;
  int64_t tokens = 0;
  for (size_t t = 0; t < texts.size(); ++t) {
    const auto count = std::ssize(texts[t].ids);
    if (groups.empty() || tokens + count > limit) {
      groups.push_back({t, t});
      tokens = 0;
    }
    groups.back().end = t + 1;
    tokens += count;
  }
  return groups;
}

using EncodeGroup = std::function<Status(const Group& group, int threads)>;

// Calls `encode` for each group, on several threads; where there are more threads than groups, each has some of them.
Status for_each_group(std::span<const Encoding> texts, const IntegerEncoder::Options& options,
                      const EncodeGroup& encode) {
  const std::vector<Group> groups = make_groups(texts, options.threads);
  const auto threads_a_group =
      std::max(1, options.threads / static_cast<int>(std::clamp<size_t>(groups.size(), 1, 1U << 20)));
  std::atomic<size_t> next = 0;
  std::mutex mutex;  // guards done and outcome, and lets one thread at a time report progress
  int64_t done = 0;
  Status outcome;
  const auto encode_groups = [&]() -> Status {
    try {
      for (size_t g = next++; g < groups.size(); g = next++) {
        HCCS_RETURN_IF_ERROR(encode(groups[g], threads_a_group));
        const std::lock_guard lock(mutex);
        done += static_cast<int64_t>(groups[g].end - groups[g].begin);
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
    if (Status status = encode_groups(); !status.ok()) {
      next = groups.size();
      const std::lock_guard lock(mutex);
      if (outcome.ok()) outcome = std::move(status);
    }
  };
  if (options.threads == 1 || groups.size() == 1) {
    work_until_done();
    return outcome;
  }
  {
    std::vector<std::jthread> workers;
    const size_t count = std::min(static_cast<size_t>(options.threads), groups.size());
    while (workers.size() < count) workers.emplace_back(work_until_done);
  }
  return outcome;
}

// One row of `width` integers a text: what `fast` makes of a group, or `slow` of one text's hidden states.
template <class T, class Fast, class Slow>
Expected<std::vector<T>> run(const IntegerModel& model, std::span<const Encoding> texts,
                             const IntegerEncoder::Options& options, int64_t width, const Fast& fast,
                             const Slow& slow) {
  if (options.threads < 1) {
    return Status(StatusCode::kInvalidArgument, fmt::format("{} threads, but threads >= 1", options.threads));
  }
  HCCS_RETURN_IF_ERROR(internal::check_encodings(texts, model.positions, model.vocabulary));
  std::vector<T> out(texts.size() * static_cast<size_t>(width));
  HCCS_RETURN_IF_ERROR(for_each_group(texts, options, [&](const Group& group, int threads) -> Status {
    std::vector<TextTokens> tokens;
    for (const Encoding& text : texts.subspan(group.begin, group.end - group.begin)) {
      tokens.push_back({.ids = text.ids, .second_begin = text.second_begin.value_or(std::ssize(text.ids))});
    }
    T* to = out.data() + static_cast<int64_t>(group.begin) * width;
    if (!options.reference) return fast(std::span<const TextTokens>(tokens), threads, to);
    for (const TextTokens& text : tokens) {
      HCCS_ASSIGN_OR_RETURN(const HiddenStates states, internal::reference_forward(model, text.ids, text.second_begin));
      const std::vector<T> row = slow(states);
      to = std::copy(row.begin(), row.end(), to);
    }
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

Expected<IntegerEncoder> IntegerEncoder::load(const std::filesystem::path& path, std::string_view target) try {
  HCCS_ASSIGN_OR_RETURN(IntegerModel integers, internal::read_integer_model(path));
  auto model = std::make_shared<Model>(std::move(integers));
  HCCS_ASSIGN_OR_RETURN(model->engine, internal::Engine::make(model->integers, target));
  return IntegerEncoder(std::move(model));
} catch (...) {
  return internal::status_of_exception(path.native());
}

const IntegerModelInfo& IntegerEncoder::info() const noexcept { return model_->info; }

std::string_view IntegerEncoder::target() const noexcept { return model_->engine->target(); }

const WordPieceTokenizer& IntegerEncoder::tokenizer() const noexcept { return *model_->integers.tokenizer; }

Encoding IntegerEncoder::encode(std::string_view text, int64_t max_length) const {
  const IntegerModel& model = model_->integers;
  const SentencePipeline pipeline{.prompt = model.prompt, .lower_case = model.lower_case};
  return model.tokenizer->encode(pipeline.prepared(text), max_length == 0 ? model.max_length : max_length);
}

Expected<std::vector<int16_t>> IntegerEncoder::embed_integers(std::span<const Encoding> texts,
                                                              const Options& options) const try {
  const IntegerModel& model = model_->integers;
  const internal::Engine& engine = *model_->engine;
  return run<int16_t>(
      model, texts, options, model.hidden,
      [&](std::span<const TextTokens> group, int threads, int16_t* out) { return engine.embed(group, threads, out); },
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
  const internal::Engine& engine = *model_->engine;
  HCCS_ASSIGN_OR_RETURN(const std::vector<int32_t> logits,
                        run<int32_t>(
                            model, texts, options, std::ssize(model.classifier->labels),
                            [&](std::span<const TextTokens> group, int threads, int32_t* out) {
                              return engine.classify(group, threads, out);
                            },
                            [&](const HiddenStates& states) { return internal::reference_logits(model, states); }));
  return scaled(logits, internal::kLogitFraction);
} catch (...) {
  return internal::status_of_exception("integer encoder");
}

}  // namespace hccs
