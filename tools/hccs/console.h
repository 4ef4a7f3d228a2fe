// SPDX-License-Identifier: Apache-2.0
#ifndef HCCS_TOOLS_CONSOLE_H_
#define HCCS_TOOLS_CONSOLE_H_

#include <string>

#include "hccs/progress.h"

namespace hccs::tool {

// The first Ctrl-C (or SIGTERM) asks the running step to stop, which leaves every earlier file whole; a second one ends
// the program.
void catch_interrupts();
bool interrupted() noexcept;

// Flushes stdout; false, with a message, if what was printed could not be written (a full disk behind a redirection).
bool finish_stdout();

// A progress report on stderr: a bar that redraws itself on a terminal, else a plain line each quarter. It stops the
// step when interrupted.
Progress progress_report(const std::string& label, const std::string& unit);

}  // namespace hccs::tool

#endif  // HCCS_TOOLS_CONSOLE_H_
