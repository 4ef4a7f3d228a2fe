// SPDX-License-Identifier: Apache-2.0
#ifndef HCCS_TOOLS_EXPORT_HEADER_H_
#define HCCS_TOOLS_EXPORT_HEADER_H_

#include <CLI/CLI.hpp>
#include <filesystem>
#include <string>

#include "hccs/param_header.h"
#include "hccs/status.h"
#include "json_option.h"

namespace hccs::tool {

// What is wrong with the options that hccs export --target header was given; empty: nothing.
std::string header_usage_error(const CLI::App& app);

// Writes the parameters of a file as a C header: to `output` or, if that is a folder, to NAME.h in it.
Status export_header(const std::filesystem::path& params, const ParamHeaderOptions& options,
                     const std::filesystem::path& output, const JsonOption& json);

}  // namespace hccs::tool

#endif  // HCCS_TOOLS_EXPORT_HEADER_H_
