// SPDX-License-Identifier: Apache-2.0
//
// What the options of the command line are, read from CLI11's own description: the one source of --help, the manual
// page and completion.
#ifndef HCCS_TOOLS_DESCRIBED_OPTION_H_
#define HCCS_TOOLS_DESCRIBED_OPTION_H_

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace hccs::tool {

struct DescribedOption {
  std::vector<std::string> names;    // with their dashes, "-o" and "--output"; of a positional argument its name alone
  std::string description;           // one line, with the default and whether it is required
  std::string value;                 // what --help shows behind the name; empty: takes none
  std::vector<std::string> choices;  // the values that it may have, where they are listed
  bool takes_file = false;           // free text, which is most often a path
  bool value_is_optional = false;
  bool several_values = false;
  bool positional = false;
};

// In the order of --help.
std::vector<DescribedOption> describe_options(const CLI::App& app);

}  // namespace hccs::tool

#endif  // HCCS_TOOLS_DESCRIBED_OPTION_H_
