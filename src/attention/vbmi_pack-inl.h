// SPDX-License-Identifier: Apache-2.0
//
// Packing of whole pages with AVX-512 VBMI; of others as everywhere. Included inside a namespace, between the pragmas
// that choose the instruction set; no header guard.

// The 16 bytes at `from`, from + stride, from + 2 * stride and from + 3 * stride.
inline __m512i load_four(const int8_t* from, int64_t stride) {
  const auto part = [&](int64_t i) HCCS_ATTRIBUTES {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i * stride));
  };
  __m512i x = _mm512_inserti32x4(_mm512_castsi128_si512(part(0)), part(1), 1);
  x = _mm512_inserti32x4(x, part(2), 2);
  return _mm512_inserti32x4(x, part(3), 3);
}

// Whether the rows fill a page which has `packed` elements of each.
inline bool fill_page(const Int8Rows& rows, int64_t dimension, int64_t at, int64_t packed) {
  return at == 0 && rows.count == kPage && dimension == packed && dimension % 16 == 0;
}

void pack_keys_by_vectors(const PageLayout& layout, const Int8Rows& keys, int64_t at, std::byte* page) {
  if (!fill_page(keys, layout.head_dimension, at, 4 * layout.steps)) return pack_keys_unsigned(layout, keys, at, page);
  const __m512i flip = _mm512_set1_epi8(-128);
  for (int64_t group = 0; group < 4; ++group) {
    const int8_t* key = keys.data + 4 * group * keys.stride;
    std::byte* to = page + group * layout.steps * 64;
    for (int64_t step = 0; step < layout.steps; step += 4, key += 16, to += 4 * 64) {
      // Four keys of each block of 16, each its 4 steps: within blocks of 128 bits, a transpose.
      const __m512i a = load_four(key, 16 * keys.stride);
      const __m512i b = load_four(key + keys.stride, 16 * keys.stride);
      const __m512i c = load_four(key + 2 * keys.stride, 16 * keys.stride);
      const __m512i d = load_four(key + 3 * keys.stride, 16 * keys.stride);
      const __m512i ab_low = _mm512_unpacklo_epi32(a, b);
      const __m512i ab_high = _mm512_unpackhi_epi32(a, b);
      const __m512i cd_low = _mm512_unpacklo_epi32(c, d);
      const __m512i cd_high = _mm512_unpackhi_epi32(c, d);
      _mm512_storeu_si512(to, _mm512_xor_si512(_mm512_unpacklo_epi64(ab_low, cd_low), flip));
      _mm512_storeu_si512(to + 64, _mm512_xor_si512(_mm512_unpackhi_epi64(ab_low, cd_low), flip));
      _mm512_storeu_si512(to + 128, _mm512_xor_si512(_mm512_unpacklo_epi64(ab_high, cd_high), flip));
      _mm512_storeu_si512(to + 192, _mm512_xor_si512(_mm512_unpackhi_epi64(ab_high, cd_high), flip));
    }
  }
}

void pack_values_by_vectors(const PageLayout& layout, const Int8Rows& values, int64_t at, std::byte* page) {
  if (!fill_page(values, layout.value_dimension, at, 16 * layout.panels)) return pack_values(layout, values, at, page);
  alignas(kAlignment) static constexpr std::array<uint8_t, 64> kTranspose = [] {
    std::array<uint8_t, 64> from{};
    for (size_t i = 0; i < 64; ++i) from[i] = static_cast<uint8_t>(16 * (i % 4) + i / 4);
    return from;
  }();
  const __m512i transpose = _mm512_load_si512(kTranspose.data());
  for (int64_t panel = 0; panel < layout.panels; ++panel) {
    const int8_t* value = values.data + 16 * panel;
    for (int64_t step = 0; step < kPage / 4; ++step, value += 4 * values.stride, page += 64) {
      _mm512_storeu_si512(page, _mm512_permutexvar_epi8(transpose, load_four(value, values.stride)));
    }
  }
}

consteval AttentionTarget packing_by_vectors(AttentionTarget target) {
  target.pack_keys = pack_keys_by_vectors;
  target.pack_values = pack_values_by_vectors;
  return target;
}
