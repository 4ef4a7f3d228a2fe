// SPDX-License-Identifier: Apache-2.0
//
// The product of a tile's rows with pages, in blocks of vector registers. Included by targets' files as tile-inl.h is,
// before it. Of Isa it needs
//   kRows, kColumns    a block: rows, and vectors of the right operand
//   kVectors           of such vectors 16 lanes have
//   kFinal             vectors whose sums together are kLanes natural ones
//   kTailSteps         so many last steps of a block are taken for two rows after two
//   Left, Right, Sums  types: 4 elements of the left operand, a vector of the right one, sums
// and load_left, load_right, broadcast, multiply_keys, multiply_values, store_sums, maximum_of_four.

// A block of kC vectors has all keys of a page, in natural sums: their maximum needs no other pass.
template <int kC>
inline constexpr bool kBlockHasPage = kC == 4 && Isa::kVectors == 1 && Isa::kFinal == 1;
inline constexpr bool kProductsHaveMaxima = kBlockHasPage<Isa::kColumns>;
inline constexpr bool kMultipliesBeside = Isa::kTailSteps > 0;
inline constexpr bool kProductsHaveMeans = Isa::kTailSteps > 0;
inline constexpr bool kTakesQueriesInPlace = true;
// Narrower blocks than of kColumns vectors: of two where a vector has 16 lanes, and of one group.
inline constexpr bool kHasBlocksOfTwo = Isa::kVectors == 1 && Isa::kColumns > 2;

// Adds the products of rows [kFirst, kFirst + kCount) of the left operand and kC vectors of the right one.
template <int kFirst, int kCount, int kC, bool kKeys>
HCCS_INLINE void multiply_step(Isa::Sums (*sums)[kC], const Isa::Element* left, int64_t left_pitch,
                               const std::byte* page, int64_t group_bytes) {
  typename Isa::Right b[kC];
  HCCS_UNROLL for (int v = 0; v < kC; ++v) {
    b[v] = Isa::load_right(page + v / Isa::kVectors * group_bytes + v % Isa::kVectors * (64 / Isa::kVectors));
  }
  HCCS_UNROLL for (int r = kFirst; r < kFirst + kCount; ++r) {
    const typename Isa::Left a = Isa::load_left(left + r * left_pitch);
    HCCS_UNROLL for (int v = 0; v < kC; ++v) {
      sums[r][v] = kKeys ? Isa::multiply_keys(sums[r][v], a, b[v]) : Isa::multiply_values(sums[r][v], a, b[v]);
    }
  }
}

// The last steps of some rows, and then where their sums go, before the last steps of the next rows, beside whose
// products that is computed.
template <int kFirst, int kR, int kC, bool kKeys, bool kAdd, class I = Isa>
HCCS_INLINE void multiply_tail(Isa::Sums (*sums)[kC], const Isa::Element* left, int64_t left_pitch,
                               const std::byte* page, int64_t steps, int64_t group_bytes, const Products& to,
                               int64_t column) {
  constexpr int kCount = Isa::kTailSteps == 0 ? kR : std::min(2, kR - kFirst);
  HCCS_NO_UNROLL for (int64_t s = 0; s < steps; ++s) {
    multiply_step<kFirst, kCount, kC, kKeys>(sums, left + 4 * s, left_pitch, page + 64 * s, group_bytes);
  }
  if constexpr (kKeys && kBlockHasPage<kC>) {
    if (to.maxima != nullptr) {
      HCCS_UNROLL for (int r = kFirst; r < kFirst + kCount; ++r) Isa::maximum_of_four(sums[r], to.maxima[r].data());
    }
  }
  int32_t* c = to.c + column + kFirst * to.pitch;
  bool has_means = false;
  if constexpr (!kKeys && kProductsHaveMeans && kC > 1) {
    has_means = to.means != nullptr;
    if (has_means) {
      HCCS_UNROLL for (int r = kFirst; r < kFirst + kCount; ++r, c += to.pitch) {
        if constexpr (kAdd) {
          HCCS_UNROLL for (int v = 0; v < kC; ++v) sums[r][v] = I::add_sums(sums[r][v], c + v * Isa::kLanes);
        }
        I::template write_means<kC>(sums[r], *to.means, r, column);
      }
    }
  }
  if (!has_means) {
    HCCS_UNROLL for (int r = kFirst; r < kFirst + kCount; ++r, c += to.pitch) {
      HCCS_UNROLL for (int v = 0; v < kC; v += Isa::kFinal) {
        Isa::template store_sums<kAdd>(c + v / Isa::kFinal * Isa::kLanes, sums[r][v], sums[r][v + Isa::kFinal - 1]);
      }
    }
  }
  if constexpr (kFirst + kCount < kR) {
    multiply_tail<kFirst + kCount, kR, kC, kKeys, kAdd>(sums, left, left_pitch, page, steps, group_bytes, to, column);
  }
}

// The product of kR rows by kC vectors of the right operand, which are `offset` into its pages.
template <int kR, int kC, bool kKeys, bool kAdd, class Beside>
HCCS_NOINLINE void multiply_block(const Isa::Element* left, int64_t left_pitch, const Right& right, int64_t offset,
                                  const Products& to, int64_t column, Beside& beside) {
  Isa::Sums sums[kR][kC];
  HCCS_UNROLL for (int r = 0; r < kR; ++r) {
    HCCS_UNROLL for (int v = 0; v < kC; ++v) sums[r][v] = Isa::broadcast(to.init);
  }
  const int64_t group_bytes = right.group_bytes;
  const int64_t tail = std::min(kKeys ? Isa::kTailSteps : Isa::kTailSteps / 2, right.last_steps);
  const std::byte* page = nullptr;
  for (int64_t p = 0; p < right.pages; ++p) {
    page = right.page[p] + offset;
    int64_t steps = p + 1 < right.pages ? right.steps : right.last_steps - tail;
    if constexpr (kMultipliesBeside && Beside::kIsWork && kR == Isa::kRows && kC > 1) {
      for (; steps >= 2 && beside.left() > 0; steps -= 2) {
        HCCS_UNROLL for (int s = 0; s < 2; ++s) {
          multiply_step<0, kR, kC, kKeys>(sums, left, left_pitch, page, group_bytes);
          page += 64;
          left += 4;
        }
        beside.step();
      }
    }
    for (; steps > 0; --steps) {
      multiply_step<0, kR, kC, kKeys>(sums, left, left_pitch, page, group_bytes);
      page += 64;
      left += 4;
    }
  }
  multiply_tail<0, kR, kC, kKeys, kAdd>(sums, left, left_pitch, page, tail, group_bytes, to, column);
}

// The product of kR rows by all lanes of `groups` groups.
template <int kR, bool kKeys, bool kAdd, class Beside>
HCCS_INLINE void multiply_rows(const Isa::Element* left, int64_t left_pitch, const Right& right, int64_t groups,
                               const Products& to, Beside& beside) {
  constexpr int kC = Isa::kColumns;
  if constexpr (kC > Isa::kVectors) {
    constexpr int64_t kGroups = kC / Isa::kVectors;
    int64_t g = 0;
    for (; g + kGroups <= groups; g += kGroups) {
      multiply_block<kR, kC, kKeys, kAdd>(left, left_pitch, right, g * right.group_bytes, to, 16 * g, beside);
    }
    if constexpr (kHasBlocksOfTwo) {
      for (; g + 2 <= groups; g += 2) {
        multiply_block<kR, 2, kKeys, kAdd>(left, left_pitch, right, g * right.group_bytes, to, 16 * g, beside);
      }
    }
    for (; g < groups; ++g) {
      multiply_block<kR, Isa::kVectors, kKeys, kAdd>(left, left_pitch, right, g * right.group_bytes, to, 16 * g,
                                                     beside);
    }
  } else {
    for (int64_t g = 0; g < groups; ++g) {
      for (int64_t v = 0; v < Isa::kVectors; v += kC) {
        multiply_block<kR, kC, kKeys, kAdd>(left, left_pitch, right, g * right.group_bytes + v * (64 / Isa::kVectors),
                                            to, 16 * g + v / Isa::kFinal * Isa::kLanes, beside);
      }
    }
  }
}

template <bool kKeys, bool kAdd, class Beside>
HCCS_INLINE void multiply(int64_t rows, const Isa::Element* left, int64_t left_pitch, const Right& right,
                          int64_t groups, const Products& to, Beside& beside) {
  static_assert(Isa::kRows <= 6);
  Nothing nothing;
  switch (rows) {
    case 1:
      return multiply_rows<1, kKeys, kAdd>(left, left_pitch, right, groups, to, nothing);
    case 2:
      return multiply_rows<2, kKeys, kAdd>(left, left_pitch, right, groups, to, nothing);
    case 3:
      return multiply_rows<3, kKeys, kAdd>(left, left_pitch, right, groups, to, nothing);
    case 4:
      return multiply_rows<4, kKeys, kAdd>(left, left_pitch, right, groups, to, nothing);
    case 5:
      return multiply_rows<5, kKeys, kAdd>(left, left_pitch, right, groups, to, nothing);
    default:
      return multiply_rows<6, kKeys, kAdd>(left, left_pitch, right, groups, to, beside);
  }
}
