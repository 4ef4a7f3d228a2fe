// SPDX-License-Identifier: Apache-2.0
#ifndef HCCS_TOOLS_COMMAND_H_
#define HCCS_TOOLS_COMMAND_H_

#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <system_error>

#include "hccs/status.h"

namespace hccs::tool {

// One subcommand. Results go to stdout, progress and messages to stderr.
struct Command {
  CLI::App* app = nullptr;
  // What is wrong with the options taken together; empty if nothing. (CLI11 checks each by itself.)
  std::function<std::string()> usage_error = [] { return std::string(); };
  std::function<Status()> run;
};

// For options without a sign, of 64 bits: by itself CLI11 takes -1 for the largest number, and one that is too large
// too.
inline CLI::Validator unsigned_number() {
  const auto check = [](const std::string& text) -> std::string {
    uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc() && end == text.data() + text.size()) return {};
    return "Value " + text + " not in range 0 to 18446744073709551615";
  };
  return {check, "UINT", "unsigned number"};
}

// For options that name an AI Engine kernel: takes the names that the kernels had earlier.
inline CLI::Transformer earlier_kernel_names() {
  return CLI::Transformer(
      std::map<std::string, std::string>{{"interleaved", "rows"}, {"microtile", "tiles"}, {"row_major", "paper_rows"}});
}
// The earlier name of a mask, for --masks.
inline CLI::Transformer earlier_mask_names() {
  return CLI::Transformer(std::map<std::string, std::string>{{"limits", "length"}});
}

Command add_calibrate(CLI::App& root);
Command add_classify(CLI::App& root);
Command add_cycles(CLI::App& root);  // in builds with HCCS_BUILD_AIE
Command add_embed(CLI::App& root);
Command add_evaluate(CLI::App& root);
Command add_export(CLI::App& root);
Command add_inspect(CLI::App& root);
Command add_logits(CLI::App& root);
Command add_quantise(CLI::App& root);
Command add_report(CLI::App& root);
Command add_softmax(CLI::App& root);

// For these the other commands have to be there already.
Command add_completion(CLI::App& root);
Command add_man(CLI::App& root);

}  // namespace hccs::tool

#endif  // HCCS_TOOLS_COMMAND_H_
