// SPDX-License-Identifier: Apache-2.0
//
// What the tests of attention share: cases of one head, and the comparison of a kernel's results with the contract's,
// tolerance 0.
#ifndef HCCS_TESTS_AIE_KERNELS_ATTENTION_CASE_H_
#define HCCS_TESTS_AIE_KERNELS_ATTENTION_CASE_H_

#include "aie/kernels/attention.h"
#include "kernels/softmax_block.h"

namespace kernel_test {

// One head's attention: matrices row after row, a rescale factor a query row.
struct AttentionCase {
  hccs::HeadParams params;
  unsigned rows = 0, n = 0, head_dim = 0, value_dim = 0;
  std::vector<int8_t> q, k, v;
  std::vector<hccs::Rescale> rescales;
  int32_t valid_length = INT32_MAX;
  bool causal = false;
  int32_t causal_offset = 0;
  std::vector<std::vector<uint8_t>> bits = {};  // (n + 7) / 8 bytes a row, as RowMask has them; empty: none

  std::string describe() const {
    std::string text = "rows " + std::to_string(rows) + ", n " + std::to_string(n) + ", dimensions " +
                       std::to_string(head_dim) + " and " + std::to_string(value_dim) + ", B " +
                       std::to_string(params.offset);
    for (const hccs::Knee& knee : params.active_knees()) {
      text += ", " + std::to_string(knee.slope) + ":" + std::to_string(knee.position);
    }
    text += ", valid length " + std::to_string(valid_length);
    if (causal) text += ", causal offset " + std::to_string(causal_offset);
    if (!bits.empty()) text += ", bits";
    return text;
  }
};

// A kernel with dimensions of at least the case's, which are filled up with zeros. The last arguments: mask words, or
// null, and the scratch.
struct AttentionKernel {
  unsigned head_dim, value_dim;
  std::function<void(const int8*, const int8*, const int8*, const int16*, int8*, int32, int32, int32, int32, int32,
                     const int16*, const uint32*, void*)>
      run;
};

template <unsigned kKnees, unsigned kHeadDim, unsigned kValueDim>
AttentionKernel kernel_of() {
  return {
      kHeadDim, kValueDim,
      [](const int8* q, const int8* k, const int8* v, const int16* rescales, int8* o, int32 rows, int32 n,
         int32 valid_length, int32 causal, int32 causal_offset, const int16* head, const uint32* bits, void* scratch) {
        hccs_kernels::AttentionHead<kKnees, kHeadDim, kValueDim>(hccs_kernels::head_from_words(head))
            .run(q, k, v, rescales, o, static_cast<unsigned>(rows), static_cast<unsigned>(n),
                 {valid_length, causal != 0, causal_offset, bits}, scratch);
      }};
}

// A head of the contract: also offsets below 256.
inline hccs::HeadParams draw_contract_head(Random& random, int knees) {
  hccs::HeadParams params = draw_head(random, knees);
  if (random.one_in(4)) {
    params = {random.between(1, 255), {}};
    params.knee_count = knees;
    int position = 0;
    int left = params.offset;
    for (int i = 0; i < knees; ++i) {
      position += random.between(1, 20);
      const int slope = random.between(0, std::min(127, left / position));
      left -= slope * position;
      params.knees[static_cast<size_t>(i)] = {slope, position};
    }
  }
  return params;
}

inline std::vector<int8_t> draw_matrix(Random& random, size_t size) {
  const int width = random.one_in(3) ? 128 : random.between(1, 60);
  std::vector<int8_t> matrix(size);
  for (int8_t& x : matrix) x = static_cast<int8_t>(random.between(-width, width - 1));
  return matrix;
}

inline AttentionCase draw_case(Random& random, unsigned rows, unsigned n, unsigned head_dim, unsigned value_dim) {
  AttentionCase c{draw_contract_head(random, random.between(1, 4)), rows, n, head_dim, value_dim, {}, {}, {}, {}};
  c.q = draw_matrix(random, rows * head_dim);
  c.k = draw_matrix(random, n * head_dim);
  c.v = draw_matrix(random, n * value_dim);
  const bool natural = random.one_in(2);  // all rows, whose shifts are then near each other
  for (unsigned r = 0; r < rows; ++r) {
    hccs::Rescale rescale{random.between(1, 32767), random.between(0, 46)};
    if (natural || !random.one_in(3)) {
      // Such that the row's distances are spread over what the knees tell apart.
      int64_t most = 1;
      for (unsigned i = 0; i < n; ++i) {
        int64_t a = 0;
        for (unsigned j = 0; j < head_dim; ++j) a += int64_t{c.q[r * head_dim + j]} * c.k[i * head_dim + j];
        most = std::max(most, 2 * std::abs(a));
      }
      rescale.multiplier = random.between(16384, 32767);
      rescale.shift = 0;
      while (rescale.shift < 46 && (most * rescale.multiplier) >> rescale.shift > random.between(60, 400)) {
        ++rescale.shift;
      }
    }
    c.rescales.push_back(rescale);
  }
  if (random.one_in(2)) c.valid_length = random.between(-1, static_cast<int>(n) + 1);
  if (random.one_in(2)) {
    constexpr int32_t kExtremes[] = {INT32_MIN, INT32_MAX};
    c.causal = true;
    c.causal_offset = random.one_in(10) ? kExtremes[random.below(2)] : random.between(-5, static_cast<int>(n));
  }
  return c;
}

// Each position of each row is valid with probability density / 8.
inline void draw_bits(Random& random, AttentionCase& c, int density) {
  c.bits.assign(c.rows, std::vector<uint8_t>((c.n + 7) / 8));
  for (std::vector<uint8_t>& row : c.bits) {
    for (unsigned i = 0; i < c.n; ++i) {
      if (random.below(8) < density) row[i / 8] = static_cast<uint8_t>(row[i / 8] | 1 << (i % 8));
    }
  }
}

inline std::vector<int8_t> expected_rows(const AttentionCase& c) {
  std::vector<int8_t> o(c.rows * c.value_dim);
  for (unsigned r = 0; r < c.rows; ++r) {
    hccs::RowMask mask;
    mask.valid_length = c.valid_length;
    if (c.causal) mask.last_visible = int64_t{r} + c.causal_offset;
    if (!c.bits.empty()) mask.bits = c.bits[r].data();
    const hccs::Status status =
        hccs::attention_reference(c.params, c.rescales[r], std::span(c.q).subspan(r * c.head_dim, c.head_dim), c.k, c.v,
                                  mask, std::span(o).subspan(r * c.value_dim, c.value_dim));
    EXPECT_TRUE(status.ok()) << status.message();
  }
  return o;
}

// The case in the kernel's layout. Padding rows hold a pattern.
class AttentionTiles {
 public:
  AttentionTiles(const AttentionCase& c, unsigned head_dim, unsigned value_dim)
      : q(hccs_kernels::attention_rows(c.rows) * head_dim),
        k(hccs_kernels::attention_positions(c.n) * head_dim),
        v(hccs_kernels::attention_positions(c.n) * value_dim),
        o(hccs_kernels::attention_rows(c.rows) * value_dim),
        rescales(hccs_kernels::attention_rescales(c.rows)) {
    fill(q, c.q, c.rows, c.head_dim, head_dim);
    fill(k, c.k, c.n, c.head_dim, head_dim);
    fill(v, c.v, c.n, c.value_dim, value_dim);
    for (unsigned r = 0; r < hccs_kernels::attention_rows(c.rows); ++r) {
      rescales[2 * r] = static_cast<int16_t>(c.rescales[r % c.rows].multiplier);
      rescales[2 * r + 1] = static_cast<int16_t>(c.rescales[r % c.rows].shift);
    }
  }
  GuardedArray<int8_t> q, k, v, o;
  GuardedArray<int16_t> rescales;

 private:
  static void fill(GuardedArray<int8_t>& to, const std::vector<int8_t>& from, unsigned rows, unsigned columns,
                   unsigned padded_columns) {
    for (unsigned r = 0; r < rows; ++r) {
      for (unsigned j = 0; j < padded_columns; ++j) {
        to[hccs_kernels::attention_index(r, j, padded_columns)] = j < columns ? from[r * columns + j] : int8_t{0};
      }
    }
  }
};

// A case's mask words, which end at inaccessible memory; bits beyond n are set.
class MaskWords {
 public:
  explicit MaskWords(const AttentionCase& c)
      : pitch_(hccs_kernels::attention_mask_pitch(c.n)),
        words_((c.rows * pitch_ + 15) / 16 * 16),
        first_(words_.size() - c.rows * pitch_) {
    std::fill_n(words_.data(), words_.size(), ~uint32_t{0});
    for (unsigned r = 0; r < c.bits.size(); ++r) {
      for (unsigned i = 0; i < c.n; ++i) {
        if ((c.bits[r][i / 8] >> (i % 8) & 1) == 0) words_[first_ + r * pitch_ + i / 32] &= ~(uint32_t{1} << (i % 32));
      }
    }
  }
  size_t size() const { return words_.size() - first_; }
  const uint32_t* data() { return words_.data() + first_; }

 private:
  size_t pitch_;
  GuardedArray<uint32_t> words_;
  size_t first_;
};

inline void expect_equals_contract(const AttentionCase& c, const AttentionKernel& kernel, unsigned mode) {
  AttentionTiles tiles(c, kernel.head_dim, kernel.value_dim);
  MaskWords bits(c);
  GuardedArray<int8_t> scratch(hccs_kernels::attention_scratch_bytes(c.n, kernel.head_dim));
  aie_host::Tile tile("tested");
  tiles.q.add_to(tile, "q", false);
  tiles.k.add_to(tile, "k", false);
  tiles.v.add_to(tile, "v", false);
  tiles.o.add_to(tile, "o", true);
  tiles.rescales.add_to(tile, "rescales", false);
  scratch.add_to(tile, "scratch", true);
  tile.rounding = static_cast<uint8_t>(kRoundings[mode % std::size(kRoundings)]);
  tile.saturation = static_cast<uint8_t>(kSaturations[mode / std::size(kRoundings) % std::size(kSaturations)]);
  const auto before = std::pair(tile.rounding, tile.saturation);
  int16 words[hccs_kernels::kHeadWords];
  hccs_kernels::head_to_words(kernel_head(c.params), words);
  try {
    const aie_host::TileScope scope(tile);
    kernel.run(tiles.q.data(), tiles.k.data(), tiles.v.data(), tiles.rescales.data(), tiles.o.data(),
               static_cast<int32>(c.rows), static_cast<int32>(c.n), c.valid_length, c.causal, c.causal_offset, words,
               c.bits.empty() ? nullptr : bits.data(), scratch.data());
  } catch (const aie_host::Error& error) {
    ADD_FAILURE() << error.what() << "\n" << c.describe();
    return;
  }
  EXPECT_EQ(std::pair(tile.rounding, tile.saturation), before) << c.describe();

  const std::vector<int8_t> expected = expected_rows(c);
  for (unsigned r = 0; r < hccs_kernels::attention_rows(c.rows); ++r) {
    for (unsigned j = 0; j < kernel.value_dim; ++j) {
      const bool inside = r < c.rows && j < c.value_dim;
      ASSERT_EQ(int{tiles.o[hccs_kernels::attention_index(r, j, kernel.value_dim)]},
                inside ? int{expected[r * c.value_dim + j]} : 0)
          << "row " << r << ", column " << j << ", M " << c.rescales[r % c.rows].multiplier << ", R "
          << c.rescales[r % c.rows].shift << ", " << c.describe();
    }
  }
}

}  // namespace kernel_test

#endif  // HCCS_TESTS_AIE_KERNELS_ATTENTION_CASE_H_
