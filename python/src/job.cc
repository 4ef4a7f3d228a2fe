// SPDX-License-Identifier: Apache-2.0
#include "job.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>

namespace hccs::python {

namespace nb = nanobind;

namespace {

class Job {
 public:
  explicit Job(const std::function<void(const Progress&)>& work) : thread_([this, &work] { run(work); }) {}
  ~Job() {
    const nb::gil_scoped_release release;
    thread_.join();
  }
  Job(const Job&) = delete;
  Job& operator=(const Job&) = delete;

  struct Seen {
    int64_t done = 0;
    int64_t total = 0;
    bool finished = false;
  };

  // Waits for the end of the work, for a twentieth of a second at most.
  Seen wait() {
    const nb::gil_scoped_release release;
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::milliseconds(50), [&] { return seen_.finished; });
    return seen_;
  }

  void stop() { stopped_ = true; }

  // After the end: what the work threw.
  std::exception_ptr failure() const { return failure_; }

 private:
  void run(const std::function<void(const Progress&)>& work) {
    try {
      work([this](int64_t done, int64_t total) {
        const std::lock_guard lock(mutex_);
        seen_.done = done;
        seen_.total = total;
        return !stopped_;
      });
    } catch (...) {
      failure_ = std::current_exception();
    }
    const std::lock_guard lock(mutex_);
    seen_.finished = true;
    changed_.notify_one();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  Seen seen_;
  std::exception_ptr failure_;
  std::atomic<bool> stopped_ = false;
  std::thread thread_;  // last: it uses the others
};

}  // namespace

void run_job(nb::handle progress, const std::function<void(const Progress&)>& work) {
  std::exception_ptr raised;
  {
    Job job(work);
    int64_t told = -1;
    bool stopped = false;
    for (bool finished = false; !finished;) {
      const Job::Seen seen = job.wait();
      finished = seen.finished;
      if (stopped) continue;
      try {
        if (PyErr_CheckSignals() != 0) throw nb::python_error();
        if (!progress.is_none() && seen.total > 0 && seen.done != told) {
          told = seen.done;
          stopped = progress(seen.done, seen.total).is(nb::handle(Py_False));
        }
      } catch (...) {
        raised = std::current_exception();
        stopped = true;
      }
      if (stopped) job.stop();
    }
    if (!raised) raised = job.failure();
  }
  if (raised) std::rethrow_exception(raised);
}

}  // namespace hccs::python
