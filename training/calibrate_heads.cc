// SPDX-License-Identifier: Apache-2.0
#include "training/calibrate_heads.h"

#include <algorithm>

#include "hccs/digest.h"
#include "training/random.h"
#include "training/shards.h"

namespace hccs::training {
namespace {

constexpr int64_t kRowsPerText = 4;  // as `hccs calibrate` samples
constexpr int64_t kRowsPerHead = 4096;

// Adds some rows of a text's logits in head `head` of `heads`: evenly spaced, from a place that varies. `text` is the
// text's own number.
Status add_rows(uint64_t text, int64_t head, int64_t heads, int64_t length, const float* logits, RowSample* sample) {
  const int64_t count = std::min(kRowsPerText, length);
  for (int64_t i = 0; i < count; ++i) {
    const uint64_t from = text * static_cast<uint64_t>(heads) + static_cast<uint64_t>(head);
    const auto query =
        static_cast<int64_t>((from + static_cast<uint64_t>(i * length / count)) % static_cast<uint64_t>(length));
    HCCS_RETURN_IF_ERROR(sample->add(text * kMaxRowLength + static_cast<uint64_t>(query),
                                     std::span(logits + query * length, static_cast<size_t>(length))));
  }
  return {};
}

ParamFile make_param_file(std::span<const HeadFit> fits, const BertConfig& config, const HeadCalibration& how,
                          const Digest& data) {
  ParamFile file = {.model = how.model,
                    .layers = config.layers,
                    .heads = config.heads,
                    .head_dimension = config.head_dimension(),
                    .sequence_length = how.options.length,
                    .knees = how.options.knees,
                    .limits = std::string(name(how.options.limits)),
                    .share = std::string(name(how.options.share)),
                    .seed = how.seed,
                    .data_digest = data.text()};
  for (const HeadFit& f : fits) {
    file.sequence_length = std::max(file.sequence_length, f.longest_row);
    file.entries.push_back({.params = f.params,
                            .step = f.step,
                            .kl = f.kl,
                            .kl_continuous = f.kl_continuous,
                            .rows = f.rows,
                            .max_probability = f.max_probability,
                            .is_default = !f.unfit_reason.empty()});
  }
  return file;
}

}  // namespace

Expected<ParamFile> calibrate_heads(BertPass& pass, const BertConfig& config, std::span<const Encoding> texts,
                                    std::span<const std::vector<int32_t>> batches, const HeadCalibration& how) {
  const int64_t heads = config.layers * config.heads;
  std::vector<RowSample> samples(static_cast<size_t>(heads),
                                 RowSample(kRowsPerHead, stream(how.seed, Use::kRowSample)));
  Digest digest;
  uint64_t first_text = 0;
  const LogitSink sink = [&](int64_t layer, int64_t head, int64_t text, int64_t length, const float* logits) {
    const int64_t index = layer * config.heads + head;
    return add_rows(first_text + static_cast<uint64_t>(text), index, heads, length, logits, &samples[index]);
  };
  use_one_thread();
  for (const auto& batch : batches) {
    HCCS_RETURN_IF_ERROR(pass.logits(pack(batch, texts), TrainingSoftmax::exact(), how.pass, sink).status());
    first_text += batch.size();
    for (const int32_t t : batch) {
      digest.add({reinterpret_cast<const char*>(texts[t].ids.data()), texts[t].ids.size() * sizeof(int32_t)});
    }
  }
  HCCS_ASSIGN_OR_RETURN(const std::vector<HeadFit> fits, calibrate(samples, config.heads, how.options));
  return make_param_file(fits, config, how, digest);
}

}  // namespace hccs::training
