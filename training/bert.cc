// SPDX-License-Identifier: Apache-2.0
#include "training/bert.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <dlfcn.h>
#include <fmt/core.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/csrc/autograd/variable.h>

#include <cmath>
#include <dnnl.hpp>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "contract/exceptions.h"

namespace hccs::training {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

float* data(const at::Tensor& tensor) { return tensor.data_ptr<float>(); }
std::span<float> span_of(const at::Tensor& tensor) { return {data(tensor), static_cast<size_t>(tensor.numel())}; }

at::Tensor wrap(std::vector<float>& values, at::IntArrayRef shape) {
  return at::from_blob(values.data(), shape, at::TensorOptions().dtype(at::kFloat));
}

// A pointer through torch's saved state.
template <class T>
int64_t as_integer(T* pointer) {
  return reinterpret_cast<int64_t>(pointer);
}
template <class T>
T* as_pointer(const c10::IValue& value) {
  return reinterpret_cast<T*>(value.toInt());
}

// An error on its way through torch, which knows exceptions alone: it leaves every pass as the Status that it is. (Only
// forwards throw it: torch's engine calls them directly, and backwards from code of its own.)
class Failure : public std::exception {
 public:
  explicit Failure(Status status) : status_(std::move(status)) {}
  const Status& status() const noexcept { return status_; }
  const char* what() const noexcept override { return status_.message().c_str(); }

 private:
  Status status_;
};

void throw_if_error(const Status& status) {
  if (!status.ok()) throw Failure(status);
}

// Everything that the attention's backward needs beside q, k, v; it lives in the pass until the backward is done.
struct AttentionCall {
  AttentionShape shape;
  const TrainingSoftmax* softmax;
  Dropout dropout;
  AttentionTape tape;
  HeadGradient* head_gradients;
};

struct Attention : Function<Attention> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& query_key_value, int64_t call_address,
                            int64_t sink_address) {
    auto* call = reinterpret_cast<AttentionCall*>(call_address);
    const auto* sink = reinterpret_cast<const LogitSink*>(sink_address);
    at::Tensor context = at::empty({query_key_value.size(0), call->shape.hidden()}, query_key_value.options());
    throw_if_error(attention_forward(call->shape, *call->softmax, call->dropout, data(query_key_value), data(context),
                                     &call->tape, *sink));
    ctx->save_for_backward({query_key_value});
    ctx->saved_data["call"] = call_address;
    return context;
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grad) {
    const auto* call = as_pointer<AttentionCall>(ctx->saved_data["call"]);
    const at::Tensor query_key_value = ctx->get_saved_variables()[0];
    at::Tensor out = at::empty_like(query_key_value);
    const at::Tensor grad_context = grad[0].contiguous();
    attention_backward(call->shape, *call->softmax, call->dropout, data(query_key_value), call->tape,
                       data(grad_context), data(out), call->head_gradients);
    return {out, at::Tensor(), at::Tensor()};
  }
};

// The mask is a function of the place, so it is made twice rather than stored.
struct DropoutOp : Function<DropoutOp> {
  static at::Tensor apply_mask(const at::Tensor& x, double rate, int64_t seed) {
    const Dropout dropout(rate, static_cast<uint64_t>(seed));
    at::Tensor out = at::empty_like(x);
    const float* in = data(x);
    float* to = data(out);
    const auto count = static_cast<uint32_t>(x.numel());
    for (uint32_t i = 0; i < count; ++i) to[i] = in[i] * dropout.factor(i);
    return out;
  }
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, double rate, int64_t seed) {
    ctx->saved_data["rate"] = rate;
    ctx->saved_data["seed"] = seed;
    return apply_mask(x, rate, seed);
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& grad) {
    return {apply_mask(grad[0].contiguous(), ctx->saved_data["rate"].toDouble(), ctx->saved_data["seed"].toInt()),
            at::Tensor(), at::Tensor()};
  }
};

// An activation on its int8 grid; the derivative passes where the range did not cut.
struct RoundActivation : Function<RoundActivation> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, double scale) {
    at::Tensor out = x.clone();
    round_to_int8_grid(static_cast<float>(scale), span_of(out));
    ctx->save_for_backward({x});
    ctx->saved_data["limit"] = 127.5 * scale;
    return out;
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& grad) {
    const at::Tensor x = ctx->get_saved_variables()[0];
    const auto limit = static_cast<float>(ctx->saved_data["limit"].toDouble());
    at::Tensor out = grad[0].clone(at::MemoryFormat::Contiguous);
    const float* in = data(x);
    float* to = data(out);
    for (int64_t i = 0; i < x.numel(); ++i) {
      if (!(std::abs(in[i]) <= limit)) to[i] = 0.0F;
    }
    return {out, at::Tensor()};
  }
};

// A matrix on its rows' int8 grids. The range is the largest weight, so nothing is cut: straight through.
struct RoundWeights : Function<RoundWeights> {
  static at::Tensor forward(AutogradContext* /*ctx*/, const at::Tensor& w) {
    at::Tensor out = at::empty_like(w);
    round_rows_to_int8_grid(w.size(1), span_of(w), data(out));
    return out;
  }
  static variable_list backward(AutogradContext* /*ctx*/, const variable_list& grad) { return {grad[0]}; }
};

// The exception that is being handled: an error of ours, of torch (whose allocator says so in words), or any other.
Status status_of_exception() noexcept {
  constexpr const char* kTraining = "training";
  try {
    try {
      throw;
    } catch (const Failure& failure) {
      return failure.status();
    } catch (const c10::Error& error) {
      const std::string_view what = error.what_without_backtrace();
      if (what.find("not enough memory") != std::string_view::npos) return internal::out_of_memory(kTraining);
      return {StatusCode::kUnsupported, fmt::format("{}: torch: {}", kTraining, what)};
    } catch (const dnnl::error& error) {
      if (error.status == dnnl_out_of_memory) return internal::out_of_memory(kTraining);
      return {StatusCode::kUnsupported, fmt::format("{}: oneDNN: {}", kTraining, error.what())};
    }
  } catch (...) {
    return internal::status_of_exception(kTraining);
  }
}

}  // namespace

void PackedTexts::add(const Encoding& text) {
  if (offsets.empty()) offsets.push_back(0);
  const int64_t second = text.second_begin.value_or(std::ssize(text.ids));
  for (int64_t i = 0; i < std::ssize(text.ids); ++i) {
    ids.push_back(text.ids[i]);
    positions.push_back(static_cast<int32_t>(i));
    types.push_back(i < second ? 0 : 1);
  }
  offsets.push_back(std::ssize(ids));
}

struct BertPass::Impl {
  Weights* weights;
  std::vector<std::vector<float>> gradients;
  std::vector<at::Tensor> parameters;  // leaves that share the weights' memory; [0] unused
  std::unordered_map<std::string, size_t> index;
  at::Tensor word_rows;  // [tokens, hidden], leaf of the last run
  std::vector<HeadGradient> head_gradients;
  std::vector<std::unique_ptr<AttentionCall>> calls;

  explicit Impl(Weights& w) : weights(&w) {
    for (Tensor& tensor : w.tensors) {
      index[tensor.name] = parameters.size();
      const bool words = parameters.size() == kWordEmbeddings;
      gradients.emplace_back(words ? 0 : tensor.values.size());
      parameters.push_back(wrap(tensor.values, tensor.shape));
      if (words) continue;
      parameters.back().set_requires_grad(true);
      parameters.back().mutable_grad() = wrap(gradients.back(), tensor.shape);
    }
    head_gradients.resize(static_cast<size_t>(w.config.layers * w.config.heads));
  }

  const at::Tensor& parameter(const std::string& name) const { return parameters[index.at(name)]; }
  at::Tensor forward(const PackedTexts& texts, const TrainingSoftmax& softmax, const PassOptions& options,
                     const LogitSink& attention_logits, const ActivationSink& activations);
};

namespace {

// The forward pass of one batch.
class Forward {
 public:
  Forward(const PassOptions& options, const ActivationSink& sink) : options_(options), sink_(sink) {}

  at::Tensor matrix(const at::Tensor& w) const { return options_.int8_weights ? RoundWeights::apply(w) : w; }

  // The activation at this place: shown, and rounded to its grid.
  at::Tensor at_place(const at::Tensor& x, const ActivationPlace& place) const {
    if (sink_) throw_if_error(sink_(place, span_of(x.contiguous())));
    if (options_.scales == nullptr) return x;
    return RoundActivation::apply(x.contiguous(), options_.scales->at(place));
  }

  at::Tensor dropout(const at::Tensor& x, Use use, int64_t layer = 0) const {
    if (options_.hidden_dropout == 0) return x;
    return DropoutOp::apply(x.contiguous(), options_.hidden_dropout,
                            static_cast<int64_t>(stream(options_.dropout_seed, use, static_cast<uint32_t>(layer))));
  }

 private:
  const PassOptions& options_;
  const ActivationSink& sink_;
};

}  // namespace

at::Tensor BertPass::Impl::forward(const PackedTexts& texts, const TrainingSoftmax& softmax, const PassOptions& options,
                                   const LogitSink& attention_logits, const ActivationSink& activations) {
  const BertConfig& config = weights->config;
  const int64_t hidden = config.hidden_size;
  const auto tokens = std::ssize(texts.ids);
  const Forward go(options, activations);
  calls.clear();
  std::fill(head_gradients.begin(), head_gradients.end(), HeadGradient{});

  const auto integers = [&](const std::vector<int32_t>& values) {
    return at::from_blob(const_cast<int32_t*>(values.data()), {tokens}, at::TensorOptions().dtype(at::kInt));
  };
  const auto table = [&](const char* name, const std::vector<int32_t>& rows) {
    return at::embedding(go.matrix(parameter(name)), integers(rows));
  };
  // The rows in use are the leaf: the gradient of the whole table would cost more than the rest of a small model.
  word_rows = at::empty({tokens, hidden});
  const float* words = weights->tensors[kWordEmbeddings].values.data();
  for (int64_t i = 0; i < tokens; ++i) std::copy_n(words + texts.ids[i] * hidden, hidden, data(word_rows) + i * hidden);
  word_rows.set_requires_grad(at::GradMode::is_enabled());

  const auto norm = [&](const at::Tensor& x, const std::string& name) {
    return at::layer_norm(x, {hidden}, parameter(name + ".weight"), parameter(name + ".bias"),
                          config.layer_norm_epsilon);
  };
  const auto linear = [&](const at::Tensor& x, const std::string& name) {
    return at::linear(x, go.matrix(parameter(name + ".weight")), parameter(name + ".bias"));
  };
  at::Tensor x = go.matrix(word_rows) + table("bert.embeddings.position_embeddings.weight", texts.positions) +
                 table("bert.embeddings.token_type_embeddings.weight", texts.types);
  x = go.at_place(go.dropout(norm(x, "bert.embeddings.LayerNorm"), Use::kEmbeddingDropout),
                  ActivationPlace::hidden(0, config.layers));
  for (int64_t l = 0; l < config.layers; ++l) {
    const std::string layer = fmt::format("bert.encoder.layer.{}.", l);
    const auto place = [l](ActivationPlace::Kind kind) { return ActivationPlace{l, kind}; };
    const at::Tensor q = go.at_place(linear(x, layer + "attention.self.query"), place(ActivationPlace::kQuery));
    const at::Tensor k = go.at_place(linear(x, layer + "attention.self.key"), place(ActivationPlace::kKey));
    const at::Tensor v = go.at_place(linear(x, layer + "attention.self.value"), place(ActivationPlace::kValue));
    calls.push_back(std::make_unique<AttentionCall>(AttentionCall{
        .shape = {.layer = l, .heads = config.heads, .dimension = config.head_dimension(), .offsets = texts.offsets},
        .softmax = &softmax,
        .dropout = Dropout(options.attention_dropout,
                           stream(options.dropout_seed, Use::kAttentionDropout, static_cast<uint32_t>(l))),
        .tape = {},
        .head_gradients = head_gradients.data()}));
    at::Tensor context =
        Attention::apply(at::cat({q, k, v}, 1), as_integer(calls.back().get()), as_integer(&attention_logits));
    context = go.at_place(context, place(ActivationPlace::kContext));
    x = norm(x + go.dropout(linear(context, layer + "attention.output.dense"), Use::kAttentionOutputDropout, l),
             layer + "attention.output.LayerNorm");
    x = go.at_place(x, place(ActivationPlace::kAttention));
    const at::Tensor inner =
        go.at_place(at::gelu(linear(x, layer + "intermediate.dense")), place(ActivationPlace::kIntermediate));
    x = norm(x + go.dropout(linear(inner, layer + "output.dense"), Use::kOutputDropout, l), layer + "output.LayerNorm");
    x = go.at_place(x, ActivationPlace::hidden(l + 1, config.layers));
  }
  std::vector<int64_t> firsts(texts.offsets.begin(), texts.offsets.end() - 1);
  const at::Tensor first_tokens = x.index_select(0, at::tensor(firsts));
  const at::Tensor pooled =
      go.at_place(at::tanh(linear(first_tokens, "bert.pooler.dense")), ActivationPlace{0, ActivationPlace::kPooled});
  return linear(go.dropout(pooled, Use::kPooledDropout), "classifier");
}

Expected<BertPass> BertPass::make(Weights& weights) try {
  return BertPass(std::make_unique<Impl>(weights));
} catch (...) {
  return status_of_exception();
}
BertPass::BertPass(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
BertPass::~BertPass() = default;
BertPass::BertPass(BertPass&&) noexcept = default;

Expected<Loss> BertPass::run(const PackedTexts& texts, const TrainingSoftmax& softmax, const PassOptions& options,
                             const LossOptions& loss) try {
  for (std::vector<float>& gradient : impl_->gradients) std::fill(gradient.begin(), gradient.end(), 0.0F);
  const at::AutoGradMode with_gradients(true);
  const at::Tensor logits = impl_->forward(texts, softmax, options, {}, {});
  const std::vector<int64_t> labels(loss.labels.begin(), loss.labels.end());
  const at::Tensor log_p = at::log_softmax(logits, 1);
  const auto texts_of_batch = static_cast<double>(loss.batch_texts);
  at::Tensor total = -log_p.gather(1, at::tensor(labels).unsqueeze(1)).sum();
  Loss result{.cross_entropy = total.item<double>() / texts_of_batch};
  if (!loss.teacher_logits.empty()) {
    // Hinton, Vinyals, Dean, arXiv 1503.02531: soft targets at temperature T, their gradient scaled by T^2.
    const double t = loss.temperature;
    const at::Tensor teacher = at::from_blob(const_cast<float*>(loss.teacher_logits.data()), logits.sizes());
    const at::Tensor target = at::softmax(teacher / t, 1);
    const at::Tensor soft = -(target * at::log_softmax(logits / t, 1)).sum();
    const at::Tensor least = -(target * at::log_softmax(teacher / t, 1)).sum();  // the teacher's own entropy
    result.distillation = (soft - least).item<double>() / texts_of_batch;
    total = total * (1 - loss.distillation_weight) + soft * (t * t) * loss.distillation_weight;
  }
  total = total / texts_of_batch;
  total.backward();
  result.total = total.item<double>();
  return result;
} catch (...) {
  return status_of_exception();
}

Expected<std::vector<float>> BertPass::logits(const PackedTexts& texts, const TrainingSoftmax& softmax,
                                              const PassOptions& options, const LogitSink& attention_logits,
                                              const ActivationSink& activations) try {
  const at::AutoGradMode without_gradients(false);
  const at::Tensor logits = impl_->forward(texts, softmax, options, attention_logits, activations).contiguous();
  const std::span<const float> values = span_of(logits);
  return std::vector<float>(values.begin(), values.end());
} catch (...) {
  return status_of_exception();
}

std::span<const std::vector<float>> BertPass::gradients() const { return impl_->gradients; }
std::span<const float> BertPass::word_gradient() const {
  const at::Tensor& grad = impl_->word_rows.grad();
  return grad.defined() ? std::span<const float>(span_of(grad)) : std::span<const float>();
}
std::span<const HeadGradient> BertPass::head_gradients() const { return impl_->head_gradients; }

void use_one_thread() {
  at::set_num_threads(1);
  // Debian's OpenBLAS has its own pool, which torch does not know; another BLAS lacks the function.
  if (void* function = dlsym(RTLD_DEFAULT, "openblas_set_num_threads"); function != nullptr) {
    reinterpret_cast<void (*)(int)>(function)(1);
  }
}

}  // namespace hccs::training
