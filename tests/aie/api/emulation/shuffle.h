// SPDX-License-Identifier: Apache-2.0
//
// Part 5: permutations of 64 bytes out of 128. A mode's name is its rule: T<bits>_<rows>x<columns> transposes a matrix
// of numbers of so many bits, which lies row after row in the two operands, one after the other; _lo and _hi are the
// halves of the result. A matrix of fewer than 64 bytes is followed by the next one, which is transposed too. That is
// what UG1603 says of the modes, and what probes of the hardware show (the xdna-emu project's).
#ifndef HCCS_TESTS_AIE_API_SHUFFLE_H_
#define HCCS_TESTS_AIE_API_SHUFFLE_H_

#include "register.h"

namespace emulated {

struct ShuffleMode {
  unsigned bits, rows, columns, half;

  // The number that stands for the mode. AMD's headers count from some modes to others: to the next half by 1, and from
  // interleaving bytes (rows = 2) or taking them apart (columns = 2) to wider numbers by a step, so these numbers are
  // the hardware's. Others are of our own choice.
  constexpr unsigned number() const {
    const unsigned width = static_cast<unsigned>(std::bit_width(bits / 8)) - 1;
    if (rows == 1 && bits == 512) return (kIsV2 ? 0 : 22) + half;
    if (columns == 2 && bits * rows == 512) return (kIsV2 ? 28 - 2 * width : 2 * width) + half;
    if (rows == 2 && bits * columns == 512) return (kIsV2 ? 98 - 16 * width : 20 - 2 * width) + half;
    return kOthers + (bits * 128 + rows) * 256 + 2 * columns + half;
  }
  static constexpr ShuffleMode of(unsigned number) {
    if (number >= kOthers) {
      const unsigned packed = number - kOthers;
      return {packed >> 15, packed >> 8 & 127, packed >> 1 & 127, packed & 1};
    }
    for (unsigned half = 0; half < 2; ++half) {
      if (const ShuffleMode whole{512, 1, 2, half}; whole.number() == number) return whole;
      for (unsigned bits = 8; bits <= 256; bits *= 2) {
        if (const ShuffleMode apart{bits, 512 / bits, 2, half}; apart.number() == number) return apart;
        if (const ShuffleMode together{bits, 2, 512 / bits, half}; together.number() == number) return together;
      }
    }
    throw std::logic_error("no such shuffle mode");
  }

 private:
#if __AIE_ARCH__ == 22
  static constexpr bool kIsV2 = true;
#else
  static constexpr bool kIsV2 = false;
#endif
  static constexpr unsigned kOthers = 1024;
};

// The names `INTLV_lo_8o16` are those of pairs: numbers of 8 bits become pairs of 16.
constexpr unsigned shuffle_mode(unsigned bits, unsigned rows, unsigned columns, unsigned half) {
  return ShuffleMode{bits, rows, columns, half}.number();
}

// Swaps the numbers of a pair, or reverses 4 or 16 numbers: T16_1x2_flip, T8_1x4_flip, T32_1x16_flip. No kernel of ours
// needs them.
inline constexpr unsigned kFlip = 1000;

template <typename T, unsigned kLanes>
requires(Register<T, kLanes>::kBytes == 64) Register<T, kLanes> permute(const Register<T, kLanes>& a,
                                                                        const Register<T, kLanes>& b, unsigned number) {
  const ShuffleMode mode = ShuffleMode::of(number);
  const unsigned size = mode.bits / 8;
  const unsigned matrix = mode.rows * mode.columns * size;
  Register<T, kLanes> result;
  for (unsigned i = 0; i < 64; ++i) {
    const unsigned at = 64 * mode.half + i;  // in the result, in numbers: column after column
    const unsigned number_of_matrix = at % matrix / size;
    const unsigned row = number_of_matrix % mode.rows;
    const unsigned column = number_of_matrix / mode.rows;
    const unsigned from = at / matrix * matrix + (row * mode.columns + column) * size + at % size;
    result.bytes[i] = from < 64 ? a.bytes[from] : b.bytes[from - 64];
  }
  return result;
}

}  // namespace emulated

template <typename T, unsigned kLanes>
INTRINSIC emulated::Register<T, kLanes> shuffle(emulated::Register<T, kLanes> a, emulated::Register<T, kLanes> b,
                                                unsigned mode) {
  return emulated::permute(a, b, mode);
}
template <typename T, unsigned kLanes>
INTRINSIC emulated::Register<T, kLanes> shuffle(emulated::Register<T, kLanes> a, unsigned mode) {
  return emulated::permute(a, emulated::Register<T, kLanes>(), mode);
}

// Bytes n .. n + 63 of the operands, one after the other.
template <typename T, unsigned kLanes>
requires(emulated::Register<T, kLanes>::kBytes ==
         64) INTRINSIC emulated::Register<T, kLanes> shift_bytes(emulated::Register<T, kLanes> a,
                                                                 emulated::Register<T, kLanes> b, int n) {
  emulated::Register<T, kLanes> result;
  for (int i = 0; i < 64; ++i) {
    if (i + n < 0) throw std::logic_error("shift_bytes by a negative number");
    if (i + n < 128) result.bytes[i] = i + n < 64 ? a.bytes[i + n] : b.bytes[i + n - 64];
  }
  return result;
}

#endif  // HCCS_TESTS_AIE_API_SHUFFLE_H_
