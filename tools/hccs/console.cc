// SPDX-License-Identifier: Apache-2.0
#include "console.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <memory>

#include "terminal.h"

namespace hccs::tool {
namespace {

volatile std::sig_atomic_t g_signal = 0;
bool g_pipe_signal_ignored = false;  // when the program began
int g_stdout_error = 0;              // of the first result that could not be written

constexpr int kSignalExitCode = 128;

void on_signal(int signal) {
  if (g_signal != 0) _exit(kSignalExitCode + signal);
  g_signal = signal;
}

// Writes the bytes as they are. What stderr does not take is lost.
void write_to_stderr(std::string_view bytes) noexcept {
  while (!bytes.empty()) {
    const ssize_t written = ::write(STDERR_FILENO, bytes.data(), bytes.size());
    if (written > 0) {
      bytes.remove_prefix(static_cast<size_t>(written));
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return;
    // A reader that asked for no waiting gets a second to make room.
    constexpr int kMilliseconds = 1000;
    pollfd wait{.fd = STDERR_FILENO, .events = POLLOUT, .revents = 0};
    if (::poll(&wait, 1, kMilliseconds) <= 0) return;
  }
}

void write_labelled(std::string_view label, std::string_view text) noexcept {
  try {
    write_to_stderr(fmt::format("{} {}\n", label, printable(text)));
  } catch (...) {  // no memory for the copy
    write_to_stderr(text);
    write_to_stderr("\n");
  }
}

using Clock = std::chrono::steady_clock;

class Report {
 public:
  Report(std::string label, std::string unit) : label_(std::move(label)), unit_(std::move(unit)) {}

  void update(int64_t done, int64_t total) {
    const double seconds = std::chrono::duration<double>(Clock::now() - start_).count();
    if (!line_.terminal()) {
      const int64_t quarter = total > 0 ? 4 * done / total : 4;
      if (quarter <= last_quarter_) return;
      last_quarter_ = quarter;
      message("{}: {}/{} {}, {:.1f} s\n", label_, done, total, unit_, seconds);
      return;
    }
    if (done < total && seconds - last_drawn_ < 0.1) return;
    last_drawn_ = seconds;
    line_.draw([&](int columns) {
      const double left = done > 0 ? seconds * static_cast<double>(total - done) / static_cast<double>(done) : 0;
      return fit({.label = label_,
                  .counts = fmt::format("{}/{} {}", done, total, unit_),
                  .details = fmt::format(", {:.0f} s{}", seconds,
                                         done < total ? fmt::format(", {:.0f} s left", left) : std::string()),
                  .done = total > 0 ? static_cast<double>(done) / static_cast<double>(total) : 1},
                 columns, STDERR_FILENO);
    });
    if (done >= total) line_.end_line();
  }

 private:
  std::string label_;
  std::string unit_;
  StatusLine line_;
  Clock::time_point start_ = Clock::now();
  double last_drawn_ = -1;
  int64_t last_quarter_ = 0;
};

}  // namespace

void prepare_console() {
  // A closed stdout is opened for reading, so that a result which is written to it is an error.
  for (const auto& [descriptor, flags] :
       {std::pair(STDIN_FILENO, O_WRONLY), {STDOUT_FILENO, O_RDONLY}, {STDERR_FILENO, O_WRONLY}}) {
    if (::fcntl(descriptor, F_GETFD) == -1 && errno == EBADF) (void)::open("/dev/null", flags);
  }
  g_pipe_signal_ignored = std::signal(SIGPIPE, SIG_IGN) == SIG_IGN;
}

void write_message(std::string_view text) noexcept {
  try {
    write_to_stderr(printable(text));
  } catch (...) {  // no memory for the copy
    write_to_stderr(text);
  }
}

void write_warning(std::string_view text) noexcept {
  write_labelled(coloured("warning:", Colour::kYellow, STDERR_FILENO), text);
}

void write_error(std::string_view source, std::string_view text) noexcept {
  write_labelled(coloured(source, Colour::kRed, STDERR_FILENO), text);
}

void write_result(std::string_view text) noexcept {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() && g_stdout_error == 0) g_stdout_error = errno;
}

bool finish_stdout() {
  if (std::fflush(stdout) != 0 && g_stdout_error == 0) g_stdout_error = errno;
  if (g_stdout_error == 0) return true;
  if (g_stdout_error == EPIPE && !g_pipe_signal_ignored) {
    std::signal(SIGPIPE, SIG_DFL);
    std::raise(SIGPIPE);
  }
  message("hccs: cannot write to standard output: {}\n", std::strerror(g_stdout_error));
  return false;
}

void catch_interrupts() {
  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);
  if (std::signal(SIGHUP, SIG_IGN) != SIG_IGN) std::signal(SIGHUP, on_signal);
}

bool interrupted() noexcept { return g_signal != 0; }

int interrupt_exit_code() noexcept { return g_signal == 0 ? 0 : kSignalExitCode + g_signal; }

void restore_signals() noexcept {
  if (!g_pipe_signal_ignored) std::signal(SIGPIPE, SIG_DFL);
}

Progress progress_report(const std::string& label, const std::string& unit) {
  return [report = std::make_shared<Report>(label, unit)](int64_t done, int64_t total) {
    report->update(done, total);
    return !interrupted();
  };
}

StatusLine::StatusLine() : terminal_(is_terminal(STDERR_FILENO)) {}

StatusLine::~StatusLine() { end_line(); }

void StatusLine::draw(const std::function<std::string(int columns)>& text_for) noexcept {
  try {
    // Terminals wrap a line that fills the last column.
    const int columns = terminal_columns(STDERR_FILENO) - 1;
    write_to_stderr("\r\x1b[K" + text_for(columns));
    open_ = true;
  } catch (...) {
    open_ = false;  // no memory for a line that the next one replaces
  }
}

void StatusLine::end_line() noexcept {
  if (open_) write_to_stderr("\n");
  open_ = false;
}

}  // namespace hccs::tool
