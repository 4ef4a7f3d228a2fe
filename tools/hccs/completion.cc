// SPDX-License-Identifier: Apache-2.0
//
// hccs completion: a script for a shell, from what CLI11 knows of the commands.
#include <fmt/core.h>

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "command.h"
#include "console.h"
#include "described_option.h"

namespace hccs::tool {
namespace {

std::vector<const CLI::App*> commands_of(const CLI::App& root) { return root.get_subcommands({}); }

std::string join(const std::vector<std::string>& words, std::string_view separator = " ") {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : std::string(separator)) + word;
  return text;
}

// Whether words that belong to no option may be files all the same: zsh and fish know one value of an option, so that
// its others are such words.
bool words_are_files(const CLI::App& command) {
  const std::vector<DescribedOption> options = describe_options(command);
  return std::any_of(options.begin(), options.end(),
                     [](const DescribedOption& o) { return o.several_values && o.takes_file; }) &&
         std::none_of(options.begin(), options.end(), [](const DescribedOption& o) { return o.positional; });
}

// In single quotes: as fish reads them, and bash where the text has neither ' nor \, as names have not.
std::string in_single_quotes(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') out += '\\';
    out += c;
  }
  return out + "'";
}

// The cases of bash's `case "$command $option"`: what an option takes, after a blank or (its name ends with it) a `=`.
std::string bash_values(const CLI::App& command) {
  std::string text;
  for (const DescribedOption& option : describe_options(command)) {
    if (option.positional || option.value.empty()) continue;
    std::vector<std::string> patterns;
    for (const std::string& name : option.names) {
      if (!option.value_is_optional) patterns.push_back(fmt::format("\"{} {}\"", command.get_name(), name));
      if (name.starts_with("--")) patterns.push_back(fmt::format("\"{} {}=\"", command.get_name(), name));
    }
    const std::string values = !option.choices.empty() ? "_hccs_words " + in_single_quotes(join(option.choices))
                               : option.takes_file     ? "_hccs_files"
                                                       : ":";
    text += fmt::format("    {}) {}; return ;;\n", join(patterns, " | "), values);
  }
  return text;
}

std::string bash(const CLI::App& root) {
  std::vector<std::string> names;
  std::string values;
  std::string options;
  for (const CLI::App* command : commands_of(root)) {
    names.push_back(command->get_name());
    values += bash_values(*command);
    std::vector<std::string> words;
    std::vector<std::string> positional;
    for (const DescribedOption& option : describe_options(*command)) {
      std::vector<std::string>& to = option.positional ? positional : words;
      const std::vector<std::string>& from = option.positional ? option.choices : option.names;
      to.insert(to.end(), from.begin(), from.end());
    }
    options += fmt::format("    {}) options={} positional={} ;;\n", command->get_name(), in_single_quotes(join(words)),
                           in_single_quotes(join(positional)));
  }
  return fmt::format(
      R"(# bash completion of hccs, written by `hccs completion bash`.
# Readline itself completes the names of files, with their blanks and quotes, where nothing else is found.
_hccs_files() {{ compopt -o default 2>/dev/null; }}
_hccs_words() {{ COMPREPLY=($(compgen -W "$1" -- "$current")); }}
_hccs() {{
  local current="${{COMP_WORDS[COMP_CWORD]}}" option="${{COMP_WORDS[COMP_CWORD-1]}}" command="${{COMP_WORDS[1]}}"
  local options= positional=
  COMPREPLY=()
  compopt +o default 2>/dev/null
  if [ "$COMP_CWORD" -eq 1 ]; then
    _hccs_words {0}
    return
  fi
  if [ "$current" = = ]; then  # --option=VALUE is three words here
    current= option+==
  elif [ "$option" = = ]; then
    option="${{COMP_WORDS[COMP_CWORD-2]}}="
  fi
  case "$command $option" in
{1}  esac
  case "$command" in
{2}  esac
  if [ "${{current#-}}" != "$current" ]; then
    _hccs_words "$options"
  elif [ -n "$positional" ]; then
    _hccs_words "$positional"
  else
    _hccs_files
  fi
}}
complete -F _hccs hccs
)",
      in_single_quotes(join(names) + " --help --version"), values, options);
}

// A text inside [] or after : of zsh's _arguments, in single quotes.
std::string zsh_text(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '[' || c == ']' || c == ':' || c == '\\') out += '\\';
    out += c == '\'' ? "'\\''" : std::string(1, c);
  }
  return out;
}

std::string zsh_option(const DescribedOption& option) {
  const std::string action = !option.choices.empty() ? "(" + join(option.choices) + ")"
                             : option.takes_file     ? "_files"
                                                     : "";
  if (option.positional) return fmt::format("      '*:{}:{}'", zsh_text(option.description), action);
  std::vector<std::string> lines;
  for (const std::string& name : option.names) {
    std::string value;
    std::string separator;  // =: the value comes after a = or a blank; =-: after a = alone
    if (!option.value.empty()) {
      value = fmt::format("{}{}:{}", option.value_is_optional ? "::" : ":", zsh_text(name), action);
      if (name.starts_with("--")) separator = option.value_is_optional ? "=-" : "=";
    }
    lines.push_back(fmt::format("      '{}{}{}[{}]{}'", option.several_values ? "*" : "", name, separator,
                                zsh_text(option.description), value));
  }
  return join(lines, " \\\n");
}

std::string zsh(const CLI::App& root) {
  std::string text =
      "#compdef hccs\n# zsh completion of hccs, written by `hccs completion zsh`.\n_hccs() {\n  local -a commands\n"
      "  commands=(\n";
  for (const CLI::App* command : commands_of(root)) {
    text += fmt::format("    '{}:{}'\n", command->get_name(), zsh_text(command->get_description()));
  }
  text +=
      "  )\n  if (( CURRENT == 2 )); then\n    _describe command commands\n    _values option --help --version\n    "
      "return\n  fi\n  local command=$words[2]\n  shift words\n  (( CURRENT-- ))\n  case $command in\n";
  for (const CLI::App* command : commands_of(root)) {
    text += fmt::format("    {})\n      _arguments \\\n", command->get_name());
    std::vector<std::string> options;
    for (const DescribedOption& option : describe_options(*command)) options.push_back(zsh_option(option));
    if (words_are_files(*command)) options.emplace_back("      '*:file:_files'");
    text += join(options, " \\\n") + " ;;\n";
  }
  return text + "  esac\n}\n_hccs \"$@\"\n";
}

std::string fish(const CLI::App& root) {
  std::string text = "# fish completion of hccs, written by `hccs completion fish`.\ncomplete -c hccs -f\n";
  for (const CLI::App* command : commands_of(root)) {
    text += fmt::format("complete -c hccs -n __fish_use_subcommand -a {} -d {}\n", command->get_name(),
                        in_single_quotes(command->get_description()));
  }
  text += "complete -c hccs -n __fish_use_subcommand -l help -l version\n";
  for (const CLI::App* command : commands_of(root)) {
    const std::string condition =
        fmt::format("complete -c hccs -n '__fish_seen_subcommand_from {}'", command->get_name());
    for (const DescribedOption& option : describe_options(*command)) {
      std::string line = condition;
      for (const std::string& name : option.names) {
        if (!option.positional) line += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
      }
      if (!option.choices.empty()) {
        line += (option.positional ? " -a " : " -x -a ") + in_single_quotes(join(option.choices));
      } else if (option.positional) {
        line += " -F";
      } else if (!option.value.empty() && !option.value_is_optional) {
        line += option.takes_file ? " -r -F" : " -x";
      }
      text += line + " -d " + in_single_quotes(option.description) + "\n";
    }
    if (words_are_files(*command)) text += condition + " -F\n";
  }
  return text;
}

}  // namespace

Command add_completion(CLI::App& root) {
  auto shell = std::make_shared<std::string>();
  CLI::App* app = root.add_subcommand("completion", "Print a completion script for a shell");
  app->add_option("shell", *shell, "whose script")->check(CLI::IsMember({"bash", "zsh", "fish"}))->required();
  app->footer(
      "Example:\n  source <(hccs completion bash)\n  hccs completion zsh > \"${fpath[1]}/_hccs\"\n"
      "  hccs completion fish > ~/.config/fish/completions/hccs.fish");
  return {.app = app, .run = [&root, shell]() -> Status {
            write_result(*shell == "bash" ? bash(root) : *shell == "zsh" ? zsh(root) : fish(root));
            return {};
          }};
}

}  // namespace hccs::tool
