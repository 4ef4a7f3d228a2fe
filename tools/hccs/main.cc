// SPDX-License-Identifier: Apache-2.0
//
// hccs: calibrate, evaluate, embed, classify, inspect, report, softmax, logits, export, cycles, train. Exit code 0, 1
// for a failed run, 2 for wrong usage, 130 after Ctrl-C.
#include <exception>
#include <vector>

#include "command.h"
#include "console.h"
#include "described_option.h"
#include "program.h"
#include "train.h"
#include "version_text.h"

int main(int argc, char** argv) try {
  using namespace hccs::tool;  // NOLINT(google-build-using-namespace)
  prepare_console();
  CLI::App root("Head-Calibrated Clipped-Linear Softmax: integer softmax for int8 transformers (arXiv 2604.02292).");
  root.name("hccs");
  root.formatter(help_formatter());
  root.set_version_flag("--version", version_text, "print version, commit, instruction sets and parts, and exit");
  root.require_subcommand(1);
  const std::vector<Command> commands = {add_calibrate(root),   add_evaluate(root), add_embed(root),
                                         add_classify(root),    add_inspect(root),  add_report(root),
                                         add_softmax(root),     add_logits(root),   add_export(root),
                                         add_train(root, argv), add_quantise(root),
#ifdef HCCS_TOOL_CYCLES
                                         add_cycles(root),
#endif
                                         add_completion(root),  add_man(root)};
  return run_program(root, commands, argc, argv);
} catch (const std::exception& e) {
  hccs::tool::write_error("hccs:", e.what());
  return 1;
}
