// SPDX-License-Identifier: Apache-2.0
//
// hccs man: the manual page hccs(1), in roff, from what CLI11 knows of the commands.
#include <fmt/core.h>

#include <string>
#include <string_view>

#include "command.h"
#include "console.h"
#include "described_option.h"
#include "hccs/version.h"

namespace hccs::tool {
namespace {

// Text as roff takes it: no backslash, hyphen or dot at the beginning of a line has a meaning of its own.
std::string roff(std::string_view text) {
  std::string out;
  bool line_begins = true;
  for (const char c : text) {
    if (line_begins && (c == '.' || c == '\'')) out += "\\&";
    line_begins = c == '\n';
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else if (c == '\'') {
      out += "\\(aq";
    } else {
      out += c;
    }
  }
  return out;
}

std::string option_entry(const DescribedOption& option) {
  std::string names;
  for (const std::string& name : option.names) names += (names.empty() ? "\\fB" : ", \\fB") + roff(name) + "\\fR";
  if (!option.value.empty()) names += (option.value_is_optional ? "" : " ") + ("\\fI" + roff(option.value)) + "\\fR";
  return ".TP\n" + names + "\n" + roff(option.description.empty() ? "-" : option.description) + "\n";
}

std::string command_section(const CLI::App& root, const CLI::App& command) {
  std::string text =
      fmt::format(".SS \"{} {}\"\n{}.\n", root.get_name(), command.get_name(), roff(command.get_description()));
  for (const DescribedOption& option : describe_options(command)) text += option_entry(option);
  std::string example = command.get_footer();
  if (const size_t body = example.find("Example:\n"); body != std::string::npos) example.erase(0, body + 9);
  if (!example.empty()) text += ".PP\nExample:\n.PP\n.EX\n" + roff(example) + "\n.EE\n";
  return text;
}

std::string manual(const CLI::App& root) {
  std::string text = fmt::format(
      ".\\\" Written by `hccs man`.\n.TH HCCS 1 \"\" \"hccs {}\" \"User Commands\"\n.SH NAME\nhccs \\- {}\n"
      ".SH SYNOPSIS\n.B hccs\n.I command\n[\\fIoptions\\fR]\n.br\n.B hccs\n.I command\n\\fB\\-\\-help\\fR\n"
      ".SH DESCRIPTION\nResults go to standard output, messages and progress to standard error.\n"
      ".PP\nOptions of hccs itself:\n",
      kVersion, roff(root.get_description()));
  for (const DescribedOption& option : describe_options(root)) text += option_entry(option);
  text += ".SH COMMANDS\n";
  for (const CLI::App* command : root.get_subcommands({})) text += command_section(root, *command);
  text +=
      ".SH \"EXIT STATUS\"\n.TP\n0\nSuccess.\n.TP\n1\nThe run failed; the message on standard error says why.\n"
      ".TP\n2\nWrong usage; nothing was done.\n.TP\n130\nInterrupted by Ctrl\\-C (128 and the signal\\(aqs number); "
      "earlier files are whole, `hccs train` has written a checkpoint.\n"
      ".SH ENVIRONMENT\n.TP\nHCCS_TARGET\nThe instruction set of softmax, one of those that \\fBhccs "
      "\\-\\-version\\fR lists.\n.TP\nHCCS_DATA\nThe folder of named tasks, in place of \\fB\\-\\-data\\fR.\n"
      ".TP\nNO_COLOR\nIf it is not empty: no colours.\n";
  return text;
}

}  // namespace

Command add_man(CLI::App& root) {
  CLI::App* app = root.add_subcommand("man", "Print the manual page of all commands, for man");
  app->footer("Example:\n  hccs man | man -l -");
  return {.app = app, .run = [&root]() -> Status {
            write_result(manual(root));
            return {};
          }};
}

}  // namespace hccs::tool
