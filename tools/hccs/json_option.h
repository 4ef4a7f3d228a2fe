// SPDX-License-Identifier: Apache-2.0
#ifndef HCCS_TOOLS_JSON_OPTION_H_
#define HCCS_TOOLS_JSON_OPTION_H_

#include <CLI/CLI.hpp>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "hccs/status.h"
#include "outputs.h"

namespace hccs::tool {

// --json, which every command that reports something has: alone or as --json=- the report goes to stdout as JSON, in
// place of text; --json=FILE writes it to a file, beside the text.
class JsonOption {
 public:
  // `what` the report says, for the help.
  void add_to(CLI::App& app, const std::string& what);

  bool wanted() const noexcept { return !target_.empty(); }
  bool on_stdout() const noexcept { return target_ == "-"; }

  // Ok if write() could succeed now: for before the work. Errors: those of check_output(), and kInvalidArgument if the
  // file is `output`, another file that the run writes.
  Status check(const Inputs& inputs, const std::filesystem::path& output = {}) const;

  // The report, if it is wanted. Bytes that are no UTF-8 become U+FFFD. Errors: those of write_file_atomically().
  Status write(const nlohmann::ordered_json& report) const;

 private:
  std::string target_;
};

// Arguments with every --json that has no value made --json=-. A file is named with "=". Where the command has no
// argument but options, what follows --json without a dash can only be its file, and is taken for that.
void complete_json_arguments(std::vector<std::string>& arguments, bool has_positionals);

}  // namespace hccs::tool

#endif  // HCCS_TOOLS_JSON_OPTION_H_
