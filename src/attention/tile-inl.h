// SPDX-License-Identifier: Apache-2.0
//
// A tile's way through a SIMD kernel. Included by each target's file inside a namespace of its own, between the pragmas
// that choose the instruction set; no header guard. Before it stand kId, `struct Isa` and the product of a tile's rows
// with pages:
//
//   template <bool kKeys, bool kAdd, class Beside>
//   void multiply(int64_t rows, const Isa::Element* left, int64_t left_pitch, const Right& right, int64_t groups,
//                 const Products& to, Beside& beside);
//   constexpr bool kProductsHaveMaxima;   // it updates Products::maxima
//   constexpr bool kProductsHaveMeans;    // it writes Products::means
//   constexpr bool kTakesQueriesInPlace;  // of a left operand it reads no rows but those asked for
//   constexpr bool kMultipliesBeside;     // it takes steps of `beside` among its own
//
// Isa has
//   kRows              rows of a block
//   kBlocks            blocks of a tile; 1 if not there
//   kLanes             lanes of 32 bits of a vector; a vector of Bytes has four times as many
//   kWords             elements of the left operand have 16 bits, and wide weights are one row, not two of bytes
//   kKeysAreUnsigned, kValuesAreUnsigned   packed with 128 added
//   Element, Bytes, Total, Row             types: of the left operand, of weights, of their sums, of a row's constants
//   SumsScope, ValuesScope                 what lives while sums and values are computed
// and the functions called below.

// A tile is blocks of kRows rows; while one is multiplied with values, the next one's weights are made.
template <class I>
constexpr int blocks_of_tile() {
  if constexpr (requires { I::kBlocks; }) {
    return I::kBlocks;
  } else {
    return 1;
  }
}
inline constexpr int kTileRows = blocks_of_tile<Isa>() * Isa::kRows;
static_assert(kTileRows <= kMaxTileRows);

// Pages whose weights are made, and then multiplied with values, at once.
inline constexpr int64_t kPagesOfPart = kMultipliesBeside ? kMostPages : 4;

// Of the block that begins at row `row`.
inline int64_t rows_of_block(const Tile& tile, int64_t row) { return std::min<int64_t>(Isa::kRows, tile.rows - row); }

// From this position on none is valid in any row of the block.
inline int64_t last_of_block(const Tile& tile, int64_t row) {
  if (tile.has_one_range) return tile.last;
  int64_t last = 0;
  for (int64_t r = row; r < row + rows_of_block(tile, row); ++r) last = std::max(last, tile.row[r].last);
  return last;
}

// The pages that have positions before `last`.
inline int64_t pages_before(int64_t last) { return (last + kPage - 1) / kPage; }

inline uint64_t valid_of(const Tile& tile, int64_t r, int64_t p) {
  if (tile.page_is_full(p)) return ~uint64_t{0};
  const TileRow& row = tile.row[r];
  return row.bits == nullptr && row.bytes == nullptr ? positions_in_range(row, p) : valid_positions(row, p);
}

inline int32_t* sums_of(const Tile& tile, int64_t r, int64_t p) {
  return tile.sums + r * tile.pitch + (p - tile.first_page) * kPage;
}

// Rows of weights: one, or of bytes if wide one of low bytes and one of high bytes.
inline Isa::Element* weights_of(const Tile& tile, int64_t r, int64_t p, bool high = false) {
  const int64_t row = r + (high ? tile.rows : 0);
  return reinterpret_cast<Isa::Element*>(tile.row_weights) + row * tile.pitch + (p - tile.first_page) * kPage;
}

inline const Isa::Element* queries_of(const Tile& tile, int64_t row) {
  return reinterpret_cast<const Isa::Element*>(tile.left) + row * tile.query_pitch;
}

inline void copy_query(const int8_t* from, int64_t count, int8_t* to) {
  // Inline for the whole parts of 32, which are all of most heads.
  int64_t j = 0;
  for (; j + 32 <= count; j += 32) std::memcpy(to + j, from + j, 32);
  if (j < count) std::memcpy(to + j, from + j, static_cast<size_t>(count - j));
}
inline void copy_query(const int8_t* from, int64_t count, int16_t* to) { std::copy(from, from + count, to); }

int64_t begin(Tile& tile) {
  tile.finished_rows = 0;
  const int64_t length = 4 * tile.layout.steps;
  const bool in_place = kTakesQueriesInPlace && sizeof(Isa::Element) == 1 && tile.query_pitch != 0 &&
                        tile.layout.head_dimension == length;
  if (in_place) {
    tile.left = reinterpret_cast<const std::byte*>(tile.row[0].query);
  } else {
    auto* query = reinterpret_cast<Isa::Element*>(tile.queries);
    for (int64_t r = 0; r < tile.rows; ++r, query += length) {
      copy_query(tile.row[r].query, tile.layout.head_dimension, query);
      std::fill(query + tile.layout.head_dimension, query + length, Isa::Element{0});
    }
    tile.left = tile.queries;
    tile.query_pitch = length;
  }
  for (int64_t r = 0; r < tile.rows; ++r) {
    tile.maxima[r].fill(INT32_MIN);
    tile.weight_sums[r].fill(0);
    if (tile.wide) tile.high_weight_sums[r].fill(0);
  }
  return kId;
}

// The sums of page p in the block that begins at row `first`, and their maxima.
inline void sums_of_page(Tile& tile, int64_t first, int64_t p) {
  const int64_t steps = tile.layout.steps;
  const int64_t rows = rows_of_block(tile, first);
  const bool full = tile.page_is_full(p);
  Nothing nothing;
  multiply<true, false>(
      rows, queries_of(tile, first), tile.query_pitch, {{tile.key_page(p)}, 1, steps, steps, steps * 64}, 4,
      {sums_of(tile, first, p), tile.pitch, Isa::sum_bias(tile), full ? tile.maxima.data() + first : nullptr, nullptr},
      nothing);
  if (full && kProductsHaveMaxima) return;
  for (int64_t r = first; r < first + rows; ++r) {
    int32_t* row = sums_of(tile, r, p);
    const uint64_t valid = valid_of(tile, r, p);
    if (valid == 0) continue;
    if (valid == ~uint64_t{0}) {
      Isa::maximum(row, tile.maxima[r].data());
    } else {
      Isa::maximum_of_valid(row, valid, tile.maxima[r].data());
    }
  }
}

// Not inlined into what sets its scope, as values_of(). The first block last: its weights are made first.
HCCS_NOINLINE void sums_of_pages(Tile& tile, int64_t first, int64_t last) {
  for (int64_t row = (kTileRows / Isa::kRows - 1) * Isa::kRows; row >= 0; row -= Isa::kRows) {
    if (row >= tile.rows) continue;
    const int64_t end = std::min(last, pages_before(last_of_block(tile, row)));
    for (int64_t p = first; p < end; ++p) sums_of_page(tile, row, p);
  }
}

void sums(Tile& tile, int64_t first, int64_t last) {
  [[maybe_unused]] const Isa::SumsScope scope(tile);
  sums_of_pages(tile, first, last);
}

// Some pages of a block of rows.
struct Part {
  int64_t row;          // the block's first one
  int64_t rows;         // 0: there is no part
  int64_t first, last;  // pages
};

// The first part, of the block that begins at row `row` or of a later one, of pages [first, last) from page `from` on.
inline Part part_from(const Tile& tile, int64_t row, int64_t from, int64_t first, int64_t last) {
  for (; row < tile.rows; row += Isa::kRows, from = first) {
    const int64_t end = std::min(last, pages_before(last_of_block(tile, row)));
    if (from < end) return {row, rows_of_block(tile, row), from, std::min(from + kPagesOfPart, end)};
  }
  return {};
}

// Makes the weights of a part and their sums, of a page of a row at each step.
template <bool kWide>
class Weighing {
 public:
  static constexpr bool kIsWork = true;

  Weighing(Tile& tile, const Isa::Row* constants, const Part& part)
      : tile_(tile), constants_(constants), pages_(part.last - part.first) {
    at_.left = part.rows * pages_;
    if (at_.left == 0) return;
    at_.valid = valid_;
    if (tile.page_is_full(part.first) && tile.page_is_full(part.last - 1)) {
      std::fill_n(valid_, at_.left, ~uint64_t{0});
    } else {
      uint64_t* valid = valid_;
      for (int64_t r = part.row; r < part.row + part.rows; ++r) {
        for (int64_t p = part.first; p < part.last; ++p) *valid++ = valid_of(tile, r, p);
      }
    }
    at_.pages = pages_;
    at_.row = part.row;
    at_.sums = sums_of(tile, part.row, part.first);
    at_.weights = weights_of(tile, part.row, part.first);
  }

  HCCS_INLINE int64_t left() const { return at_.left; }
  HCCS_INLINE void step() { step(at_); }
  void finish() {
    Place at = at_;
    while (at.left > 0) step(at);
    at_ = at;
  }

 private:
  // Where the next step is.
  struct Place {
    int64_t left;   // steps
    int64_t pages;  // of them, in this row
    int64_t row;
    const int32_t* sums;
    Isa::Element* weights;
    const uint64_t* valid;
  };

  HCCS_INLINE void step(Place& at) {
    const Isa::Row& row = constants_[at.row];
    const AttentionHead& head = *tile_.row[at.row].head;
    Isa::Total total = Isa::load_total(tile_.weight_sums[at.row]);
    [[maybe_unused]] Isa::Total high_total = Isa::load_total(tile_.high_weight_sums[at.row]);
    const uint64_t valid = *at.valid;
    constexpr int64_t kStep = 4 * Isa::kLanes;
    HCCS_UNROLL for (int64_t i = 0; i < kPage; i += kStep) {
      const Isa::Bytes d = Isa::distances(at.sums + i / 4, row);
      const Isa::Bytes low = Isa::mask(Isa::look_up(head.low, head.low_steps, d), valid >> i);
      total = Isa::add(total, low);
      if constexpr (kWide) {
        const Isa::Bytes high = Isa::mask(Isa::look_up(head.high, head.high_steps, d), valid >> i);
        high_total = Isa::add(high_total, high);
        Isa::store_wide(at.weights + i, at.weights + (Isa::kWords ? 0 : tile_.rows * tile_.pitch) + i, low, high);
      } else {
        Isa::store_weights(at.weights + i, low);
      }
    }
    Isa::store_total(total, tile_.weight_sums[at.row]);
    if constexpr (kWide) Isa::store_total(high_total, tile_.high_weight_sums[at.row]);
    --at.left;
    at.sums += kPage;
    at.weights += kPage;
    ++at.valid;
    if (--at.pages == 0) {
      at.pages = pages_;
      ++at.row;
      at.sums += tile_.pitch - at.pages * kPage;
      at.weights += tile_.pitch - at.pages * kPage;
    }
  }

  Tile& tile_;
  const Isa::Row* constants_;
  int64_t pages_;  // of a row. Copying the whole part would read numbers together that were just written apart.
  alignas(kAlignment) Place at_{};
  uint64_t valid_[kPagesOfPart * Isa::kRows];
};

// The sums of some pages fit 32 bits, those of all pages may not.
template <bool kAdd>
inline void add_to_wide(int64_t* to, const int32_t* from, int64_t count) {
  for (int64_t i = 0; i < count; ++i) to[i] = (kAdd ? to[i] : 0) + from[i];
}

template <bool kAdd, class Beside>
inline void multiply_panels(const Tile& tile, const Part& part, bool high, int64_t panel, int64_t panels, int32_t* to,
                            int64_t to_pitch, const Means* means, Beside& beside) {
  // The weights behind the last valid position are 0.
  const int64_t positions = last_of_block(tile, part.row) - (part.last - 1) * kPage;
  const int64_t last_steps = std::min<int64_t>((positions + 3) / 4, kPage / 4);
  Right right{{}, part.last - part.first, kPage / 4, last_steps, 16 * kPage};
  for (int64_t p = part.first; p < part.last; ++p) right.page[p - part.first] = tile.value_page(p) + panel * 16 * kPage;
  multiply<false, kAdd>(part.rows, weights_of(tile, part.row, part.first, high), tile.pitch, right, panels,
                        {to, to_pitch, 0, nullptr, means}, beside);
}

// Products of a part's weights and values, added to those of the pages before.
template <bool kWide, bool kFirst, class Beside>
inline void multiply_part(Tile& tile, const Part& part, const Means* means, Beside& beside) {
  const int64_t columns = 16 * tile.layout.panels;
  const int64_t pitch = 2 * columns;
  int32_t* products = tile.products + part.row * pitch;
  if constexpr (!kWide || !Isa::kWords) {
    multiply_panels<!kFirst>(tile, part, false, 0, tile.layout.panels, products, pitch, means, beside);
    if (kWide) {
      multiply_panels<!kFirst>(tile, part, true, 0, tile.layout.panels, products + columns, pitch, nullptr, beside);
    }
  } else {
    constexpr int64_t kPanels = 4;
    alignas(kAlignment) int32_t sums[Isa::kRows * 16 * kPanels];
    for (int64_t panel = 0; panel < tile.layout.panels; panel += kPanels) {
      const int64_t panels = std::min(kPanels, tile.layout.panels - panel);
      multiply_panels<false>(tile, part, false, panel, panels, sums, 16 * kPanels, nullptr, beside);
      for (int64_t r = 0; r < part.rows; ++r) {
        add_to_wide<!kFirst>(reinterpret_cast<int64_t*>(products + r * pitch) + 16 * panel, sums + r * 16 * kPanels,
                             16 * panels);
      }
    }
  }
}

inline int64_t weight_sum(const Tile& tile, int64_t r) {
  return Isa::sum(tile.weight_sums[r]) + (tile.wide ? 256 * Isa::sum(tile.high_weight_sums[r]) : 0);
}

// Whether the product of a part, the last one of its block, is to write the rows' means, and how.
template <class I>
inline bool make_means(const Tile& tile, const Part& part, Means& means) {
  if constexpr (!kProductsHaveMeans) {
    return false;
  } else {
    if (tile.layout.value_dimension % 32 != 0) return false;
    if (part.row != tile.finished_rows || part.last < pages_before(last_of_block(tile, part.row))) return false;
    for (int64_t r = 0; r < part.rows; ++r) means.out[r] = tile.row[part.row + r].out;
    return I::make_means(tile.weight_sums.data() + part.row, part.rows, means);
  }
}

template <class I>
inline void make_rows(const Tile& tile, typename I::Row* rows) {
  if constexpr (requires { I::make_rows(tile, rows); }) {
    I::make_rows(tile, rows);
  } else {
    for (int64_t r = 0; r < tile.rows; ++r) {
      rows[r] = I::make_row(tile, tile.row[r], I::greatest(tile.maxima[r]));
    }
  }
}

// Not inlined, so that all of it is in the rounding mode that its caller sets.
template <bool kWide>
HCCS_NOINLINE void values_of(Tile& tile, int64_t first, int64_t last) {
  Isa::Row rows[kTileRows];
  make_rows<Isa>(tile, rows);
  const bool multiplies = tile.row[0].out != nullptr;
  Means means;
  Part part = part_from(tile, 0, first, first, last);
  Weighing<kWide>(tile, rows, part).finish();
  // The next part's weights do not wait for products, nor these for them.
  while (part.rows > 0) {
    const Part next = part_from(tile, part.row, part.last, first, last);
    Weighing<kWide> weighing(tile, rows, next);
    if (!kMultipliesBeside || !multiplies) weighing.finish();
    if (multiplies) {
      const bool has_means = !kWide && make_means<Isa>(tile, part, means);
      const Means* to = has_means ? &means : nullptr;
      part.first == tile.first_page ? multiply_part<kWide, true>(tile, part, to, weighing)
                                    : multiply_part<kWide, false>(tile, part, to, weighing);
      if (has_means) tile.finished_rows = part.row + part.rows;
    }
    weighing.finish();
    part = next;
  }
}

void values(Tile& tile, int64_t first, int64_t last) {
  [[maybe_unused]] const Isa::ValuesScope scope(tile);
  tile.wide ? values_of<true>(tile, first, last) : values_of<false>(tile, first, last);
}

inline void finish_row(const Tile& tile, int64_t r, int64_t sum) {
  const int64_t columns = 16 * tile.layout.panels;
  const int32_t* low = tile.products + r * 2 * columns;
  int8_t* out = tile.row[r].out;
  const int64_t count = tile.layout.value_dimension;
  if (sum == 0) {
    std::memset(out, 0, static_cast<size_t>(count));
    return;
  }
  const double bias = Isa::kValuesAreUnsigned ? -128.0 * static_cast<double>(sum) : 0;
  const double inverse = 1.0 / static_cast<double>(sum);
  if (!tile.wide) {
    if constexpr (!Isa::kValuesAreUnsigned) {
      Isa::finish(low, count, sum, inverse, out);
    } else {
      const auto* sums = reinterpret_cast<const uint32_t*>(low);
      for (int64_t j = 0; j < count; ++j) out[j] = rounded_mean(sums[j] + bias, inverse);
    }
  } else if constexpr (Isa::kWords) {
    const auto* sums = reinterpret_cast<const int64_t*>(low);
    for (int64_t j = 0; j < count; ++j) out[j] = rounded_mean(static_cast<double>(sums[j]), inverse);
  } else {
    using Sum = std::conditional_t<Isa::kValuesAreUnsigned, uint32_t, int32_t>;
    const auto* low_sums = reinterpret_cast<const Sum*>(low);
    const Sum* high_sums = low_sums + columns;
    for (int64_t j = 0; j < count; ++j) out[j] = rounded_mean(low_sums[j] + 256.0 * high_sums[j] + bias, inverse);
  }
}

inline void write_weights(const Tile& tile, int64_t r) {
  const TileRow& row = tile.row[r];
  // Outside of these positions there are no weights, or they are 0.
  const int64_t first = std::min(tile.first_page * kPage, row.last);
  const int64_t last = row.last;
  const auto* weights = weights_of(tile, r, tile.first_page);
  if (row.weights != nullptr) {
    std::memset(row.weights, 0, static_cast<size_t>(first));
    for (int64_t i = first; i < last; ++i) row.weights[i] = static_cast<uint8_t>(weights[i - first]);
    std::memset(row.weights + last, 0, static_cast<size_t>(tile.keys - last));
  }
  if (row.wide_weights != nullptr) {
    const auto wide = [&](int64_t i) -> int {
      if constexpr (Isa::kWords) return weights[i];
      const auto* high = weights_of(tile, r, tile.first_page, true);
      return static_cast<uint8_t>(weights[i]) + 256 * static_cast<uint8_t>(high[i]);
    };
    std::fill(row.wide_weights, row.wide_weights + first, uint16_t{0});
    for (int64_t i = first; i < last; ++i) row.wide_weights[i] = static_cast<uint16_t>(wide(i - first));
    std::fill(row.wide_weights + last, row.wide_weights + tile.keys, uint16_t{0});
  }
}

void finish(Tile& tile) {
  for (int64_t r = 0; r < tile.rows; ++r) {
    const TileRow& row = tile.row[r];
    if (row.weights != nullptr || row.wide_weights != nullptr) write_weights(tile, r);
    const bool finishes = row.out != nullptr && r >= tile.finished_rows;
    if (row.weight_sum == nullptr && !finishes) continue;
    const int64_t sum = weight_sum(tile, r);
    if (row.weight_sum != nullptr) *row.weight_sum = static_cast<int32_t>(sum);
    if (finishes) finish_row(tile, r, sum);
  }
}

// The products alone, of weights that are not made.
HCCS_NOINLINE void multiply_keys_alone(Tile& tile, int64_t first, int64_t last) {
  const int64_t steps = tile.layout.steps;
  const Isa::SumsScope scope(tile);
  Nothing nothing;
  for (int64_t p = first; p < last; ++p) {
    for (int64_t row = 0; row < tile.rows; row += Isa::kRows) {
      multiply<true, false>(rows_of_block(tile, row), queries_of(tile, row), tile.query_pitch,
                            {{tile.key_page(p)}, 1, steps, steps, steps * 64}, 4,
                            {sums_of(tile, row, p), tile.pitch, Isa::sum_bias(tile), nullptr, nullptr}, nothing);
    }
  }
}

HCCS_NOINLINE void multiply_values_alone(Tile& tile, int64_t first, int64_t last) {
  const Isa::ValuesScope scope(tile);
  Nothing nothing;
  Part part = part_from(tile, 0, first, first, last);
  for (; part.rows > 0; part = part_from(tile, part.row, part.last, first, last)) {
    part.first == tile.first_page ? multiply_part<false, true>(tile, part, nullptr, nothing)
                                  : multiply_part<false, false>(tile, part, nullptr, nothing);
  }
}

// Made when this is compiled: at run time a function of this file may only be called where the CPU has its
// instructions.
consteval AttentionTarget make_target(std::string_view name, int64_t step_multiple = 1,
                                      int64_t block_rows = Isa::kRows) {
  return {.name = name,
          .id = kId,
          .tile_rows = kTileRows,
          .block_rows = block_rows,
          .query_bytes = sizeof(Isa::Element),
          .weight_bytes = sizeof(Isa::Element),
          .step_multiple = step_multiple,
          .pack_keys = Isa::kKeysAreUnsigned ? pack_keys_unsigned : pack_keys,
          .pack_values = Isa::kValuesAreUnsigned ? pack_values_unsigned : pack_values,
          .begin = begin,
          .sums = sums,
          .values = values,
          .finish = finish,
          .multiply_keys_alone = multiply_keys_alone,
          .multiply_values_alone = multiply_values_alone};
}
