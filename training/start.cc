// SPDX-License-Identifier: Apache-2.0
#include "training/start.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "hccs/digest.h"
#include "hccs/file.h"
#include "training/batches.h"
#include "training/random.h"

namespace hccs::training {
namespace {

namespace fs = std::filesystem;

Status invalid(std::string message) { return {StatusCode::kInvalidArgument, std::move(message)}; }

Status check_options(const TrainOptions& o, const Task& task) {
  const auto range = [](std::string_view what, double value, double low, double high) -> Status {
    if (value >= low && value <= high) return {};
    return invalid(fmt::format("{} = {}, but {} <= {} <= {}", what, value, low, what, high));
  };
  HCCS_RETURN_IF_ERROR(range("epochs", static_cast<double>(o.epochs), 0, 1e6));
  HCCS_RETURN_IF_ERROR(range("batch size", static_cast<double>(o.batch_size), 1, 65536));
  HCCS_RETURN_IF_ERROR(range("learning rate", o.learning_rate, 0, 1e30));
  HCCS_RETURN_IF_ERROR(range("head learning rate", o.head_learning_rate, 0, 1e30));
  HCCS_RETURN_IF_ERROR(range("warm-up", o.warmup, 0, 1));
  HCCS_RETURN_IF_ERROR(range("dropout", o.dropout, 0, 0.9));
  HCCS_RETURN_IF_ERROR(range("distillation weight", o.distillation_weight, 0, 1));
  HCCS_RETURN_IF_ERROR(range("temperature", o.temperature, 0.1, 100));
  HCCS_RETURN_IF_ERROR(range("threads", o.threads, 1, 1024));
  HCCS_RETURN_IF_ERROR(range("evaluations an epoch", static_cast<double>(o.evaluations), 1, 1000));
  HCCS_RETURN_IF_ERROR(range("calibration batches", static_cast<double>(o.calibration_batches), 1, 1e6));
  HCCS_RETURN_IF_ERROR(range("checkpoint steps", static_cast<double>(o.checkpoint_steps), 1, 1e9));
  HCCS_RETURN_IF_ERROR(range("maximum length", static_cast<double>(o.max_length), 3, kMaxRowLength));
  HCCS_RETURN_IF_ERROR(range("maximum examples", static_cast<double>(o.max_examples), 0, 1e15));
  HCCS_RETURN_IF_ERROR(range("patience", static_cast<double>(o.patience), 0, 1e9));
  HCCS_RETURN_IF_ERROR(range("weight decay", o.adamw.weight_decay, 0, 1e3));
  HCCS_RETURN_IF_ERROR(range("gradient norm to clip at", o.adamw.clip_norm, 0, 1e30));
  if (o.learnable && o.softmax != SoftmaxKind::kHccs) return invalid("learnable parameters are those of HCCS alone");
  if (o.quantise_all && o.softmax == SoftmaxKind::kExact) {
    return invalid("int8 throughout needs int8 logits: softmax int8-exact or hccs");
  }
  if (task.train.examples.empty()) return invalid("no training example");
  if (task.dev.examples.empty()) return invalid("no dev example");
  return {};
}

Status check_classes(const ExampleSet& train, const Task& task) {
  std::vector<bool> seen(task.labels.size());
  for (const Example& e : train.examples) seen[e.label] = true;
  for (const Example& e : task.dev.examples) {
    if (!seen[e.label]) {
      return {StatusCode::kMismatch, fmt::format("class \"{}\" is in dev but not in train ({} examples)",
                                                 task.labels[static_cast<size_t>(e.label)], train.examples.size())};
    }
  }
  return {};
}

// What can be learnt only head by head, and only within the contract's own ranges.
Status check_learnable(const ParamFile& params) {
  if (params.share != Share::kHead) {
    return invalid(
        fmt::format("learnable parameters are one set a head, but these are shared: {}", name(params.share)));
  }
  if (params.limits != Limits::kNative) {
    return invalid(
        fmt::format("learnable parameters have the native limits, but these have others: {}", name(params.limits)));
  }
  return {};
}

std::string digest_of(const ExampleSet& set) {
  Digest digest;
  for (const Example& e : set.examples) {
    digest.add(e.first);
    digest.add(e.second);
    digest.add(std::to_string(e.label));
  }
  return digest.text();
}

std::string digest_of(const Weights& weights) {
  Digest digest;
  for (const Tensor& t : weights.tensors) {
    digest.add({reinterpret_cast<const char*>(t.values.data()), t.values.size() * sizeof(float)});
  }
  return digest.text();
}

std::string_view softmax_name(SoftmaxKind kind) {
  return kind == SoftmaxKind::kExact ? "exact" : kind == SoftmaxKind::kInt8Exact ? "int8-exact" : "hccs";
}

// The parameters that were named, which must be of the model that was (null: from scratch).
Expected<ParamFile> read_given_params(const fs::path& path, const BertConfig& config, const ModelFolder* folder) {
  HCCS_ASSIGN_OR_RETURN(ParamFile file, read_param_file(path));
  const Status status = check_matches(file, folder != nullptr ? folder->name : file.model, config.layers, config.heads,
                                      config.head_dimension(), folder != nullptr ? folder->weights.digest() : "");
  if (!status.ok()) return Status(status.code(), fmt::format("{}: {}", path.string(), status.message()));
  return file;
}

Expected<Start> from_scratch(const Task& task, const TrainOptions& o) {
  HCCS_ASSIGN_OR_RETURN(WordPieceTokenizer tokenizer, WordPieceTokenizer::load(o.vocabulary));
  BertConfig config = o.shape;
  if (config.vocabulary_size == 0) config.vocabulary_size = tokenizer.vocabulary_size();
  if (config.vocabulary_size < tokenizer.vocabulary_size()) {
    return Status(StatusCode::kMismatch, fmt::format("{}: {} tokens, but the shape has {}", o.vocabulary.string(),
                                                     tokenizer.vocabulary_size(), config.vocabulary_size));
  }
  if (config.layers < 1 || config.heads < 1 || config.hidden_size < 1 || config.hidden_size % config.heads != 0) {
    return invalid(
        fmt::format("{} layers, hidden size {}, {} heads, but all are 1 or more and the hidden size is a "
                    "multiple of the heads",
                    config.layers, config.hidden_size, config.heads));
  }
  if (config.max_positions < 3 || config.intermediate_size < 1) {
    return invalid(fmt::format("{} positions, feed-forward size {}, but they are 3 and 1 or more", config.max_positions,
                               config.intermediate_size));
  }
  return Start{.weights = random_weights(config, task.labels, stream(o.seed, Use::kInitialise)),
               .tokenizer = std::move(tokenizer),
               .source = o.vocabulary,
               .files = {{"vocab.txt", o.vocabulary}}};
}

Expected<Start> from_folder(const ModelFolder& folder, const Task& task, const TrainOptions& o) {
  // A head of another kind whose tensors have the classifier's names. Other heads are left out.
  if (!folder.classifier.ok() && folder.architecture != "BertModel" &&
      folder.weights.tensors().contains("classifier.weight")) {
    return Status(folder.classifier.code(),
                  fmt::format("{}. To train a new classifier on its encoder, say \"architectures\": [\"BertModel\"] in "
                              "a copy of the folder",
                              folder.classifier.message()));
  }
  const bool replaces_classifier = folder.classifier.ok() && folder.labels != task.labels;
  if (replaces_classifier && o.epochs == 0) {
    return Status(StatusCode::kMismatch,
                  fmt::format("{}: a classifier of other labels ({}) than the task's ({}), whose place a random one "
                              "takes; 0 epochs do not train it",
                              o.model->string(), fmt::join(folder.labels, ", "), fmt::join(task.labels, ", ")));
  }
  HCCS_ASSIGN_OR_RETURN(Weights weights,
                        read_weights(folder, task.labels, o.take_layers, stream(o.seed, Use::kInitialise)));
  const bool without_classifier = o.epochs == 0 && !folder.classifier.ok();
  const bool unchanged = !o.take_layers && (folder.classifier.ok() ? !replaces_classifier : without_classifier);
  if (without_classifier) weights.labels.clear();
  return Start{.weights = std::move(weights),
               .unchanged_weights = unchanged ? std::optional(folder.weights.path()) : std::nullopt,
               .tokenizer = folder.tokenizer,
               .source = *o.model,
               .files = folder.files,
               .replaces_classifier = replaces_classifier,
               .without_classifier = without_classifier};
}

Expected<std::string> digest_of_file(const fs::path& path) {
  HCCS_ASSIGN_OR_RETURN(const std::string bytes, read_file(path));
  Digest digest;
  digest.add(bytes);
  return digest.text();
}

}  // namespace

Expected<Start> make_start(const Task& task, const TrainOptions& o) {
  HCCS_RETURN_IF_ERROR(check_options(o, task));
  std::optional<ModelFolder> folder;
  if (o.model) {
    HCCS_ASSIGN_OR_RETURN(folder, open_model_folder(*o.model));
  }
  HCCS_ASSIGN_OR_RETURN(Start start, folder ? from_folder(*folder, task, o) : from_scratch(task, o));

  if (o.params) {
    HCCS_ASSIGN_OR_RETURN(start.params,
                          read_given_params(*o.params, start.weights.config, folder ? &*folder : nullptr));
    HCCS_ASSIGN_OR_RETURN(start.params_digest, digest_of_file(*o.params));
  } else {
    start.params.knees = o.calibration.knees;
    start.params.limits = o.calibration.limits;
    start.params.share = o.calibration.share;
  }
  if (o.learnable) HCCS_RETURN_IF_ERROR(check_learnable(start.params));

  start.train = task.train;
  if (o.max_examples > 0 && o.max_examples < std::ssize(task.train.examples)) {
    const std::vector<int32_t> order = shuffled(std::ssize(task.train.examples), stream(o.seed, Use::kSubset));
    start.train.examples.clear();
    for (int64_t i = 0; i < o.max_examples; ++i) start.train.examples.push_back(task.train.examples[order[i]]);
  }
  HCCS_RETURN_IF_ERROR(check_classes(start.train, task));
  return start;
}

std::string describe(const TrainOptions& o, const Task& task, const Start& start, const std::string& teacher_digest) {
  const nlohmann::ordered_json json = {{"task", task.name},
                                       {"train_digest", digest_of(task.train)},
                                       {"dev_digest", digest_of(task.dev)},
                                       {"weights_digest", digest_of(start.weights)},
                                       {"vocabulary_digest", start.tokenizer.digest()},
                                       {"softmax", softmax_name(o.softmax)},
                                       {"knees", start.params.knees},
                                       {"limits", name(start.params.limits)},
                                       {"length", o.calibration.length},
                                       {"share", name(start.params.share)},
                                       {"params_digest", start.params_digest},
                                       {"calibration_batches", o.calibration_batches},
                                       {"normalisation", name(o.normalisation)},
                                       {"output_type", name(o.output_type)},
                                       {"learnable", o.learnable},
                                       {"head_learning_rate", o.head_learning_rate},
                                       {"quantise", o.quantise_all                     ? "all"
                                                    : o.softmax == SoftmaxKind::kExact ? "none"
                                                                                       : "attention"},
                                       {"epochs", o.epochs},
                                       {"batch_size", o.batch_size},
                                       {"learning_rate", o.learning_rate},
                                       {"warmup", o.warmup},
                                       {"dropout", o.dropout},
                                       {"weight_decay", o.adamw.weight_decay},
                                       {"clip_norm", o.adamw.clip_norm},
                                       {"freeze_word_embeddings", o.adamw.freeze_word_embeddings},
                                       {"max_length", o.max_length},
                                       {"max_examples", o.max_examples},
                                       {"patience", o.patience},
                                       {"evaluations", o.evaluations},
                                       {"teacher_digest", teacher_digest},
                                       {"distillation_weight", o.distillation_weight},
                                       {"temperature", o.temperature},
                                       {"seed", o.seed},
                                       {"threads", o.threads}};
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace hccs::training
