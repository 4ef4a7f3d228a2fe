// SPDX-License-Identifier: Apache-2.0
//
// hccs: calibrate, evaluate, embed, inspect, report, softmax, export, cycles, train. Exit code 0, 1 for a failed run, 2
// for wrong usage.
#include <fmt/core.h>

#include <exception>
#include <vector>

#include "command.h"
#include "console.h"
#include "hccs/version.h"

namespace hccs::tool {
namespace {

constexpr int kFailed = 1;
constexpr int kWrongUsage = 2;

int wrong_usage(const CLI::App& app, const std::string& message) {
  fmt::print(stderr, "hccs: {}\nTry: {} --help\n", message,
             app.get_parent() == nullptr ? "hccs" : "hccs " + app.get_name());
  return kWrongUsage;
}

int run(int argc, char** argv) {
  CLI::App root("Head-Calibrated Clipped-Linear Softmax: integer softmax for int8 transformers (arXiv 2604.02292).");
  root.name("hccs");
  root.set_version_flag("--version", std::string("hccs ") + kVersion);
  root.require_subcommand(1);
  const std::vector<Command> commands = {
      add_calibrate(root), add_evaluate(root), add_embed(root),  add_inspect(root), add_report(root),
      add_softmax(root),   add_logits(root),   add_export(root), add_train(root),
#ifdef HCCS_TOOL_CYCLES
      add_cycles(root),
#endif
  };
  const auto parsed = [&]() -> const Command* {
    for (const Command& command : commands) {
      if (command.app->parsed()) return &command;
    }
    return nullptr;
  };
  try {
    root.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) return root.exit(e);  // --help, --version
    const Command* command = parsed();
    return wrong_usage(command == nullptr ? root : *command->app, e.what());
  }
  const Command& command = *parsed();
  if (const std::string message = command.usage_error(); !message.empty()) return wrong_usage(*command.app, message);

  catch_interrupts();
  const Status status = command.run();
  if (!status.ok()) {
    fmt::print(stderr, "hccs {}: {}: {}\n", command.app->get_name(), name(status.code()), status.message());
    return kFailed;
  }
  return finish_stdout() ? 0 : kFailed;
}

}  // namespace
}  // namespace hccs::tool

int main(int argc, char** argv) {
  try {
    return hccs::tool::run(argc, argv);
  } catch (const std::exception& e) {
    fmt::print(stderr, "hccs: {}\n", e.what());
    return hccs::tool::kFailed;
  }
}
