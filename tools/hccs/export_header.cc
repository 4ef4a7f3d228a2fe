// SPDX-License-Identifier: Apache-2.0
//
// hccs export --target header.
#include "export_header.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string_view>
#include <system_error>

#include "console.h"
#include "hccs/file.h"
#include "hccs/param_file.h"

namespace hccs::tool {

namespace fs = std::filesystem;

std::string header_usage_error(const CLI::App& app) {
  constexpr std::array<std::string_view, 8> kOptions = {"--target", "--params", "--layer", "--head",
                                                        "--name",   "--out",    "--json",  "--help"};
  for (const CLI::Option* option : app.get_options()) {
    const bool goes = std::any_of(kOptions.begin(), kOptions.end(),
                                  [&](std::string_view name) { return option->check_name(std::string(name)); });
    if (option->count() > 0 && !goes) return fmt::format("{} does not go with --target header", option->get_name());
  }
  return {};
}

Status export_header(const fs::path& params, const ParamHeaderOptions& options, const fs::path& output,
                     const JsonOption& json) {
  std::error_code error;
  const bool is_folder = !output.has_filename() || fs::is_directory(output, error);
  const fs::path path = is_folder ? output / (options.name + ".h") : output;
  if (fs::equivalent(path, params, error)) {
    return {StatusCode::kInvalidArgument,
            fmt::format("{}: the parameter file, which the header would replace", path.string())};
  }
  HCCS_RETURN_IF_ERROR(json.check(path));
  HCCS_ASSIGN_OR_RETURN(const ParamFile file, read_param_file(params));
  HCCS_ASSIGN_OR_RETURN(const std::string text, param_header(file, options));
  HCCS_RETURN_IF_ERROR(write_file_atomically(path, {text}));
  const int64_t layers = options.layer ? 1 : file.layers;
  const int64_t heads = layers * (options.heads.empty() ? file.heads : std::ssize(options.heads));
  message("wrote {}: {}_heads, the parameters of {} {}\n", path.string(), options.name, heads,
          heads == 1 ? "head" : "heads");
  return json.write({{"output", path.string()}, {"target", "header"}, {"name", options.name}, {"heads", heads}});
}

}  // namespace hccs::tool
