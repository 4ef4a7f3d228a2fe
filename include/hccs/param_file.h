// SPDX-License-Identifier: Apache-2.0
//
// The parameter file: the only thing that crosses between calibration and whatever runs the model. JSON,
// "format": "hccs-params". docs/formats.md describes every field.
#ifndef HCCS_PARAM_FILE_H_
#define HCCS_PARAM_FILE_H_

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "hccs/export.h"
#include "hccs/params.h"
#include "hccs/status.h"

namespace HCCS_API hccs {

inline constexpr int kParamFileVersion = 1;
inline constexpr int64_t kMaxHeads = 1'000'000;  // layers x heads

struct HeadEntry {
  HeadParams params;
  double step = 0;             // real value of one int8 logit unit; finite, > 0
  double kl = 0;               // objective reached, mean KL in nats; finite, >= 0
  double kl_continuous = 0;    // the same before integer rounding and int8 logits
  int64_t rows = 0;            // rows that the head was calibrated on; >= 0
  double max_probability = 0;  // the largest probability that a row of the calibrated length can reach; 0..1
  bool is_default = false;     // not fitted: a safe default (the calibrator said why)
};

struct ParamFile {
  std::string model;            // model name
  int64_t layers = 0;           // >= 1
  int64_t heads = 0;            // a layer; >= 1
  int64_t head_dimension = 0;   // >= 0; 0: unknown (calibrated from dumped logits)
  int64_t sequence_length = 0;  // longest row used in calibration; 1..65536
  int64_t knees = 1;            // K, 1..4: no head has more
  Limits limits = Limits::kNative;
  Share share = Share::kHead;
  uint64_t seed = 0;
  std::string data_digest;         // identifies the calibration data, "xxh3-128:..."
  std::string weights_digest;      // of the model's model.safetensors; empty: unknown
  std::vector<HeadEntry> entries;  // layers x heads, row-major

  const HeadEntry& at(int64_t layer, int64_t head) const { return entries[static_cast<size_t>(layer * heads + head)]; }
};

// Every number in its range, every head's parameters valid. kInvalidArgument with head, value and rule.
Status validate(const ParamFile& file);

// Refuses, with the value and the rule: another format or an unknown version (says which it knows), a missing or
// mistyped field, numbers out of range, duplicate or missing heads. Errors: kIo, kBadData, kUnsupported (version).
Expected<ParamFile> read_param_file(const std::filesystem::path& path);

// Atomic (temporary, sync, rename). Errors: what validate() says; kIo.
Status write_param_file(const std::filesystem::path& path, const ParamFile& file);

// kMismatch if the file was made for another model. Layers and heads are always compared, head_dimension where both are
// known (> 0). The weights' digest decides where both are known (not empty): a folder may be moved or renamed. Without
// it the model's name does.
Status check_matches(const ParamFile& file, std::string_view model, int64_t layers, int64_t heads,
                     int64_t head_dimension, std::string_view weights_digest = {});

}  // namespace hccs

#endif  // HCCS_PARAM_FILE_H_
