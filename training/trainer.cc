// SPDX-License-Identifier: Apache-2.0
#include "training/trainer.h"

#include <fmt/core.h>
#include <omp.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "contract/exceptions.h"
#include "hccs/digest.h"
#include "hccs/file.h"
#include "training/batches.h"
#include "training/bert.h"
#include "training/checkpoint.h"
#include "training/random.h"
#include "training/start.h"

namespace hccs::training {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

constexpr const char* kCandidate = "candidate";
constexpr const char* kStartFile = "start.json";
constexpr const char* kWeightsFile = "model.safetensors";
constexpr int64_t kRowsPerText = 4;  // as `hccs calibrate` samples
constexpr int64_t kRowsPerHead = 4096;
constexpr int64_t kCalibrationTexts = 32;  // a batch
constexpr double kLossMemory = 0.99;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

Status invalid(std::string message) { return {StatusCode::kInvalidArgument, std::move(message)}; }

// ---- Several passes at once ---------------------------------------------------------------------

// Calls f(shard) for every shard, each in a thread of its own.
template <class F>
void in_parallel(int shards, const F& f) {
#pragma omp parallel for schedule(static, 1) num_threads(shards)
  for (int s = 0; s < shards; ++s) {
    use_one_thread();
    f(s);
  }
}

Status first_error(std::span<const Status> outcomes) {
  for (const Status& s : outcomes) {
    if (!s.ok()) return s;
  }
  return {};
}

// The texts of each shard: dealt in turn from the longest to the shortest.
std::vector<std::vector<int32_t>> deal(std::span<const int32_t> batch, std::span<const Encoding> texts, int shards) {
  std::vector<int32_t> sorted(batch.begin(), batch.end());
  std::stable_sort(sorted.begin(), sorted.end(),
                   [&](int32_t a, int32_t b) { return texts[a].ids.size() > texts[b].ids.size(); });
  std::vector<std::vector<int32_t>> dealt(static_cast<size_t>(shards));
  for (size_t i = 0; i < sorted.size(); ++i) {
    const size_t turn = i % (2 * shards);  // 0 1 1 0 0 1 1 0
    dealt[turn < static_cast<size_t>(shards) ? turn : 2 * shards - 1 - turn].push_back(sorted[i]);
  }
  return dealt;
}

// ---- What a quantised start needs to be measured --------------------------------------------------

// Values of one place: every n-th, so that all calibration texts count.
class ActivationSample {
 public:
  void add(std::span<const float> values) {
    constexpr size_t kPerCall = 2048;
    const size_t stride = std::max<size_t>(1, values.size() / kPerCall);
    for (size_t i = 0; i < values.size(); i += stride) values_.push_back(values[i]);
    for (const float v : values) largest_ = std::max(largest_, std::abs(v));
  }

  // The scale with the least squared error, among ranges from a fifth of the largest value up to it.
  double best_scale() const {
    if (largest_ == 0) return 1.0;
    double best = 0;
    double least = std::numeric_limits<double>::infinity();
    std::vector<float> rounded;
    for (int i = 10; i <= 50; ++i) {
      const float scale = largest_ * static_cast<float>(i) / 50.0F / 127.0F;
      rounded = values_;
      round_to_int8_grid(scale, rounded);
      double error = 0;
      for (size_t v = 0; v < rounded.size(); ++v) error += std::pow(double{rounded[v]} - values_[v], 2);
      if (error < least) {
        least = error;
        best = scale;
      }
    }
    return best;
  }

 private:
  std::vector<float> values_;
  float largest_ = 0;
};

PackedTexts pack(std::span<const int32_t> batch, std::span<const Encoding> texts) {
  PackedTexts packed;
  for (const int32_t t : batch) packed.add(texts[t]);
  return packed;
}

// ---- The run ------------------------------------------------------------------------------------

class Run {
 public:
  Run(const Task& task, const TrainOptions& options, const TrainReport& report)
      : task_(task), o_(options), report_(report) {}

  Expected<TrainResult> run();

 private:
  Status prepare();
  Status observe_activations(std::span<const std::vector<int32_t>> batches);
  Status calibrate_heads(std::span<const std::vector<int32_t>> batches);
  Status teach();
  Status train_steps(TrainResult* result);
  Expected<double> backward(const std::vector<int32_t>& batch);
  Expected<double> step(const std::vector<int32_t>& batch);
  Status not_finite(std::string_view what, double value) const;
  Status write_candidate() {
    return write_weights(o_.output / kCandidate / kWeightsFile, start_->weights, o_.quantise_all);
  }
  Status evaluate_candidate();
  Status adopt_candidate();
  Status write_state();
  Expected<double> accuracy(const fs::path& folder, const ExampleSet& set, std::span<const Encoding> encodings);
  Status make_softmax();
  double schedule(int64_t step) const;
  bool better() const { return state_.history.back().accuracy > state_.best_accuracy; }
  PassOptions pass_options() const {
    return {.int8_weights = o_.quantise_all, .scales = scales_ ? &*scales_ : nullptr};
  }
  const std::vector<HeadEntry>& entries() const { return params_.entries; }

  const Task& task_;
  const TrainOptions& o_;
  const TrainReport& report_;

  std::optional<Start> start_;
  std::vector<Encoding> train_;
  std::vector<int32_t> labels_;
  std::vector<Encoding> dev_;
  int64_t max_length_ = 0;
  std::string description_;
  std::vector<float> teacher_logits_;  // [train, classes]
  std::string name_;                   // of the output folder

  ParamFile params_;  // empty entries: exact, or not calibrated yet
  std::optional<ActivationScales> scales_;
  std::optional<TrainingSoftmax> softmax_;
  std::vector<BertPass> passes_;
  std::vector<PackedTexts> packed_;  // of the batch in the passes, by shard
  std::optional<AdamW> optimiser_;
  std::optional<LearnableHeads> heads_;
  RunState state_;
  bool checkpoint_due_ = false;
  int64_t steps_ = 0;
  int64_t steps_per_epoch_ = 0;
};

Status Run::prepare() {
  HCCS_ASSIGN_OR_RETURN(start_, make_start(task_, o_));
  std::error_code error;
  fs::create_directories(o_.output, error);
  if (error) {
    return {StatusCode::kIo, fmt::format("{}: cannot make the folder: {}", o_.output.string(), error.message())};
  }
  HCCS_RETURN_IF_ERROR(check_writable(o_.output / kReportFile));
  if (fs::exists(o_.output / kReportFile, error)) {
    return invalid(fmt::format("{}: holds a finished run ({}); remove it or name another folder", o_.output.string(),
                               kReportFile));
  }
  const bool has_checkpoint = fs::exists(o_.output / kCheckpointFile, error);
  if (has_checkpoint && !o_.resume) {
    return invalid(fmt::format("{}: holds an unfinished run ({}): resume it, or remove the folder", o_.output.string(),
                               kCheckpointFile));
  }
  // Weights that no unfinished run left are somebody's model, perhaps the one to start from.
  if (!has_checkpoint && !fs::exists(o_.output / kCandidate, error)) {
    for (const char* file : {kWeightsFile, kParamsFile}) {
      if (fs::exists(o_.output / file, error)) {
        return invalid(
            fmt::format("{}: holds a model ({}), which would be lost; name another folder", o_.output.string(), file));
      }
    }
  }
  name_ = folder_name(o_.output);
  if (name_.empty()) name_ = "model";

  Weights& weights = start_->weights;
  params_ = start_->params;
  max_length_ = std::min(o_.max_length, weights.config.max_positions);
  train_ = encode_examples(start_->tokenizer, start_->train, max_length_);
  for (const Example& e : start_->train.examples) labels_.push_back(e.label);
  dev_ = encode_examples(start_->tokenizer, task_.dev, max_length_);
  for (int s = 0; s < o_.threads; ++s) {
    HCCS_ASSIGN_OR_RETURN(BertPass pass, BertPass::make(weights));
    passes_.push_back(std::move(pass));
  }

  std::string teacher_digest;
  if (o_.teacher) {
    HCCS_RETURN_IF_ERROR(teach());
    Digest digest;
    digest.add({reinterpret_cast<const char*>(teacher_logits_.data()), teacher_logits_.size() * sizeof(float)});
    teacher_digest = digest.text();
  }
  description_ = describe(o_, task_, *start_, teacher_digest);

  steps_per_epoch_ = (std::ssize(train_) + o_.batch_size - 1) / o_.batch_size;
  steps_ = o_.epochs * steps_per_epoch_;
  optimiser_.emplace(weights, o_.adamw);

  if (has_checkpoint) {
    if (o_.quantise_all) {
      // The ranges and the parameters of the start lie in the folder.
      HCCS_ASSIGN_OR_RETURN(scales_, read_activation_scales(o_.output / kActivationScalesFile, weights.config.layers));
      if (!scales_) return {StatusCode::kIo, fmt::format("{}: missing", (o_.output / kActivationScalesFile).string())};
    }
    if (o_.softmax != SoftmaxKind::kExact) {
      HCCS_ASSIGN_OR_RETURN(params_, read_param_file(o_.output / kStartFile));
    }
    if (o_.learnable) heads_.emplace(params_.entries);
    HCCS_ASSIGN_OR_RETURN(state_, read_checkpoint(o_.output / kCheckpointFile, description_, &weights, &*optimiser_,
                                                  heads_ ? &*heads_ : nullptr));
    return make_softmax();
  }

  // What a run left that was ended before its first checkpoint would be read with what this one writes.
  for (const char* file : {kCandidate, kWeightsFile, kParamsFile, kStartFile, kActivationScalesFile}) {
    fs::remove_all(o_.output / file, error);
    if (error) {
      return {StatusCode::kIo, fmt::format("{}: cannot remove: {}", (o_.output / file).string(), error.message())};
    }
  }
  for (const fs::path& folder : {o_.output, o_.output / kCandidate}) {
    fs::create_directories(folder, error);
    HCCS_RETURN_IF_ERROR(
        write_model_files(folder, weights, name_, start_->vocabulary, start_->lower_case, max_length_));
  }
  if (o_.softmax != SoftmaxKind::kExact) {
    std::vector<std::vector<int32_t>> batches;
    const std::vector<int32_t> order = shuffled(std::ssize(train_), mix(o_.seed, kCalibrationSample));
    for (int64_t b = 0; b < o_.calibration_batches && b * kCalibrationTexts < std::ssize(order); ++b) {
      const int64_t end = std::min<int64_t>((b + 1) * kCalibrationTexts, std::ssize(order));
      batches.emplace_back(order.begin() + b * kCalibrationTexts, order.begin() + end);
    }
    if (o_.quantise_all) HCCS_RETURN_IF_ERROR(observe_activations(batches));
    if (!o_.params) HCCS_RETURN_IF_ERROR(calibrate_heads(batches));
    HCCS_RETURN_IF_ERROR(write_param_file(o_.output / kStartFile, params_));
  }
  if (o_.learnable) heads_.emplace(params_.entries);
  return make_softmax();
}

Status Run::make_softmax() {
  if (o_.softmax == SoftmaxKind::kExact) {
    softmax_ = TrainingSoftmax::exact();
    return {};
  }
  if (heads_) params_.entries = heads_->entries();
  if (o_.softmax == SoftmaxKind::kInt8Exact) {
    std::vector<double> steps;
    for (const HeadEntry& entry : params_.entries) steps.push_back(entry.step);
    HCCS_ASSIGN_OR_RETURN(softmax_, TrainingSoftmax::int8_exact(steps));
    return {};
  }
  HCCS_ASSIGN_OR_RETURN(softmax_, TrainingSoftmax::hccs(params_.entries, o_.normalisation, o_.output_type));
  return {};
}

Status Run::observe_activations(std::span<const std::vector<int32_t>> batches) {
  const int64_t layers = start_->weights.config.layers;
  const int64_t places = layers * 7 + 2;
  std::vector<ActivationSample> samples(static_cast<size_t>(places));
  const TrainingSoftmax exact = TrainingSoftmax::exact();
  use_one_thread();
  for (const auto& batch : batches.first(std::min<size_t>(batches.size(), 16))) {
    HCCS_RETURN_IF_ERROR(passes_[0]
                             .logits(pack(batch, train_), exact, {.int8_weights = true}, {},
                                     [&](int64_t place, std::span<const float> v) -> Status {
                                       samples[place].add(v);
                                       return {};
                                     })
                             .status());
  }
  std::vector<double> scale;
  for (const ActivationSample& s : samples) scale.push_back(s.best_scale());
  scales_.emplace();
  for (int64_t l = 0; l < layers; ++l) {
    const double* s = scale.data() + l * 7;
    scales_->layers.push_back({s[0], s[1], s[2], s[3], s[4], s[5], s[6]});
  }
  scales_->output = scale[layers * 7];
  scales_->pooled = scale[layers * 7 + 1];
  const std::string text = to_json(*scales_);
  for (const fs::path& folder : {o_.output, o_.output / kCandidate}) {
    HCCS_RETURN_IF_ERROR(write_file_atomically(folder / kActivationScalesFile, {text}));
  }
  return {};
}

Status Run::calibrate_heads(std::span<const std::vector<int32_t>> batches) {
  const BertConfig& config = start_->weights.config;
  const int64_t heads = config.layers * config.heads;
  std::vector<RowSample> samples(static_cast<size_t>(heads), RowSample(kRowsPerHead, mix(o_.seed, kRowSample)));
  const TrainingSoftmax exact = TrainingSoftmax::exact();
  Digest digest;
  uint64_t first_text = 0;
  use_one_thread();
  for (const auto& batch : batches) {
    const LogitSink sink = [&](int64_t layer, int64_t head, int64_t text, int64_t length,
                               const float* logits) -> Status {
      RowSample& sample = samples[layer * config.heads + head];
      const uint64_t place = first_text + static_cast<uint64_t>(text);
      const int64_t count = std::min(kRowsPerText, length);
      for (int64_t i = 0; i < count; ++i) {
        const int64_t query = static_cast<int64_t>((place * static_cast<uint64_t>(heads) +
                                                    static_cast<uint64_t>(layer * config.heads + head) +
                                                    static_cast<uint64_t>(i * length / count)) %
                                                   static_cast<uint64_t>(length));
        HCCS_RETURN_IF_ERROR(sample.add(place * kMaxRowLength + static_cast<uint64_t>(query),
                                        std::span(logits + query * length, static_cast<size_t>(length))));
      }
      return {};
    };
    const PassOptions options{.int8_weights = o_.quantise_all, .scales = scales_ ? &*scales_ : nullptr};
    HCCS_RETURN_IF_ERROR(passes_[0].logits(pack(batch, train_), exact, options, sink).status());
    first_text += batch.size();
    for (const int32_t t : batch) {
      digest.add({reinterpret_cast<const char*>(train_[t].ids.data()), train_[t].ids.size() * sizeof(int32_t)});
    }
  }
  CalibrationOptions options = o_.calibration;
  options.threads = o_.threads;
  HCCS_ASSIGN_OR_RETURN(const std::vector<HeadFit> fits, calibrate(samples, config.heads, options));
  params_ = {.model = name_,
             .layers = config.layers,
             .heads = config.heads,
             .head_dimension = config.head_dimension(),
             .sequence_length = options.length,
             .knees = options.knees,
             .limits = std::string(name(options.limits)),
             .share = std::string(name(options.share)),
             .seed = o_.seed,
             .data_digest = digest.text()};
  for (const HeadFit& f : fits) {
    params_.sequence_length = std::max(params_.sequence_length, f.longest_row);
    params_.entries.push_back({.params = f.params,
                               .step = f.step,
                               .kl = f.kl,
                               .kl_continuous = f.kl_continuous,
                               .rows = f.rows,
                               .max_probability = f.max_probability,
                               .is_default = !f.unfit_reason.empty()});
  }
  return {};
}

Status Run::teach() {
  HCCS_ASSIGN_OR_RETURN(const ModelFolder folder, open_model_folder(*o_.teacher));
  HCCS_ASSIGN_OR_RETURN(const BertEncoder encoder, BertEncoder::load(folder));
  if (folder.labels != task_.labels) {
    return {StatusCode::kMismatch, fmt::format("{}: a teacher of {} other labels than the task's {}",
                                               o_.teacher->string(), folder.labels.size(), task_.labels.size())};
  }
  HCCS_ASSIGN_OR_RETURN(const std::string vocabulary, digest_of_file(*o_.teacher / "vocab.txt"));
  if (vocabulary != start_->vocabulary_digest) {
    return {StatusCode::kMismatch, fmt::format("{}: a teacher with another vocabulary than {}", o_.teacher->string(),
                                               start_->vocabulary.string())};
  }
  HCCS_ASSIGN_OR_RETURN(teacher_logits_, encoder.classify(train_, *make_exact_softmax(), {.threads = o_.threads}));
  return {};
}

// Of the learning rates: linear up to 1, then linear down to 0 after the last step.
double Run::schedule(int64_t step) const {
  const double warmup = std::max(1.0, o_.warmup * static_cast<double>(steps_));
  const auto done = static_cast<double>(step);
  const double left = (static_cast<double>(steps_) - done) / std::max(1.0, static_cast<double>(steps_) - warmup);
  return std::min({1.0, (done + 1) / warmup, left});
}

Status Run::not_finite(std::string_view what, double value) const {
  std::error_code error;
  const bool kept = fs::exists(o_.output / kCheckpointFile, error);
  return {
      StatusCode::kBadData,
      fmt::format("{} is {} at step {}, but it must be finite; {}. A lower learning rate may help, in another folder",
                  what, value, state_.step + 1,
                  kept ? fmt::format("the last checkpoint is {}", (o_.output / kCheckpointFile).string())
                       : "there is no checkpoint yet")};
}

// The loss of a batch with the weights as they are, which is finite; its gradients stay in the passes.
Expected<double> Run::backward(const std::vector<int32_t>& batch) {
  const int shards = std::min<int>(o_.threads, static_cast<int>(batch.size()));
  const auto dealt = deal(batch, train_, shards);
  packed_.assign(static_cast<size_t>(shards), {});
  std::vector<double> losses(static_cast<size_t>(shards), 0.0);
  std::vector<Status> outcomes(static_cast<size_t>(shards));
  const int64_t classes = std::ssize(task_.labels);
  const auto run_shard = [&](int s) -> Status {
    packed_[s] = pack(dealt[s], train_);
    std::vector<int32_t> labels;
    std::vector<float> teacher;
    for (const int32_t t : dealt[s]) {
      labels.push_back(labels_[t]);
      if (!teacher_logits_.empty()) {
        teacher.insert(teacher.end(), teacher_logits_.begin() + t * classes,
                       teacher_logits_.begin() + (t + 1) * classes);
      }
    }
    PassOptions options = pass_options();
    options.hidden_dropout = options.attention_dropout = o_.dropout;
    options.dropout_seed =
        mix(mix(mix(o_.seed, kDropout), static_cast<uint64_t>(state_.step)), static_cast<uint64_t>(s));
    const Expected<double> loss = passes_[s].run(packed_[s], *softmax_, options,
                                                 {.labels = labels,
                                                  .teacher_logits = teacher,
                                                  .distillation_weight = o_.distillation_weight,
                                                  .temperature = o_.temperature,
                                                  .batch_texts = std::ssize(batch)});
    if (loss.ok()) losses[s] = *loss;
    return loss.status();
  };
  in_parallel(shards, [&](int s) {
    try {
      outcomes[s] = run_shard(s);
    } catch (...) {
      outcomes[s] = internal::status_of_exception("training");
    }
  });
  HCCS_RETURN_IF_ERROR(first_error(outcomes));
  double loss = 0;
  for (const double l : losses) loss += l;
  if (!std::isfinite(loss)) return not_finite("the loss", loss);
  return loss;
}

Expected<double> Run::step(const std::vector<int32_t>& batch) {
  HCCS_ASSIGN_OR_RETURN(const double loss, backward(batch));
  // Only now are the weights known to be good.
  if (std::exchange(checkpoint_due_, false)) HCCS_RETURN_IF_ERROR(write_state());
  const auto shards = std::ssize(packed_);
  std::vector<HeadGradient> head_gradients;
  if (heads_) {
    head_gradients.assign(passes_[0].head_gradients().begin(), passes_[0].head_gradients().end());
    for (int64_t s = 1; s < shards; ++s) {
      for (size_t h = 0; h < head_gradients.size(); ++h) head_gradients[h] += passes_[s].head_gradients()[h];
    }
    for (const HeadGradient& g : head_gradients) {
      if (const double size = g.size(); !std::isfinite(size)) return not_finite("a head's gradient", size);
    }
  }
  std::vector<ShardGradients> gradients;
  for (int64_t s = 0; s < shards; ++s) {
    gradients.push_back({passes_[s].gradients(), packed_[s].ids, passes_[s].word_gradient()});
  }
  const double rate = o_.learning_rate * schedule(state_.step);
  const double norm = optimiser_->step(rate, gradients, &start_->weights);
  if (!std::isfinite(norm)) return not_finite("the gradients' norm", norm);
  if (heads_) {
    heads_->step(o_.head_learning_rate > 0 ? o_.head_learning_rate * schedule(state_.step) : 10.0 * rate,
                 head_gradients);
    HCCS_RETURN_IF_ERROR(make_softmax());
  }
  return loss;
}

Expected<double> Run::accuracy(const fs::path& folder, const ExampleSet& set, std::span<const Encoding> encodings) {
  HCCS_ASSIGN_OR_RETURN(const ModelFolder model, open_model_folder(folder));
  HCCS_ASSIGN_OR_RETURN(const BertEncoder encoder, BertEncoder::load(model));
  HCCS_ASSIGN_OR_RETURN(const auto softmax, deployed_softmax(o_.softmax, params_, o_.normalisation, o_.output_type));
  const auto logits = encoder.classify(encodings, *softmax, {.threads = o_.threads});
  if (!logits.ok()) {
    return Status(logits.status().code(),
                  fmt::format("{} set after step {}: {}", set.name, state_.step, logits.status().message()));
  }
  const std::vector<int32_t> predicted = predicted_classes(*logits, encoder.classes());
  int64_t hits = 0;
  for (size_t i = 0; i < predicted.size(); ++i) hits += predicted[i] == set.examples[i].label ? 1 : 0;
  return static_cast<double>(hits) / static_cast<double>(predicted.size());
}

// What is measured is what is deployed: the weights go through the folder and the encoder.
Status Run::evaluate_candidate() {
  HCCS_RETURN_IF_ERROR(write_candidate());
  HCCS_ASSIGN_OR_RETURN(const double found, accuracy(o_.output / kCandidate, task_.dev, dev_));
  state_.history.push_back({state_.step, found, state_.loss});
  if (!better()) {
    ++state_.since_best;
    return {};
  }
  HCCS_RETURN_IF_ERROR(adopt_candidate());
  state_.best_accuracy = found;
  state_.best_step = state_.step;
  state_.since_best = 0;
  return {};
}

Status Run::adopt_candidate() {
  const fs::path candidate = o_.output / kCandidate / kWeightsFile;
  const fs::path best = o_.output / kWeightsFile;
  std::error_code error;
  fs::rename(candidate, best, error);
  if (error) return {StatusCode::kIo, fmt::format("{}: cannot replace: {}", best.string(), error.message())};
  if (o_.softmax == SoftmaxKind::kExact) return {};
  HCCS_ASSIGN_OR_RETURN(const Safetensors weights, Safetensors::open(best));
  params_.weights_digest = weights.digest();
  if (heads_) {  // what was learnt moves it; kl stays that of the start
    for (HeadEntry& e : params_.entries) e.max_probability = max_probability(e.params, params_.sequence_length);
  }
  params_.model = name_;
  return write_param_file(o_.output / kParamsFile, params_);
}

Status Run::write_state() {
  return write_checkpoint(o_.output / kCheckpointFile, description_, state_, start_->weights, *optimiser_,
                          heads_ ? &*heads_ : nullptr);
}

Status Run::train_steps(TrainResult* result) {
  const Clock::time_point start = Clock::now();
  double evaluating = 0;
  int64_t tokens = 0;
  const double seconds_before = state_.seconds;
  const int64_t first_step = state_.step;
  int64_t epoch = -1;
  std::vector<std::vector<int32_t>> batches;
  while (state_.step < steps_ && (o_.patience == 0 || state_.since_best < o_.patience)) {
    if (const int64_t now = state_.step / steps_per_epoch_; now != epoch) {
      epoch = now;
      batches = make_batches(train_, o_.batch_size, mix(o_.seed, kBatches), epoch);
    }
    const int64_t place = state_.step % steps_per_epoch_;
    HCCS_ASSIGN_OR_RETURN(const double loss, step(batches[place]));
    for (const int32_t t : batches[place]) tokens += std::ssize(train_[t].ids);
    state_.loss = state_.step == 0 ? loss : kLossMemory * state_.loss + (1 - kLossMemory) * loss;
    ++state_.step;

    // The evaluations of an epoch are evenly spaced; the last ends it.
    const int64_t done = place + 1;
    const bool evaluate = done * o_.evaluations / steps_per_epoch_ != (done - 1) * o_.evaluations / steps_per_epoch_;
    if (evaluate) {
      const Clock::time_point begin = Clock::now();
      HCCS_RETURN_IF_ERROR(evaluate_candidate());
      evaluating += seconds_since(begin);
    }
    const double training = seconds_since(start) - evaluating;
    state_.seconds = seconds_before + training;
    checkpoint_due_ = checkpoint_due_ || evaluate || state_.step % o_.checkpoint_steps == 0;
    result->seconds = training;
    result->tokens_per_second = static_cast<double>(tokens) / std::max(training, 1e-9);
    if (report_ && !report_({.step = state_.step,
                             .steps = steps_,
                             .loss = state_.loss,
                             .dev_accuracy = state_.history.empty() ? -1 : state_.history.back().accuracy,
                             .best_accuracy = state_.best_accuracy,
                             .tokens_per_second = result->tokens_per_second,
                             .seconds_left = training / static_cast<double>(state_.step - first_step) *
                                             static_cast<double>(steps_ - state_.step)})) {
      HCCS_RETURN_IF_ERROR(backward(batches[place]).status());  // as ever, no checkpoint of unproven weights
      HCCS_RETURN_IF_ERROR(write_state());
      return {StatusCode::kCancelled,
              fmt::format("stopped after step {} of {}; --resume continues", state_.step, steps_)};
    }
  }
  return {};
}

Expected<TrainResult> Run::run() {
  HCCS_RETURN_IF_ERROR(prepare());
  TrainResult result;
  const bool trained = steps_ > 0;
  if (trained) {
    HCCS_RETURN_IF_ERROR(train_steps(&result));
  } else {  // nothing to choose, so nothing is measured
    HCCS_RETURN_IF_ERROR(write_candidate());
    HCCS_RETURN_IF_ERROR(adopt_candidate());
  }

  // From here on the folder alone counts.
  if (o_.softmax != SoftmaxKind::kExact) {
    HCCS_ASSIGN_OR_RETURN(params_, read_param_file(o_.output / kParamsFile));
  }
  result.steps = state_.step;
  result.replaced_classifier = start_->replaces_classifier;
  result.best_step = state_.best_step;
  result.dev_accuracy = state_.best_accuracy;
  if (trained) {
    for (const ExampleSet& set : task_.tests) {
      const auto encodings = encode_examples(start_->tokenizer, set, max_length_);
      HCCS_ASSIGN_OR_RETURN(const double found, accuracy(o_.output, set, encodings));
      result.test_accuracies.emplace_back(set.name, found);
    }
  }
  for (const RunState::Point& p : state_.history) result.history.push_back({p.step, p.accuracy, p.loss});

  Json json = {{"format", "hccs-training"},
               {"version", 1},
               {"options", Json::parse(description_)},
               {"steps", result.steps},
               {"best_step", result.best_step},
               {"seconds", state_.seconds},
               {"tokens_per_second", result.tokens_per_second}};
  if (trained) json["dev_accuracy"] = result.dev_accuracy;
  for (const auto& [set, value] : result.test_accuracies) json["accuracy"][set] = value;
  for (const Evaluation& e : result.history) {
    json["history"].push_back({{"step", e.step}, {"dev_accuracy", e.accuracy}, {"loss", e.loss}});
  }
  std::error_code ignored;
  fs::remove_all(o_.output / kCandidate, ignored);
  HCCS_RETURN_IF_ERROR(write_file_atomically(o_.output / kReportFile, {json.dump(2) + "\n"}));
  fs::remove(o_.output / kCheckpointFile, ignored);
  fs::remove(o_.output / kStartFile, ignored);
  return result;
}

}  // namespace

Expected<std::unique_ptr<AttentionSoftmax>> deployed_softmax(SoftmaxKind kind, const ParamFile& params,
                                                             Normalisation normalisation, OutputType output) {
  if (kind == SoftmaxKind::kExact) return make_exact_softmax();
  if (kind == SoftmaxKind::kHccs) return make_hccs_softmax(params, normalisation, output);
  std::vector<double> steps;
  for (const HeadEntry& entry : params.entries) steps.push_back(entry.step);
  return make_int8_exact_softmax(steps, params.heads);
}

Expected<TrainResult> train(const Task& task, const TrainOptions& options, const TrainReport& report) try {
  return Run(task, options, report).run();
} catch (...) {
  return internal::status_of_exception("training");
}

}  // namespace hccs::training
