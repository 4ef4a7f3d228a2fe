// SPDX-License-Identifier: Apache-2.0
//
// A head's parameters, which heads a kernel serves, and the names of the kernels' variants. Plain C++: nothing here
// needs the AIE API, so that graphs and programs on the host can use it.
//
// The arithmetic is the contract's (docs/arithmetic.md): s(d) = B - sum_k S_k * min(d, D_k), d = row maximum - logit.
#ifndef HCCS_AIE_KERNELS_HEAD_H_
#define HCCS_AIE_KERNELS_HEAD_H_

#include <cstdint>

#include "masks.h"

namespace hccs_kernels {

// How scores become probabilities.
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

// What is wrong with a head for a kernel of row softmax under `mask`; null if nothing. The rules are those of check_aie
// (hccs/deployability.h): beside the contract's, Z >= 256 for every row that has a valid position, so that the uint8
// reciprocals fit int16. Under a mask one position may be all that is valid, and Z = B. Without masks Z is at least
// that of one maximum and n - 1 positions on the floor. A kernel may mask what is beside its rows, which changes
// nothing: a row then has n valid positions or none.
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

// What is wrong with a head for the attention kernel; null if nothing. These are the contract's rules alone: there is
// no reciprocal that has to fit int16, so B and Z may be less than the 256 that head_error asks for.
constexpr const char* attention_error(const HccsHead& head, unsigned knees, unsigned n) {
  return contract_error(head, knees, n);
}

}  // namespace hccs_kernels

#endif  // HCCS_AIE_KERNELS_HEAD_H_
