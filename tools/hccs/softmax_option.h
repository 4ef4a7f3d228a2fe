// SPDX-License-Identifier: Apache-2.0
//
// The softmax of a float model as a subcommand's options name it.
#ifndef HCCS_TOOLS_SOFTMAX_OPTION_H_
#define HCCS_TOOLS_SOFTMAX_OPTION_H_

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <string>

#include "hccs/encoder.h"
#include "hccs/model_folder.h"
#include "hccs/param_file.h"
#include "hccs/reference.h"
#include "hccs/status.h"

namespace hccs::tool {

// Warns where a file's heads do not serve rows as long as they were calibrated on, so that rows may get 0 everywhere.
void warn_of_range(const ParamFile& file, Normalisation normalisation, OutputType output);

struct SoftmaxOption {
  std::filesystem::path params;  // empty: exact
  std::string normalisation = "scaled";
  std::string output_type = "uint8";

  // --params, --normalisation and --output-type.
  void add_to(CLI::App& app);
  // Why they do not go with this model, or nothing.
  std::string usage_error(const std::filesystem::path& model) const;
  Expected<std::unique_ptr<AttentionSoftmax>> make(const ModelFolder& model) const;
  // In reports.
  const char* name() const { return params.empty() ? "exact" : "hccs"; }
};

}  // namespace hccs::tool

#endif  // HCCS_TOOLS_SOFTMAX_OPTION_H_
