// SPDX-License-Identifier: Apache-2.0
//
// BERT's forward pass (Devlin et al., arXiv 1810.04805). The tokens of a batch stand one after another without
// padding: linear layers and layer norms see rows, attention sees one text and head at a time.
#include "hccs/encoder.h"

#include <fmt/core.h>
#include <omp.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <dnnl.hpp>
#include <functional>
#include <mutex>
#include <new>
#include <numeric>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include "encoder/linear.h"

namespace hccs {
namespace {

// Enough that the padding of the last block of rows is a small share, few enough for the cache.
constexpr int64_t kBatchTokens = 10 * kLinearBlockRows;

struct LayerNorm {
  std::vector<float> scale;
  std::vector<float> shift;
  float epsilon = 0;

  // x: [rows, size], in place.
  void run(int64_t rows, float* x) const {
    const size_t size = scale.size();
    for (int64_t row = 0; row < rows; ++row, x += size) {
      float sum = 0;
#pragma omp simd reduction(+ : sum)
      for (size_t i = 0; i < size; ++i) sum += x[i];
      const float mean = sum / static_cast<float>(size);
      float squares = 0;
#pragma omp simd reduction(+ : squares)
      for (size_t i = 0; i < size; ++i) squares += (x[i] - mean) * (x[i] - mean);
      const float inverse = 1.0F / std::sqrt(squares / static_cast<float>(size) + epsilon);
#pragma omp simd
      for (size_t i = 0; i < size; ++i) x[i] = (x[i] - mean) * inverse * scale[i] + shift[i];
    }
  }
};

struct Layer {
  Linear query_key_value;  // one product: a row of its output is q, k, v
  Linear attention_output;
  LayerNorm attention_norm;
  Linear intermediate;
  Linear output;
  LayerNorm output_norm;
};

// A layer of a few rows, in plain loops: the classification head.
struct SmallLinear {
  int64_t in = 0;
  std::vector<float> weights;  // [out, in]
  std::vector<float> bias;     // [out]

  void run(const float* x, float* out) const {
    const float* weight = weights.data();
    for (size_t o = 0; o < bias.size(); ++o, weight += in) {
      float sum = 0;
#pragma omp simd reduction(+ : sum)
      for (int64_t i = 0; i < in; ++i) sum += weight[i] * x[i];
      out[o] = sum + bias[o];
    }
  }
};

struct Batch {
  std::span<const size_t> texts;  // indices in the caller's list
  int64_t tokens = 0;
};

int64_t round_up_to_blocks(int64_t rows) { return (rows + kLinearBlockRows - 1) / kLinearBlockRows * kLinearBlockRows; }

// While it lives, oneDNN plans for and runs on the calling thread alone: the encoder's parallelism is over batches, and
// kernels that do not depend on the number of cores make results that do not.
class SingleThreaded {
 public:
  SingleThreaded() : before_(omp_get_max_threads()) { omp_set_num_threads(1); }
  ~SingleThreaded() { omp_set_num_threads(before_); }
  SingleThreaded(const SingleThreaded&) = delete;
  SingleThreaded& operator=(const SingleThreaded&) = delete;

 private:
  int before_;
};

// What one worker computes in; rows is a multiple of kLinearBlockRows.
struct Workspace {
  Workspace(const BertConfig& config, const dnnl::engine& engine, int64_t rows, int64_t longest)
      : stream(engine),
        hidden(rows * config.hidden_size),
        query_key_value(rows * config.hidden_size * 3),
        context(rows * config.hidden_size),
        intermediate(kLinearBlockRows * config.intermediate_size),
        logits(longest * longest),
        sum(config.hidden_size) {}

  dnnl::stream stream;
  std::vector<float> hidden;           // [rows, hidden_size]
  std::vector<float> query_key_value;  // [rows, 3, heads, head dimension]
  std::vector<float> context;          // [rows, heads, head dimension]
  std::vector<float> intermediate;     // [kLinearBlockRows, intermediate_size]
  std::vector<float> logits;           // [longest, longest], then probabilities
  std::vector<double> sum;             // [hidden_size]
};

// Row-major out[m, n] = alpha * a[m, k] * b, b [k, n] or, transposed, [n, k].
void multiply(int64_t m, int64_t n, int64_t k, float alpha, const float* a, int64_t a_stride, const float* b,
              int64_t b_stride, bool b_transposed, float* out, int64_t out_stride) {
  dnnl::error::wrap_c_api(
      dnnl_sgemm('N', b_transposed ? 'T' : 'N', m, n, k, alpha, a, a_stride, b, b_stride, 0.0F, out, out_stride),
      "sgemm");
}

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

Status check_texts(const BertConfig& config, std::span<const Encoding> texts) {
  const auto invalid = [](std::string message) { return Status(StatusCode::kInvalidArgument, std::move(message)); };
  for (size_t t = 0; t < texts.size(); ++t) {
    const std::vector<int32_t>& ids = texts[t].ids;
    if (const auto second = texts[t].second_begin; second) {
      if (config.type_vocabulary_size < 2)
        return invalid(fmt::format("text {} is a pair, but the model has one token type", t));
      if (*second < 0 || *second > std::ssize(ids)) {
        return invalid(fmt::format("text {}: the second text begins at token {} of {}", t, *second, ids.size()));
      }
    }
    if (ids.empty()) return invalid(fmt::format("text {} has no tokens, but 1 are needed", t));
    if (std::ssize(ids) > config.max_positions) {
      return invalid(
          fmt::format("text {} has {} tokens, but the model has {} positions", t, ids.size(), config.max_positions));
    }
    for (size_t i = 0; i < ids.size(); ++i) {
      if (ids[i] < 0 || ids[i] >= config.vocabulary_size) {
        return invalid(fmt::format("text {}, token {}: id {}, but 0 <= id < {} (the vocabulary's size)", t, i, ids[i],
                                   config.vocabulary_size));
      }
    }
  }
  return {};
}

// Runs `body`. What it throws, or the softmax or the progress callback that it calls, becomes a Status.
template <class Body>
Status without_exceptions(const Body& body) {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return {StatusCode::kIo, "encoder: out of memory"};
  } catch (const dnnl::error& error) {
    return {error.status == dnnl_out_of_memory ? StatusCode::kIo : StatusCode::kUnsupported,
            fmt::format("encoder: oneDNN: {}", error.what())};
  } catch (const std::system_error& error) {
    return {StatusCode::kIo, fmt::format("encoder: cannot start a thread: {}", error.what())};
  } catch (const std::exception& error) {
    return {StatusCode::kInvalidArgument, fmt::format("encoder: {}", error.what())};
  }
}

}  // namespace

struct BertEncoder::Model {
  BertConfig config;
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  std::vector<float> word_embeddings;  // [vocabulary_size, hidden_size]
  // [1 or 2 token types, max_positions, hidden_size], the type's embedding added.
  std::vector<float> position_embeddings;
  LayerNorm embedding_norm;
  std::vector<Layer> layers;
  std::optional<ActivationScales> scales;
  SmallLinear pooler;  // empty: no classification head
  SmallLinear classifier;

  int64_t classes() const { return std::ssize(classifier.bias); }

  static Expected<Model> load(const ModelFolder& folder);

  // Writes the rows `batch.texts` of `out`: embeddings or, as a classifier, logits.
  void run(std::span<const Encoding> texts, const Batch& batch, const AttentionSoftmax& softmax, Workspace& work,
           bool as_classifier, std::span<float> out) const;

 private:
  void embed_tokens(std::span<const Encoding> texts, const Batch& batch, int64_t rows, Workspace& work) const;
  void attend(int64_t layer, std::span<const Encoding> texts, const Batch& batch, const AttentionSoftmax& softmax,
              Workspace& work) const;
  void pool(std::span<const Encoding> texts, const Batch& batch, Workspace& work, std::span<float> embeddings) const;
  void classify(std::span<const Encoding> texts, const Batch& batch, const Workspace& work,
                std::span<float> logits) const;
  // The scale of what enters layer l, or leaves the last.
  void round_hidden(int64_t layer, int64_t rows, float* x) const {
    if (!scales) return;
    const double scale = layer < config.layers ? scales->layers[layer].input : scales->output;
    round_to_int8_grid(static_cast<float>(scale), {x, static_cast<size_t>(rows * config.hidden_size)});
  }
};

Expected<BertEncoder::Model> BertEncoder::Model::load(const ModelFolder& folder) {
  Model model;
  model.config = folder.config;
  const int64_t hidden = folder.config.hidden_size;
  const int64_t inner = folder.config.intermediate_size;
  const auto read = [&](const std::string& tensor, std::initializer_list<int64_t> shape) {
    return folder.weights.read_float(folder.tensor_name(tensor), std::span(shape.begin(), shape.size()));
  };
  const auto read_norm = [&](const std::string& tensor) -> Expected<LayerNorm> {
    LayerNorm norm;
    HCCS_ASSIGN_OR_RETURN(norm.scale, read(tensor + ".weight", {hidden}));
    HCCS_ASSIGN_OR_RETURN(norm.shift, read(tensor + ".bias", {hidden}));
    norm.epsilon = static_cast<float>(folder.config.layer_norm_epsilon);
    return norm;
  };
  const auto read_linear = [&](const std::string& tensor, int64_t in, int64_t out,
                               LinearOutput output) -> Expected<Linear> {
    HCCS_ASSIGN_OR_RETURN(const std::vector<float> weights, read(tensor + ".weight", {out, in}));
    HCCS_ASSIGN_OR_RETURN(const std::vector<float> bias, read(tensor + ".bias", {out}));
    return Linear(model.engine, in, out, weights, bias, output);
  };
  const auto read_query_key_value = [&](const std::string& tensor) -> Expected<Linear> {
    std::vector<float> weights;
    std::vector<float> bias;
    for (const char* part : {".query", ".key", ".value"}) {
      HCCS_ASSIGN_OR_RETURN(const std::vector<float> w, read(tensor + part + ".weight", {hidden, hidden}));
      HCCS_ASSIGN_OR_RETURN(const std::vector<float> b, read(tensor + part + ".bias", {hidden}));
      weights.insert(weights.end(), w.begin(), w.end());
      bias.insert(bias.end(), b.begin(), b.end());
    }
    return Linear(model.engine, hidden, 3 * hidden, weights, bias, LinearOutput::kStore);
  };

  HCCS_ASSIGN_OR_RETURN(model.word_embeddings,
                        read("embeddings.word_embeddings.weight", {folder.config.vocabulary_size, hidden}));
  HCCS_ASSIGN_OR_RETURN(model.position_embeddings,
                        read("embeddings.position_embeddings.weight", {folder.config.max_positions, hidden}));
  HCCS_ASSIGN_OR_RETURN(const std::vector<float> types,
                        read("embeddings.token_type_embeddings.weight", {folder.config.type_vocabulary_size, hidden}));
  const size_t one_type = model.position_embeddings.size();
  if (folder.config.type_vocabulary_size > 1) {
    model.position_embeddings.resize(2 * one_type);
    std::copy_n(model.position_embeddings.begin(), one_type, model.position_embeddings.begin() + one_type);
  }
  for (size_t i = 0; i < model.position_embeddings.size(); ++i) {
    model.position_embeddings[i] += types[i / one_type * hidden + i % hidden];
  }
  HCCS_ASSIGN_OR_RETURN(model.embedding_norm, read_norm("embeddings.LayerNorm"));
  for (int64_t l = 0; l < folder.config.layers; ++l) {
    const std::string name = fmt::format("encoder.layer.{}.", l);
    HCCS_ASSIGN_OR_RETURN(Linear query_key_value, read_query_key_value(name + "attention.self"));
    HCCS_ASSIGN_OR_RETURN(Linear attention_output,
                          read_linear(name + "attention.output.dense", hidden, hidden, LinearOutput::kAdd));
    HCCS_ASSIGN_OR_RETURN(LayerNorm attention_norm, read_norm(name + "attention.output.LayerNorm"));
    HCCS_ASSIGN_OR_RETURN(Linear intermediate,
                          read_linear(name + "intermediate.dense", hidden, inner, LinearOutput::kGelu));
    HCCS_ASSIGN_OR_RETURN(Linear output, read_linear(name + "output.dense", inner, hidden, LinearOutput::kAdd));
    HCCS_ASSIGN_OR_RETURN(LayerNorm output_norm, read_norm(name + "output.LayerNorm"));
    model.layers.push_back({std::move(query_key_value), std::move(attention_output), std::move(attention_norm),
                            std::move(intermediate), std::move(output), std::move(output_norm)});
  }
  model.scales = folder.activation_scales;

  // The head's tensors keep the names of BertForSequenceClassification; other task models have a classifier, but no
  // pooler.
  const auto& tensors = folder.weights.tensors();
  const auto head = tensors.find("classifier.weight");
  if (head == tensors.end() || head->second.shape.size() != 2 || head->second.shape[0] < 1 ||
      !tensors.contains(folder.tensor_name("pooler.dense.weight"))) {
    return model;
  }
  const int64_t classes = head->second.shape[0];
  model.pooler.in = model.classifier.in = hidden;
  HCCS_ASSIGN_OR_RETURN(model.pooler.weights, read("pooler.dense.weight", {hidden, hidden}));
  HCCS_ASSIGN_OR_RETURN(model.pooler.bias, read("pooler.dense.bias", {hidden}));
  HCCS_ASSIGN_OR_RETURN(model.classifier.weights,
                        folder.weights.read_float("classifier.weight", std::array{classes, hidden}));
  HCCS_ASSIGN_OR_RETURN(model.classifier.bias, folder.weights.read_float("classifier.bias", std::array{classes}));
  return model;
}

void BertEncoder::Model::embed_tokens(std::span<const Encoding> texts, const Batch& batch, int64_t rows,
                                      Workspace& work) const {
  const int64_t hidden = config.hidden_size;
  float* row = work.hidden.data();
  for (const size_t t : batch.texts) {
    const int64_t first_size = texts[t].second_begin.value_or(std::ssize(texts[t].ids));
    const float* position = position_embeddings.data();
    int64_t index = 0;
    for (const int32_t id : texts[t].ids) {
      if (index++ == first_size) position += config.max_positions * hidden;  // token type 1
      const float* word = word_embeddings.data() + id * hidden;
      std::transform(word, word + hidden, position, row, std::plus<>());
      row += hidden;
      position += hidden;
    }
  }
  // The rest of the last block belongs to no text; zeros keep its arithmetic finite and fast.
  std::fill(row, work.hidden.data() + rows * hidden, 0.0F);
  std::fill_n(work.context.data() + batch.tokens * hidden, (rows - batch.tokens) * hidden, 0.0F);
  embedding_norm.run(batch.tokens, work.hidden.data());
  round_hidden(0, batch.tokens, work.hidden.data());
}

void BertEncoder::Model::attend(int64_t layer, std::span<const Encoding> texts, const Batch& batch,
                                const AttentionSoftmax& softmax, Workspace& work) const {
  const int64_t hidden = config.hidden_size;
  const int64_t dimension = config.head_dimension();
  const auto scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(dimension)));
  if (scales) {
    const ActivationScales::Layer& s = scales->layers[layer];
    float* part = work.query_key_value.data();
    for (int64_t token = 0; token < batch.tokens; ++token) {
      for (const double place : {s.query, s.key, s.value}) {
        round_to_int8_grid(static_cast<float>(place), {part, static_cast<size_t>(hidden)});
        part += hidden;
      }
    }
  }
  const float* query = work.query_key_value.data();
  float* context = work.context.data();
  for (const size_t t : batch.texts) {
    const auto n = static_cast<int64_t>(texts[t].ids.size());
    for (int64_t head = 0; head < config.heads; ++head) {
      const float* q = query + head * dimension;
      const float* k = q + hidden;
      const float* v = k + hidden;
      float* logits = work.logits.data();
      multiply(n, n, dimension, scale, q, 3 * hidden, k, 3 * hidden, true, logits, n);
      softmax.apply({layer, head, static_cast<int64_t>(t), n, logits, q, k, v, 3 * hidden}, logits);
      multiply(n, dimension, n, 1.0F, logits, n, v, 3 * hidden, false, context + head * dimension, hidden);
    }
    query += n * 3 * hidden;
    context += n * hidden;
  }
  if (scales) {
    round_to_int8_grid(static_cast<float>(scales->layers[layer].context),
                       {work.context.data(), static_cast<size_t>(batch.tokens * hidden)});
  }
}

void BertEncoder::Model::classify(std::span<const Encoding> texts, const Batch& batch, const Workspace& work,
                                  std::span<float> logits) const {
  const float* first_token = work.hidden.data();
  std::vector<float> pooled(pooler.bias.size());
  for (const size_t t : batch.texts) {
    pooler.run(first_token, pooled.data());
    for (float& x : pooled) x = std::tanh(x);
    if (scales) round_to_int8_grid(static_cast<float>(scales->pooled), pooled);
    classifier.run(pooled.data(), logits.data() + t * classes());
    first_token += std::ssize(texts[t].ids) * config.hidden_size;
  }
}

void BertEncoder::Model::pool(std::span<const Encoding> texts, const Batch& batch, Workspace& work,
                              std::span<float> embeddings) const {
  const int64_t hidden = config.hidden_size;
  const float* row = work.hidden.data();
  for (const size_t t : batch.texts) {
    std::fill(work.sum.begin(), work.sum.end(), 0.0);
    for (size_t i = 0; i < texts[t].ids.size(); ++i, row += hidden) {
      std::transform(work.sum.begin(), work.sum.end(), row, work.sum.begin(), std::plus<>());
    }
    // The norm of the sum does for the mean: a common factor cancels.
    const double squares = std::inner_product(work.sum.begin(), work.sum.end(), work.sum.begin(), 0.0);
    const double inverse = squares > 0 ? 1.0 / std::sqrt(squares) : 0.0;
    std::transform(work.sum.begin(), work.sum.end(), embeddings.begin() + t * hidden,
                   [&](double s) { return static_cast<float>(s * inverse); });
  }
}

void BertEncoder::Model::run(std::span<const Encoding> texts, const Batch& batch, const AttentionSoftmax& softmax,
                             Workspace& work, bool as_classifier, std::span<float> out) const {
  const int64_t hidden = config.hidden_size;
  const int64_t rows = round_up_to_blocks(batch.tokens);
  embed_tokens(texts, batch, rows, work);
  for (size_t l = 0; l < layers.size(); ++l) {
    const Layer& layer = layers[l];
    layer.query_key_value.run(work.stream, rows, work.hidden.data(), work.query_key_value.data());
    attend(static_cast<int64_t>(l), texts, batch, softmax, work);
    // Block by block, so that the intermediate layer stays in the cache. The residuals are the kAdd of the layers.
    for (int64_t row = 0; row < rows; row += kLinearBlockRows) {
      float* x = work.hidden.data() + row * hidden;
      layer.attention_output.run(work.stream, kLinearBlockRows, work.context.data() + row * hidden, x);
      layer.attention_norm.run(kLinearBlockRows, x);
      if (scales) {
        round_to_int8_grid(static_cast<float>(scales->layers[l].attention),
                           {x, static_cast<size_t>(kLinearBlockRows * hidden)});
      }
      layer.intermediate.run(work.stream, kLinearBlockRows, x, work.intermediate.data());
      if (scales) round_to_int8_grid(static_cast<float>(scales->layers[l].intermediate), work.intermediate);
      layer.output.run(work.stream, kLinearBlockRows, work.intermediate.data(), x);
      layer.output_norm.run(kLinearBlockRows, x);
      round_hidden(static_cast<int64_t>(l) + 1, kLinearBlockRows, x);
    }
  }
  if (as_classifier) {
    classify(texts, batch, work, out);
  } else {
    pool(texts, batch, work, out);
  }
}

Expected<BertEncoder> BertEncoder::load(const ModelFolder& folder) {
  std::shared_ptr<const Model> model;
  const SingleThreaded single_threaded;
  HCCS_RETURN_IF_ERROR(without_exceptions([&]() -> Status {
    HCCS_ASSIGN_OR_RETURN(Model loaded, Model::load(folder));
    model = std::make_shared<const Model>(std::move(loaded));
    return {};
  }));
  return BertEncoder(std::move(model));
}

Expected<std::vector<float>> BertEncoder::embed(std::span<const Encoding> texts, const AttentionSoftmax& softmax,
                                                const EncodeOptions& options) const {
  return run(texts, softmax, options, false);
}

Expected<std::vector<float>> BertEncoder::classify(std::span<const Encoding> texts, const AttentionSoftmax& softmax,
                                                   const EncodeOptions& options) const {
  if (classes() == 0) {
    return Status(
        StatusCode::kUnsupported,
        "the model has no classification head (no tensor \"classifier.weight\"): train one with `hccs train`");
  }
  return run(texts, softmax, options, true);
}

Expected<std::vector<float>> BertEncoder::run(std::span<const Encoding> texts, const AttentionSoftmax& softmax,
                                              const EncodeOptions& options, bool as_classifier) const {
  const Model& model = *model_;
  if (options.threads < 1) {
    return Status(StatusCode::kInvalidArgument, fmt::format("{} threads, but threads >= 1", options.threads));
  }
  HCCS_RETURN_IF_ERROR(check_texts(model.config, texts));

  std::vector<float> out;
  HCCS_RETURN_IF_ERROR(without_exceptions([&]() -> Status {
    out.resize(texts.size() * (as_classifier ? model.classes() : model.config.hidden_size));
    if (texts.empty()) return {};
    const std::vector<size_t> order = sorted_by_length(texts);
    const std::vector<Batch> batches = cut_into_batches(texts, order);
    const auto longest = static_cast<int64_t>(texts[order.front()].ids.size());
    const int64_t rows =
        round_up_to_blocks(std::max_element(batches.begin(), batches.end(), [](const Batch& a, const Batch& b) {
                             return a.tokens < b.tokens;
                           })->tokens);

    std::atomic<size_t> next = 0;
    std::mutex mutex;  // guards done and outcome, and lets one thread at a time report progress
    int64_t done = 0;
    Status outcome;
    const auto encode_batches = [&]() -> Status {
      Workspace work(model.config, model.engine, rows, longest);
      for (size_t b = next++; b < batches.size(); b = next++) {
        model.run(texts, batches[b], softmax, work, as_classifier, out);
        const std::lock_guard lock(mutex);
        done += std::ssize(batches[b].texts);
        if (outcome.ok() && options.progress && !options.progress(done, std::ssize(texts))) {
          return {StatusCode::kCancelled, fmt::format("cancelled after {} of {} texts", done, texts.size())};
        }
      }
      return {};
    };
    const auto work_until_done = [&] {
      const SingleThreaded single_threaded;
      if (Status status = without_exceptions(encode_batches); !status.ok()) {
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
    return outcome;
  }));
  const auto bad = std::find_if_not(out.begin(), out.end(), [](float v) { return std::isfinite(v); });
  if (bad != out.end()) {
    const auto width = std::ssize(out) / std::ssize(texts);
    return Status(StatusCode::kBadData, fmt::format("text {}: a result is {}, but results are finite: the model's "
                                                    "weights are not, or its activations overflow",
                                                    (bad - out.begin()) / width, *bad));
  }
  return out;
}

const BertConfig& BertEncoder::config() const noexcept { return model_->config; }

int64_t BertEncoder::classes() const noexcept { return model_->classes(); }

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
