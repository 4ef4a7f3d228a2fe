// SPDX-License-Identifier: Apache-2.0
#include "console.h"

#include <fmt/core.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <memory>

namespace hccs::tool {
namespace {

volatile std::sig_atomic_t g_interrupted = 0;

void on_signal(int signal) {
  g_interrupted = 1;
  std::signal(signal, SIG_DFL);
}

using Clock = std::chrono::steady_clock;

class Report {
 public:
  Report(std::string label, std::string unit) : label_(std::move(label)), unit_(std::move(unit)) {}

  ~Report() {
    if (open_line_) std::fputc('\n', stderr);  // a message may follow
  }
  Report(const Report&) = delete;
  Report& operator=(const Report&) = delete;

  void update(int64_t done, int64_t total) {
    const double seconds = std::chrono::duration<double>(Clock::now() - start_).count();
    if (terminal_) {
      if (done < total && seconds - last_drawn_ < 0.1) return;
      last_drawn_ = seconds;
      open_line_ = done < total;
      constexpr int kWidth = 30;
      const int filled = total > 0 ? static_cast<int>(kWidth * done / total) : kWidth;
      const double left = done > 0 ? seconds * static_cast<double>(total - done) / static_cast<double>(done) : 0;
      fmt::print(stderr, "\r\x1b[K{:<26} [{}{}] {}/{} {}, {:.0f} s{}", label_, std::string(filled, '#'),
                 std::string(kWidth - filled, '.'), done, total, unit_, seconds,
                 done < total ? fmt::format(", {:.0f} s left", left) : "\n");
    } else {
      const int64_t quarter = total > 0 ? 4 * done / total : 4;
      if (quarter <= last_quarter_) return;
      last_quarter_ = quarter;
      fmt::print(stderr, "{}: {}/{} {}, {:.1f} s\n", label_, done, total, unit_, seconds);
    }
    std::fflush(stderr);
  }

 private:
  std::string label_;
  std::string unit_;
  bool terminal_ = isatty(STDERR_FILENO) == 1;
  Clock::time_point start_ = Clock::now();
  double last_drawn_ = -1;
  bool open_line_ = false;  // the bar is drawn and unfinished
  int64_t last_quarter_ = 0;
};

}  // namespace

void catch_interrupts() {
  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);
}

bool interrupted() noexcept { return g_interrupted != 0; }

bool finish_stdout() {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return true;
  fmt::print(stderr, "hccs: cannot write to standard output: {}\n", std::strerror(errno));
  return false;
}

Progress progress_report(const std::string& label, const std::string& unit) {
  return [report = std::make_shared<Report>(label, unit)](int64_t done, int64_t total) {
    report->update(done, total);
    return !interrupted();
  };
}

}  // namespace hccs::tool
