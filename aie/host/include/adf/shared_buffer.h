// SPDX-License-Identifier: Apache-2.0
//
// Buffers in memory tiles (UG1603 "AI Engine-ML Memory Tile Access"). All writers fill a buffer, each along its own
// write_access; then all readers empty it, each along its own read_access. num_buffers() buffers are used in turn.
#ifndef ADF_SHARED_BUFFER_H_
#define ADF_SHARED_BUFFER_H_

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "adf/buffers.h"
#include "adf/port_end.h"
#include "adf/ports.h"

namespace adf {
namespace host {

class SharedMemory {
 public:
  SharedMemory(size_t bytes, unsigned buffers, size_t writers, size_t readers) : written_(writers), read_(readers) {
    for (unsigned i = 0; i < buffers; ++i) buffers_.emplace_back(bytes);
  }

  std::byte* data(size_t pass) { return buffers_[pass % buffers_.size()].data(); }
  bool may_write(size_t pass) {
    if (pass >= *std::min_element(read_.begin(), read_.end()) + buffers_.size()) return false;
    if (pass == scrambled_) {
      buffers_[pass % buffers_.size()].scramble();
      ++scrambled_;
    }
    return true;
  }
  bool may_read(size_t pass) const { return pass < *std::min_element(written_.begin(), written_.end()); }
  void finish_write(unsigned writer) { ++written_[writer]; }
  void finish_read(unsigned reader) { ++read_[reader]; }
  size_t buffers() const { return buffers_.size(); }

 private:
  std::vector<GuardedMemory> buffers_;
  std::vector<size_t> written_, read_;  // passes that each port has completed
  size_t scrambled_ = 0;
};

struct SharedBufferNode : Node {
  SharedBufferNode(std::vector<uint32_t> buffer_extents, const ElementType& type, size_t n_in, size_t n_out)
      : extents(std::move(buffer_extents)), element(type), writers(n_in), readers(n_out) {}
  std::string describe() const override {
    std::string text = "shared_buffer<" + element.name + "> of {";
    for (size_t i = 0; i < extents.size(); ++i) text += (i ? ", " : "") + std::to_string(extents[i]);
    return text + "}";
  }

  std::vector<uint32_t> extents;
  const ElementType& element;
  size_t writers, readers;
  unsigned buffers = 1;
  std::vector<Port*> in, out;
  std::unique_ptr<SharedMemory> memory;  // from init() on
};

class SharedIn : public PortEnd {
 public:
  SharedIn(const Port& port, SharedMemory& memory, std::vector<int64_t> offsets)
      : PortEnd(port.describe()), memory_(memory), index_(port.index), offsets_(std::move(offsets)) {}

  bool pump() override {
    bool moved = false;
    while (!fifo().words.empty() && memory_.may_write(pass_)) {
      const uint32_t bits = fifo().words.front().bits;
      fifo().words.pop_front();
      std::memcpy(memory_.data(pass_) + offsets_[at_], &bits, sizeof bits);
      moved = true;
      if (++at_ < offsets_.size()) continue;
      at_ = 0;
      ++pass_;
      memory_.finish_write(index_);
    }
    return moved;
  }
  std::string progress() const {
    return name() + " has " + std::to_string(at_) + " of " + count(offsets_.size(), "32-bit word") +
           " of its next pass" + (at_ == 0 && pass_ == 0 ? "" : ", after " + count(pass_, "whole pass")) +
           from_source();
  }
  size_t transfer_words() const { return offsets_.size(); }

 private:
  SharedMemory& memory_;
  unsigned index_;
  std::vector<int64_t> offsets_;
  size_t at_ = 0;
  size_t pass_ = 0;
};

class SharedOut : public PortEnd {
 public:
  SharedOut(const Port& port, SharedMemory& memory, std::vector<int64_t> offsets, const SharedBufferNode& node)
      : PortEnd(port.describe()), memory_(memory), index_(port.index), offsets_(std::move(offsets)), node_(node) {}

  bool pump() override {
    bool moved = false;
    while (memory_.may_read(pass_) && room()) {
      uint32_t bits = 0;
      if (offsets_[at_] != kPadding) std::memcpy(&bits, memory_.data(pass_) + offsets_[at_], sizeof bits);
      push({bits});
      moved = true;
      if (++at_ < offsets_.size()) continue;
      at_ = 0;
      ++pass_;
      memory_.finish_read(index_);
    }
    return moved;
  }
  bool exhausted() const override {
    return !memory_.may_read(pass_) && std::any_of(node_.in.begin(), node_.in.end(), [](const Port* writer) {
      const Fifo& fifo = writer->end->fifo();
      return fifo.words.empty() && fifo.source != nullptr && fifo.source->exhausted();
    });
  }
  std::string describe_source() const override {
    if (memory_.may_read(pass_)) return name();
    std::string text = name() + ", not yet full:";
    for (const Port* writer : node_.in) text += " [" + static_cast<const SharedIn&>(*writer->end).progress() + "]";
    return text;
  }
  size_t transfer_words() const { return offsets_.size(); }

 private:
  SharedMemory& memory_;
  unsigned index_;
  std::vector<int64_t> offsets_;
  const SharedBufferNode& node_;
  size_t at_ = 0;
  size_t pass_ = 0;
};

}  // namespace host

template <typename T>
class shared_buffer : public host::Handle<host::SharedBufferNode> {
 public:
  shared_buffer() = default;
  // `extents[0]` is contiguous; `n_in` writers, `n_out` readers.
  static shared_buffer create(std::vector<uint32_t> extents, size_t n_in, size_t n_out) {
    return shared_buffer(
        host::make_node<host::SharedBufferNode>(std::move(extents), host::element_type<T>(), n_in, n_out));
  }

  host::PortList<direction::in> in;
  host::PortList<direction::out> out;

 private:
  explicit shared_buffer(host::SharedBufferNode* node) : Handle<host::SharedBufferNode>(node) {
    in.bind(node);
    out.bind(node);
    for (unsigned i = 0; i < node->writers; ++i) add(node->in, in, i);
    for (unsigned i = 0; i < node->readers; ++i) add(node->out, out, i);
  }

  template <direction D>
  void add(std::vector<host::Port*>& ports, host::PortList<D>& list, unsigned index) {
    host::SharedBufferNode* node = this->host_node();
    host::Port* created = node->scope->add_port(D, host::PortKind::kSharedBuffer, node, index);
    created->element = &node->element;
    ports.push_back(created);
    list.push_back(created);
  }
};

template <typename T>
unsigned& num_buffers(shared_buffer<T>& buffer) {
  return buffer.host_node()->buffers;
}

template <typename T>
uint32_t& repetition_count(shared_buffer<T>& buffer) {
  return buffer.host_node()->repetition_count;
}

}  // namespace adf

#endif  // ADF_SHARED_BUFFER_H_
