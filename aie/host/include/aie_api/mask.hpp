// SPDX-License-Identifier: Apache-2.0
//
// One bit a lane: what comparisons return and select takes.
#ifndef AIE_API_MASK_HPP_
#define AIE_API_MASK_HPP_

#include <array>
#include <bit>
#include <cstdint>

#include "aie_api/lanes.hpp"
#include "aie_api/types.hpp"

namespace aie {

// Elems bits, all clear by default. Every bit is defined: a comparison that would have to decide on an undefined lane
// stops.
template <unsigned Elems>
class mask {
 public:
  static constexpr unsigned size() { return Elems; }

  explicit mask(bool initial_set = false) { lanes_.words.fill(initial_set ? kFull : 0); }

  // From 32-bit words, lane 0 in bit 0 of the first.
  template <typename... Words>
  static mask from_uint32(std::uint32_t word, Words... words) {
    static_assert(sizeof...(words) + 1 == (Elems + 31) / 32, "as many words as the mask has");
    const std::array<std::uint32_t, sizeof...(words) + 1> in{word, static_cast<std::uint32_t>(words)...};
    mask result;
    for (unsigned i = 0; i < in.size(); ++i) {
      result.lanes_.words[i / 2] |= static_cast<std::uint64_t>(in[i]) << (32 * (i % 2));
    }
    result.lanes_.words.back() &= kFull;
    result.note_scalar(aie_host::Operation::kMaskFromUint, static_cast<std::int64_t>(result.lanes_.words[0]));
    return result;
  }
  template <typename... Words>
  static mask from_uint64(std::uint64_t word, Words... words) {
    static_assert(Elems % 64 == 0 && sizeof...(words) + 1 == Elems / 64, "as many words as the mask has");
    mask result;
    result.lanes_.words = {word, static_cast<std::uint64_t>(words)...};
    result.note_scalar(aie_host::Operation::kMaskFromUint, static_cast<std::int64_t>(word));
    return result;
  }
  template <unsigned E, unsigned... Es>
  requires(Elems == (E + ... + Es) && ((E == Es) && ...)) static mask
      from_masks(const mask<E>& first, const mask<Es>&... others) {
    mask result;
    unsigned index = 0;
    result.insert_bits(index++, first);
    (result.insert_bits(index++, others), ...);
    detail::note(aie_host::Operation::kMaskFromMasks, result, {}, first, others...);
    return result;
  }

  bool test(unsigned i) const {
    detail::require(i < Elems, "mask::test: no such lane");
    bool result = bit(i);
    detail::note(aie_host::Operation::kMaskTest, result, {static_cast<std::int64_t>(i)}, *this);
    return result;
  }
  void set(unsigned i) { write(i, true); }
  void clear(unsigned i) { write(i, false); }

  bool operator==(const mask& other) const {
    bool result = lanes_.words == other.lanes_.words;
    detail::note(aie_host::Operation::kMaskEqual, result, {}, *this, other);
    return result;
  }
  mask operator&(const mask& other) const {
    return combine(aie_host::Operation::kMaskAnd, other, [](std::uint64_t a, std::uint64_t b) { return a & b; });
  }
  mask operator|(const mask& other) const {
    return combine(aie_host::Operation::kMaskOr, other, [](std::uint64_t a, std::uint64_t b) { return a | b; });
  }
  mask operator^(const mask& other) const {
    return combine(aie_host::Operation::kMaskXor, other, [](std::uint64_t a, std::uint64_t b) { return a ^ b; });
  }
  mask& operator&=(const mask& other) { return *this = *this & other; }
  mask& operator|=(const mask& other) { return *this = *this | other; }
  mask& operator^=(const mask& other) { return *this = *this ^ other; }
  mask operator~() const {
    mask result;
    for (unsigned i = 0; i < kWords; ++i) result.lanes_.words[i] = ~lanes_.words[i] & kFull;
    detail::note(aie_host::Operation::kMaskNot, result, {}, *this);
    return result;
  }
  // Towards higher lanes; zeros come in. A shift by Elems or more clears the mask.
  mask operator<<(unsigned shift) const {
    mask result;
    for (unsigned i = shift; i < Elems; ++i) result.assign(i, bit(i - shift));
    detail::note(aie_host::Operation::kMaskShift, result, {static_cast<std::int64_t>(shift)}, *this);
    return result;
  }
  mask operator>>(unsigned shift) const {
    mask result;
    for (unsigned i = 0; i < Elems && i + shift < Elems; ++i) result.assign(i, bit(i + shift));
    detail::note(aie_host::Operation::kMaskShift, result, {-static_cast<std::int64_t>(shift)}, *this);
    return result;
  }
  mask& operator<<=(unsigned shift) { return *this = *this << shift; }
  mask& operator>>=(unsigned shift) { return *this = *this >> shift; }

  // How many bits are set.
  unsigned count() const {
    unsigned result = 0;
    for (const std::uint64_t word : lanes_.words) result += static_cast<unsigned>(std::popcount(word));
    detail::note(aie_host::Operation::kMaskCount, result, {}, *this);
    return result;
  }
  // How many bits above the highest set one are clear.
  unsigned clz() const {
    unsigned result = 0;
    while (result < Elems && !bit(Elems - 1 - result)) ++result;
    detail::note(aie_host::Operation::kMaskClz, result, {}, *this);
    return result;
  }
  bool empty() const {
    bool result = true;
    for (const std::uint64_t word : lanes_.words) result = result && word == 0;
    detail::note(aie_host::Operation::kMaskEmpty, result, {}, *this);
    return result;
  }
  bool full() const {
    bool result = true;
    for (const std::uint64_t word : lanes_.words) result = result && word == kFull;
    detail::note(aie_host::Operation::kMaskFull, result, {}, *this);
    return result;
  }

  std::uint32_t to_uint32(unsigned i) const {
    detail::require(i < (Elems + 31) / 32, "mask::to_uint32: no such word");
    auto result = static_cast<std::uint32_t>(lanes_.words[i / 2] >> (32 * (i % 2)));
    detail::note(aie_host::Operation::kMaskToUint, result, {static_cast<std::int64_t>(i)}, *this);
    return result;
  }
  std::uint32_t to_uint32() const requires(Elems <= 32) { return to_uint32(0); }
  std::uint64_t to_uint64(unsigned i) const requires(Elems >= 64) {
    detail::require(i < kWords, "mask::to_uint64: no such word");
    std::uint64_t result = lanes_.words[i];
    detail::note(aie_host::Operation::kMaskToUint, result, {static_cast<std::int64_t>(i)}, *this);
    return result;
  }
  std::uint64_t to_uint64() const requires(Elems == 64) { return to_uint64(0); }

  template <unsigned ElemsOut>
  mask<ElemsOut> extract(unsigned index) const {
    static_assert(ElemsOut <= Elems);
    detail::require(index < Elems / ElemsOut, "mask::extract: no such part");
    mask<ElemsOut> result;
    for (unsigned i = 0; i < ElemsOut; ++i) result.assign(i, bit(ElemsOut * index + i));
    detail::note(aie_host::Operation::kMaskExtract, result, {static_cast<std::int64_t>(index)}, *this);
    return result;
  }
  template <unsigned ElemsIn>
  mask& insert(unsigned index, const mask<ElemsIn>& in) {
    static_assert(ElemsIn <= Elems);
    detail::require(index < Elems / ElemsIn, "mask::insert: no such part");
    const mask before = *this;
    insert_bits(index, in);
    detail::note(aie_host::Operation::kMaskInsert, *this, {static_cast<std::int64_t>(index)}, before, in);
    return *this;
  }

 private:
  friend struct detail::Access;
  template <unsigned>
  friend class mask;

  static constexpr unsigned kWords = (Elems + 63) / 64;
  static constexpr std::uint64_t kFull = detail::DefinedLanes<Elems>::kFull;

  bool bit(unsigned i) const { return (lanes_.words[i / 64] >> (i % 64) & 1) != 0; }
  void assign(unsigned i, bool value) {
    const std::uint64_t one = std::uint64_t{1} << (i % 64);
    lanes_.words[i / 64] = value ? lanes_.words[i / 64] | one : lanes_.words[i / 64] & ~one;
  }
  void write(unsigned i, bool value) {
    detail::require(i < Elems, "mask::set, mask::clear: no such lane");
    const mask before = *this;
    assign(i, value);
    detail::note(value ? aie_host::Operation::kMaskSet : aie_host::Operation::kMaskClear, *this,
                 {static_cast<std::int64_t>(i)}, before);
  }
  template <unsigned E>
  void insert_bits(unsigned index, const mask<E>& in) {
    for (unsigned i = 0; i < E; ++i) assign(E * index + i, in.bit(i));
  }
  template <typename F>
  mask combine(aie_host::Operation operation, const mask& other, F f) const {
    mask result;
    for (unsigned i = 0; i < kWords; ++i) result.lanes_.words[i] = f(lanes_.words[i], other.lanes_.words[i]);
    detail::note(operation, result, {}, *this, other);
    return result;
  }
  void note_scalar(aie_host::Operation operation, std::int64_t bits) { detail::note(operation, *this, {}, bits); }

  struct {
    std::array<std::uint64_t, kWords> words{};
    aie_host::ValueId id = 0;
  } lanes_;
};

}  // namespace aie

#endif  // AIE_API_MASK_HPP_
