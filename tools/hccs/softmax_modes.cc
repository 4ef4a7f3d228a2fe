// SPDX-License-Identifier: Apache-2.0
#include "softmax_modes.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>
#include <utility>

#include "softmax_option.h"

namespace hccs::tool {

Expected<std::vector<ParamFile>> read_params_of(const ModelFolder& model,
                                                std::span<const std::filesystem::path> paths) {
  const BertConfig& config = model.config;
  std::vector<ParamFile> files;
  for (const std::filesystem::path& path : paths) {
    HCCS_ASSIGN_OR_RETURN(ParamFile file, read_param_file(path));
    if (const Status s = check_matches(file, model.name, config.layers, config.heads, config.head_dimension(),
                                       model.weights.digest());
        !s.ok()) {
      return Status(s.code(), fmt::format("{}: {}", path.string(), s.message()));
    }
    files.push_back(std::move(file));
  }
  return files;
}

std::vector<double> steps_of(const ParamFile& file) {
  std::vector<double> steps;
  for (const HeadEntry& entry : file.entries) steps.push_back(entry.step);
  return steps;
}

std::string_view SoftmaxMode::name_of(Kind kind) {
  return kind == Kind::kFloat ? "float" : kind == Kind::kInt8Exact ? "int8-exact" : "hccs";
}

Expected<std::vector<SoftmaxMode>> softmax_modes(std::span<const ParamFile> files, const ChosenOutput& chosen) {
  std::vector<SoftmaxMode> modes;
  modes.push_back({.name = "float", .normalisation = "exact", .softmax = make_exact_softmax()});
  if (files.empty()) return modes;

  const auto finest = std::max_element(files.begin(), files.end(), [](const ParamFile& a, const ParamFile& b) {
    return std::pair(a.limits == Limits::kNative, a.knees) < std::pair(b.limits == Limits::kNative, b.knees);
  });
  HCCS_ASSIGN_OR_RETURN(std::unique_ptr<AttentionSoftmax> control,
                        make_int8_exact_softmax(steps_of(*finest), finest->heads));
  modes.push_back({.name = "int8-exact",
                   .kind = SoftmaxMode::Kind::kInt8Exact,
                   .normalisation = "exact",
                   .file = static_cast<size_t>(finest - files.begin()),
                   .softmax = std::move(control)});

  std::multiset<std::string> names;
  for (size_t i = 0; i < files.size(); ++i) {
    const ParamFile& file = files[i];
    const bool paper = file.limits == Limits::kPaper;
    std::string name = paper ? "paper" : fmt::format("hccs-k{}", file.knees);
    if (file.share != Share::kHead) name += fmt::format("-{}", hccs::name(file.share));
    names.insert(name);
    if (names.count(name) > 1) name += fmt::format("#{}", names.count(name));
    const auto add = [&](const std::string& suffix, Normalisation normalisation, OutputType output) -> Status {
      warn_of_range(file, normalisation, output);
      HCCS_ASSIGN_OR_RETURN(std::unique_ptr<AttentionSoftmax> softmax, make_hccs_softmax(file, normalisation, output));
      modes.push_back({.name = name + suffix,
                       .kind = SoftmaxMode::Kind::kHccs,
                       .knees = file.knees,
                       .normalisation = std::string(hccs::name(normalisation)),
                       .file = i,
                       .softmax = std::move(softmax)});
      return {};
    };
    if (chosen.normalisation || chosen.output) {
      const Normalisation normalisation = chosen.normalisation.value_or(Normalisation::kScaled);
      const OutputType output = chosen.output.value_or(OutputType::kUint8);
      HCCS_RETURN_IF_ERROR(
          add(fmt::format("-{}-{}", output == OutputType::kUint8 ? "u8" : "i16", hccs::name(normalisation)),
              normalisation, output));
    } else if (paper) {
      HCCS_RETURN_IF_ERROR(add("-i16-div", Normalisation::kDiv, OutputType::kInt16));
      HCCS_RETURN_IF_ERROR(add("-u8-clb", Normalisation::kClb, OutputType::kUint8));
    } else {
      HCCS_RETURN_IF_ERROR(add("", Normalisation::kScaled, OutputType::kUint8));
    }
  }
  return modes;
}

}  // namespace hccs::tool
