// SPDX-License-Identifier: Apache-2.0
//
// Tiling parameters and buffers in memory tiles. Sources: UG1603 (2025.2) "Tiling Parameters Specification", "AI
// Engine-ML Memory Tile Access"; Vitis-Tutorials (2025.2) AIE-ML Feature_Tutorials/07-tiling-parameters.
#include <numeric>

#include "adf_test.h"

namespace {

using namespace adf;
using adf_test::expect_stop;
using adf_test::files;

class AdfSharedBuffer : public adf_test::Files {};

// The order of one pass, in elements; -1 is a zero.
std::vector<int64_t> order(const tiling_parameters& pattern, const std::vector<uint32_t>& buffer,
                           host::Access access = host::Access::kRead) {
  std::vector<int64_t> elements;
  host::append_offsets(pattern, buffer, access, "test", elements);
  return elements;
}

TEST(AdfTiling, WholeBufferIsLinear) {
  std::vector<int64_t> linear(12);
  std::iota(linear.begin(), linear.end(), 0);
  EXPECT_EQ(order({}, {4, 3}), linear);
  EXPECT_EQ(order({.buffer_dimension = {12}, .tiling_dimension = {12}, .offset = {0}}, {4, 3}), linear);
}

// UG1603 "Tiling Parameters Specification": within a tile dimension 0 is the inner loop; tile_traversal[0] is the
// innermost loop over tiles. Write scheme of the section: six tiles of 4x3 in a 12x8 buffer, dimension 1 first.
TEST(AdfTiling, TilesInTheOrderOfTheTraversal) {
  const std::vector<int64_t> elements =
      order({.buffer_dimension = {12, 8},
             .tiling_dimension = {4, 3},
             .offset = {0, 0},
             .tile_traversal = {{.dimension = 1, .stride = 3, .wrap = 2}, {.dimension = 0, .stride = 4, .wrap = 3}}},
            {12, 8});
  ASSERT_EQ(elements.size(), 72U);
  size_t i = 0;
  for (int column : {0, 4, 8}) {
    for (int row : {0, 3}) {
      for (int y = 0; y < 3; ++y) {
        for (int x = 0; x < 4; ++x) EXPECT_EQ(elements[i++], 12 * (row + y) + column + x);
      }
    }
  }
}

// Read scheme of the section: tiles of 7x2 that overlap by two columns.
TEST(AdfTiling, TilesMayOverlap) {
  const std::vector<int64_t> elements =
      order({.buffer_dimension = {12, 8},
             .tiling_dimension = {7, 2},
             .offset = {0, 0},
             .tile_traversal = {{.dimension = 0, .stride = 5, .wrap = 2}, {.dimension = 1, .stride = 2, .wrap = 3}}},
            {12, 8});
  ASSERT_EQ(elements.size(), 84U);
  EXPECT_EQ(elements[0], 0);
  EXPECT_EQ(elements[14], 5);
  EXPECT_EQ(elements[28], 24);
  EXPECT_EQ(elements[83], 12 * 5 + 11);
}

// 07-tiling-parameters, graph_2D.h, "2D Linear with zero padding": reads beyond the buffer give zeros.
TEST(AdfTiling, ReadsOutsideAreZero) {
  EXPECT_EQ(order({.buffer_dimension = {4, 2},
                   .tiling_dimension = {6, 1},
                   .offset = {-1, 0},
                   .tile_traversal = {{.dimension = 1, .stride = 1, .wrap = 2}}},
                  {4, 2}),
            (std::vector<int64_t>{-1, 0, 1, 2, 3, -1, -1, 4, 5, 6, 7, -1}));
  // 07-tiling-parameters, graph_1D.h, "Truncated 1D Linear Zero Pre-padding and Post Padding" (a sixteenth of its
  // size): a boundary within the buffer; "the second tile is only zeros".
  EXPECT_EQ(order({.buffer_dimension = {16},
                   .tiling_dimension = {8},
                   .offset = {-1},
                   .tile_traversal = {{.dimension = 0, .stride = 9, .wrap = 2}},
                   .boundary_dimension = {6}},
                  {16}),
            (std::vector<int64_t>{-1, 0, 1, 2, 3, 4, 5, -1, -1, -1, -1, -1, -1, -1, -1, -1}));
  // XD100 "Tiling Parameter Structure": boundary_dimension is where the real data end.
  EXPECT_EQ(
      order({.buffer_dimension = {4, 2}, .tiling_dimension = {4, 2}, .offset = {0, 0}, .boundary_dimension = {3, 1}},
            {4, 2}),
      (std::vector<int64_t>{0, 1, 2, -1, -1, -1, -1, -1}));
  expect_stop(
      [] {
        order({.buffer_dimension = {4, 2}, .tiling_dimension = {4, 2}, .offset = {1, 0}}, {4, 2}, host::Access::kWrite);
      },
      {"test", "write outside the buffer"});
}

TEST(AdfTiling, RepetitionRunsThePatternAgain) {
  EXPECT_EQ(order({.buffer_dimension = {4}, .tiling_dimension = {2}, .offset = {2}, .repetition = 3}, {4}),
            (std::vector<int64_t>{2, 3, 2, 3, 2, 3}));
}

TEST(AdfTiling, Mistakes) {
  expect_stop(
      [] {
        order({.buffer_dimension = {4, 2}, .tiling_dimension = {4}, .offset = {0, 0}}, {8});
      },
      {"2, 1, 2 and 2 entries"});
  expect_stop(
      [] {
        order({.buffer_dimension = {4, 4}, .tiling_dimension = {4, 4}, .offset = {0, 0}}, {8});
      },
      {"16 elements", "has 8"});
  expect_stop(
      [] {
        order({.buffer_dimension = {8},
               .tiling_dimension = {4},
               .offset = {0},
               .tile_traversal = {{.dimension = 1, .stride = 1, .wrap = 1}}},
              {8});
      },
      {"dimension 1", "below 1"});
}

// A DMA moves 32-bit words: int8 cannot be transposed on the way.
TEST(AdfTiling, WordsAreNotSplit) {
  host::AccessList transpose;
  transpose = {.buffer_dimension = {4, 4},
               .tiling_dimension = {1, 1},
               .offset = {0, 0},
               .tile_traversal = {{.dimension = 1, .stride = 1, .wrap = 4}, {.dimension = 0, .stride = 1, .wrap = 4}}};
  EXPECT_EQ(host::word_offsets(transpose, {4, 4}, 4, host::Access::kRead, "test")[1], 16);
  expect_stop([&] { host::word_offsets(transpose, {4, 4}, 1, host::Access::kRead, "test"); }, {"test", "32-bit word"});
  expect_stop([] { host::word_offsets({}, {7}, 1, host::Access::kRead, "test"); }, {"7 bytes", "multiple of 4"});
}

template <unsigned kElements>
void pass(input_buffer<int32, extents<kElements>>& in, output_buffer<int32, extents<kElements>>& out) {
  std::copy_n(in.data(), kElements, out.data());
}

// 07-tiling-parameters, graph_2D.h: a 16x4 matrix in 4x2 tiles, and two patterns one after the other.
TEST_F(AdfSharedBuffer, TilesAndSequences) {
  struct G : graph {
    port<input> din;
    port<output> dout[2];
    kernel k[2];
    shared_buffer<int32> matrix;
    input_plio in;
    output_plio out[2];
    G() {
      matrix = shared_buffer<int32>::create({16, 4}, 1, 2);
      num_buffers(matrix) = 2;
      location<buffer>(matrix) = {address(6, 0, 0), address(6, 0, 0x8000)};
      in = input_plio::create("in", plio_64_bits, files->path("in.txt"), 625);
      connect(in.out[0], din);
      connect(din, matrix.in[0]);
      write_access(matrix.in[0]) = tiling({.buffer_dimension = {16, 4}, .tiling_dimension = {16, 4}, .offset = {0, 0}});
      read_access(matrix.out[0]) = tiling(
          {.buffer_dimension = {16, 4},
           .tiling_dimension = {4, 2},
           .offset = {0, 0},
           .tile_traversal = {{.dimension = 0, .stride = 4, .wrap = 4}, {.dimension = 1, .stride = 2, .wrap = 2}}});
      read_access(matrix.out[1]) = {
          tiling({.buffer_dimension = {16, 4}, .tiling_dimension = {8, 4}, .offset = {8, 0}}),
          tiling({.buffer_dimension = {16, 4}, .tiling_dimension = {8, 4}, .offset = {0, 0}})};
      for (int i = 0; i < 2; ++i) {
        k[i] = kernel::create(pass<64>);
        connect(matrix.out[i], k[i].in[0]);
        connect(k[i].out[0], dout[i]);
        out[i] = output_plio::create("out", plio_32_bits, files->path("out" + std::to_string(i) + ".txt"));
        connect(dout[i], out[i].in[0]);
      }
    }
  };
  write_range("in.txt", 0, 128, 2);
  G g;
  g.init();
  g.run(2);
  g.end();
  const std::vector<int> tiles = read_values("out0.txt");
  const std::vector<int> halves = read_values("out1.txt");
  ASSERT_EQ(tiles.size(), 128U);
  ASSERT_EQ(halves.size(), 128U);
  size_t i = 0;
  for (int block : {0, 64}) {
    for (int row : {0, 2}) {
      for (int column : {0, 4, 8, 12}) {
        for (int y = 0; y < 2; ++y) {
          for (int x = 0; x < 4; ++x) EXPECT_EQ(tiles[i++], block + 16 * (row + y) + column + x);
        }
      }
    }
  }
  i = 0;
  for (int block : {0, 64}) {
    for (int column : {8, 0}) {
      for (int y = 0; y < 4; ++y) {
        for (int x = 0; x < 8; ++x) EXPECT_EQ(halves[i++], block + 16 * y + column + x);
      }
    }
  }
}

// Rows split over kernels and joined again, as in AIE-ML Feature_Tutorials/13-aie-ml-performance-analysis
// (normalization_v3): several writers fill one buffer.
template <unsigned kKernels>
struct Split : graph {
  input_plio in;
  output_plio out;
  kernel k[kKernels];
  shared_buffer<int32> a, b;
  Split() {
    in = input_plio::create("in", plio_128_bits, files->path("in.txt"));
    out = output_plio::create("out", plio_128_bits, files->path("out.txt"));
    a = shared_buffer<int32>::create({8, 2 * kKernels}, 1, kKernels);
    b = shared_buffer<int32>::create({8, 2 * kKernels}, kKernels, 1);
    connect(in.out[0], a.in[0]);
    connect(b.out[0], out.in[0]);
    for (unsigned i = 0; i < kKernels; ++i) {
      k[i] = kernel::create(pass<16>);
      const int32 row = static_cast<int32>(2 * i);
      connect(a.out[i], k[i].in[0]);
      connect(k[i].out[0], b.in[i]);
      read_access(a.out[i]) =
          tiling({.buffer_dimension = {8, 2 * kKernels}, .tiling_dimension = {8, 2}, .offset = {0, row}});
      write_access(b.in[i]) =
          tiling({.buffer_dimension = {8, 2 * kKernels}, .tiling_dimension = {8, 2}, .offset = {0, row}});
    }
  }
};

TEST_F(AdfSharedBuffer, SplitAndJoin) {
  write_range("in.txt", 0, 3 * 96, 4);
  Split<6> g;
  g.init();
  g.run(3);
  g.end();
  std::vector<int> expected(3 * 96);
  std::iota(expected.begin(), expected.end(), 0);
  EXPECT_EQ(read_values("out.txt"), expected);
}

TEST_F(AdfSharedBuffer, InputThatEndsInTheMiddle) {
  write_range("in.txt", 0, 40, 4);
  Split<3> g;
  g.init();
  expect_stop([&] { g.run(1); }, {"Split<3u>", "an input has ended", "kernel 2", "in[0]", "0 of 16 elements",
                                  "shared_buffer<int32> of {8, 6} port out[2], not yet full", "40 of 48 32-bit words",
                                  "input_plio 'in'", "ended after 40 values"});
}

// Multirate through a memory tile (07-tiling-parameters, src_memtile, Graph2): a kernel runs once for each tile.
TEST_F(AdfSharedBuffer, KernelRunsOncePerTile) {
  struct G : graph {
    input_plio in;
    output_plio out;
    kernel k;
    shared_buffer<int32> image;
    G() {
      in = input_plio::create("in", plio_32_bits, files->path("in.txt"));
      out = output_plio::create("out", plio_32_bits, files->path("out.txt"));
      image = shared_buffer<int32>::create({64}, 1, 1);
      k = kernel::create(pass<16>);
      connect(in.out[0], image.in[0]);
      connect(image.out[0], k.in[0]);
      connect(k.out[0], out.in[0]);
      write_access(image.in[0]) = tiling({.buffer_dimension = {64}, .tiling_dimension = {}, .offset = {0, 0}});
      read_access(image.out[0]) = tiling(
          {.buffer_dimension = {8, 8},
           .tiling_dimension = {4, 4},
           .offset = {0, 0},
           .tile_traversal = {{.dimension = 0, .stride = 4, .wrap = 2}, {.dimension = 1, .stride = 4, .wrap = 2}}});
    }
  };
  write_range("in.txt", 0, 128, 1);
  G g;
  g.init();
  g.run(2);
  g.end();
  const std::vector<int> out = read_values("out.txt");
  ASSERT_EQ(out.size(), 128U);
  EXPECT_EQ(out[16], 4);
  EXPECT_EQ(out[64 + 63], 64 + 63);
}

// UG1079 "Tiling Parameters Specification": kernels connected directly, with an order on each side.
TEST_F(AdfSharedBuffer, TransposeBetweenTwoKernels) {
  struct G : graph {
    input_plio in;
    output_plio out;
    kernel a, b;
    G() {
      in = input_plio::create("in", plio_32_bits, files->path("in.txt"));
      out = output_plio::create("out", plio_32_bits, files->path("out.txt"));
      a = kernel::create(pass<16>);
      b = kernel::create(pass<16>);
      connect(in.out[0], a.in[0]);
      connect(a.out[0], b.in[0]);
      connect(b.out[0], out.in[0]);
      read_access(a.out[0]) = tiling(
          {.buffer_dimension = {8, 2},
           .tiling_dimension = {1, 1},
           .offset = {0, 0},
           .tile_traversal = {{.dimension = 1, .stride = 1, .wrap = 2}, {.dimension = 0, .stride = 1, .wrap = 8}}});
    }
  };
  write_range("in.txt", 0, 16, 1);
  G g;
  g.init();
  g.run(1);
  g.end();
  EXPECT_EQ(read_values("out.txt"), (std::vector<int>{0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15}));
}

TEST_F(AdfSharedBuffer, OtherElementType) {
  struct G : graph {
    input_plio in;
    output_plio out;
    shared_buffer<int16> image;
    kernel k;
    G() {
      in = input_plio::create("in", plio_32_bits, files->path("in.txt"));
      out = output_plio::create("out", plio_32_bits, files->path("out.txt"));
      image = shared_buffer<int16>::create({32}, 1, 1);
      k = kernel::create(pass<16>);
      connect(in.out[0], image.in[0]);
      connect(image.out[0], k.in[0]);
      connect(k.out[0], out.in[0]);
    }
  };
  write("in.txt", "1 2\n");
  G g;
  expect_stop([&] { g.init(); }, {"G", "in[0]", "int32", "shared_buffer<int16> of {32} port out[0]"});
}

}  // namespace
