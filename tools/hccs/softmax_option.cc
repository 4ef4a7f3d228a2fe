// SPDX-License-Identifier: Apache-2.0
#include "softmax_option.h"

#include "console.h"
#include "hccs/integer_encoder.h"
#include "report/deployment.h"
#include "terminal.h"

namespace hccs::tool {

void warn_of_range(const ParamFile& file, Normalisation normalisation, OutputType output) {
  const int64_t longest = longest_row(file, normalisation, output);
  if (file.sequence_length <= longest) return;
  warning(
      "{}: calibrated on rows of up to {}, but rows of more than {} may get 0 everywhere by {} to {}; scaled serves "
      "every length",
      one_line(file.model), file.sequence_length, longest, name(normalisation), hccs::name(output));
}

void SoftmaxOption::add_to(CLI::App& app) {
  CLI::Option* file = app.add_option("--params", params, "parameter file; without it the softmax is exact");
  app.add_option("--normalisation", normalisation, "how scores become probabilities")
      ->check(CLI::IsMember({"div", "clb", "scaled"}))
      ->capture_default_str()
      ->needs(file);
  app.add_option("--output-type", output_type, "the probabilities' type")
      ->check(CLI::IsMember({"uint8", "int16"}))
      ->capture_default_str()
      ->needs(file);
}

std::string SoftmaxOption::usage_error(const std::filesystem::path& model) const {
  if (params.empty() || !is_integer_model(model)) return {};
  return "an integer model has its heads' parameters; --params goes with a folder";
}

Expected<std::unique_ptr<AttentionSoftmax>> SoftmaxOption::make(const ModelFolder& model) const {
  if (params.empty()) return make_exact_softmax();
  HCCS_ASSIGN_OR_RETURN(const ParamFile file, read_param_file(params));
  HCCS_RETURN_IF_ERROR(check_matches(file, model.name, model.config.layers, model.config.heads,
                                     model.config.head_dimension(), model.weights.digest()));
  warn_of_range(file, *parse_normalisation(normalisation), *parse_output_type(output_type));
  return make_hccs_softmax(file, *parse_normalisation(normalisation), *parse_output_type(output_type));
}

}  // namespace hccs::tool
