// SPDX-License-Identifier: Apache-2.0
#include "json_option.h"

#include <nlohmann/json.hpp>
#include <vector>

#include "console.h"
#include "hccs/file.h"
#include "outputs.h"

namespace hccs::tool {
void JsonOption::add_to(CLI::App& app, const std::string& what) {
  app.add_option("--json", target_, what + " as JSON: on stdout in place of text, or with =FILE in a file beside it")
      ->type_name("[=FILE]");
}

Status JsonOption::check(const Inputs& inputs, const std::filesystem::path& output) const {
  if (!wanted() || on_stdout()) return {};
  if (!output.empty() && same_file(target_, output)) {
    return {StatusCode::kInvalidArgument, fmt::format("--json={}: the same file as the output", target_)};
  }
  return check_output(target_, inputs);
}

Status JsonOption::write(const nlohmann::ordered_json& report) const {
  if (!wanted()) return {};
  const std::string text = report.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  if (on_stdout()) {
    write_result(text);
    return {};
  }
  HCCS_RETURN_IF_ERROR(write_file_atomically(target_, {text}));
  message("wrote {}\n", target_);
  return {};
}

void complete_json_arguments(std::vector<std::string>& arguments, bool has_positionals) {
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i] == "--") return;
    if (arguments[i] != "--json") continue;
    const bool followed = i + 1 < arguments.size();
    const std::string next = followed ? arguments[i + 1] : "";
    const bool value = next == "-" || (!has_positionals && followed && !next.empty() && next.front() != '-');
    arguments[i] += "=" + (value ? next : std::string("-"));
    if (value) arguments.erase(arguments.begin() + static_cast<std::ptrdiff_t>(i) + 1);
  }
}

}  // namespace hccs::tool
