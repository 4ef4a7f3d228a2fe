// SPDX-License-Identifier: Apache-2.0
#include "training/trainer.h"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "contract/exceptions.h"
#include "hccs/calibrate_model.h"
#include "hccs/digest.h"
#include "hccs/file.h"
#include "hccs/integer_encoder.h"
#include "hccs/quantise_model.h"
#include "training/activation_ranges.h"
#include "training/batches.h"
#include "training/bert.h"
#include "training/calibrate_heads.h"
#include "training/checkpoint.h"
#include "training/random.h"
#include "training/shards.h"
#include "training/start.h"

namespace hccs::training {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

constexpr int64_t kCalibrationTexts = 32;  // a batch
constexpr double kLossMemory = 0.99;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

class Run {
 public:
  Run(const Task& task, const TrainOptions& options, const TrainReport& report, const PartReport& part_report)
      : task_(task), o_(options), report_(report), part_report_(part_report) {}

  Expected<TrainResult> run();

 private:
  // Before the first step.
  Status prepare();
  std::vector<Encoding> encode(const ExampleSet& set) const;
  Status teach();
  Status resume();
  Status begin();
  Status make_softmax();
  std::vector<std::vector<int32_t>> calibration_batches() const;

  // The steps.
  Status train_steps(TrainResult* result);
  Expected<Loss> step(const std::vector<int32_t>& batch);
  Expected<Loss> backward(const std::vector<int32_t>& batch);
  double schedule(int64_t step) const;
  bool evaluation_is_due() const;
  TrainProgress progress(double seconds, int64_t first_step, double tokens_per_second) const;
  Status not_finite(std::string_view what, double value) const;
  Status write_state();
  Status stop(const std::vector<int32_t>& batch);
  Status stopped() const;

  // What is kept of them.
  Status evaluate_candidate();
  Status adopt_candidate();
  Expected<double> accuracy(const fs::path& folder, const ExampleSet& set, std::span<const Encoding> encodings);
  Progress evaluation_progress(const ExampleSet& set) const;
  Expected<double> share_of_hits(const ExampleSet& set, const Expected<std::vector<float>>& logits) const;
  Status measure(TrainResult* result);
  Status make_integers(TrainResult* result);
  Status finish(TrainResult* result);

  Progress part(const std::string& label, const std::string& unit) const {
    return part_report_ ? part_report_(label, unit) : Progress();
  }
  bool trains() const { return steps_ > 0; }
  bool better() const { return state_.history.back().accuracy > state_.best_accuracy; }
  PassOptions pass_options() const {
    return {.int8_weights = o_.quantise_all, .scales = scales_ ? &*scales_ : nullptr};
  }
  LearnableHeads* heads() { return heads_ ? &*heads_ : nullptr; }

  const Task& task_;
  const TrainOptions& o_;
  const TrainReport& report_;
  const PartReport& part_report_;

  std::optional<Start> start_;
  std::optional<OutputFolder> folder_;
  std::vector<Encoding> train_;
  std::vector<int32_t> labels_;
  std::vector<Encoding> dev_;
  std::vector<std::vector<Encoding>> tests_;  // of the task's sets, once training has ended
  int64_t max_length_ = 0;
  std::string description_;
  std::vector<float> teacher_logits_;  // [train, classes]

  ParamFile params_;  // empty entries: exact, or not calibrated yet
  std::optional<ActivationScales> scales_;
  std::optional<TrainingSoftmax> softmax_;
  std::vector<BertPass> passes_;
  std::vector<PackedTexts> packed_;  // of the batch in the passes, by shard
  std::optional<AdamW> optimiser_;
  std::optional<LearnableHeads> heads_;
  RunState state_;
  TrainProgress progress_;  // after the last step
  bool checkpoint_due_ = false;
  int64_t steps_ = 0;
  int64_t steps_per_epoch_ = 0;
};

// ---- Before the first step ----------------------------------------------------------------------

Status Run::prepare() {
  HCCS_ASSIGN_OR_RETURN(start_, make_start(task_, o_));
  HCCS_ASSIGN_OR_RETURN(folder_, OutputFolder::open(o_.output, o_.resume));
  params_ = start_->params;
  max_length_ = std::min(o_.max_length, start_->weights.config.max_positions);
  train_ = encode(start_->train);
  for (const Example& e : start_->train.examples) labels_.push_back(e.label);
  dev_ = encode(task_.dev);
  for (int s = 0; s < o_.threads; ++s) {
    HCCS_ASSIGN_OR_RETURN(BertPass pass, BertPass::make(start_->weights));
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
  optimiser_.emplace(start_->weights, o_.adamw);
  HCCS_RETURN_IF_ERROR(folder_->has_checkpoint() ? resume() : begin());
  return make_softmax();
}

std::vector<Encoding> Run::encode(const ExampleSet& set) const {
  std::vector<Encoding> encodings = encode_examples(start_->tokenizer, set, max_length_);
  if (o_.report_truncation) o_.report_truncation(set.name, truncation_of(encodings, max_length_));
  return encodings;
}

Status Run::teach() {
  HCCS_ASSIGN_OR_RETURN(const ModelFolder folder, open_model_folder(*o_.teacher));
  HCCS_ASSIGN_OR_RETURN(const BertEncoder encoder, BertEncoder::load(folder));
  HCCS_RETURN_IF_ERROR(folder.classifier);
  if (folder.labels != task_.labels) {
    return {StatusCode::kMismatch, fmt::format("{}: a teacher of {} other labels than the task's {}",
                                               o_.teacher->string(), folder.labels.size(), task_.labels.size())};
  }
  if (folder.tokenizer.digest() != start_->tokenizer.digest()) {
    return {StatusCode::kMismatch,
            fmt::format("{}: a teacher with another vocabulary, or another tokeniser of it, than {}",
                        o_.teacher->string(), start_->source.string())};
  }
  HCCS_ASSIGN_OR_RETURN(teacher_logits_,
                        encoder.classify(train_, *make_exact_softmax(),
                                         {.threads = o_.threads, .progress = part("asking the teacher", "texts")}));
  return {};
}

// From the checkpoint; the ranges and the parameters of the start lie in the folder.
Status Run::resume() {
  Weights& weights = start_->weights;
  if (o_.quantise_all) {
    HCCS_ASSIGN_OR_RETURN(scales_, read_activation_scales(folder_->scales(), weights.config.layers));
    if (!scales_) return {StatusCode::kIo, fmt::format("{}: missing", folder_->scales().string())};
  }
  if (o_.softmax != SoftmaxKind::kExact) {
    HCCS_ASSIGN_OR_RETURN(params_, read_param_file(folder_->start_params()));
  }
  if (o_.learnable) heads_.emplace(params_.entries);
  HCCS_ASSIGN_OR_RETURN(state_, read_checkpoint(folder_->checkpoint(), description_, &weights, &*optimiser_, heads()));
  return {};
}

// From the start, measured as far as that is asked for.
Status Run::begin() {
  const Weights& weights = start_->weights;
  HCCS_RETURN_IF_ERROR(folder_->begin(weights, start_->files, max_length_));
  if (o_.softmax != SoftmaxKind::kExact) {
    const std::vector<std::vector<int32_t>> batches = calibration_batches();
    if (o_.quantise_all) {
      HCCS_ASSIGN_OR_RETURN(scales_, observe_activations(passes_[0], weights.config.layers, train_, batches,
                                                         part("reading activations", "batches")));
      HCCS_RETURN_IF_ERROR(folder_->write_scales(*scales_));
    }
    if (!o_.params) {
      HeadCalibration how{.model = folder_->name(),
                          .seed = o_.seed,
                          .pass = pass_options(),
                          .options = o_.calibration,
                          .read_progress = part("reading logits", "batches")};
      how.options.threads = o_.threads;
      how.options.progress = part(fmt::format("fitting, K = {}", o_.calibration.knees), "parameter sets");
      HCCS_ASSIGN_OR_RETURN(params_, calibrate_heads(passes_[0], weights.config, train_, batches, how));
    }
    HCCS_RETURN_IF_ERROR(write_param_file(folder_->start_params(), params_));
  }
  if (o_.learnable) heads_.emplace(params_.entries);
  return {};
}

// Training texts, drawn by the seed.
std::vector<std::vector<int32_t>> Run::calibration_batches() const {
  const std::vector<int32_t> order = shuffled(std::ssize(train_), stream(o_.seed, Use::kCalibrationSample));
  std::vector<std::vector<int32_t>> batches;
  for (int64_t b = 0; b < o_.calibration_batches && b * kCalibrationTexts < std::ssize(order); ++b) {
    const int64_t end = std::min<int64_t>((b + 1) * kCalibrationTexts, std::ssize(order));
    batches.emplace_back(order.begin() + b * kCalibrationTexts, order.begin() + end);
  }
  return batches;
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

// ---- The steps ----------------------------------------------------------------------------------

Status Run::train_steps(TrainResult* result) {
  const Clock::time_point start = Clock::now();
  double evaluating = 0;
  int64_t tokens = 0;
  const double seconds_before = state_.seconds;
  const int64_t first_step = state_.step;
  int64_t epoch = -1;
  std::vector<std::vector<int32_t>> batches;
  progress_ = progress(0, first_step, 0);
  if (evaluation_is_due()) {  // it was stopped; the checkpoint of then is there
    const Status status = evaluate_candidate();
    if (status.code() == StatusCode::kCancelled) return stopped();
    HCCS_RETURN_IF_ERROR(status);
  }
  while (state_.step < steps_ && (o_.patience == 0 || state_.since_best < o_.patience)) {
    if (const int64_t now = state_.step / steps_per_epoch_; now != epoch) {
      epoch = now;
      batches = make_batches(train_, o_.batch_size, stream(o_.seed, Use::kBatches), epoch);
    }
    const int64_t place = state_.step % steps_per_epoch_;
    HCCS_ASSIGN_OR_RETURN(const Loss loss, step(batches[place]));
    for (const int32_t t : batches[place]) tokens += std::ssize(train_[t].ids);
    const double memory = state_.step == 0 ? 0 : kLossMemory;
    state_.loss = memory * state_.loss + (1 - memory) * loss.cross_entropy;
    state_.distillation = memory * state_.distillation + (1 - memory) * loss.distillation;
    ++state_.step;

    result->seconds = seconds_since(start) - evaluating;
    result->tokens_per_second = static_cast<double>(tokens) / std::max(result->seconds, 1e-9);
    state_.seconds = seconds_before + result->seconds;
    progress_ = progress(result->seconds, first_step, result->tokens_per_second);
    const bool evaluate = evaluation_is_due();
    if (evaluate) {
      const Clock::time_point begin = Clock::now();
      const Status status = evaluate_candidate();
      if (status.code() == StatusCode::kCancelled) return stop(batches[place]);
      HCCS_RETURN_IF_ERROR(status);
      evaluating += seconds_since(begin);
      progress_ = progress(result->seconds, first_step, result->tokens_per_second);
    }
    checkpoint_due_ = checkpoint_due_ || evaluate || state_.step % o_.checkpoint_steps == 0;
    if (report_ && !report_(progress_)) return stop(batches[place]);
  }
  return {};
}

// Whether the last step is to be followed by an evaluation and was not. Those of an epoch are evenly spaced; the last
// ends it.
bool Run::evaluation_is_due() const {
  if (state_.step == 0 || (!state_.history.empty() && state_.history.back().step == state_.step)) return false;
  const int64_t before = (state_.step - 1) % steps_per_epoch_;
  return before * o_.evaluations / steps_per_epoch_ != (before + 1) * o_.evaluations / steps_per_epoch_;
}

// After a step: a checkpoint, and as ever none of weights that are not known to be good.
Status Run::stop(const std::vector<int32_t>& batch) {
  HCCS_RETURN_IF_ERROR(backward(batch).status());
  HCCS_RETURN_IF_ERROR(write_state());
  return stopped();
}

Status Run::stopped() const {
  return {StatusCode::kCancelled, fmt::format("stopped after step {} of {}; --resume continues", state_.step, steps_)};
}

TrainProgress Run::progress(double seconds, int64_t first_step, double tokens_per_second) const {
  return {.step = state_.step,
          .steps = steps_,
          .loss = state_.loss,
          .distillation = o_.teacher ? std::optional(state_.distillation) : std::nullopt,
          .dev_accuracy = state_.history.empty() ? -1 : state_.history.back().accuracy,
          .best_accuracy = state_.best_accuracy,
          .tokens_per_second = tokens_per_second,
          .seconds_left = seconds / static_cast<double>(std::max<int64_t>(1, state_.step - first_step)) *
                          static_cast<double>(steps_ - state_.step)};
}

Expected<Loss> Run::step(const std::vector<int32_t>& batch) {
  HCCS_ASSIGN_OR_RETURN(const Loss loss, backward(batch));
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

// The loss of a batch with the weights as they are, which is finite; its gradients stay in the passes.
Expected<Loss> Run::backward(const std::vector<int32_t>& batch) {
  const int shards = std::min<int>(o_.threads, static_cast<int>(batch.size()));
  const auto dealt = deal(batch, train_, shards);
  packed_.assign(static_cast<size_t>(shards), {});
  std::vector<Loss> losses(static_cast<size_t>(shards));
  const int64_t classes = std::ssize(task_.labels);
  HCCS_RETURN_IF_ERROR(in_parallel(shards, [&](int s) -> Status {
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
        mix(mix(stream(o_.seed, Use::kDropout), static_cast<uint64_t>(state_.step)), static_cast<uint64_t>(s));
    const Expected<Loss> loss = passes_[s].run(packed_[s], *softmax_, options,
                                               {.labels = labels,
                                                .teacher_logits = teacher,
                                                .distillation_weight = o_.distillation_weight,
                                                .temperature = o_.temperature,
                                                .batch_texts = std::ssize(batch)});
    if (loss.ok()) losses[s] = *loss;
    return loss.status();
  }));
  Loss loss;
  for (const Loss& l : losses) {
    loss.total += l.total;
    loss.cross_entropy += l.cross_entropy;
    loss.distillation += l.distillation;
  }
  if (!std::isfinite(loss.total)) return not_finite("the loss", loss.total);
  return loss;
}

// Of the learning rates: linear up to 1, then linear down to 0 after the last step.
double Run::schedule(int64_t step) const {
  const double warmup = std::max(1.0, o_.warmup * static_cast<double>(steps_));
  const auto done = static_cast<double>(step);
  const double left = (static_cast<double>(steps_) - done) / std::max(1.0, static_cast<double>(steps_) - warmup);
  return std::min({1.0, (done + 1) / warmup, left});
}

Status Run::not_finite(std::string_view what, double value) const {
  return {
      StatusCode::kBadData,
      fmt::format("{} is {} at step {}, but it must be finite; {}. A lower learning rate may help, in another folder",
                  what, value, state_.step + 1,
                  folder_->has_checkpoint() ? fmt::format("the last checkpoint is {}", folder_->checkpoint().string())
                                            : "there is no checkpoint yet")};
}

Status Run::write_state() {
  return write_checkpoint(folder_->checkpoint(), description_, state_, start_->weights, *optimiser_, heads());
}

// ---- What is kept of them -----------------------------------------------------------------------

// What is measured is what is deployed: the weights go through the folder and the encoder.
Status Run::evaluate_candidate() {
  HCCS_RETURN_IF_ERROR(folder_->write_candidate(start_->weights, o_.quantise_all));
  HCCS_ASSIGN_OR_RETURN(const double found, accuracy(folder_->candidate(), task_.dev, dev_));
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
  HCCS_RETURN_IF_ERROR(folder_->adopt_candidate());
  if (o_.softmax == SoftmaxKind::kExact) return {};
  HCCS_ASSIGN_OR_RETURN(params_.weights_digest, folder_->weights_digest());
  if (heads_) {  // what was learnt moves it; kl stays that of the start
    for (HeadEntry& e : params_.entries) e.max_probability = max_probability(e.params, params_.sequence_length);
  }
  params_.model = folder_->name();
  return write_param_file(folder_->params(), params_);
}

Expected<double> Run::accuracy(const fs::path& folder, const ExampleSet& set, std::span<const Encoding> encodings) {
  HCCS_ASSIGN_OR_RETURN(const ModelFolder model, open_model_folder(folder));
  HCCS_ASSIGN_OR_RETURN(const BertEncoder encoder, BertEncoder::load(model));
  HCCS_ASSIGN_OR_RETURN(const auto softmax, deployed_softmax(o_.softmax, params_, o_.normalisation, o_.output_type));
  return share_of_hits(
      set, encoder.classify(encodings, *softmax, {.threads = o_.threads, .progress = evaluation_progress(set)}));
}

Progress Run::evaluation_progress(const ExampleSet& set) const {
  return [this, &set](int64_t done, int64_t total) {
    TrainProgress now = progress_;
    now.evaluating = set.name;
    now.texts_evaluated = done;
    now.texts = total;
    return !report_ || report_(now);
  };
}

Expected<double> Run::share_of_hits(const ExampleSet& set, const Expected<std::vector<float>>& logits) const {
  if (!logits.ok()) {
    return Status(logits.status().code(),
                  fmt::format("{} set after step {}: {}", set.name, state_.step, logits.status().message()));
  }
  const std::vector<int32_t> predicted = predicted_classes(*logits, std::ssize(task_.labels));
  int64_t hits = 0;
  for (size_t i = 0; i < predicted.size(); ++i) hits += predicted[i] == set.examples[i].label ? 1 : 0;
  return static_cast<double>(hits) / static_cast<double>(predicted.size());
}

// The folder as one file of integers. Its scales are those of the texts that the heads were calibrated on.
Status Run::make_integers(TrainResult* result) {
  std::vector<Encoding> texts;
  for (const std::vector<int32_t>& batch : calibration_batches()) {
    for (const int32_t t : batch) texts.push_back(train_[t]);
  }
  HCCS_ASSIGN_OR_RETURN(const ModelFolder folder, open_model_folder(folder_->path()));
  const Status made = quantise_model_on_tokens(folder, texts, params_,
                                               {.heads = HeadUse::kTrained,
                                                .threads = o_.threads,
                                                .observe_progress = part("reading activations", "texts"),
                                                .quantise_progress = part("rounding", "layers")},
                                               folder_->integers())
                          .status();
  if (made.code() == StatusCode::kUnsupported) {
    result->integers = made;
    return {};
  }
  HCCS_RETURN_IF_ERROR(made);
  result->has_integers = true;
  if (!trains()) return {};
  HCCS_ASSIGN_OR_RETURN(const IntegerEncoder encoder, IntegerEncoder::load(folder_->integers()));
  for (size_t t = 0; t < task_.tests.size(); ++t) {
    const ExampleSet& set = task_.tests[t];
    HCCS_ASSIGN_OR_RETURN(
        const double found,
        share_of_hits(set, encoder.classify(tests_[t], {.threads = o_.threads, .progress = evaluation_progress(set)})));
    result->integer_accuracies.emplace_back(set.name, found);
  }
  return {};
}

Json report_json(const std::string& description, const TrainResult& result, double seconds, bool trained) {
  Json json = {{"format", "hccs-training"},
               {"version", 1},
               {"options", Json::parse(description)},
               {"steps", result.steps},
               {"best_step", result.best_step},
               {"seconds", seconds},
               {"tokens_per_second", result.tokens_per_second}};
  if (trained) json["dev_accuracy"] = result.dev_accuracy;
  for (const auto& [set, value] : result.test_accuracies) json["accuracy"][set] = value;
  for (const auto& [set, value] : result.integer_accuracies) json["integer_accuracy"][set] = value;
  for (const Evaluation& e : result.history) {
    json["history"].push_back({{"step", e.step}, {"dev_accuracy", e.accuracy}, {"loss", e.loss}});
  }
  return json;
}

// Of the folder written, on the task's sets.
Status Run::measure(TrainResult* result) {
  for (const ExampleSet& set : task_.tests) {
    tests_.push_back(set.name == task_.dev.name ? dev_ : encode(set));
    HCCS_ASSIGN_OR_RETURN(const double found, accuracy(folder_->path(), set, tests_.back()));
    result->test_accuracies.emplace_back(set.name, found);
  }
  return {};
}

// Measures and reports what lies in the folder; the memory's state no longer counts.
Status Run::finish(TrainResult* result) {
  if (o_.softmax != SoftmaxKind::kExact) {
    HCCS_ASSIGN_OR_RETURN(params_, read_param_file(folder_->params()));
  }
  result->steps = state_.step;
  result->replaced_classifier = start_->replaces_classifier;
  result->without_classifier = start_->without_classifier;
  result->best_step = state_.best_step;
  result->dev_accuracy = state_.best_accuracy;
  Status measured = trains() ? measure(result) : Status();
  if (measured.ok() && o_.quantise_all && o_.softmax == SoftmaxKind::kHccs) measured = make_integers(result);
  if (measured.code() == StatusCode::kCancelled && trains()) {
    HCCS_RETURN_IF_ERROR(write_state());  // the last evaluation found these weights good
    return stopped();
  }
  HCCS_RETURN_IF_ERROR(measured);
  for (const RunState::Point& p : state_.history) result->history.push_back({p.step, p.accuracy, p.loss});
  return folder_->finish(report_json(description_, *result, state_.seconds, trains()).dump(2) + "\n");
}

Expected<TrainResult> Run::run() {
  HCCS_RETURN_IF_ERROR(prepare());
  TrainResult result;
  if (trains()) {
    HCCS_RETURN_IF_ERROR(train_steps(&result));
  } else {  // nothing to choose, so nothing is measured
    // Weights that are not touched keep their digest, so that the parameters are also those of the folder they are
    // from.
    const bool as_they_are = start_->unchanged_weights && !o_.quantise_all;
    if (start_->without_classifier) start_->weights.remove_classifier();
    HCCS_RETURN_IF_ERROR(as_they_are ? folder_->copy_candidate(*start_->unchanged_weights)
                                     : folder_->write_candidate(start_->weights, o_.quantise_all));
    HCCS_RETURN_IF_ERROR(adopt_candidate());
  }
  HCCS_RETURN_IF_ERROR(finish(&result));
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

Expected<TrainResult> train(const Task& task, const TrainOptions& options, const TrainReport& report,
                            const PartReport& part_report) try {
  return Run(task, options, report, part_report).run();
} catch (...) {
  return internal::status_of_exception("training");
}

}  // namespace hccs::training
