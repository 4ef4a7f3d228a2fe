// SPDX-License-Identifier: Apache-2.0
//
// A kernel's thread of control. Of all tasks and the thread that runs the graph exactly one executes at a time: the
// baton goes to a task with resume() and comes back when the task ends its step or waits. The order is therefore the
// scheduler's alone, the same in every run.
#ifndef ADF_TASK_H_
#define ADF_TASK_H_

#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include "adf/types.h"
#include "aie_host/observe.h"

namespace adf::host {

class Task {
 public:
  // `can_wait`: the step may call wait(), so it needs a thread; others run on the caller's.
  Task(std::function<void()> step, bool can_wait) : step_(std::move(step)) {
    if (can_wait) thread_ = std::thread([this] { loop(); });
  }
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;
  ~Task() { cancel(); }

  // Runs the task until its step is over or it waits. Rethrows what the step threw.
  void resume() {
    if (!thread_.joinable()) {
      step_();
      return;
    }
    observer_ = aie_host::detail::observer;
    last_value_id_ = aie_host::detail::last_value_id;
    {
      const std::lock_guard lock(mutex_);
      running_ = true;
    }
    changed_.notify_one();  // only the other side can be waiting
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !running_; });
    aie_host::detail::last_value_id = last_value_id_;
    if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
  }

  bool waiting() const { return waiting_; }
  bool can_continue() const { return condition_(); }
  std::string waits_for() const { return reason_(); }

  // Ends a waiting task by an exception at the place where it waits.
  void cancel() {
    if (!thread_.joinable()) return;
    {
      const std::lock_guard lock(mutex_);
      cancelled_ = true;
      changed_.notify_all();
    }
    thread_.join();
  }

  // Inside a step: returns once `condition` holds. `reason` completes "waits for ...".
  static void wait(std::function<bool()> condition, std::function<std::string()> reason) {
    if (condition()) return;
    Task* task = current();
    if (task == nullptr) fail("outside a graph, nothing can come to " + reason());
    task->condition_ = std::move(condition);
    task->reason_ = std::move(reason);
    task->waiting_ = true;
    task->yield();
    task->waiting_ = false;
  }

 private:
  struct Cancelled {};

  static Task*& current() {
    static thread_local Task* task = nullptr;
    return task;
  }

  void loop() {
    current() = this;
    if (!await_baton()) return;
    for (;;) {
      try {
        step_();
      } catch (const Cancelled&) {
        return;
      } catch (...) {
        error_ = std::current_exception();
      }
      if (!hand_back()) return;
    }
  }

  void yield() {
    if (!hand_back()) throw Cancelled{};
  }

  // False if the task was cancelled.
  bool await_baton() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return running_ || cancelled_; });
    aie_host::detail::observer = observer_;
    aie_host::detail::last_value_id = last_value_id_;
    return !cancelled_;
  }

  bool hand_back() {
    {
      const std::lock_guard lock(mutex_);
      last_value_id_ = aie_host::detail::last_value_id;
      running_ = false;
    }
    changed_.notify_one();
    return await_baton();
  }

  std::function<void()> step_;
  std::function<bool()> condition_;
  std::function<std::string()> reason_;
  bool waiting_ = false;
  std::exception_ptr error_;
  aie_host::Observer* observer_ = nullptr;
  aie_host::ValueId last_value_id_ = 0;

  std::mutex mutex_;
  std::condition_variable changed_;
  bool running_ = false;
  bool cancelled_ = false;
  std::thread thread_;
};

}  // namespace adf::host

#endif  // ADF_TASK_H_
