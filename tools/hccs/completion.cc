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

// In single quotes, for bash, zsh and fish alike where the text has neither ' nor \.
std::string quoted(std::string text) {
  std::erase_if(text, [](char c) { return c == '\'' || c == '\\'; });
  return "'" + text + "'";
}

// The cases of bash's `case "$command $previous"`: what an option takes.
std::string bash_values(const CLI::App& command) {
  std::string text;
  for (const DescribedOption& option : describe_options(command)) {
    if (option.positional || option.value.empty() || option.value_is_optional) continue;
    std::vector<std::string> patterns;
    for (const std::string& name : option.names) patterns.push_back(fmt::format("\"{} {}\"", command.get_name(), name));
    const std::string values = !option.choices.empty()
                                   ? "COMPREPLY=($(compgen -W " + quoted(join(option.choices)) + " -- \"$current\"))"
                               : option.takes_file ? "COMPREPLY=($(compgen -f -- \"$current\"))"
                                                   : "COMPREPLY=()";
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
    options += fmt::format("    {}) options={} positional={} ;;\n", command->get_name(), quoted(join(words)),
                           quoted(join(positional)));
  }
  return fmt::format(
      R"(# bash completion of hccs, written by `hccs completion bash`.
_hccs() {{
  local current="${{COMP_WORDS[COMP_CWORD]}}" previous="${{COMP_WORDS[COMP_CWORD-1]}}" command="${{COMP_WORDS[1]}}"
  local options= positional= word i
  compopt -o filenames 2>/dev/null
  if [ "$COMP_CWORD" -eq 1 ]; then
    compopt +o filenames 2>/dev/null
    COMPREPLY=($(compgen -W {0} -- "$current"))
    return
  fi
  case "$command $previous" in
{1}  esac
  case "$command" in
{2}  esac
  if [ "${{current#-}}" != "$current" ]; then
    compopt +o filenames 2>/dev/null
    COMPREPLY=($(compgen -W "$options" -- "$current"))
  elif [ -n "$positional" ]; then
    COMPREPLY=($(compgen -W "$positional" -- "$current"))
  else
    COMPREPLY=($(compgen -f -- "$current"))
  fi
}}
complete -F _hccs hccs
)",
      quoted(join(names) + " --help --version"), values, options);
}

// A text inside [] or after : of zsh's _arguments.
std::string zsh_text(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\'' || c == '\\' || c == '`' || c == '"' || c == '$') continue;
    if (c == '[' || c == ']' || c == ':') out += '\\';
    out += c;
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
    if (!option.value.empty()) value = fmt::format(":{}:{}", zsh_text(name), action);
    if (option.value_is_optional) value = fmt::format("::{}:{}", zsh_text(name), action);
    lines.push_back(fmt::format("      '{}{}{}[{}]{}'", option.several_values ? "*" : "", name,
                                option.value_is_optional ? "=-" : "", zsh_text(option.description), value));
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
    text += join(options, " \\\n") + " ;;\n";
  }
  return text + "  esac\n}\n_hccs \"$@\"\n";
}

std::string fish(const CLI::App& root) {
  std::string text = "# fish completion of hccs, written by `hccs completion fish`.\ncomplete -c hccs -f\n";
  for (const CLI::App* command : commands_of(root)) {
    text += fmt::format("complete -c hccs -n __fish_use_subcommand -a {} -d {}\n", command->get_name(),
                        quoted(command->get_description()));
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
        line += (option.positional ? " -a " : " -x -a ") + quoted(join(option.choices));
      } else if (option.positional) {
        line += " -F";
      } else if (!option.value.empty() && !option.value_is_optional) {
        line += option.takes_file ? " -r -F" : " -x";
      }
      text += line + " -d " + quoted(option.description) + "\n";
    }
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
