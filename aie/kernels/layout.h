// SPDX-License-Identifier: Apache-2.0
//
// Where the kernels' buffers have what, and how large they are: the one place for it, for kernels, graphs, exported
// projects and tests. Plain C++: nothing here needs the AIE API or a device.
//
// What depends on the device takes `arch`, its __AIE_ARCH__: 20 is AIE-ML; 21 and 22 (XDNA 2, AIE-ML v2) have one form.
// Sizes are of one head and count elements, or bytes where the name says so; they are right for blocks of less than
// 2^24 positions, far more than a tile holds. All buffers are aligned to 64 bytes.
#ifndef HCCS_AIE_KERNELS_LAYOUT_H_
#define HCCS_AIE_KERNELS_LAYOUT_H_

namespace hccs_kernels {

constexpr bool is_aie_ml(int arch) { return arch == 20; }
constexpr unsigned round_up(unsigned x, unsigned to) { return (x + to - 1) / to * to; }

// Instructions of a loop's pass up to which a compiler overlaps passes, as far as is known: what the cycle model's
// `overlap_limit` was fitted to (docs/cycle-model.md). The published kernel, whose passes are whole rows, is as fast as
// overlapped passes at n = 32 and 64 and slower than that at n = 128, where a pass exceeds this number.
inline constexpr unsigned kPipelinedInstructions = 60;

// How many of `most` registers, a power of two, a loop's pass takes so that its instructions do not exceed that: `each`
// for a register, and `beside` for the pass itself.
constexpr unsigned registers_of_pass(unsigned most, unsigned each, unsigned beside) {
  while (most > 1 && most * each + beside > kPipelinedInstructions) most /= 2;
  return most;
}

// ---- rows (rows.h): row r begins at element r * rows_pitch(n).

constexpr unsigned rows_pitch(unsigned n) { return n <= 32 ? 32 : round_up(n, 64); }
constexpr unsigned rows_elements(unsigned rows, unsigned n) { return round_up(rows * rows_pitch(n), 64); }
constexpr unsigned rows_index(unsigned row, unsigned i, unsigned n) { return row * rows_pitch(n) + i; }
// Words of bit masks. Position i of a row is bit i % 32 of the row's word i / 32.
constexpr unsigned rows_mask_words(unsigned rows, unsigned n) { return rows * (rows_pitch(n) / 32); }

// What a pass of a loop takes of a row: its segment.
enum class RowsSegment {
  kPairs,  // rows of up to 32 positions, two of them to a register of 64 lanes
  k64,     // so many positions of one row
  k128,
  k256,
  k512,
};
// Registers of a segment.
constexpr unsigned segment_registers(RowsSegment segment) {
  switch (segment) {
    case RowsSegment::k128:
      return 2;
    case RowsSegment::k256:
      return 4;
    case RowsSegment::k512:
      return 8;
    default:
      return 1;
  }
}

// The longest segment that a kernel for so many knees takes: about kPipelinedInstructions in its longest pass.
constexpr RowsSegment longest_rows_segment(unsigned knees, bool masked) {
  if (knees == 1) return masked ? RowsSegment::k256 : RowsSegment::k512;
  return RowsSegment::k128;
}
// The segment of rows of n positions: the longest that divides the pitch.
constexpr RowsSegment rows_segment(unsigned n, unsigned knees, bool masked) {
  if (n <= 32) return RowsSegment::kPairs;
  for (RowsSegment segment = longest_rows_segment(knees, masked);;) {
    if (segment == RowsSegment::k64 || rows_pitch(n) / 64 % segment_registers(segment) == 0) return segment;
    segment = static_cast<RowsSegment>(static_cast<int>(segment) - 1);
  }
}
constexpr unsigned rows_segments(unsigned n, unsigned knees, bool masked) {
  return n <= 32 ? 1 : rows_pitch(n) / 64 / segment_registers(rows_segment(n, knees, masked));
}

inline constexpr unsigned kGroupRows = 16;  // rows of a group: 32-bit lanes of a register
constexpr unsigned rows_groups(unsigned rows) { return (rows + kGroupRows - 1) / kGroupRows; }
// Blocks of four groups, 64 rows, whose maxima are one register.
constexpr unsigned rows_blocks(unsigned rows) { return (rows + 4 * kGroupRows - 1) / (4 * kGroupRows); }

// Whether anything waits in the scratch with a byte for each element: with several knees, but for two where
// `is_clb_uint8`, the results being that, or rows are short.
constexpr bool rows_park(unsigned n, unsigned knees, bool is_clb_uint8) {
  return knees > 2 || (knees == 2 && n > 32 && !is_clb_uint8);
}

// The parts of the scratch, as bytes from its beginning, in their order. `segments`: of a row.
struct RowsScratchParts {
  constexpr RowsScratchParts(unsigned rows, unsigned n, unsigned row_segments, unsigned knees, int arch, bool parks)
      : segments(row_segments),
        planes(knees + 1),
        columns(is_aie_ml(arch) ? 4 : 8),
        factors(prefixes + rows_blocks(rows) * 4 * kGroupRows * 4),
        maxima(factors + (rows_groups(rows) + 1) / 2 * kFactorsBytes),
        sums(maxima + rows_groups(rows) * segments * kMaximaBytes),
        column_matrices(sums + rows_groups(rows) * segments * planes * kSumsBytes),
        row_levels(column_matrices + planes * columns * columns * 8),
        pair_levels(row_levels + rows_blocks(rows) * 64),
        parked(pair_levels + rows_blocks(rows) * 128),
        bytes(parked + (parks ? rows_elements(rows, n) : 0)) {}

  static constexpr unsigned kFactorsBytes = 8 * 2 * kGroupRows;  // of two groups: a sum, a shift and a reciprocal a row
  static constexpr unsigned kMaximaBytes = 8 * 64;               // of a group and segment: 32 lanes a row
  static constexpr unsigned kSumsBytes = 2 * 8 * kGroupRows;     // of a group, segment and plane: eight sums a row

  unsigned segments;
  unsigned planes;           // sums that a row has: one for each knee, and the count of bit masks
  unsigned columns;          // of the matrices by which the sums of rows are added up
  unsigned prefixes = 0;     // int32, one a row, of whole blocks: its place in the table of mask words
  unsigned factors;          // sums, shifts and reciprocals, of whole pairs of groups
  unsigned maxima;           // int8
  unsigned sums;             // int16
  unsigned column_matrices;  // int8, `columns` matrices of 8 x `columns` a plane
  unsigned row_levels;       // int8, one a row
  unsigned pair_levels;      // int16, one a row
  unsigned parked;           // a byte for each element, if it parks: half of the scores
  unsigned bytes;            // of all
};
// Bytes of scratch that a call needs. Masked kernels have more segments; this is enough for any mask. Without
// `is_clb_uint8` it is enough for all results.
constexpr unsigned rows_scratch_bytes(unsigned rows, unsigned n, unsigned knees, int arch, bool is_clb_uint8 = false) {
  return RowsScratchParts(rows, n, rows_segments(n, knees, true), knees, arch, rows_park(n, knees, is_clb_uint8)).bytes;
}

// Entries of the constant table of mask words that masked rows with segments of `positions` positions need.
constexpr unsigned rows_prefix_entries(unsigned positions) { return 2 * positions - 31; }
constexpr unsigned rows_prefix_bytes(unsigned n, unsigned knees) {
  return 4 * rows_prefix_entries(64 * segment_registers(rows_segment(n, knees, true)));
}

// ---- tiles (tiles.h): tiles of tile_rows(arch) x 8 elements, row after row within a tile; the tiles of
// tile_rows(arch) rows, a band, one after another and filled up to whole registers of 64 lanes; then the next band.

constexpr unsigned tile_rows(int arch) { return is_aie_ml(arch) ? 4 : 8; }
constexpr unsigned tile_lanes(int arch) { return 8 * tile_rows(arch); }
// Columns of a register.
constexpr unsigned vector_columns(int arch) { return 64 / tile_rows(arch); }
// Registers of a band.
constexpr unsigned tiles_vectors(unsigned n, int arch) { return (n + vector_columns(arch) - 1) / vector_columns(arch); }
constexpr unsigned tiles_bands(unsigned rows, int arch) { return (rows + tile_rows(arch) - 1) / tile_rows(arch); }
constexpr unsigned tiles_elements(unsigned rows, unsigned n, int arch) {
  return tiles_bands(rows, arch) * tiles_vectors(n, arch) * 64;
}
constexpr unsigned tiles_index(unsigned row, unsigned i, unsigned n, int arch) {
  const unsigned band = row / tile_rows(arch) * tiles_vectors(n, arch) * 64;
  return band + i / 8 * tile_lanes(arch) + row % tile_rows(arch) * 8 + i % 8;
}
// Words of bit masks. Element e of the layout is bit e % 32 of word e / 32.
constexpr unsigned tiles_mask_words(unsigned rows, unsigned n, int arch) { return tiles_elements(rows, n, arch) / 32; }

// Registers of a band that a pass of a loop takes at the most.
constexpr unsigned tiles_segment(unsigned n, int arch) {
  unsigned segment = is_aie_ml(arch) ? 8 : 16;
  while (tiles_vectors(n, arch) % segment != 0) segment /= 2;
  return segment;
}

// `scaled` to int16 is served for rows of up to so many positions (row_factors.h says why).
inline constexpr unsigned kScaledWideLongest = 8192;

inline constexpr unsigned kTilesBlockRows = 64;  // rows that the passes take together: a block
inline constexpr unsigned kTilesLeafRows = 8;    // rows whose maxima are one register: a leaf
inline constexpr unsigned kTilesBlockLeaves = kTilesBlockRows / kTilesLeafRows;
// Bytes of scratch (TilesScratch) that a call needs, whatever its rows.
constexpr unsigned tiles_scratch_bytes(unsigned knees, int arch) {
  const unsigned maxima = 64 * kTilesBlockLeaves;
  const unsigned thresholds_and_columns = knees * (64 * kTilesBlockLeaves + 8 * 64);
  const unsigned ones = 8 * 64;
  const unsigned boundary_and_hidden = tiles_bands(kTilesBlockRows, arch) * 2 * 64 + 64;
  const unsigned factors = 2 * kTilesBlockLeaves * 4 * kTilesLeafRows * 2;
  return maxima + thresholds_and_columns + ones + boundary_and_hidden + factors;
}

// ---- paper_rows (paper_rows.h): rows one after another, n a multiple of kPaperRowsLanes. No masks.

inline constexpr unsigned kPaperRowsLanes = 32;
constexpr unsigned paper_rows_elements(unsigned rows, unsigned n) { return rows * n; }
constexpr unsigned paper_rows_index(unsigned row, unsigned i, unsigned n) { return row * n + i; }
constexpr unsigned paper_rows_scratch_bytes(unsigned n) { return 2 * n; }

// ---- attention (attention.h): every matrix in tiles of 4 x 8, as mmul produces and consumes them, row after row of
// tiles, and row after row within a tile. Matrices of queries (q, o) have attention_rows(rows) rows, matrices of
// positions (k, v) attention_positions(n).

inline constexpr unsigned kAttentionBlockRows = 8;  // query rows that the passes take together
constexpr unsigned attention_rows(unsigned rows) { return round_up(rows, kAttentionBlockRows); }
constexpr unsigned attention_positions(unsigned n) { return round_up(n, 16); }
// Where element (row, column) of a matrix with `columns` columns is.
constexpr unsigned attention_index(unsigned row, unsigned column, unsigned columns) {
  return (row / 4 * (columns / 8) + column / 8) * 32 + row % 4 * 8 + column % 8;
}
// int16 of the rescale factors: M and R of each row.
constexpr unsigned attention_rescales(unsigned rows) { return 2 * attention_rows(rows); }
// Words of a row's bit mask, position i in bit i % 32 of word i / 32; and of all rows, which are not rounded up.
constexpr unsigned attention_mask_pitch(unsigned n) { return (n + 31) / 32; }
constexpr unsigned attention_mask_words(unsigned rows, unsigned n) { return rows * attention_mask_pitch(n); }
// The scratch has q of a block of rows, then the weights of the block.
constexpr unsigned attention_queries_bytes(unsigned head_dimension) { return kAttentionBlockRows * head_dimension; }
constexpr unsigned attention_scratch_bytes(unsigned n, unsigned head_dimension) {
  return attention_queries_bytes(head_dimension) + kAttentionBlockRows * attention_positions(n);
}

}  // namespace hccs_kernels

#endif  // HCCS_AIE_KERNELS_LAYOUT_H_
