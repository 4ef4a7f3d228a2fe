// SPDX-License-Identifier: Apache-2.0
#include "training/calibrate_heads.h"

#include "hccs/calibrate_model.h"
#include "hccs/digest.h"
#include "training/shards.h"

namespace hccs::training {

Expected<ParamFile> calibrate_heads(BertPass& pass, const BertConfig& config, std::span<const Encoding> texts,
                                    std::span<const std::vector<int32_t>> batches, const HeadCalibration& how) {
  const CalibrateModelOptions options{.calibration = how.options, .seed = how.seed};
  HeadSamples samples(config.layers, config.heads, options.rows, options.seed);
  Digest digest;
  int64_t first_text = 0;
  const LogitSink sink = [&](int64_t layer, int64_t head, int64_t text, int64_t length, const float* logits) {
    return samples.add(layer, head, first_text + text, length, logits);
  };
  use_one_thread();
  for (size_t b = 0; b < batches.size(); ++b) {
    const std::vector<int32_t>& batch = batches[b];
    HCCS_RETURN_IF_ERROR(pass.logits(pack(batch, texts), TrainingSoftmax::exact(), how.pass, sink).status());
    if (how.read_progress && !how.read_progress(static_cast<int64_t>(b) + 1, std::ssize(batches))) {
      return Status(StatusCode::kCancelled, "stopped before the first step");
    }
    first_text += std::ssize(batch);
    for (const int32_t t : batch) {
      digest.add({reinterpret_cast<const char*>(texts[t].ids.data()), texts[t].ids.size() * sizeof(int32_t)});
    }
  }
  HCCS_ASSIGN_OR_RETURN(const std::vector<HeadFit> fits, calibrate(samples.samples(), config.heads, how.options));
  return make_param_file(fits, options,
                         {.name = how.model,
                          .layers = config.layers,
                          .heads = config.heads,
                          .head_dimension = config.head_dimension(),
                          .data_digest = digest.text()});
}

}  // namespace hccs::training
