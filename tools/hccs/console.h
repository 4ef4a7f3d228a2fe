// SPDX-License-Identifier: Apache-2.0
//
// How the program speaks. Results go to stdout by print(), messages to stderr by message(), warning() and
// progress_report(); nothing else in the program writes to either. Neither throws or ends a run: a message that cannot
// be written is lost, a result that cannot be written makes the program fail at its end (finish_stdout).
#ifndef HCCS_TOOLS_CONSOLE_H_
#define HCCS_TOOLS_CONSOLE_H_

#include <fmt/core.h>

#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "hccs/progress.h"

namespace hccs::tool {

// To be called first: makes sure that files which the program opens do not become its stdin, stdout or stderr where
// those are closed, and that writing to a pipe without a reader is an error, not a signal.
void prepare_console();

// Writes the text to stderr, whatever that is: closed, full, or a terminal that went away. Control characters other
// than line feeds and tabs are shown as \xHH. Never throws.
void write_message(std::string_view text) noexcept;
// The same after "warning: ", and with a line feed behind it.
void write_warning(std::string_view text) noexcept;
// The same after `source` ("hccs embed: bad data:"): why the program fails.
void write_error(std::string_view source, std::string_view text) noexcept;

// A message, formatted; a line feed is not added.
template <class... T>
void message(fmt::format_string<T...> format, T&&... values) noexcept {
  try {
    write_message(fmt::format(format, std::forward<T>(values)...));
  } catch (...) {  // no memory for the text
    write_message("a message is lost: out of memory\n");
  }
}

// A warning, formatted: "warning: TEXT" and a line feed.
template <class... T>
void warning(fmt::format_string<T...> format, T&&... values) noexcept {
  try {
    write_warning(fmt::format(format, std::forward<T>(values)...));
  } catch (...) {
    write_warning("a message is lost: out of memory");
  }
}

// Appends the text to stdout. What cannot be written is remembered for finish_stdout().
void write_result(std::string_view text) noexcept;

// A result, formatted; a line feed is not added.
template <class... T>
void print(fmt::format_string<T...> format, T&&... values) {
  write_result(fmt::format(format, std::forward<T>(values)...));
}

// Flushes stdout; false, with a message, if a result could not be written (a full disk behind a redirection). Where the
// reader of a pipe has gone (`| head`), the program ends here by SIGPIPE, as others do.
bool finish_stdout();

// The first Ctrl-C (SIGINT), SIGTERM or SIGHUP asks the running step to stop, which leaves every earlier file whole; a
// second one ends the program. SIGHUP stays ignored where it is (nohup).
void catch_interrupts();
bool interrupted() noexcept;
// 128 and the signal's number, as shells say it: 130 after Ctrl-C. 0: not interrupted.
int interrupt_exit_code() noexcept;
// As signals were before prepare_console() and catch_interrupts(): for a program that takes the place of this one.
void restore_signals() noexcept;

// A progress report on stderr: a line that redraws itself on a terminal and fits it, else a plain line each quarter. It
// stops the step when interrupted.
Progress progress_report(const std::string& label, const std::string& unit);

// One line of stderr that is drawn again and again, if that is a terminal.
class StatusLine {
 public:
  StatusLine();
  ~StatusLine();  // ends the line, as a message may follow
  StatusLine(const StatusLine&) = delete;
  StatusLine& operator=(const StatusLine&) = delete;

  bool terminal() const noexcept { return terminal_; }
  // On a terminal. `text_for` makes the line, for the columns that it may have.
  void draw(const std::function<std::string(int columns)>& text_for) noexcept;
  void end_line() noexcept;

 private:
  bool terminal_;
  bool open_ = false;
};

}  // namespace hccs::tool

#endif  // HCCS_TOOLS_CONSOLE_H_
