// SPDX-License-Identifier: Apache-2.0
//
// The layouts of both devices, as a program on the host sees them: compiled without the AIE API and without a device.
#include "aie/kernels/layout.h"

#include <gtest/gtest.h>

#include <functional>
#include <vector>

#include "aie/kernels/head.h"

namespace {

using namespace hccs_kernels;

constexpr int kArchs[] = {20, 21, 22};
constexpr unsigned kLengths[] = {1, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 128, 200, 512, 1000};
constexpr unsigned kRowCounts[] = {1, 2, 3, 4, 5, 8, 15, 16, 17, 35, 64, 65};

// Every element of `rows` rows and `columns` columns has a place of its own among `elements`.
void expect_places(unsigned rows, unsigned columns, unsigned elements,
                   const std::function<unsigned(unsigned, unsigned)>& index) {
  std::vector<bool> taken(elements, false);
  for (unsigned r = 0; r < rows; ++r) {
    for (unsigned i = 0; i < columns; ++i) {
      const unsigned at = index(r, i);
      ASSERT_LT(at, elements) << "row " << r << ", position " << i;
      ASSERT_FALSE(taken[at]) << "row " << r << ", position " << i;
      taken[at] = true;
    }
  }
}

TEST(Layout, EveryPositionHasAPlaceOfItsOwn) {
  for (const unsigned rows : kRowCounts) {
    for (const unsigned n : kLengths) {
      SCOPED_TRACE(std::to_string(rows) + " rows of " + std::to_string(n));
      expect_places(rows, n, rows_elements(rows, n), [n](unsigned r, unsigned i) { return rows_index(r, i, n); });
      expect_places(rows, n, paper_rows_elements(rows, n),
                    [n](unsigned r, unsigned i) { return paper_rows_index(r, i, n); });
      expect_places(rows, 32, attention_rows(rows) * 32,
                    [](unsigned r, unsigned i) { return attention_index(r, i, 32); });
      for (const int arch : kArchs) {
        expect_places(rows, n, tiles_elements(rows, n, arch),
                      [n, arch](unsigned r, unsigned i) { return tiles_index(r, i, n, arch); });
      }
    }
  }
}

TEST(Layout, BuffersAreWholeRegistersAndHaveAMaskBitForEachElement) {
  for (const unsigned rows : kRowCounts) {
    for (const unsigned n : kLengths) {
      EXPECT_EQ(rows_elements(rows, n) % 64, 0u);
      EXPECT_EQ(rows_mask_words(rows, n) * 32, rows * rows_pitch(n));
      EXPECT_GE(attention_mask_pitch(n) * 32, n);
      EXPECT_EQ(attention_rows(rows) % 8, 0u);
      EXPECT_EQ(attention_positions(n) % 16, 0u);
      for (const int arch : kArchs) {
        EXPECT_EQ(tiles_elements(rows, n, arch) % 64, 0u);
        EXPECT_EQ(tiles_mask_words(rows, n, arch) * 32, tiles_elements(rows, n, arch));
      }
    }
  }
}

// A tile of rows is one of aie::mmul: 4 x 8 on AIE-ML, 8 x 8 on its successors.
TEST(Layout, TilesFollowEachOther) {
  EXPECT_EQ(tiles_index(1, 0, 40, 20), 8u);
  EXPECT_EQ(tiles_index(0, 8, 40, 20), 32u);
  EXPECT_EQ(tiles_index(4, 0, 40, 20), 192u);  // 40 columns are filled up to 48
  EXPECT_EQ(tiles_index(7, 9, 40, 22), 121u);
  EXPECT_EQ(tiles_index(8, 0, 40, 22), 320u);
  EXPECT_EQ(attention_index(5, 17, 64), 256u + 2 * 32 + 8 + 1);
}

TEST(Layout, SegmentsDivideRows) {
  for (unsigned n = 1; n <= 2048; ++n) {
    for (unsigned knees = 1; knees <= kMaxKnees; ++knees) {
      for (const bool masked : {false, true}) {
        const RowsSegment segment = rows_segment(n, knees, masked);
        ASSERT_EQ(segment == RowsSegment::kPairs, n <= 32);
        ASSERT_LE(segment, longest_rows_segment(knees, masked));
        const unsigned positions = rows_segments(n, knees, masked) * segment_registers(segment) * 64;
        ASSERT_EQ(positions, n <= 32 ? 64 : rows_pitch(n));
      }
    }
    for (const int arch : kArchs) ASSERT_EQ(tiles_vectors(n, arch) % tiles_segment(n, arch), 0u);
  }
}

// Nothing is parked with one knee, nor with two in short rows or for clb to uint8.
TEST(Layout, ScratchHasRoomForWhatIsParked) {
  for (const int arch : kArchs) {
    const auto parked = [&](unsigned n, unsigned knees, bool is_clb_uint8) {
      const RowsScratchParts parts(10, n, rows_segments(n, knees, true), knees, arch, false);
      return rows_scratch_bytes(10, n, knees, arch, is_clb_uint8) - parts.bytes;
    };
    for (const unsigned n : {20u, 32u, 100u}) {
      for (const bool is_clb_uint8 : {false, true}) {
        EXPECT_EQ(parked(n, 1, is_clb_uint8), 0u);
        EXPECT_EQ(parked(n, 2, is_clb_uint8), n <= 32 || is_clb_uint8 ? 0u : rows_elements(10, n));
        EXPECT_EQ(parked(n, 3, is_clb_uint8), rows_elements(10, n));
        EXPECT_EQ(parked(n, 4, is_clb_uint8), rows_elements(10, n));
      }
    }
  }
}

// The scratch of masked rows is enough for rows without masks too, whose segments are longer; its parts are aligned as
// the registers that are stored there.
TEST(Layout, ScratchIsEnoughForEveryMask) {
  for (const int arch : kArchs) {
    for (const unsigned rows : kRowCounts) {
      for (const unsigned n : kLengths) {
        for (unsigned knees = 1; knees <= kMaxKnees; ++knees) {
          const unsigned bytes = rows_scratch_bytes(rows, n, knees, arch);
          for (const bool masked : {false, true}) {
            const RowsScratchParts parts(rows, n, rows_segments(n, knees, masked), knees, arch, knees > 1);
            EXPECT_LE(rows_park(n, knees, false) ? parts.bytes : parts.parked, bytes);
            for (const unsigned part : {parts.prefixes, parts.factors, parts.maxima, parts.sums, parts.row_levels,
                                        parts.pair_levels, parts.parked}) {
              EXPECT_EQ(part % 32, 0u);
              EXPECT_LE(part, parts.bytes);
            }
          }
        }
      }
    }
  }
}

TEST(Layout, PassesStayWithinWhatIsPipelined) {
  EXPECT_EQ(registers_of_pass(8, 7, 4), 8u);
  EXPECT_EQ(registers_of_pass(8, 7, 5), 4u);
  EXPECT_EQ(registers_of_pass(8, 100, 0), 1u);
}

}  // namespace
