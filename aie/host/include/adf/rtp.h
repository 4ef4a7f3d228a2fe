// SPDX-License-Identifier: Apache-2.0
//
// Run-time parameters (UG1603 "Specifying Runtime Data Parameters", "Runtime Parameter Support Summary"): inputs are
// synchronous unless async() says otherwise, outputs asynchronous unless sync() does.
//
//   synchronous input    a call takes one value; an update waits while the values given are not taken
//   asynchronous input   a call sees the last value given; none begins before the first
//   asynchronous output  read() gives the value after the last call
//   synchronous output   read() gives the value of the next call, in order; a call waits while values are not read
#ifndef ADF_RTP_H_
#define ADF_RTP_H_

#include <cstddef>
#include <cstring>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "adf/port_end.h"
#include "adf/ports.h"

namespace adf::host {

using ParameterValue = std::vector<std::byte>;

// A parameter's storage is the kernel argument's own.
class ParameterIn : public PortEnd {
 public:
  ParameterIn(const Port& port, void* storage, size_t bytes)
      : PortEnd(port.name(), port.describe()),
        storage_(storage),
        bytes_(bytes),
        sticky_(port.asynchronous),
        capacity_(port.single_buffer ? 1 : 2) {}

  void set_driven_by_kernel() { from_program_ = false; }
  bool sticky() const { return sticky_; }
  bool takes() const { return sticky_ || values_.size() < capacity_; }
  void give(ParameterValue value) {
    if (sticky_) values_.clear();
    values_.push_back(std::move(value));
  }

  bool ready() const override { return !values_.empty(); }
  bool waits_for_program() const override { return from_program_; }
  std::string waits_for() const override {
    return name() + " (a " + (sticky_ ? "first value of an asynchronous" : "new value of a synchronous") +
           " run-time parameter, from " + (from_program_ ? "graph.update" : "another kernel") + ")";
  }
  void begin_call() override { std::memcpy(storage_, values_.front().data(), bytes_); }
  void end_call() override {
    if (!sticky_) values_.pop_front();
  }

 private:
  void* storage_;
  size_t bytes_;
  bool sticky_;
  size_t capacity_;
  bool from_program_ = true;
  std::deque<ParameterValue> values_;
};

class ParameterInout : public PortEnd {
 public:
  ParameterInout(const Port& port, void* storage, size_t bytes)
      : PortEnd(port.name(), port.describe()),
        storage_(static_cast<std::byte*>(storage)),
        bytes_(bytes),
        queued_(port.synchronous),
        capacity_(port.single_buffer ? 1 : 2) {}

  void add_consumer(ParameterIn* consumer) { consumers_.push_back(consumer); }

  bool ready() const override { return (!queued_ || values_.size() < capacity_) && consumers_take(); }
  bool waits_for_program() const override { return queued_ && values_.size() >= capacity_; }
  std::string waits_for() const override {
    return name() + (waits_for_program() ? " (a synchronous run-time parameter whose values graph.read did not take)"
                                         : " (a run-time parameter whose values the other kernel did not take)");
  }
  void end_call() override {
    latest_.assign(storage_, storage_ + bytes_);
    if (queued_) values_.push_back(latest_);
    for (ParameterIn* consumer : consumers_) consumer->give(latest_);
  }

  bool readable() const { return queued_ ? !values_.empty() : !latest_.empty(); }
  // Requires readable().
  ParameterValue read() {
    if (!queued_) return latest_;
    ParameterValue value = std::move(values_.front());
    values_.pop_front();
    return value;
  }
  void write(const ParameterValue& value) { std::memcpy(storage_, value.data(), bytes_); }

 private:
  bool consumers_take() const {
    return std::all_of(consumers_.begin(), consumers_.end(), [](const ParameterIn* c) { return c->takes(); });
  }

  std::byte* storage_;
  size_t bytes_;
  bool queued_;
  size_t capacity_;
  std::vector<ParameterIn*> consumers_;
  ParameterValue latest_;
  std::deque<ParameterValue> values_;
};

}  // namespace adf::host

#endif  // ADF_RTP_H_
