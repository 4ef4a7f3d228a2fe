// SPDX-License-Identifier: Apache-2.0
//
// Streams and cascades (UG1603 "Stream-Based Access"): the ports, and the operations on scalars. Those on vectors and
// accumulators are in aie_api/aie_adf.hpp.
#ifndef ADF_STREAMS_H_
#define ADF_STREAMS_H_

#include <cstdint>
#include <cstring>
#include <deque>
#include <memory>
#include <string>
#include <type_traits>
#include <typeinfo>

#include "adf/port_end.h"
#include "adf/ports.h"
#include "adf/task.h"

namespace adf::host {

class StreamIn : public PortEnd {
 public:
  explicit StreamIn(const Port& port) : PortEnd(port.name(), port.describe()) {}

  // Takes `words` words and returns the TLAST of the last one.
  bool read(uint32_t* words, size_t n) {
    bool last = false;
    for (size_t i = 0; i < n; ++i) {
      Task::wait([this] { return !fifo().words.empty(); },
                 [this, i, n] {
                   return name() + " (a stream; " + std::to_string(i) + " of " + count(n, "32-bit word") +
                          " are there" + from_source() + ")";
                 });
      words[i] = fifo().words.front().bits;
      last = fifo().words.front().last == Tlast::kSet;
      fifo().words.pop_front();
    }
    return last;
  }
};

class StreamOut : public PortEnd {
 public:
  explicit StreamOut(const Port& port) : PortEnd(port.name(), port.describe()) {}

  // TLAST goes with the last word.
  void write(const uint32_t* words, size_t n, bool last) {
    for (size_t i = 0; i < n; ++i) {
      Task::wait([this] { return room(); },
                 [this, i, n] {
                   std::string text = name() + " (a stream; " + std::to_string(i) + " of " + count(n, "32-bit word") +
                                      " could be written, then no room at";
                   for (const PortEnd* sink : sinks()) text += " " + sink->describe_source();
                   return text + ")";
                 });
      push({words[i], last && i + 1 == n ? Tlast::kSet : Tlast::kNone});
    }
  }
};

// A value that crosses a cascade in one cycle: 512 bits of a vector or an accumulator.
struct CascadeWord {
  std::shared_ptr<const void> value;
  const std::type_info* type;
};

// Two words at each side (AM020 "Cascade").
inline constexpr size_t kCascadeDepth = 4;

class CascadeIn : public PortEnd {
 public:
  explicit CascadeIn(const Port& port) : PortEnd(port.name(), port.describe()) {}

  bool has_room() const { return words_.size() < kCascadeDepth; }
  void put(CascadeWord word) { words_.push_back(std::move(word)); }
  template <typename Value>
  Value read() {
    Task::wait([this] { return !words_.empty(); }, [this] { return name() + " (a cascade; it is empty)"; });
    const CascadeWord word = std::move(words_.front());
    words_.pop_front();
    if (*word.type != typeid(Value)) {
      aie_host::stop(name() + ": the cascade brings a " + demangle(*word.type) + ", read as " +
                     demangle(typeid(Value)));
    }
    return *static_cast<const Value*>(word.value.get());
  }

 private:
  std::deque<CascadeWord> words_;
};

class CascadeOut : public PortEnd {
 public:
  explicit CascadeOut(const Port& port) : PortEnd(port.name(), port.describe()) {}

  void connect_to(CascadeIn* consumer) { consumer_ = consumer; }
  template <typename Value>
  void write(const Value& value) {
    Task::wait([this] { return consumer_->has_room(); },
               [this] { return name() + " (a cascade; its " + std::to_string(kCascadeDepth) + " words are full)"; });
    consumer_->put({std::make_shared<const Value>(value), &typeid(Value)});
  }

 private:
  CascadeIn* consumer_ = nullptr;
};

}  // namespace adf::host

// The stream and cascade types and their operations are at global scope, as on the device.
template <typename T>
struct input_stream {
  adf::host::StreamIn* end = nullptr;
};
template <typename T>
struct output_stream {
  adf::host::StreamOut* end = nullptr;
};
template <typename T>
struct input_cascade {
  adf::host::CascadeIn* end = nullptr;
};
template <typename T>
struct output_cascade {
  adf::host::CascadeOut* end = nullptr;
};

// Which physical port carries a stream: the host's are alike.
enum class aie_stream_resource_in { none, a, b };
enum class aie_stream_resource_out { none, a, b };

namespace adf::host {
// A scalar of less than 32 bits takes a word of its own, in the lower bits.
template <typename T>
inline constexpr size_t scalar_words_v = (sizeof(T) + 3) / 4;
}  // namespace adf::host

template <aie_stream_resource_in Resource = aie_stream_resource_in::none, typename T>
T readincr(input_stream<T>* stream, bool& tlast) {
  uint32_t words[adf::host::scalar_words_v<T>];
  tlast = stream->end->read(words, adf::host::scalar_words_v<T>);
  T value;
  std::memcpy(&value, words, sizeof(T));
  return value;
}

template <aie_stream_resource_in Resource = aie_stream_resource_in::none, typename T>
T readincr(input_stream<T>* stream) {
  bool tlast = false;
  return readincr<Resource>(stream, tlast);
}

template <aie_stream_resource_out Resource = aie_stream_resource_out::none, typename T>
void writeincr(output_stream<T>* stream, std::type_identity_t<T> value, bool tlast = false) {
  uint32_t words[adf::host::scalar_words_v<T>] = {};
  std::memcpy(words, &value, sizeof(T));
  stream->end->write(words, adf::host::scalar_words_v<T>, tlast);
}

#endif  // ADF_STREAMS_H_
