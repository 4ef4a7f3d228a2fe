// SPDX-License-Identifier: Apache-2.0
//
// What a parameter file does to attention logits that it was not calibrated on, for models of any kind: each row's
// float softmax beside the contract's integers for the same row.
//
//   auto params = hccs::read_param_file("params.json");
//   auto evaluation = hccs::evaluate_logits("held-out-logits", *params, {});
//   for (const hccs::HeadEvaluation& head : evaluation->heads) use(head.kl_mean, head.top1_agreement);
#ifndef HCCS_EVALUATE_LOGITS_H_
#define HCCS_EVALUATE_LOGITS_H_

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "hccs/calibrate_model.h"
#include "hccs/calibration.h"
#include "hccs/param_file.h"
#include "hccs/plausibility.h"
#include "hccs/progress.h"
#include "hccs/reference.h"
#include "hccs/status.h"

namespace hccs {

struct EvaluateLogitsOptions {
  Normalisation normalisation = Normalisation::kScaled;
  OutputType output = OutputType::kUint8;
  OnImplausible on_implausible = OnImplausible::kStop;
  int threads = 1;      // >= 1; the result is the same for every number
  Progress progress{};  // in heads
};

// One head's integers against the float softmax of its rows. Means are over rows, maxima over all valid positions.
struct HeadEvaluation {
  int64_t layer = 0;
  int64_t head = 0;
  int64_t rows = 0;
  int64_t longest_row = 0;
  double kl_mean = 0;              // row_kl(): KL(softmax(logits) || s / Z) in nats, what the parameter file's "kl" is
  double kl_worst = 0;             // of one row
  double top1_agreement = 0;       // share of rows whose first largest probability is at the first largest logit; 0..1
  double largest_error = 0;        // |p / T - softmax(logits)| of one position; 0..1
  double largest_probability = 0;  // p / T of one position: what the integers reached; 0..1
  double largest_float_probability = 0;  // softmax(logits) of one position: what there was to reach; 0..1
  std::vector<Finding> findings;         // check_plausibility() of a sample of the rows
  std::array<int64_t, 256> distances{};  // [d]: valid positions at distance d = maximum - x in the row's int8 logits
};

struct LogitsEvaluation {
  std::vector<HeadEvaluation> heads;  // layers x heads, row-major
  int64_t layers = 0;
  int64_t heads_per_layer = 0;
  std::string data_digest;  // of the logits; equal to the parameter file's: they are not held out

  // Of all heads: means over heads, maxima over all.
  int64_t rows = 0;
  double kl_mean = 0;
  double kl_worst_head = 0;  // the largest kl_mean
  double top1_agreement = 0;
  double largest_error = 0;
};

// Evaluates all rows of a folder of dumped logits (what sample_dumps() reads). The model's name is not compared: only
// the numbers of layers and heads are. Errors: those of sample_dumps(); kMismatch for parameters of another number of
// layers or heads; kBadData for a NaN or infinite logit, naming file, row and position, and for rows that cannot be
// logits (unless they are to be reported); kCancelled; kOutOfMemory.
Expected<LogitsEvaluation> evaluate_logits(const std::filesystem::path& folder, const ParamFile& params,
                                           const EvaluateLogitsOptions& options);

// The same of rows that are in memory (sample_model(), sample_dumps()). Errors: also kInvalidArgument for a head
// without rows.
Expected<LogitsEvaluation> evaluate_logits(const SampledModel& sampled, const ParamFile& params,
                                           const EvaluateLogitsOptions& options);

}  // namespace hccs

#endif  // HCCS_EVALUATE_LOGITS_H_
