// SPDX-License-Identifier: Apache-2.0
//
// The product of a tile's rows with pages, in blocks of vector registers. Included by targets' files as tile-inl.h is,
// before it. Of Isa it needs
//   kRows, kColumns    a block: rows, and vectors of the right operand
//   kVectors           of such vectors 16 lanes have
//   kFinal             vectors whose sums together are kLanes natural ones
//   Left, Right, Sums  types: 4 elements of the left operand, a vector of the right one, sums
// and load_left, load_right, broadcast, multiply_keys, multiply_values, store_sums, maximum_of_four.

// A block of kC vectors has all keys of a page, in natural sums: their maximum needs no other pass.
template <int kC>
inline constexpr bool kBlockHasPage = kC == 4 && Isa::kVectors == 1 && Isa::kFinal == 1;
inline constexpr bool kProductsHaveMaxima = kBlockHasPage<Isa::kColumns>;

// The product of kR rows by kC vectors of the right operand, which are `offset` into its pages.
template <int kR, int kC, bool kKeys, bool kAdd>
HCCS_NOINLINE void multiply_block(const Isa::Element* left, int64_t left_pitch, const Right& right, int64_t offset,
                                  const Products& to, int64_t column) {
  Isa::Sums sums[kR][kC];
  HCCS_UNROLL for (int r = 0; r < kR; ++r) {
    HCCS_UNROLL for (int v = 0; v < kC; ++v) sums[r][v] = Isa::broadcast(to.init);
  }
  const int64_t group_bytes = right.group_bytes;
  for (int64_t p = 0; p < right.pages; ++p) {
    const std::byte* page = right.page[p] + offset;
    const int64_t steps = p + 1 < right.pages ? right.steps : right.last_steps;
    for (int64_t s = 0; s < steps; ++s) {
      typename Isa::Right b[kC];
      HCCS_UNROLL for (int v = 0; v < kC; ++v) {
        b[v] = Isa::load_right(page + v / Isa::kVectors * group_bytes + v % Isa::kVectors * (64 / Isa::kVectors));
      }
      HCCS_UNROLL for (int r = 0; r < kR; ++r) {
        const typename Isa::Left a = Isa::load_left(left + r * left_pitch);
        HCCS_UNROLL for (int v = 0; v < kC; ++v) {
          sums[r][v] = kKeys ? Isa::multiply_keys(sums[r][v], a, b[v]) : Isa::multiply_values(sums[r][v], a, b[v]);
        }
      }
      page += 64;
      left += 4;
    }
  }
  if constexpr (kKeys && kBlockHasPage<kC>) {
    if (to.maxima != nullptr) {
      HCCS_UNROLL for (int r = 0; r < kR; ++r) Isa::maximum_of_four(sums[r], to.maxima[r].data());
    }
  }
  int32_t* c = to.c + column;
  HCCS_UNROLL for (int r = 0; r < kR; ++r, c += to.pitch) {
    HCCS_UNROLL for (int v = 0; v < kC; v += Isa::kFinal) {
      Isa::template store_sums<kAdd>(c + v / Isa::kFinal * Isa::kLanes, sums[r][v], sums[r][v + Isa::kFinal - 1]);
    }
  }
}

// The product of kR rows by all lanes of `groups` groups.
template <int kR, bool kKeys, bool kAdd>
inline void multiply_rows(const Isa::Element* left, int64_t left_pitch, const Right& right, int64_t groups,
                          const Products& to) {
  constexpr int kC = Isa::kColumns;
  if constexpr (kC > Isa::kVectors) {
    constexpr int64_t kGroups = kC / Isa::kVectors;
    int64_t g = 0;
    for (; g + kGroups <= groups; g += kGroups) {
      multiply_block<kR, kC, kKeys, kAdd>(left, left_pitch, right, g * right.group_bytes, to, 16 * g);
    }
    for (; g < groups; ++g) {
      multiply_block<kR, Isa::kVectors, kKeys, kAdd>(left, left_pitch, right, g * right.group_bytes, to, 16 * g);
    }
  } else {
    for (int64_t g = 0; g < groups; ++g) {
      for (int64_t v = 0; v < Isa::kVectors; v += kC) {
        multiply_block<kR, kC, kKeys, kAdd>(left, left_pitch, right, g * right.group_bytes + v * (64 / Isa::kVectors),
                                            to, 16 * g + v / Isa::kFinal * Isa::kLanes);
      }
    }
  }
}

template <bool kKeys, bool kAdd>
inline void multiply(int64_t rows, const Isa::Element* left, int64_t left_pitch, const Right& right, int64_t groups,
                     const Products& to) {
  static_assert(Isa::kRows <= 6);
  switch (rows) {
    case 1:
      return multiply_rows<1, kKeys, kAdd>(left, left_pitch, right, groups, to);
    case 2:
      return multiply_rows<2, kKeys, kAdd>(left, left_pitch, right, groups, to);
    case 3:
      return multiply_rows<3, kKeys, kAdd>(left, left_pitch, right, groups, to);
    case 4:
      return multiply_rows<4, kKeys, kAdd>(left, left_pitch, right, groups, to);
    case 5:
      return multiply_rows<5, kKeys, kAdd>(left, left_pitch, right, groups, to);
    default:
      return multiply_rows<6, kKeys, kAdd>(left, left_pitch, right, groups, to);
  }
}
