// SPDX-License-Identifier: Apache-2.0
#ifndef HCCS_TOOLS_SOFTMAX_MODES_H_
#define HCCS_TOOLS_SOFTMAX_MODES_H_

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "hccs/encoder.h"
#include "hccs/model_folder.h"
#include "hccs/param_file.h"

namespace hccs::tool {

// The parameter files, each checked against the model; an error names the file.
Expected<std::vector<ParamFile>> read_params_of(const ModelFolder& model, std::span<const std::filesystem::path> paths);

std::vector<double> steps_of(const ParamFile& file);

// One way to run a model.
struct SoftmaxMode {
  enum class Kind { kFloat, kInt8Exact, kHccs };
  static std::string_view name_of(Kind kind);  // "float", "int8-exact", "hccs"

  std::string name;  // "float", "int8-exact", "hccs-k3", "paper-i16-div", ...
  Kind kind = Kind::kFloat;
  int64_t knees = 0;  // 0: exact exponential
  std::string normalisation;
  size_t file = 0;  // whose parameters or, for kInt8Exact, steps
  std::unique_ptr<AttentionSoftmax> softmax;
};

// How every file runs if one of these is set; what is not set is then `scaled` or uint8.
struct ChosenOutput {
  std::optional<Normalisation> normalisation;
  std::optional<OutputType> output;
};

// The modes to run: float; then, if there are files, the control (int8 logits and the exact exponential, at the steps
// of the file that follows the exponential most closely) and the modes of each file. A file has the chosen mode, such
// as "hccs-k1-u8-clb"; where none is chosen, uint8 scaled, or under the paper's limits int16 div and uint8 clb. Errors:
// those of make_int8_exact_softmax and make_hccs_softmax.
Expected<std::vector<SoftmaxMode>> softmax_modes(std::span<const ParamFile> files, const ChosenOutput& chosen);

}  // namespace hccs::tool

#endif  // HCCS_TOOLS_SOFTMAX_MODES_H_
