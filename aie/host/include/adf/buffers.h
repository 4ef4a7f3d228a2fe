// SPDX-License-Identifier: Apache-2.0
//
// Buffer ports (UG1603 "Buffer Port Attributes and API"). Each side of a connection has a ping-pong pair, or one
// buffer after single_buffer(); two kernels that are connected directly, with equal sizes, share one pair, as
// neighbours on a device do.
//
// A kernel never finds what an earlier block left behind: every buffer is filled with a changing pattern before it is
// given to a kernel or a DMA. Stores beyond the ends of an output buffer are found when it is released.
#ifndef ADF_BUFFERS_H_
#define ADF_BUFFERS_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "adf/port_end.h"
#include "adf/ports.h"
#include "adf/task.h"

#if defined(__SANITIZE_ADDRESS__)
#define ADF_HOST_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ADF_HOST_ASAN 1
#endif
#endif
#ifdef ADF_HOST_ASAN
#include <sanitizer/asan_interface.h>
#endif

namespace adf {

// Extents of a buffer in elements, in the kernel's signature.
inline constexpr unsigned inherited_extent = ~0U;
inline constexpr unsigned inherited_margin = ~0U;

template <unsigned... Extents>
struct extents {
  static constexpr bool inherited() { return ((Extents == inherited_extent) || ...) || sizeof...(Extents) == 0; }
  static constexpr unsigned size() { return inherited() ? 0 : (Extents * ... * 1U); }
};

template <unsigned Elements>
struct margin {};

namespace addressing {
struct linear {};
}  // namespace addressing

namespace locking {
struct sync {};
struct async {};
}  // namespace locking

namespace host {

template <typename Option>
struct IsExtents : std::false_type {};
template <unsigned... E>
struct IsExtents<extents<E...>> : std::true_type {};
template <typename Option>
struct MarginOf : std::integral_constant<unsigned, 0> {};
template <unsigned N>
struct MarginOf<margin<N>> : std::integral_constant<unsigned, N> {};

template <typename... Options>
struct ExtentsOf {
  using type = extents<inherited_extent>;
};
template <typename First, typename... Rest>
struct ExtentsOf<First, Rest...> {
  using type = std::conditional_t<IsExtents<First>::value, First, typename ExtentsOf<Rest...>::type>;
};

// Memory of a tile with guards at both ends; the last guard begins at the last byte's end. AddressSanitizer, where it
// is on, watches the guards: it also sees loads, and stops the program at the access.
class GuardedMemory {
 public:
  explicit GuardedMemory(size_t bytes) : bytes_(bytes), lines_(2 + (bytes + kLine - 1) / kLine) {
    std::memset(lines_.data(), kGuard, lines_.size() * kLine);
#ifdef ADF_HOST_ASAN
    __asan_poison_memory_region(lines_.data(), kLine);
    __asan_poison_memory_region(data() + bytes_, lines_.size() * kLine - kLine - bytes_);
#endif
  }
#ifdef ADF_HOST_ASAN
  ~GuardedMemory() { __asan_unpoison_memory_region(lines_.data(), lines_.size() * kLine); }
  GuardedMemory(GuardedMemory&&) = default;
#endif
  std::byte* data() { return lines_[1].bytes; }
  const std::byte* data() const { return lines_[1].bytes; }
  size_t size() const { return bytes_; }

  // Overwrites the contents with values that no kernel can rely on.
  void scramble() {
    static uint32_t state = 0x9e3779b9;
    for (size_t i = 0; i < bytes_; ++i) {
      state ^= state << 13;
      state ^= state >> 17;
      state ^= state << 5;
      data()[i] = static_cast<std::byte>(state >> 24);
    }
  }

  // Whether the guards are as they were; repairs them.
  bool check_guards() {
#ifdef ADF_HOST_ASAN
    return true;
#else
    bool intact = true;
    const auto check = [&](std::byte* begin, const std::byte* end) {
      for (std::byte* at = begin; at != end; ++at) {
        intact &= *at == static_cast<std::byte>(kGuard);
        *at = static_cast<std::byte>(kGuard);
      }
    };
    check(lines_.front().bytes, data());
    check(data() + bytes_, lines_.back().bytes + kLine);
    return intact;
#endif
  }

 private:
  static constexpr size_t kLine = 64;
  static constexpr unsigned char kGuard = 0xc3;
  struct alignas(kLine) Line {
    std::byte bytes[kLine];
  };
  size_t bytes_;
  std::vector<Line> lines_;
};

// The buffers of one port, used in turn.
class BufferEnd : public PortEnd {
 public:
  // `word_offsets`: see tiling.h. `margin_bytes` precede the data of an input.
  BufferEnd(const Port& port, std::vector<int64_t> word_offsets, size_t margin_bytes)
      : PortEnd(port.name(), port.describe()),
        element_bytes_(port.element->bytes),
        element_name_(port.element->name),
        async_(port.async_buffer),
        offsets_(std::move(word_offsets)),
        margin_(margin_bytes) {
    const size_t bytes = port.elements() * element_bytes_ + margin_;
    for (int i = 0; i < (port.single_buffer ? 1 : 2); ++i) slots_.emplace_back(bytes);
  }

  bool ready() const override { return async_ || available(); }
  void begin_call() override {
    if (!async_) acquire();
  }
  void end_call() override {
    if (!async_) release();
  }
  std::string waits_for() const override { return lacks(); }

  void acquire() {
    if (held_ != nullptr) aie_host::stop(name() + ": acquire() of a buffer that is acquired already");
    Task::wait([this] { return available(); }, [this] { return lacks(); });
    held_ = &slots_[kernel_slot_];
    kernel_slot_ = (kernel_slot_ + 1) % slots_.size();
    take(*held_);
  }
  void release() {
    if (held_ == nullptr) aie_host::stop(name() + ": release() of a buffer that is not acquired");
    Slot& slot = *std::exchange(held_, nullptr);
    if (!slot.memory.check_guards()) {
      aie_host::stop("wrote beyond the ends of " + name() + ", a buffer of " +
                     count(slot.memory.size() / element_bytes_, "element"));
    }
    give_back(slot);
  }
  std::byte* held() {
    if (held_ == nullptr) aie_host::stop(name() + " is used before acquire() or after release()");
    return held_->memory.data();
  }

  size_t occupied() const {
    return static_cast<size_t>(
        std::count_if(slots_.begin(), slots_.end(), [](const Slot& slot) { return slot.state != State::kFree; }));
  }
  size_t slots() const { return slots_.size(); }
  size_t transfer_words() const { return offsets_.size(); }

 protected:
  enum class State { kFree, kFilling, kFull, kHeld };
  struct Slot {
    explicit Slot(size_t bytes) : memory(bytes) {}
    GuardedMemory memory;
    State state = State::kFree;
  };

  virtual bool available() const = 0;
  virtual void take(Slot& slot) = 0;
  virtual void give_back(Slot& slot) = 0;
  virtual std::string lacks() const = 0;

  std::string elements_of(size_t words) const {
    return std::to_string(words * 4 / element_bytes_) + " of " +
           count(offsets_.size() * 4 / element_bytes_, "element") + " of type " + element_name_;
  }

  unsigned element_bytes_;
  std::string element_name_;
  bool async_;
  std::vector<int64_t> offsets_;
  size_t margin_;
  std::vector<Slot> slots_;
  Slot* held_ = nullptr;
  size_t kernel_slot_ = 0;
  size_t dma_slot_ = 0;
  size_t dma_word_ = 0;
};

class BufferIn : public BufferEnd {
 public:
  BufferIn(const Port& port, std::vector<int64_t> offsets, size_t margin_bytes)
      : BufferEnd(port, std::move(offsets), margin_bytes), tail_(margin_bytes) {}

  bool pump() override {
    bool moved = false;
    while (!fifo().words.empty()) {
      Slot& slot = slots_[dma_slot_];
      if (slot.state == State::kFree) {
        slot.memory.scramble();
        slot.state = State::kFilling;
      }
      if (slot.state != State::kFilling) break;
      const uint32_t bits = fifo().words.front().bits;
      fifo().words.pop_front();
      std::memcpy(slot.memory.data() + margin_ + offsets_[dma_word_], &bits, sizeof bits);
      moved = true;
      if (++dma_word_ < offsets_.size()) continue;
      dma_word_ = 0;
      std::copy(tail_.begin(), tail_.end(), slot.memory.data());
      std::copy_n(slot.memory.data() + slot.memory.size() - margin_, margin_, tail_.begin());
      slot.state = State::kFull;
      dma_slot_ = (dma_slot_ + 1) % slots_.size();
    }
    return moved;
  }

 protected:
  bool available() const override { return slots_[kernel_slot_].state == State::kFull; }
  void take(Slot& slot) override { slot.state = State::kHeld; }
  void give_back(Slot& slot) override {
    slot.memory.scramble();
    slot.state = State::kFree;
  }
  std::string lacks() const override {
    return name() + " (a buffer; " + elements_of(dma_word_) + " are there" + from_source() + ")";
  }

 private:
  std::vector<std::byte> tail_;
};

class BufferOut : public BufferEnd {
 public:
  using BufferEnd::BufferEnd;

  // The two sides share one pair of buffers.
  void share_with(const BufferEnd* consumer) { shared_ = consumer; }

  bool pump() override {
    bool moved = false;
    for (Slot* slot = &slots_[dma_slot_]; slot->state == State::kFull; slot = &slots_[dma_slot_]) {
      for (; dma_word_ < offsets_.size(); ++dma_word_) {
        if (!room()) return moved;
        uint32_t bits = 0;
        if (offsets_[dma_word_] != kPadding) {
          std::memcpy(&bits, slot->memory.data() + offsets_[dma_word_], sizeof bits);
        }
        push({bits});
        moved = true;
      }
      dma_word_ = 0;
      slot->state = State::kFree;
      dma_slot_ = (dma_slot_ + 1) % slots_.size();
    }
    return moved;
  }

 protected:
  bool available() const override {
    return slots_[kernel_slot_].state == State::kFree &&
           (shared_ == nullptr || occupied() + shared_->occupied() < std::min(slots(), shared_->slots()));
  }
  void take(Slot& slot) override {
    slot.memory.scramble();
    slot.state = State::kHeld;
  }
  void give_back(Slot& slot) override { slot.state = State::kFull; }
  std::string lacks() const override {
    std::string text = name() + " (a free buffer; " + count(slots(), "buffer") + " not yet taken by";
    for (const PortEnd* sink : sinks()) text += " " + sink->describe_source();
    return text + ")";
  }

 private:
  const BufferEnd* shared_ = nullptr;
};

}  // namespace host

// The template parameters after the element type, in any order: extents<...>, margin<...>.
template <typename Lock, typename... Options>
struct io_buffer_config {
  using dims_type = typename host::ExtentsOf<Options...>::type;
  using addressing_mode = addressing::linear;
  using locking_mode = Lock;
  static constexpr unsigned _margin = (host::MarginOf<Options>::value + ... + 0U);
};

// A kernel's view of a buffer port.
template <typename T, typename Direction, typename Config>
class io_buffer {
 public:
  using value_type = T;

  explicit io_buffer(host::BufferEnd* end, size_t elements) : end_(end), size_(elements) {}
  // Outside a graph: a view of `elements` elements (without the margin, which precedes them) at `data`.
  io_buffer(T* data, size_t elements) : data_(data), size_(elements) {}
  io_buffer(const io_buffer&) = delete;
  io_buffer& operator=(const io_buffer&) = delete;

  // The first element of the margin, if there is one.
  T* data() const { return end_ == nullptr ? data_ : reinterpret_cast<T*>(end_->held()); }
  T* base() const { return data(); }
  size_t size() const { return size_; }
  size_t size_incl_margin() const { return size_ + Config::_margin; }

  void acquire() requires std::is_same_v<typename Config::locking_mode, locking::async> {
    if (end_ != nullptr) end_->acquire();
  }
  void release() requires std::is_same_v<typename Config::locking_mode, locking::async> {
    if (end_ != nullptr) end_->release();
  }

 private:
  host::BufferEnd* end_ = nullptr;
  T* data_ = nullptr;
  size_t size_;
};

namespace host {
using In = std::integral_constant<direction, direction::in>;
using Out = std::integral_constant<direction, direction::out>;
}  // namespace host

template <typename T, typename... Options>
using input_buffer = io_buffer<T, host::In, io_buffer_config<locking::sync, Options...>>;
template <typename T, typename... Options>
using output_buffer = io_buffer<T, host::Out, io_buffer_config<locking::sync, Options...>>;
template <typename T, typename... Options>
using input_async_buffer = io_buffer<T, host::In, io_buffer_config<locking::async, Options...>>;
template <typename T, typename... Options>
using output_async_buffer = io_buffer<T, host::Out, io_buffer_config<locking::async, Options...>>;

}  // namespace adf

#endif  // ADF_BUFFERS_H_
