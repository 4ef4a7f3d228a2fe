// SPDX-License-Identifier: Apache-2.0
//
// The graphs of aie/graph with PLIOs around them: what comes out equals the contract, tolerance 0.
#include <adf.h>

#include "adf/adf_test.h"
#include "aie/graph/attention_tile.h"
#include "aie/graph/heads.h"
#include "aie/graph/one_tile.h"
#include "aie/graph/split_heads.h"
#include "aie/graph/split_rows.h"
#include "aie/graph/three_tiles.h"
#include "aie/kernels/attention.h"
#include "aie/kernels/head_softmax.h"
#include "aie/kernels/paper_rows.h"
#include "aie/kernels/products.h"
#include "aie/kernels/rows.h"
#include "aie/kernels/tiles.h"
#include "kernels/softmax_block.h"

namespace {

using namespace adf;
using namespace hccs_kernels;
using hccs_graphs::checked_words;
using kernel_test::Block;
using Normal = hccs_kernels::Normalisation;

const adf_test::Files* files = nullptr;

// Where position i of row r of a head's rows is.
using Index = std::function<size_t(unsigned row, unsigned i)>;
Index paper_rows_index(unsigned n) {
  return [n](unsigned r, unsigned i) { return size_t{r} * n + i; };
}
Index rows_index(unsigned n) {
  return [n](unsigned r, unsigned i) { return size_t{r} * rows_pitch(n) + i; };
}
Index tile_index(unsigned n) {
  return [n](unsigned r, unsigned i) { return size_t{tiles_index(r, i, n, kArch)}; };
}
// Tiles of `tile_rows` x 8, the tiles of tile_rows rows one after another.
Index matrix_index(unsigned tile_rows, unsigned columns) {
  return [=](unsigned r, unsigned j) {
    return (size_t{r} / tile_rows * (columns / 8) + j / 8) * tile_rows * 8 + r % tile_rows * 8 + j % 8;
  };
}

std::vector<HccsHead> kernel_heads(const std::vector<Block>& blocks) {
  std::vector<HccsHead> heads;
  heads.reserve(blocks.size());
  for (const Block& block : blocks) heads.push_back(kernel_test::kernel_head(block.params));
  return heads;
}

// A matrix in a layout.
std::vector<int> laid_out(const std::vector<std::vector<int8_t>>& rows, const Index& index) {
  std::vector<int> values(rows.size() * rows[0].size());
  for (unsigned r = 0; r < rows.size(); ++r) {
    for (unsigned j = 0; j < rows[r].size(); ++j) values[index(r, j)] = rows[r][j];
  }
  return values;
}

class Graphs : public adf_test::Files {
 protected:
  void SetUp() override {
    files = this;
    seed_ = kernel_test::draw_seed();
    random = kernel_test::Random(seed_);
  }
  void TearDown() override {
    if (HasFailure()) std::printf("HCCS_SEED=%llu repeats this\n", static_cast<unsigned long long>(seed_));
  }

  void write_values(const std::string& name, const std::vector<int>& values, unsigned per_line = 16) const {
    std::string text;
    for (size_t i = 0; i < values.size(); ++i) {
      text += std::to_string(values[i]) + (i % per_line == per_line - 1 ? '\n' : ' ');
    }
    write(name, text);
  }

  std::vector<Block> draw_heads(int most_knees, unsigned heads, unsigned rows, unsigned n) {
    std::vector<Block> blocks;
    for (unsigned h = 0; h < heads; ++h) {
      blocks.push_back(kernel_test::draw_block(random, random.between(1, most_knees), rows, n));
    }
    return blocks;
  }
  std::vector<std::vector<int8_t>> draw_matrix(unsigned rows, unsigned columns, int most) {
    std::vector<std::vector<int8_t>> matrix(rows, std::vector<int8_t>(columns));
    for (auto& row : matrix) {
      for (int8_t& x : row) x = static_cast<int8_t>(random.between(-most, most));
    }
    return matrix;
  }

  uint64_t seed_ = 0;
  kernel_test::Random random{0};
};

// Blocks of rows in a layout: the logits, where what no position owns is 99, and the results, where it is 0.
struct Data {
  std::vector<int> logits, results;

  // Rows [first, first + rows) of a block.
  template <typename Out>
  void add(const Block& block, hccs::Normalisation normalisation, unsigned first, unsigned rows, unsigned elements,
           const Index& index) {
    const size_t begin = logits.size();
    logits.resize(begin + elements, 99);
    results.resize(begin + elements, 0);
    std::vector<Out> p(block.n);
    for (unsigned r = 0; r < rows; ++r) {
      const auto& row = block.rows[first + r];
      ASSERT_TRUE(
          hccs::softmax_reference(block.params, normalisation, row, block.mask(first + r), std::span<Out>(p)).ok());
      for (unsigned i = 0; i < block.n; ++i) {
        logits[begin + index(r, i)] = row[i];
        results[begin + index(r, i)] = p[i];
      }
    }
  }
};

// A graph between a PLIO that reads logits.txt and one that writes out.txt.
template <class Graph>
class Between : public graph {
 public:
  Graph inner;
  input_plio in;
  output_plio out;
  explicit Between(const std::vector<int16>& heads) : inner(heads) {
    in = input_plio::create("in", plio_128_bits, files->path("logits.txt"));
    out = output_plio::create("out", plio_128_bits, files->path("out.txt"));
    connect(in.out[0], inner.logits);
    connect(inner.out, out.in[0]);
  }
};

TEST_F(Graphs, OneTilePaperRows) {
  std::vector<Block> heads = draw_heads(1, 1, 5, 96);
  Data data;
  for (int iteration = 0; iteration < 3; ++iteration) {
    for (auto& row : heads[0].rows) row = kernel_test::draw_row(random, 96);
    data.add<int16_t>(heads[0], hccs::Normalisation::kDiv, 0, 5, 5 * 96, paper_rows_index(96));
  }
  write_values("logits.txt", data.logits);
  Between<hccs_graphs::OneTile<PaperRowsSoftmax<Normal::kDiv, int16, 96, 5>>> g(
      checked_words(kernel_heads(heads), 1, 96));
  g.init();
  g.run(3);
  g.end();
  EXPECT_EQ(read_values("out.txt"), data.results);
}

TEST_F(Graphs, SeveralHeadsOnOneTileRows) {
  using Kernel = RowsKernel<Normal::kScaled, uint8, 100, 6, 3>;
  const std::vector<Block> heads = draw_heads(3, 4, 6, 100);
  Data data;
  for (const Block& head : heads) {
    data.add<uint8_t>(head, hccs::Normalisation::kScaled, 0, 6, Kernel::kElements, rows_index(100));
  }
  write_values("logits.txt", data.logits);
  Between<hccs_graphs::OneTile<HeadSoftmax<Kernel, 4>>> g(checked_words(kernel_heads(heads), 3, 100));
  g.init();
  g.run(1);
  g.end();
  EXPECT_EQ(read_values("out.txt"), data.results);
}

TEST_F(Graphs, SeveralHeadsOnOneTileTiles) {
  using Kernel = TilesKernel<Normal::kClb, int16, 45, 11, 2>;
  const std::vector<Block> heads = draw_heads(2, 3, 11, 45);
  Data data;
  for (const Block& head : heads) {
    data.add<int16_t>(head, hccs::Normalisation::kClb, 0, 11, Kernel::kElements, tile_index(45));
  }
  write_values("logits.txt", data.logits);
  Between<hccs_graphs::OneTile<HeadSoftmax<Kernel, 3>>> g(checked_words(kernel_heads(heads), 2, 45));
  g.init();
  g.run(1);
  g.end();
  EXPECT_EQ(read_values("out.txt"), data.results);
}

TEST_F(Graphs, LengthOnOneTile) {
  using Kernel = RowsKernel<Normal::kDiv, uint8, 64, 8, 1, MaskKind::kLength>;
  using Inner = hccs_graphs::OneTileMasked<HeadSoftmax<Kernel, 2>>;
  class Masked : public Between<Inner> {
   public:
    input_port valid_length, causal_offset;
    explicit Masked(const std::vector<int16>& heads) : Between<Inner>(heads) {
      connect<parameter>(valid_length, inner.valid_length);
      connect<parameter>(causal_offset, inner.causal_offset);
    }
  };
  std::vector<Block> heads = draw_heads(1, 2, 8, 64);
  Data data;
  for (Block& head : heads) {
    head.valid_length = 50;
    head.causal = true;
    head.causal_offset = 45;
    data.add<uint8_t>(head, hccs::Normalisation::kDiv, 0, 8, Kernel::kElements, rows_index(64));
  }
  write_values("logits.txt", data.logits);
  Masked g(checked_words(kernel_heads(heads), 1, 64));
  g.init();
  g.update(g.valid_length, 50);
  g.update(g.causal_offset, 45);
  g.run(1);
  g.end();
  EXPECT_EQ(read_values("out.txt"), data.results);
}

constexpr unsigned kTiles = 3;

TEST_F(Graphs, RowsSplitOverTiles) {
  using Kernel = RowsKernel<Normal::kDiv, int16, 70, 4, 2>;
  using Inner = hccs_graphs::SplitRows<HeadSoftmax<Kernel, 2>, kTiles>;
  class Split : public graph {
   public:
    Inner inner;
    input_plio in[kTiles];
    output_plio out[kTiles];
    explicit Split(const std::vector<int16>& heads) : inner(heads) {
      for (unsigned t = 0; t < kTiles; ++t) {
        const std::string number = std::to_string(t);
        in[t] = input_plio::create("in" + number, plio_64_bits, files->path("logits" + number + ".txt"));
        out[t] = output_plio::create("out" + number, plio_64_bits, files->path("out" + number + ".txt"));
        connect(in[t].out[0], inner.logits[t]);
        connect(inner.out[t], out[t].in[0]);
      }
    }
  };
  const std::vector<Block> heads = draw_heads(2, 2, 4 * kTiles, 70);
  Data data[kTiles];
  for (unsigned t = 0; t < kTiles; ++t) {
    for (const Block& head : heads) {
      data[t].add<int16_t>(head, hccs::Normalisation::kDiv, 4 * t, 4, Kernel::kElements, rows_index(70));
    }
    write_values("logits" + std::to_string(t) + ".txt", data[t].logits, 8);
  }
  Split g(checked_words(kernel_heads(heads), 2, 70));
  g.init();
  g.run(1);
  g.end();
  for (unsigned t = 0; t < kTiles; ++t) EXPECT_EQ(read_values("out" + std::to_string(t) + ".txt"), data[t].results);
}

// Six heads, two on each tile, and each with its own parameters.
TEST_F(Graphs, HeadsSplitOverTiles) {
  using Kernel = RowsKernel<Normal::kScaled, uint8, 70, 5, 2>;
  using Inner = hccs_graphs::SplitHeads<HeadSoftmax<Kernel, 2>, kTiles>;
  class Split : public graph {
   public:
    Inner inner;
    input_plio in[kTiles];
    output_plio out[kTiles];
    explicit Split(const std::vector<int16>& heads) : inner(heads) {
      for (unsigned t = 0; t < kTiles; ++t) {
        const std::string number = std::to_string(t);
        in[t] = input_plio::create("in" + number, plio_64_bits, files->path("logits" + number + ".txt"));
        out[t] = output_plio::create("out" + number, plio_64_bits, files->path("out" + number + ".txt"));
        connect(in[t].out[0], inner.logits[t]);
        connect(inner.out[t], out[t].in[0]);
      }
    }
  };
  const std::vector<Block> heads = draw_heads(2, 2 * kTiles, 5, 70);
  Data data[kTiles];
  for (unsigned t = 0; t < kTiles; ++t) {
    for (unsigned h = 2 * t; h < 2 * t + 2; ++h) {
      data[t].add<uint8_t>(heads[h], hccs::Normalisation::kScaled, 0, 5, Kernel::kElements, rows_index(70));
    }
    write_values("logits" + std::to_string(t) + ".txt", data[t].logits, 8);
  }
  Split g(checked_words(kernel_heads(heads), 2, 70));
  g.init();
  g.run(1);
  g.end();
  for (unsigned t = 0; t < kTiles; ++t) EXPECT_EQ(read_values("out" + std::to_string(t) + ".txt"), data[t].results);
}

// The whole heads go in and come out in one piece.
TEST_F(Graphs, RowsSplitOverTilesByAMemoryTile) {
  using Kernel = RowsKernel<Normal::kScaled, int16, 70, 4, 4>;
  std::vector<Block> heads = draw_heads(4, 2, 4 * kTiles, 70);
  Data data;
  for (int iteration = 0; iteration < 2; ++iteration) {
    for (Block& head : heads) {
      for (auto& row : head.rows) row = kernel_test::draw_row(random, 70);
      data.add<int16_t>(head, hccs::Normalisation::kScaled, 0, 4 * kTiles, kTiles * Kernel::kElements, rows_index(70));
    }
  }
  write_values("logits.txt", data.logits);
  Between<hccs_graphs::SplitRowsMemoryTile<HeadSoftmax<Kernel, 2>, int16, kTiles, 2, Kernel::kElements>> g(
      checked_words(kernel_heads(heads), 4, 70));
  g.init();
  g.run(2);
  g.end();
  EXPECT_EQ(read_values("out.txt"), data.results);
}

TEST_F(Graphs, TilesSplitByAMemoryTile) {
  using Kernel = TilesKernel<Normal::kScaled, uint8, 48, 8, 1>;
  const std::vector<Block> heads = draw_heads(1, 2, 8 * kTiles, 48);
  Data data;
  for (const Block& head : heads) {
    data.add<uint8_t>(head, hccs::Normalisation::kScaled, 0, 8 * kTiles, kTiles * Kernel::kElements, tile_index(48));
  }
  write_values("logits.txt", data.logits);
  Between<hccs_graphs::SplitRowsMemoryTile<HeadSoftmax<Kernel, 2>, uint8, kTiles, 2, Kernel::kElements>> g(
      checked_words(kernel_heads(heads), 1, 48));
  g.init();
  g.run(1);
  g.end();
  EXPECT_EQ(read_values("out.txt"), data.results);
}

TEST_F(Graphs, ProductSoftmaxProductOnThreeTiles) {
  constexpr unsigned kRows = 16, kN = 48, kHeadDim = 24, kValueDim = 16;
  constexpr int kShift = 8;
  using Softmax = HeadSoftmax<TilesKernel<Normal::kScaled, uint8, kN, kRows, 2>>;
  class Three : public graph {
   public:
    hccs_graphs::ThreeTiles<Softmax, kRows, kN, kHeadDim, kValueDim, kShift> inner;
    input_plio q, k, v;
    output_plio o;
    explicit Three(const std::vector<int16>& head) : inner(head) {
      q = input_plio::create("q", plio_128_bits, files->path("q.txt"));
      k = input_plio::create("k", plio_128_bits, files->path("k.txt"));
      v = input_plio::create("v", plio_128_bits, files->path("v.txt"));
      o = output_plio::create("o", plio_128_bits, files->path("o.txt"));
      connect(q.out[0], inner.q);
      connect(k.out[0], inner.k);
      connect(v.out[0], inner.v);
      connect(inner.o, o.in[0]);
    }
  };
  const hccs::HeadParams params = kernel_test::draw_head(random, 2);
  std::vector<int> q_file, k_file, v_file, expected;
  for (int iteration = 0; iteration < 2; ++iteration) {
    const int most = iteration == 0 ? 127 : 40;  // logits that are clamped, and others
    const auto q = draw_matrix(kRows, kHeadDim, most);
    const auto k = draw_matrix(kN, kHeadDim, most);
    const auto v = draw_matrix(kN, kValueDim, 127);
    const auto append = [](std::vector<int>& to, const std::vector<int>& part) {
      to.insert(to.end(), part.begin(), part.end());
    };
    append(q_file, laid_out(q, matrix_index(kTileRows, kHeadDim)));
    append(k_file, laid_out(k, matrix_index(8, kHeadDim)));
    append(v_file, laid_out(v, matrix_index(8, kValueDim)));
    const auto scaled = [](int sum, int shift) {
      return static_cast<int8_t>(std::clamp((sum + (1 << (shift - 1))) >> shift, -128, 127));
    };
    std::vector<std::vector<int8_t>> o(kRows, std::vector<int8_t>(kValueDim));
    for (unsigned r = 0; r < kRows; ++r) {
      std::vector<int8_t> logits(kN);
      for (unsigned i = 0; i < kN; ++i) {
        int sum = 0;
        for (unsigned d = 0; d < kHeadDim; ++d) sum += q[r][d] * k[i][d];
        logits[i] = scaled(sum, kShift);
      }
      std::vector<uint8_t> p(kN);
      ASSERT_TRUE(
          hccs::softmax_reference(params, hccs::Normalisation::kScaled, logits, {}, std::span<uint8_t>(p)).ok());
      for (unsigned j = 0; j < kValueDim; ++j) {
        int sum = 0;
        for (unsigned i = 0; i < kN; ++i) sum += p[i] * v[i][j];
        o[r][j] = scaled(sum, 8);
      }
    }
    append(expected, laid_out(o, matrix_index(kTileRows, kValueDim)));
  }
  write_values("q.txt", q_file);
  write_values("k.txt", k_file);
  write_values("v.txt", v_file);
  Three g(checked_words({kernel_test::kernel_head(params)}, 2, kN));
  g.init();
  g.run(2);
  g.end();
  EXPECT_EQ(read_values("o.txt"), expected);
}

TEST_F(Graphs, AttentionOnOneTile) {
  constexpr unsigned kRows = 8, kN = 48, kHeadDim = 16, kValueDim = 32;
  constexpr int kValid = 41, kCausal = 36;
  class Attend : public graph {
   public:
    hccs_graphs::AttentionTile<Attention<3, kHeadDim, kValueDim, kRows, kN>> inner;
    input_plio q, k, v, rescales;
    output_plio o;
    input_port valid_length, causal_offset;
    explicit Attend(const std::vector<int16>& head) : inner(head) {
      q = input_plio::create("q", plio_128_bits, files->path("q.txt"));
      k = input_plio::create("k", plio_128_bits, files->path("k.txt"));
      v = input_plio::create("v", plio_128_bits, files->path("v.txt"));
      rescales = input_plio::create("rescales", plio_32_bits, files->path("rescales.txt"));
      o = output_plio::create("o", plio_128_bits, files->path("o.txt"));
      connect(q.out[0], inner.q);
      connect(k.out[0], inner.k);
      connect(v.out[0], inner.v);
      connect(rescales.out[0], inner.rescales);
      connect<parameter>(valid_length, inner.valid_length);
      connect<parameter>(causal_offset, inner.causal_offset);
      connect(inner.o, o.in[0]);
    }
  };
  const hccs::HeadParams params = kernel_test::draw_head(random, 3);
  const auto q = draw_matrix(kRows, kHeadDim, 127);
  const auto k = draw_matrix(kN, kHeadDim, 127);
  const auto v = draw_matrix(kN, kValueDim, 127);
  std::vector<int> rescales;
  std::vector<std::vector<int8_t>> o(kRows, std::vector<int8_t>(kValueDim));
  std::vector<int8_t> keys, values;
  for (unsigned i = 0; i < kN; ++i) {
    keys.insert(keys.end(), k[i].begin(), k[i].end());
    values.insert(values.end(), v[i].begin(), v[i].end());
  }
  for (unsigned r = 0; r < kRows; ++r) {
    const hccs::Rescale rescale{random.between(1, 32767), random.between(20, 26)};
    rescales.push_back(rescale.multiplier);
    rescales.push_back(rescale.shift);
    hccs::RowMask mask;
    mask.valid_length = kValid;
    mask.last_visible = r + kCausal;
    ASSERT_TRUE(hccs::attention_reference(params, rescale, q[r], keys, values, mask, std::span<int8_t>(o[r])).ok());
  }
  write_values("q.txt", laid_out(q, matrix_index(4, kHeadDim)));
  write_values("k.txt", laid_out(k, matrix_index(4, kHeadDim)));
  write_values("v.txt", laid_out(v, matrix_index(4, kValueDim)));
  write_values("rescales.txt", rescales, 2);
  Attend g(checked_words({kernel_test::kernel_head(params)}, 3, kN, attention_error));
  g.init();
  g.update(g.valid_length, kValid);
  g.update(g.causal_offset, kCausal);
  g.run(1);
  g.end();
  EXPECT_EQ(read_values("o.txt"), laid_out(o, matrix_index(4, kValueDim)));
}

// Parameters outside what a kernel serves are refused where the graph is built.
TEST(GraphHeads, RefusedWithHeadValueAndRule) {
  HccsHead good;
  good.offset = 256;
  good.knee_count = 2;
  good.slope[0] = good.slope[1] = 1;
  good.position[1] = 2;
  const auto message = [](const std::vector<HccsHead>& heads, unsigned knees, unsigned n,
                          MaskKind mask = MaskKind::kBits) -> std::string {
    try {
      checked_words(heads, knees, n, mask);
      return {};
    } catch (const std::invalid_argument& e) {
      return e.what();
    }
  };
  EXPECT_EQ(message({good, good}, 2, 65536), "");
  HccsHead low = good;
  low.offset = 255;
  EXPECT_NE(message({good, low}, 2, 64).find("head 1 with B = 255"), std::string::npos);
  EXPECT_NE(message({good, low}, 2, 64).find("B must be 256 or more for masked rows"), std::string::npos);
  EXPECT_NE(message({good, low}, 2, 64, MaskKind::kLength).find("B must be 256 or more"), std::string::npos);
  EXPECT_EQ(message({good, low}, 2, 2, MaskKind::kNone), "");
  EXPECT_NE(message({good, low}, 2, 1, MaskKind::kNone).find("B + (n-1)*F must be 256 or more"), std::string::npos);
  EXPECT_NE(message({good}, 1, 64).find("K = 2 for a kernel of 1 knees"), std::string::npos);
  EXPECT_NE(message({good}, 2, 65537).find("n must be 1..65536"), std::string::npos);
}

}  // namespace
