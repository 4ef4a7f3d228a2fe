// SPDX-License-Identifier: Apache-2.0
#ifndef HCCS_TOOLS_TRAIN_H_
#define HCCS_TOOLS_TRAIN_H_

#include <filesystem>

#include "command.h"

namespace hccs::tool {

// The command that starts hccs-train with the arguments `argv` of this program, null at their end.
Command add_train(CLI::App& root, char** argv);

// The program hccs-train; empty if there is none.
std::filesystem::path train_program();

}  // namespace hccs::tool

#endif  // HCCS_TOOLS_TRAIN_H_
