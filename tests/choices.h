// SPDX-License-Identifier: Apache-2.0
//
// Where the choices of a test's case come from: a seed, or the bytes of a fuzzer's input. And a head of such choices.
#ifndef HCCS_TESTS_CHOICES_H_
#define HCCS_TESTS_CHOICES_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>

#include "hccs/params.h"

namespace hccs {

class Choices {
 public:
  virtual ~Choices() = default;
  virtual int64_t below(int64_t bound) = 0;  // 0..bound - 1
  int64_t between(int64_t least, int64_t most) { return least + below(most - least + 1); }
  bool one_in(int64_t n) { return below(n) == 0; }
};

class RandomChoices final : public Choices {
 public:
  explicit RandomChoices(uint64_t seed) : generator_(seed) {}
  int64_t below(int64_t bound) override { return static_cast<int64_t>(generator_() % static_cast<uint64_t>(bound)); }

 private:
  std::mt19937_64 generator_;
};

// Choices out of the input's bytes; zeros when they run out.
class ByteChoices final : public Choices {
 public:
  ByteChoices(const uint8_t* data, size_t size) : data_(data), size_(size) {}
  int64_t below(int64_t bound) override {
    uint64_t value = 0;
    for (int64_t range = bound - 1; range > 0; range >>= 8) {
      value = value << 8 | (size_ > 0 ? *data_ : 0);
      if (size_ > 0) {
        ++data_;
        --size_;
      }
    }
    return static_cast<int64_t>(value % static_cast<uint64_t>(bound));
  }

 private:
  const uint8_t* data_;
  size_t size_;
};

inline HeadParams choose_params(Choices& choose, int knees) {
  HeadParams params;
  params.knee_count = knees;
  int64_t position = 0;
  int64_t room = choose.one_in(3) ? kMaxOffset : int64_t{1} << choose.between(0, 15);
  room = std::min<int64_t>(room, kMaxOffset);
  const int64_t most = room;
  for (int k = 0; k < knees; ++k) {
    const int64_t last = kMaxKneePosition - (knees - 1 - k);
    position = choose.between(position + 1, choose.one_in(2) ? last : std::min(last, position + 1 + choose.below(30)));
    const int64_t slope = choose.between(0, std::min<int64_t>(kMaxSlope, room / position));
    room -= slope * position;
    params.knees[static_cast<size_t>(k)] = {static_cast<int32_t>(slope), static_cast<int32_t>(position)};
  }
  // room is now the largest floor that keeps B at most `most`.
  const int64_t floor = choose.one_in(2) ? room : choose.between(0, room);
  params.offset = static_cast<int32_t>(std::max<int64_t>(1, most - room + floor));
  return params;
}

}  // namespace hccs

#endif  // HCCS_TESTS_CHOICES_H_
