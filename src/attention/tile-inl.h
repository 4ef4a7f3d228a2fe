// SPDX-License-Identifier: Apache-2.0
//
// A tile's way through a SIMD kernel. Included by each target's file inside a namespace of its own, between the pragmas
// that choose the instruction set; no header guard. Before it stand kId, `struct Isa` and the product of a tile's rows
// with pages:
//
//   template <bool kKeys, bool kAdd>
//   void multiply(int64_t rows, const Isa::Element* left, int64_t left_pitch, const Right& right, int64_t groups,
//                 const Products& to);
//   constexpr bool kProductsHaveMaxima;   // it updates Products::maxima
//
// Isa has
//   kRows              rows of a tile
//   kLanes             lanes of 32 bits of a vector; a vector of Bytes has four times as many
//   kWords             elements of the left operand have 16 bits, and wide weights are one row, not two of bytes
//   kKeysAreUnsigned, kValuesAreUnsigned   packed with 128 added
//   Element, Bytes, Total, Row             types: of the left operand, of weights, of their sums, of a row's constants
//   SumsScope, ValuesScope                 what lives while sums and values are computed
// and the functions called below.

inline int32_t* sums_of(const Tile& tile, int64_t r, int64_t p) {
  return tile.sums + r * tile.pitch + (p - tile.first_page) * kPage;
}

// Rows of weights: one, or of bytes if wide one of low bytes and one of high bytes.
inline Isa::Element* weights_of(const Tile& tile, int64_t r, int64_t p, bool high = false) {
  const int64_t row = r + (high ? tile.rows : 0);
  return reinterpret_cast<Isa::Element*>(tile.row_weights) + row * tile.pitch + (p - tile.first_page) * kPage;
}

inline void copy_query(const int8_t* from, int64_t count, int8_t* to) {
  // Inline for the whole parts of 32, which are all of most heads.
  int64_t j = 0;
  for (; j + 32 <= count; j += 32) std::memcpy(to + j, from + j, 32);
  if (j < count) std::memcpy(to + j, from + j, static_cast<size_t>(count - j));
}
inline void copy_query(const int8_t* from, int64_t count, int16_t* to) { std::copy(from, from + count, to); }

int64_t begin(Tile& tile) {
  const int64_t length = 4 * tile.layout.steps;
  auto* query = reinterpret_cast<Isa::Element*>(tile.queries);
  for (int64_t r = 0; r < tile.rows; ++r, query += length) {
    copy_query(tile.row[r].query, tile.layout.head_dimension, query);
    std::fill(query + tile.layout.head_dimension, query + length, Isa::Element{0});
    tile.maxima[r].fill(INT32_MIN);
    tile.weight_sums[r].fill(0);
    tile.high_weight_sums[r].fill(0);
  }
  return kId;
}

// Not inlined into what sets its scope, as values_of().
HCCS_NOINLINE void sums_of_pages(Tile& tile, int64_t first, int64_t last) {
  const int64_t steps = tile.layout.steps;
  const auto* queries = reinterpret_cast<const Isa::Element*>(tile.queries);
  for (int64_t p = first; p < last; ++p) {
    const bool full = tile.page_is_full(p);
    multiply<true, false>(tile.rows, queries, 4 * steps, {{tile.key_page(p)}, 1, steps, steps, steps * 64}, 4,
                          {sums_of(tile, 0, p), tile.pitch, Isa::sum_bias(tile), full ? tile.maxima.data() : nullptr});
    if (full && kProductsHaveMaxima) continue;
    for (int64_t r = 0; r < tile.rows; ++r) {
      int32_t* row = sums_of(tile, r, p);
      const uint64_t valid = full ? ~uint64_t{0} : valid_positions(tile.row[r], p);
      if (valid == 0) continue;
      if (valid == ~uint64_t{0}) {
        Isa::maximum(row, tile.maxima[r].data());
      } else {
        Isa::maximum_of_valid(row, valid, tile.maxima[r].data());
      }
    }
  }
}

void sums(Tile& tile, int64_t first, int64_t last) {
  [[maybe_unused]] const Isa::SumsScope scope(tile);
  sums_of_pages(tile, first, last);
}

// The weights of a page in a row, and their sum.
template <bool kWide>
inline void weigh(Tile& tile, int64_t r, int64_t p, const Isa::Row& row, uint64_t valid) {
  const int32_t* sums = sums_of(tile, r, p);
  auto* weights = weights_of(tile, r, p);
  auto* high_weights = Isa::kWords ? weights : weights_of(tile, r, p, true);
  const AttentionHead& head = *tile.row[r].head;
  Isa::Total total = Isa::load_total(tile.weight_sums[r]);
  Isa::Total high_total = Isa::load_total(tile.high_weight_sums[r]);
  constexpr int64_t kStep = 4 * Isa::kLanes;
  HCCS_UNROLL for (int64_t i = 0; i < kPage; i += kStep) {
    const Isa::Bytes d = Isa::distances(sums + i / 4, row);
    const uint64_t part = valid >> i;
    const Isa::Bytes low = Isa::mask(Isa::look_up(head.low, head.low_steps, d), part);
    total = Isa::add(total, low);
    if constexpr (kWide) {
      const Isa::Bytes high = Isa::mask(Isa::look_up(head.high, head.high_steps, d), part);
      high_total = Isa::add(high_total, high);
      Isa::store_wide(weights + i, high_weights + (Isa::kWords ? 0 : i), low, high);
    } else {
      Isa::store_weights(weights + i, low);
    }
  }
  Isa::store_total(total, tile.weight_sums[r]);
  if (kWide) Isa::store_total(high_total, tile.high_weight_sums[r]);
}

template <bool kWide>
inline void weigh_pages(Tile& tile, int64_t first, int64_t last, const Isa::Row* rows) {
  for (int64_t p = first; p < last; ++p) {
    const bool full = tile.page_is_full(p);
    for (int64_t r = 0; r < tile.rows; ++r) {
      weigh<kWide>(tile, r, p, rows[r], full ? ~uint64_t{0} : valid_positions(tile.row[r], p));
    }
  }
}

// The sums of some pages fit 32 bits, those of all pages may not.
template <bool kAdd>
inline void add_to_wide(int64_t* to, const int32_t* from, int64_t count) {
  for (int64_t i = 0; i < count; ++i) to[i] = (kAdd ? to[i] : 0) + from[i];
}

template <bool kAdd>
inline void multiply_panels(const Tile& tile, int64_t first, int64_t last, bool high, int64_t panel, int64_t panels,
                            int32_t* to, int64_t to_pitch) {
  // The weights behind the last valid position are 0.
  const int64_t last_steps = std::min<int64_t>((tile.last - (last - 1) * kPage + 3) / 4, kPage / 4);
  Right right{{}, last - first, kPage / 4, last_steps, 16 * kPage};
  for (int64_t p = first; p < last; ++p) right.page[p - first] = tile.value_page(p) + panel * 16 * kPage;
  multiply<false, kAdd>(tile.rows, weights_of(tile, 0, first, high), tile.pitch, right, panels,
                        {to, to_pitch, 0, nullptr});
}

// Products of weights and values of up to kPagesAtOnce pages, added to those of the pages before.
template <bool kWide, bool kFirst>
inline void multiply_pages(Tile& tile, int64_t first, int64_t last) {
  const int64_t columns = 16 * tile.layout.panels;
  const int64_t pitch = 2 * columns;
  if constexpr (!kWide || !Isa::kWords) {
    multiply_panels<!kFirst>(tile, first, last, false, 0, tile.layout.panels, tile.products, pitch);
    if (kWide) {
      multiply_panels<!kFirst>(tile, first, last, true, 0, tile.layout.panels, tile.products + columns, pitch);
    }
  } else {
    constexpr int64_t kPanels = 4;
    alignas(kAlignment) int32_t part[Isa::kRows * 16 * kPanels];
    for (int64_t panel = 0; panel < tile.layout.panels; panel += kPanels) {
      const int64_t panels = std::min(kPanels, tile.layout.panels - panel);
      multiply_panels<false>(tile, first, last, false, panel, panels, part, 16 * kPanels);
      for (int64_t r = 0; r < tile.rows; ++r) {
        add_to_wide<!kFirst>(reinterpret_cast<int64_t*>(tile.products + r * pitch) + 16 * panel,
                             part + r * 16 * kPanels, 16 * panels);
      }
    }
  }
}

// Not inlined, so that all of it is in the rounding mode that its caller sets.
template <bool kWide>
HCCS_NOINLINE void values_of(Tile& tile, int64_t first, int64_t last) {
  Isa::Row rows[Isa::kRows];
  for (int64_t r = 0; r < tile.rows; ++r) {
    rows[r] = Isa::make_row(tile, tile.row[r], Isa::greatest(tile.maxima[r]));
  }
  const bool multiplies = tile.row[0].out != nullptr;
  int64_t until = std::min(first + kPagesAtOnce, last);
  weigh_pages<kWide>(tile, first, until, rows);
  // The next pages' weights do not wait for products, nor these for them.
  while (first < last) {
    const int64_t next = std::min(until + kPagesAtOnce, last);
    weigh_pages<kWide>(tile, until, next, rows);
    if (multiplies) {
      first == tile.first_page ? multiply_pages<kWide, true>(tile, first, until)
                               : multiply_pages<kWide, false>(tile, first, until);
    }
    first = until;
    until = next;
  }
}

void values(Tile& tile, int64_t first, int64_t last) {
  [[maybe_unused]] const Isa::ValuesScope scope(tile);
  tile.wide ? values_of<true>(tile, first, last) : values_of<false>(tile, first, last);
}

inline int64_t weight_sum(const Tile& tile, int64_t r) {
  return Isa::sum(tile.weight_sums[r]) + (tile.wide ? 256 * Isa::sum(tile.high_weight_sums[r]) : 0);
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
  const int64_t first = std::min(tile.first_page * kPage, tile.keys);
  const int64_t last = std::min(tile.last_page * kPage, tile.keys);
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
    const int64_t sum = weight_sum(tile, r);
    if (row.weight_sum != nullptr) *row.weight_sum = static_cast<int32_t>(sum);
    if (row.weights != nullptr || row.wide_weights != nullptr) write_weights(tile, r);
    if (row.out != nullptr) finish_row(tile, r, sum);
  }
}

// The products alone, of weights that are not made.
HCCS_NOINLINE void multiply_keys_alone(Tile& tile, int64_t first, int64_t last) {
  const int64_t steps = tile.layout.steps;
  const Isa::SumsScope scope(tile);
  for (int64_t p = first; p < last; ++p) {
    multiply<true, false>(tile.rows, reinterpret_cast<const Isa::Element*>(tile.queries), 4 * steps,
                          {{tile.key_page(p)}, 1, steps, steps, steps * 64}, 4,
                          {sums_of(tile, 0, p), tile.pitch, Isa::sum_bias(tile), nullptr});
  }
}

HCCS_NOINLINE void multiply_values_alone(Tile& tile, int64_t first, int64_t last) {
  const Isa::ValuesScope scope(tile);
  for (int64_t p = first; p < last; p += kPagesAtOnce) {
    const int64_t until = std::min(p + kPagesAtOnce, last);
    p == tile.first_page ? multiply_pages<false, true>(tile, p, until) : multiply_pages<false, false>(tile, p, until);
  }
}

// Made when this is compiled: at run time a function of this file may only be called where the CPU has its
// instructions.
consteval AttentionTarget make_target(std::string_view name, int64_t step_multiple = 1) {
  return {.name = name,
          .id = kId,
          .tile_rows = Isa::kRows,
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
