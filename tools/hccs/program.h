// SPDX-License-Identifier: Apache-2.0
#ifndef HCCS_TOOLS_PROGRAM_H_
#define HCCS_TOOLS_PROGRAM_H_

#include <span>

#include "command.h"

namespace hccs::tool {

// Parses the arguments and runs the command that they name. Returns the program's exit code: 0; 1 for a failed run; 2
// for wrong usage; 128 and the signal's number for an interrupted run (130 after Ctrl-C).
int run_program(CLI::App& root, std::span<const Command> commands, int argc, char** argv);

}  // namespace hccs::tool

#endif  // HCCS_TOOLS_PROGRAM_H_
