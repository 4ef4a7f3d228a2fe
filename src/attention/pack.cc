// SPDX-License-Identifier: Apache-2.0
#include "attention/pack.h"

#include <algorithm>
#include <cstring>

namespace hccs::internal {
namespace {

using Bytes16 = uint8_t __attribute__((vector_size(16)));
using Words8 = uint16_t __attribute__((vector_size(16)));
using Dwords4 = uint32_t __attribute__((vector_size(16)));
using Qwords2 = uint64_t __attribute__((vector_size(16)));

template <class V>
V as(Bytes16 v) {
  return reinterpret_cast<V>(v);
}
template <class V>
Bytes16 bytes(V v) {
  return reinterpret_cast<Bytes16>(v);
}

Bytes16 load(const int8_t* from, int64_t count) {
  Bytes16 v = {};
  if (count >= 16) {
    std::memcpy(&v, from, 16);
  } else {
    std::memcpy(&v, from, static_cast<size_t>(count));
  }
  return v;
}

void store(std::byte* to, Bytes16 v) { std::memcpy(to, &v, 16); }

Bytes16 interleave_low_bytes(Bytes16 a, Bytes16 b) {
  return __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}
Bytes16 interleave_high_bytes(Bytes16 a, Bytes16 b) {
  return __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}
Bytes16 interleave_low_words(Bytes16 a, Bytes16 b) {
  return bytes(__builtin_shufflevector(as<Words8>(a), as<Words8>(b), 0, 8, 1, 9, 2, 10, 3, 11));
}
Bytes16 interleave_high_words(Bytes16 a, Bytes16 b) {
  return bytes(__builtin_shufflevector(as<Words8>(a), as<Words8>(b), 4, 12, 5, 13, 6, 14, 7, 15));
}
Bytes16 interleave_low_dwords(Bytes16 a, Bytes16 b) {
  return bytes(__builtin_shufflevector(as<Dwords4>(a), as<Dwords4>(b), 0, 4, 1, 5));
}
Bytes16 interleave_high_dwords(Bytes16 a, Bytes16 b) {
  return bytes(__builtin_shufflevector(as<Dwords4>(a), as<Dwords4>(b), 2, 6, 3, 7));
}
Bytes16 low_halves(Bytes16 a, Bytes16 b) {
  return bytes(__builtin_shufflevector(as<Qwords2>(a), as<Qwords2>(b), 0, 2));
}
Bytes16 high_halves(Bytes16 a, Bytes16 b) {
  return bytes(__builtin_shufflevector(as<Qwords2>(a), as<Qwords2>(b), 1, 3));
}

// Bytes [j, j + count), count in 1..16, of keys i, ..., i + 3: four steps of four lanes.
void pack_four_keys(const PageLayout& layout, const Int8Rows& keys, int64_t i, int64_t j, int64_t count, Bytes16 flip,
                    std::byte* to) {
  const int8_t* key = keys.data + i * keys.stride + j;
  const Bytes16 a = load(key, count);
  const Bytes16 b = load(key + keys.stride, count);
  const Bytes16 c = load(key + 2 * keys.stride, count);
  const Bytes16 d = load(key + 3 * keys.stride, count);
  const Bytes16 ab_low = interleave_low_dwords(a, b);
  const Bytes16 ab_high = interleave_high_dwords(a, b);
  const Bytes16 cd_low = interleave_low_dwords(c, d);
  const Bytes16 cd_high = interleave_high_dwords(c, d);
  const Bytes16 step[4] = {low_halves(ab_low, cd_low), high_halves(ab_low, cd_low), low_halves(ab_high, cd_high),
                           high_halves(ab_high, cd_high)};
  to += j / 4 * 64;
  if (j / 4 + 4 <= layout.steps) {
    for (int s = 0; s < 4; ++s) store(to + s * 64, step[s] ^ flip);
  } else {
    for (int64_t s = 0; j / 4 + s < layout.steps; ++s) store(to + s * 64, step[s] ^ flip);
  }
}

template <uint8_t kFlip>
void pack_keys_flipped(const PageLayout& layout, const Int8Rows& keys, int64_t at, std::byte* page) {
  const Bytes16 flip = Bytes16{} + kFlip;
  int64_t i = 0;
  while (i < keys.count) {
    const int64_t position = at + i;
    std::byte* to = page + (group_of(position) * layout.steps * 16 + lane_of(position)) * 4;
    if (position % 4 == 0 && keys.count - i >= 4) {
      for (int64_t j = 0; j < 4 * layout.steps; j += 16) {
        pack_four_keys(layout, keys, i, j, std::clamp<int64_t>(layout.head_dimension - j, 0, 16), flip, to);
      }
      i += 4;
      continue;
    }
    const int8_t* key = keys.data + i * keys.stride;
    for (int64_t j = 0; j < 4 * layout.steps; ++j) {
      const uint8_t byte = j < layout.head_dimension ? static_cast<uint8_t>(key[j]) : 0;
      to[j / 4 * 64 + j % 4] = static_cast<std::byte>(byte ^ kFlip);
    }
    ++i;
  }
}

template <uint8_t kFlip>
void pack_values_flipped(const PageLayout& layout, const Int8Rows& values, int64_t at, std::byte* page) {
  const Bytes16 flip = Bytes16{} + kFlip;
  int64_t i = 0;
  while (i < values.count) {
    const int64_t position = at + i;
    const int8_t* value = values.data + i * values.stride;
    std::byte* to = page + position / 4 * 64;
    if (position % 4 == 0 && values.count - i >= 4) {
      for (int64_t j = 0; j < layout.value_dimension; j += 16, value += 16, to += 16 * kPage) {
        const int64_t count = layout.value_dimension - j;
        const Bytes16 a = load(value, count);
        const Bytes16 b = load(value + values.stride, count);
        const Bytes16 c = load(value + 2 * values.stride, count);
        const Bytes16 d = load(value + 3 * values.stride, count);
        const Bytes16 ab_low = interleave_low_bytes(a, b);
        const Bytes16 ab_high = interleave_high_bytes(a, b);
        const Bytes16 cd_low = interleave_low_bytes(c, d);
        const Bytes16 cd_high = interleave_high_bytes(c, d);
        store(to, interleave_low_words(ab_low, cd_low) ^ flip);
        store(to + 16, interleave_high_words(ab_low, cd_low) ^ flip);
        store(to + 32, interleave_low_words(ab_high, cd_high) ^ flip);
        store(to + 48, interleave_high_words(ab_high, cd_high) ^ flip);
      }
      i += 4;
      continue;
    }
    for (int64_t j = 0; j < layout.value_dimension; ++j) {
      to[j / 16 * 16 * kPage + j % 16 * 4 + position % 4] =
          static_cast<std::byte>(static_cast<uint8_t>(value[j]) ^ kFlip);
    }
    ++i;
  }
}

}  // namespace

void pack_keys(const PageLayout& layout, const Int8Rows& keys, int64_t at, std::byte* page) {
  pack_keys_flipped<0>(layout, keys, at, page);
}
void pack_keys_unsigned(const PageLayout& layout, const Int8Rows& keys, int64_t at, std::byte* page) {
  pack_keys_flipped<128>(layout, keys, at, page);
}
void pack_values(const PageLayout& layout, const Int8Rows& values, int64_t at, std::byte* page) {
  pack_values_flipped<0>(layout, values, at, page);
}
void pack_values_unsigned(const PageLayout& layout, const Int8Rows& values, int64_t at, std::byte* page) {
  pack_values_flipped<128>(layout, values, at, page);
}

}  // namespace hccs::internal
