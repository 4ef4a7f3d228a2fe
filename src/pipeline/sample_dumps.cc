// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>

#include "contract/exceptions.h"
#include "hccs/calibrate_model.h"
#include "hccs/digest.h"
#include "hccs/file.h"
#include "pipeline/logit_dumps.h"
#include "pipeline/sampled_parts.h"

namespace hccs {

Expected<SampledModel> sample_dumps(const std::filesystem::path& folder, const CalibrateModelOptions& options) try {
  HCCS_ASSIGN_OR_RETURN(const internal::DumpFolder dumps, internal::find_dumps(folder));
  const int64_t longest = options.calibration.limits == Limits::kPaper ? options.calibration.length : 0;
  HCCS_RETURN_IF_ERROR(internal::check_first(options.first));
  SampledModel sampled;
  SampledPart part{.first = options.first};
  sampled.heads.assign(dumps.files.size(), RowSample(options.rows, options.seed));
  Digest digest;
  for (size_t head = 0; head < dumps.files.size(); ++head) {
    HCCS_ASSIGN_OR_RETURN(const internal::Dump dump, internal::read_dump(dumps.files[head], longest, digest));
    for (int64_t r = 0; r < dump.rows(); ++r) {
      HCCS_RETURN_IF_ERROR(sampled.heads[head].add(static_cast<uint64_t>(options.first + r), dump.row(r)));
    }
    part.count = std::max(part.count, dump.rows());
    sampled.without_lengths += dumps.files[head].lengths.empty() ? 1 : 0;
    if (options.read_progress && !options.read_progress(static_cast<int64_t>(head) + 1, std::ssize(dumps.files))) {
      return Status(StatusCode::kCancelled, "interrupted");
    }
  }
  part.digest = digest.text();
  sampled.model = {
      .name = folder_name(folder), .layers = dumps.layers, .heads = dumps.heads, .data_digest = part.digest};
  if (sampled.model.name.empty()) sampled.model.name = "logits";
  sampled.parts.push_back(std::move(part));
  return sampled;
} catch (...) {
  return internal::status_of_exception(folder.native());
}

}  // namespace hccs
