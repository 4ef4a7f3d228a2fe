// SPDX-License-Identifier: Apache-2.0
//
// What moves through a running graph: 32-bit words, as on the stream switches, from the end of one port to the ends
// of others. DMAs, PLIOs and memory tiles are ends that move words by themselves whenever they can.
#ifndef ADF_PORT_END_H_
#define ADF_PORT_END_H_

#include <algorithm>
#include <cstdint>
#include <deque>
#include <string>
#include <utility>
#include <vector>

namespace adf::host {

enum class Tlast : uint8_t { kNone, kSet };

struct Word {
  uint32_t bits = 0;
  Tlast last = Tlast::kNone;
};

// Words that a route holds besides what fifo_depth() adds: less than any route on a device has, so that a graph which
// runs here does not depend on the length of its routes.
inline constexpr size_t kRouteWords = 4;

class PortEnd;

// The words that wait at the end of a route.
struct Fifo {
  std::deque<Word> words;
  size_t capacity = kRouteWords;
  PortEnd* sink = nullptr;
  PortEnd* source = nullptr;

  inline bool full();
};

// One port while its graph runs.
class PortEnd {
 public:
  explicit PortEnd(const std::string& name) : PortEnd(name, name) {}
  // `name` within its node; `description` for messages about other nodes.
  PortEnd(std::string name, std::string description) : name_(std::move(name)), description_(std::move(description)) {}
  PortEnd(const PortEnd&) = delete;
  PortEnd& operator=(const PortEnd&) = delete;
  virtual ~PortEnd() = default;

  // Kernel ports: may a call begin; what happens around it.
  virtual bool ready() const { return true; }
  virtual void begin_call() {}
  virtual void end_call() {}
  // Why ready() is false.
  virtual std::string waits_for() const { return name_; }
  // Only the controlling program can make ready() true.
  virtual bool waits_for_program() const { return false; }

  // Moves what can be moved without a kernel. True if something was.
  virtual bool pump() { return false; }
  // Sources: what a message about missing data says of it.
  virtual std::string describe_source() const { return description_; }
  // Sources: has given all that it will ever give.
  virtual bool exhausted() const { return false; }

  Fifo& fifo() { return fifo_; }
  const std::string& name() const { return name_; }

  void add_sink(PortEnd& sink) {
    sink.fifo_.sink = &sink;
    sink.fifo_.source = this;
    sinks_.push_back(&sink);
  }
  const std::vector<PortEnd*>& sinks() const { return sinks_; }
  bool room() const {
    return std::none_of(sinks_.begin(), sinks_.end(), [](PortEnd* sink) { return sink->fifo_.full(); });
  }
  void push(Word word) {
    for (PortEnd* sink : sinks_) sink->fifo_.words.push_back(word);
  }

 protected:
  std::string from_source() const {
    return fifo_.source == nullptr ? std::string() : "; they come from " + fifo_.source->describe_source();
  }

 private:
  std::string name_;
  std::string description_;
  Fifo fifo_;
  std::vector<PortEnd*> sinks_;
};

bool Fifo::full() {
  if (words.size() >= capacity) sink->pump();
  return words.size() >= capacity;
}

}  // namespace adf::host

#endif  // ADF_PORT_END_H_
