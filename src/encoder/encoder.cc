// SPDX-License-Identifier: Apache-2.0
//
// Texts in batches, over several threads.
#include "hccs/encoder.h"

#include <fmt/core.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <dnnl.hpp>
#include <mutex>
#include <numeric>
#include <thread>
#include <utility>

#include "contract/exceptions.h"
#include "encoder/bert_model.h"
#include "encoder/single_threaded.h"
#include "formats/check_encodings.h"

namespace hccs {
namespace {

using internal::Batch;
using internal::kLinearBlockRows;
using internal::SingleThreaded;

// Enough that the padding of the last block of rows is a small share, few enough for the cache.
constexpr int64_t kBatchTokens = 10 * kLinearBlockRows;

// Longest first, so that the last batches to be handed out are the quickest.
std::vector<size_t> sorted_by_length(std::span<const Encoding> texts) {
  std::vector<size_t> order(texts.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return texts[a].ids.size() > texts[b].ids.size(); });
  return order;
}

std::vector<Batch> cut_into_batches(std::span<const Encoding> texts, std::span<const size_t> order) {
  std::vector<Batch> batches;
  size_t begin = 0;
  while (begin < order.size()) {
    size_t end = begin;
    int64_t tokens = 0;
    do {
      tokens += std::ssize(texts[order[end]].ids);
      ++end;
    } while (end < order.size() && tokens + std::ssize(texts[order[end]].ids) <= kBatchTokens);
    batches.push_back({order.subspan(begin, end - begin), tokens});
    begin = end;
  }
  return batches;
}

// The exception that is being handled, of oneDNN or any other.
Status status_of_exception() noexcept {
  constexpr const char* kEncoder = "encoder";
  try {
    try {
      throw;
    } catch (const dnnl::error& error) {
      if (error.status == dnnl_out_of_memory) return internal::out_of_memory(kEncoder);
      return {StatusCode::kUnsupported, fmt::format("{}: oneDNN: {}", kEncoder, error.what())};
    }
  } catch (...) {
    return internal::status_of_exception(kEncoder);
  }
}

}  // namespace

Expected<BertEncoder> BertEncoder::load(const ModelFolder& folder) try {
  const SingleThreaded single_threaded;
  HCCS_ASSIGN_OR_RETURN(Model loaded, Model::load(folder));
  return BertEncoder(std::make_shared<const Model>(std::move(loaded)));
} catch (...) {
  return status_of_exception();
}

Status BertEncoder::run(std::span<const Encoding> texts, const AttentionSoftmax& softmax,
                        const EncodeOptions& options) const {
  return run(texts, softmax, options, Output::kNothing).status();
}

Expected<std::vector<float>> BertEncoder::embed(std::span<const Encoding> texts, const AttentionSoftmax& softmax,
                                                const EncodeOptions& options) const {
  HCCS_RETURN_IF_ERROR(model_->sentence.embeds);
  return run(texts, softmax, options, Output::kEmbedding);
}

Expected<std::vector<float>> BertEncoder::classify(std::span<const Encoding> texts, const AttentionSoftmax& softmax,
                                                   const EncodeOptions& options) const {
  HCCS_RETURN_IF_ERROR(model_->no_classifier);
  return run(texts, softmax, options, Output::kLogits);
}

Expected<std::vector<float>> BertEncoder::run(std::span<const Encoding> texts, const AttentionSoftmax& softmax,
                                              const EncodeOptions& options, Output output) const try {
  const Model& model = *model_;
  if (options.threads < 1) {
    return Status(StatusCode::kInvalidArgument, fmt::format("{} threads, but threads >= 1", options.threads));
  }
  HCCS_RETURN_IF_ERROR(internal::check_encodings(texts, model.config.max_positions, model.config.vocabulary_size));
  if (texts.empty()) return std::vector<float>();
  // Without a result, one number a text says whether the text's hidden states are finite.
  const auto width = static_cast<size_t>(output == Output::kLogits      ? model.classes()
                                         : output == Output::kEmbedding ? embedding_size()
                                                                        : 1);
  std::vector<float> out(texts.size() * width);
  const std::vector<size_t> order = sorted_by_length(texts);
  const std::vector<Batch> batches = cut_into_batches(texts, order);
  const auto longest = static_cast<int64_t>(texts[order.front()].ids.size());
  const auto largest = std::max_element(batches.begin(), batches.end(),
                                        [](const Batch& a, const Batch& b) { return a.tokens < b.tokens; });
  const int64_t rows = internal::round_up_to_blocks(largest->tokens);

  std::atomic<size_t> next = 0;
  std::mutex mutex;  // guards done and outcome, and lets one thread at a time report progress
  int64_t done = 0;
  Status outcome;
  const auto encode_batches = [&]() -> Status {
    try {
      internal::Workspace work(model.config, model.engine, rows, longest);
      for (size_t b = next++; b < batches.size(); b = next++) {
        HCCS_RETURN_IF_ERROR(model.run(texts, batches[b], softmax, work, output, out));
        const std::lock_guard lock(mutex);
        done += std::ssize(batches[b].texts);
        if (outcome.ok() && options.progress && !options.progress(done, std::ssize(texts))) {
          return {StatusCode::kCancelled, fmt::format("cancelled after {} of {} texts", done, texts.size())};
        }
      }
      return {};
    } catch (...) {
      return status_of_exception();
    }
  };
  const auto work_until_done = [&] {
    const SingleThreaded single_threaded;
    if (Status status = encode_batches(); !status.ok()) {
      next = batches.size();
      const std::lock_guard lock(mutex);
      if (outcome.ok()) outcome = std::move(status);
    }
  };
  {
    std::vector<std::jthread> workers;
    const size_t count = std::min(static_cast<size_t>(options.threads), batches.size());
    while (workers.size() < count) workers.emplace_back(work_until_done);
  }
  HCCS_RETURN_IF_ERROR(outcome);
  const auto bad = std::find_if_not(out.begin(), out.end(), [](float v) { return std::isfinite(v); });
  if (bad != out.end()) {
    return Status(StatusCode::kBadData, fmt::format("text {}: a result is {}, but results are finite: the model's "
                                                    "weights are not, or its activations overflow",
                                                    static_cast<size_t>(bad - out.begin()) / width, *bad));
  }
  return out;
} catch (...) {
  return status_of_exception();
}

const BertConfig& BertEncoder::config() const noexcept { return model_->config; }

int64_t BertEncoder::classes() const noexcept { return model_->classes(); }

int64_t BertEncoder::embedding_size() const noexcept { return model_->sentence.embedding_size; }

void round_to_int8_grid(float scale, std::span<float> x) noexcept {
  for (float& v : x) v = scale * std::nearbyint(std::clamp(v / scale, -127.0F, 127.0F));
}

std::vector<int32_t> predicted_classes(std::span<const float> logits, int64_t classes) {
  std::vector<int32_t> predictions;
  for (auto row = logits.begin(); row != logits.end(); row += classes) {
    predictions.push_back(static_cast<int32_t>(std::max_element(row, row + classes) - row));
  }
  return predictions;
}

}  // namespace hccs
