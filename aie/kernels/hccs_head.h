// SPDX-License-Identifier: Apache-2.0
//
// What all kernels share: a head's parameters, the names of their variants, the rows' masks, the mark of a loop, and
// the modes of the tile. Nothing but the AIE API is needed.
//
// The arithmetic is the contract's (docs/arithmetic.md): s(d) = B - sum_k S_k * min(d, D_k), d = row maximum - logit.
#ifndef HCCS_AIE_KERNELS_HCCS_HEAD_H_
#define HCCS_AIE_KERNELS_HCCS_HEAD_H_

#include <aie_api/aie.hpp>
#include <cstdint>

// HCCS_LOOP(i, count, site, min) { ... }: i = 0 .. count-1, a loop that is worth a software pipeline and makes at least
// `min` passes. On a device it becomes the compiler's pragma; on the host the passes are reported to the observer under
// the name `site`, a string literal.
#if __has_include(<aie_host/observe.h>)
#include <aie_host/observe.h>
#define HCCS_LOOP(i, count, site, min)             \
  if (::aie_host::Loop hccs_loop_##i(site); true)  \
    for (unsigned i = 0, hccs_count_##i = (count); \
         i < hccs_count_##i && (static_cast<void>(hccs_loop_##i.iteration()), true); ++i)
#elif defined(__chess__)
#define HCCS_LOOP(i, count, site, min)                                    \
  for (unsigned i = 0, hccs_count_##i = (count); i < hccs_count_##i; ++i) \
  chess_prepare_for_pipelining chess_loop_range((min), )
#else
#define HCCS_PRAGMA(text) _Pragma(#text)
#define HCCS_LOOP(i, count, site, min)             \
  HCCS_PRAGMA(clang loop min_iteration_count(min)) \
  for (unsigned i = 0, hccs_count_##i = (count); i < hccs_count_##i; ++i)
#endif

namespace hccs_kernels {

enum class Normalisation { kDiv, kClb, kScaled };

inline constexpr unsigned kMaxKnees = 4;

// One head, as the kernels read it. Knees that are not in use have slope 0, so that a kernel that is compiled for K
// knees serves heads with fewer.
struct HccsHead {
  int16_t offset = 0;                         // B, 1..32767
  int16_t knee_count = 0;                     // K, 1..4
  int8_t slope[kMaxKnees] = {0, 0, 0, 0};     // S_k, 0..127
  int8_t position[kMaxKnees] = {1, 1, 1, 1};  // D_k, 1..127, increasing in use
};

// The same as numbers of one type, the form in which an ADF graph hands arrays to a kernel's constructor:
// B, K, S_1..S_4, D_1..D_4.
inline constexpr unsigned kHeadWords = 2 + 2 * kMaxKnees;

constexpr HccsHead head_from_words(const int16_t* words) {
  HccsHead head;
  head.offset = words[0];
  head.knee_count = words[1];
  for (unsigned k = 0; k < kMaxKnees; ++k) {
    head.slope[k] = static_cast<int8_t>(words[2 + k]);
    head.position[k] = static_cast<int8_t>(words[2 + kMaxKnees + k]);
  }
  return head;
}

constexpr void head_to_words(const HccsHead& head, int16_t* words) {
  words[0] = head.offset;
  words[1] = head.knee_count;
  for (unsigned k = 0; k < kMaxKnees; ++k) {
    words[2 + k] = head.slope[k];
    words[2 + kMaxKnees + k] = head.position[k];
  }
}

// F = B - sum_k S_k * D_k, the score beyond the last knee.
constexpr int32_t head_floor(const HccsHead& head) {
  int32_t floor = head.offset;
  for (unsigned k = 0; k < kMaxKnees; ++k) floor -= int32_t{head.slope[k]} * head.position[k];
  return floor;
}

// Which masks a kernel is compiled for: none, valid length and causal offset, or those and bit masks.
enum class MaskKind { kNone, kLimits, kBits };

// What is wrong, by the contract, with a head for a kernel that is compiled for `knees` knees and rows of n positions;
// null if nothing.
constexpr const char* contract_error(const HccsHead& head, unsigned knees, unsigned n) {
  if (n < 1 || n > 65536) return "row length n must be 1..65536";
  if (head.offset < 1) return "offset B must be 1..32767";
  if (head.knee_count < 1 || head.knee_count > static_cast<int>(kMaxKnees)) return "the number of knees must be 1..4";
  if (head.knee_count > static_cast<int>(knees)) return "the kernel is compiled for fewer knees";
  for (unsigned k = 0; k < kMaxKnees; ++k) {
    const bool used = static_cast<int>(k) < head.knee_count;
    if (head.slope[k] < 0) return "slope S_k must be 0..127";
    if (!used && head.slope[k] != 0) return "slope S_k of an unused knee must be 0";
    if (head.position[k] < 1) return "knee position D_k must be 1..127";
    if (used && k > 0 && head.position[k] <= head.position[k - 1]) return "knee positions D_k must increase";
  }
  if (head_floor(head) < 0) return "floor F = B - sum_k S_k*D_k must be at least 0";
  return nullptr;
}

// ... for a softmax kernel under `mask`: the rules of check_aie (hccs/deployability.h). Beside the contract's that is
// Z >= 256 for every row that has a valid position, so that the uint8 reciprocals fit int16. Under a mask one position
// may be all that is valid, Z = B. Without masks Z is at least that of one maximum and n - 1 positions on the floor.
// That a kernel masks what is beside its rows changes nothing: a row then has n valid positions or none.
constexpr const char* head_error(const HccsHead& head, unsigned knees, unsigned n, MaskKind mask = MaskKind::kBits) {
  if (const char* rule = contract_error(head, knees, n)) return rule;
  if (mask != MaskKind::kNone && head.offset < 256) {
    return "offset B must be 256 or more for masked rows: the uint8 reciprocal of Z = B must fit int16";
  }
  if (head.offset + static_cast<int32_t>(n - 1) * head_floor(head) < 256) {
    return "B + (n-1)*F must be 256 or more: the uint8 reciprocal of the least Z must fit int16";
  }
  return nullptr;
}

// Which positions of the rows of one head are valid: all that are set, intersected. A row without a valid position
// gives zeros.
struct RowMasks {
  // Positions below it. The row length or more: all; 0 or less: none.
  int32_t valid_length = INT32_MAX;
  // If `causal`: row r sees the positions up to r + causal_offset.
  bool causal = false;
  int32_t causal_offset = 0;
  // Bit i % 32 of word i / 32 of a row's words is position i. Null: no bit mask. Each row has as many words as its
  // pitch (see the kernel) has groups of 32 positions; bits at and beyond the row length are ignored.
  const uint32_t* bits = nullptr;
};

// Sets the tile's modes, and restores those that it found.
class RoundingSaturation {
 public:
  RoundingSaturation(aie::rounding_mode rounding, aie::saturation_mode saturation)
      : rounding_(aie::swap_rounding(rounding)), saturation_(aie::swap_saturation(saturation)) {}
  ~RoundingSaturation() {
    aie::set_rounding(rounding_);
    aie::set_saturation(saturation_);
  }
  RoundingSaturation(const RoundingSaturation&) = delete;
  RoundingSaturation& operator=(const RoundingSaturation&) = delete;

 private:
  aie::rounding_mode rounding_;
  aie::saturation_mode saturation_;
};

// `value`, which plain C++ made of `inputs` by one instruction of the scalar unit. The host's observer, which does not
// see plain C++, sees it as "scalar".
template <typename T, typename... In>
inline T scalar(T value, [[maybe_unused]] In... inputs) {
#if __has_include(<aie_host/observe.h>)
  aie::detail::note(aie_host::Operation::kScalar, value, {}, inputs...);
#endif
  return value;
}

// *from, and *to = value, by the scalar unit, for the observer too.
template <typename T>
inline T load_scalar(const T* from) {
  T value = *from;
#if __has_include(<aie_host/observe.h>)
  aie::detail::note_scalar_access(aie_host::Operation::kLoadScalar, value, from);
#endif
  return value;
}
template <typename T>
inline void store_scalar(T* to, T value) {
  *to = value;
#if __has_include(<aie_host/observe.h>)
  aie::detail::note_scalar_access(aie_host::Operation::kStoreScalar, value, to);
#endif
}

// The mask whose words of 32 lanes are at these places, loaded by the scalar unit, for the observer too.
template <typename... Words>
inline aie::mask<32 * sizeof...(Words)> load_mask(const Words*... words) {
  auto mask = aie::mask<32 * sizeof...(Words)>::from_uint32(*words...);
#if __has_include(<aie_host/observe.h>)
  aie::detail::note(aie_host::Operation::kLoadMask, mask, {});
#endif
  return mask;
}

// floor(log2 z), z > 0.
inline int floor_log2(int32_t z) {
  const int zeros = ::clb(static_cast<int>(z));
  return scalar(31 - zeros, zeros);
}

// floor(a / b), a >= 0, b > 0, by the scalar unit: a routine of 32 dependent steps on a device. The host's observer
// sees it as "divide".
inline int32_t divide(int32_t a, int32_t b) {
  int32_t quotient = a / b;
#if __has_include(<aie_host/observe.h>)
  aie::detail::note(aie_host::Operation::kDivide, quotient, {}, a, b);
#endif
  return quotient;
}

}  // namespace hccs_kernels

#endif  // HCCS_AIE_KERNELS_HCCS_HEAD_H_
