// SPDX-License-Identifier: Apache-2.0
#include "program.h"

#include <algorithm>
#include <string>
#include <vector>

#include "console.h"
#include "json_option.h"
#include "suggest.h"

namespace hccs::tool {
namespace {

constexpr int kFailed = 1;
constexpr int kWrongUsage = 2;

std::string full_name(const CLI::App& app) {
  return app.get_parent() == nullptr ? app.get_name() : app.get_parent()->get_name() + " " + app.get_name();
}

int wrong_usage(const CLI::App& app, const std::string& text) {
  write_error("hccs:", text + "\nTry: " + full_name(app) + " --help");
  return kWrongUsage;
}

std::vector<std::string> option_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

// What is wrong with an argument that `app` has no place for.
std::string unknown_argument(const CLI::App& app, const std::string& argument, std::span<const Command> commands) {
  const bool is_root = app.get_parent() == nullptr;
  if (argument.size() < 2 || argument.front() != '-') {
    if (!is_root) return "unexpected argument '" + argument + "'";
    std::vector<std::string> names;
    for (const Command& command : commands) names.push_back(command.app->get_name());
    return "unknown command '" + argument + "'" + did_you_mean(argument, names);
  }
  const std::string name = argument.substr(0, argument.find('='));
  const std::string text = "unknown option " + name + (is_root ? "" : " of " + full_name(app));
  if (const std::string suggestion = did_you_mean(name, option_names(app)); !suggestion.empty())
    return text + suggestion;
  std::string others;
  for (const Command& command : commands) {
    const auto names = option_names(*command.app);
    if (std::find(names.begin(), names.end(), name) == names.end()) continue;
    others += (others.empty() ? "; it is one of " : ", ") + full_name(*command.app);
  }
  return text + others;
}

// An argument that was not understood explains an error better than what else is missing because of it.
std::string usage_message(const CLI::App& app, const CLI::ParseError& error, std::span<const Command> commands) {
  const std::vector<std::string> unknown = app.remaining(false);
  const auto option = std::find_if(unknown.begin(), unknown.end(),
                                   [](const std::string& a) { return a.size() > 1 && a.front() == '-'; });
  if (option != unknown.end()) return unknown_argument(app, *option, commands);
  if (!unknown.empty() && dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr) {
    return unknown_argument(app, unknown.front(), commands);
  }
  return error.what();
}

const Command* find_command(std::span<const Command> commands, const std::string& name) {
  const auto found =
      std::find_if(commands.begin(), commands.end(), [&](const Command& c) { return c.app->get_name() == name; });
  return found == commands.end() ? nullptr : &*found;
}

bool takes_positionals(const Command& command) {
  const auto options = command.app->get_options();
  return std::any_of(options.begin(), options.end(), [](const CLI::Option* o) { return o->get_positional(); });
}

int run_command(const Command& command) {
  catch_interrupts();
  const Status status = command.run();
  if (!status.ok()) {
    write_error(full_name(*command.app) + ": " + std::string(name(status.code())) + ":", status.message());
    return interrupted() && status.code() == StatusCode::kCancelled ? interrupt_exit_code() : kFailed;
  }
  if (!finish_stdout()) return kFailed;
  return interrupt_exit_code();
}

}  // namespace

int run_program(CLI::App& root, std::span<const Command> commands, int argc, char** argv) {
  std::vector<std::string> arguments(argv + 1, argv + argc);
  if (!arguments.empty() && !arguments.front().starts_with("-")) {
    // CLI11 would look for a command among the arguments of an unknown one.
    const Command* named = find_command(commands, arguments.front());
    if (named == nullptr) return wrong_usage(root, unknown_argument(root, arguments.front(), commands));
    complete_json_arguments(arguments, takes_positionals(*named));
  }
  const auto parsed = [&]() -> const Command* {
    for (const Command& command : commands) {
      if (command.app->parsed()) return &command;
    }
    return nullptr;
  };
  try {
    std::reverse(arguments.begin(), arguments.end());  // as CLI11 takes them
    root.parse(std::move(arguments));
  } catch (const CLI::CallForHelp&) {
    write_result(root.help());
    return finish_stdout() ? 0 : kFailed;
  } catch (const CLI::CallForVersion& version) {
    write_result(std::string(version.what()) + "\n");
    return finish_stdout() ? 0 : kFailed;
  } catch (const CLI::ParseError& error) {
    const Command* command = parsed();
    // What stands before the command's name is the root's.
    const CLI::App& app = command == nullptr || !root.remaining(false).empty() ? root : *command->app;
    return wrong_usage(app, usage_message(app, error, commands));
  }
  const Command& command = *parsed();
  if (const std::string text = command.usage_error(); !text.empty()) return wrong_usage(*command.app, text);
  return run_command(command);
}

}  // namespace hccs::tool
