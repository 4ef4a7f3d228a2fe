// SPDX-License-Identifier: Apache-2.0
//
// The row softmax kernels as ADF kernel classes in a graph: several heads, run-time parameters, mask buffers, and two
// kernels on one tile that need different modes.
#include <adf.h>

#include "adf/adf_test.h"
#include "aie/kernels/head_softmax.h"
#include "aie/kernels/paper_rows.h"
#include "aie/kernels/rows.h"
#include "aie/kernels/tiles.h"
#include "kernels/softmax_block.h"

namespace {

using namespace adf;
using namespace hccs_kernels;
using kernel_test::Block;

const adf_test::Files* files = nullptr;

class KernelGraph : public adf_test::Files {
 protected:
  void SetUp() override { files = this; }

  void write_logits(const std::vector<Block>& heads, unsigned elements, unsigned pitch) {
    std::string text;
    for (const Block& block : heads) {
      std::vector<int> values(elements, 99);
      for (size_t r = 0; r < block.rows.size(); ++r) {
        for (size_t i = 0; i < block.n; ++i) values[r * pitch + i] = block.rows[r][i];
      }
      for (size_t i = 0; i < values.size(); ++i) text += std::to_string(values[i]) + (i % 4 == 3 ? '\n' : ' ');
    }
    write("logits.txt", text);
  }
  template <typename Out>
  void expect_results(const char* name, const std::vector<Block>& heads, hccs::Normalisation normalisation,
                      unsigned elements, unsigned pitch) {
    std::vector<int> expected;
    for (const Block& block : heads) {
      std::vector<int> values(elements, 0);
      std::vector<Out> p(block.n);
      for (size_t r = 0; r < block.rows.size(); ++r) {
        ASSERT_TRUE(
            hccs::softmax_reference(block.params, normalisation, block.rows[r], block.mask(r), std::span<Out>(p)).ok());
        for (size_t i = 0; i < block.n; ++i) values[r * pitch + i] = p[i];
      }
      expected.insert(expected.end(), values.begin(), values.end());
    }
    EXPECT_EQ(read_values(name), expected);
  }
};

std::vector<int16> words(const std::vector<Block>& heads) {
  std::vector<int16> all(heads.size() * kHeadWords);
  for (size_t h = 0; h < heads.size(); ++h) {
    head_to_words(kernel_test::kernel_head(heads[h].params), all.data() + h * kHeadWords);
  }
  return all;
}

std::vector<Block> draw_heads(kernel_test::Random& random, int most_knees, unsigned heads, unsigned rows, unsigned n) {
  std::vector<Block> blocks;
  for (unsigned h = 0; h < heads; ++h) {
    blocks.push_back(kernel_test::draw_block(random, random.between(1, most_knees), rows, n));
  }
  return blocks;
}

// Logits to two kernels on one tile: paper_rows, which needs floor, and rows scaled, which needs rounding.
class TwoKernels : public graph {
 public:
  input_plio in = input_plio::create("logits", plio_32_bits, files->path("logits.txt"));
  output_plio out_row = output_plio::create("row", plio_32_bits, files->path("row.txt"));
  output_plio out_rows = output_plio::create("rows", plio_32_bits, files->path("rows.txt"));
  kernel paper_rows, plain_rows;

  explicit TwoKernels(const std::vector<int16>& heads) {
    paper_rows = kernel::create_object<PaperRowsSoftmax<hccs_kernels::Normalisation::kClb, uint8, 64, 6, 2>>(heads);
    plain_rows =
        kernel::create_object<HeadSoftmax<RowsKernel<hccs_kernels::Normalisation::kScaled, int16, 64, 6>, 2>>(heads);
    connect(in.out[0], paper_rows.in[0]);
    connect(in.out[0], plain_rows.in[0]);
    connect(paper_rows.out[0], out_row.in[0]);
    connect(plain_rows.out[0], out_rows.in[0]);
    for (kernel* k : {&paper_rows, &plain_rows}) {
      source(*k) = "softmax.cc";
      runtime<ratio>(*k) = 0.4;
      location<kernel>(*k) = tile(3, 1);
    }
  }
};

TEST_F(KernelGraph, TwoKernelsOnOneTile) {
  kernel_test::Random random(11);
  std::vector<Block> blocks = draw_heads(random, 1, 2, 6, 64);
  const std::vector<int16> heads = words(blocks);
  std::vector<Block> both = blocks;  // two iterations
  for (const Block& block : blocks) both.push_back(block);
  write_logits(both, 6 * 64, 64);
  TwoKernels g(heads);
  g.init();
  g.run(2);
  g.end();
  expect_results<uint8_t>("row.txt", both, hccs::Normalisation::kClb, 6 * 64, 64);
  expect_results<int16_t>("rows.txt", both, hccs::Normalisation::kScaled, 6 * 64, 64);
}

// Three heads with up to three knees, odd rows of 20, valid length and causal offset as run-time parameters.
using Limited = RowsKernel<hccs_kernels::Normalisation::kDiv, uint8, 20, 5, 3, MaskKind::kLength>;
class LengthGraph : public graph {
 public:
  input_plio in = input_plio::create("logits", plio_32_bits, files->path("logits.txt"));
  output_plio out = output_plio::create("out", plio_32_bits, files->path("out.txt"));
  input_port valid_length, causal_offset;
  kernel k;
  explicit LengthGraph(const std::vector<int16>& heads) {
    k = kernel::create_object<HeadSoftmax<Limited, 3>>(heads);
    source(k) = "softmax.cc";
    runtime<ratio>(k) = 1.0;
    connect(in.out[0], k.in[0]);
    connect<parameter>(valid_length, async(k.in[1]));
    connect<parameter>(causal_offset, async(k.in[2]));
    connect(k.out[0], out.in[0]);
  }
};

TEST_F(KernelGraph, LengthAsRunTimeParameters) {
  kernel_test::Random random(12);
  std::vector<Block> blocks = draw_heads(random, 3, 3, 5, 20);
  for (Block& block : blocks) {
    block.valid_length = 17;
    block.causal = true;
    block.causal_offset = 14;
  }
  write_logits(blocks, Limited::kElements, 32);
  LengthGraph g(words(blocks));
  g.init();
  g.update(g.valid_length, 17);
  g.update(g.causal_offset, 14);
  g.run(1);
  g.end();
  expect_results<uint8_t>("out.txt", blocks, hccs::Normalisation::kDiv, Limited::kElements, 32);
}

using Masked = RowsKernel<hccs_kernels::Normalisation::kClb, int16, 70, 3, 1, MaskKind::kBits>;
class BitsGraph : public graph {
 public:
  input_plio in = input_plio::create("logits", plio_32_bits, files->path("logits.txt"));
  input_plio bits = input_plio::create("bits", plio_32_bits, files->path("bits.txt"));
  output_plio out = output_plio::create("out", plio_32_bits, files->path("out.txt"));
  input_port valid_length, causal_offset;
  kernel k;
  explicit BitsGraph(const std::vector<int16>& heads) {
    k = kernel::create_object<HeadSoftmax<Masked, 2>>(heads);
    source(k) = "softmax.cc";
    runtime<ratio>(k) = 1.0;
    connect(in.out[0], k.in[0]);
    connect(bits.out[0], k.in[1]);
    connect<parameter>(valid_length, async(k.in[2]));
    connect<parameter>(causal_offset, async(k.in[3]));
    connect(k.out[0], out.in[0]);
  }
};

TEST_F(KernelGraph, BitsAsABuffer) {
  kernel_test::Random random(13);
  std::vector<Block> blocks = draw_heads(random, 1, 2, 3, 70);
  std::vector<uint32_t> mask(Masked::kMaskWords);
  for (size_t r = 0; r < 3; ++r) {
    std::vector<uint8_t> row(9);
    for (uint8_t& byte : row) byte = static_cast<uint8_t>(random.below(256));
    std::memcpy(mask.data() + 4 * r, row.data(), row.size());
    for (Block& block : blocks) block.bits.push_back(row);
  }
  std::string text;
  for (const uint32_t word : mask) text += std::to_string(word) + '\n';
  write("bits.txt", text);
  write_logits(blocks, Masked::kElements, 128);
  BitsGraph g(words(blocks));
  g.init();
  g.update(g.valid_length, 70);
  g.update(g.causal_offset, 70);
  g.run(1);
  g.end();
  expect_results<int16_t>("out.txt", blocks, hccs::Normalisation::kClb, Masked::kElements, 128);
}

// Rows in the tiles of mmul, with both kinds of masks.
using Tiled = TilesKernel<hccs_kernels::Normalisation::kScaled, uint8, 41, 6, 2, MaskKind::kBits>;
class TilesGraph : public graph {
 public:
  input_plio in = input_plio::create("logits", plio_32_bits, files->path("logits.txt"));
  input_plio bits = input_plio::create("bits", plio_32_bits, files->path("bits.txt"));
  output_plio out = output_plio::create("out", plio_32_bits, files->path("out.txt"));
  input_port valid_length, causal_offset;
  kernel k;
  explicit TilesGraph(const std::vector<int16>& heads) {
    k = kernel::create_object<HeadSoftmax<Tiled, 2>>(heads);
    source(k) = "softmax.cc";
    runtime<ratio>(k) = 1.0;
    connect(in.out[0], k.in[0]);
    connect(bits.out[0], k.in[1]);
    connect<parameter>(valid_length, async(k.in[2]));
    connect<parameter>(causal_offset, async(k.in[3]));
    connect(k.out[0], out.in[0]);
  }
};

TEST_F(KernelGraph, MicroTiles) {
  kernel_test::Random random(14);
  std::vector<Block> blocks = draw_heads(random, 2, 2, 6, 41);
  std::vector<std::vector<uint8_t>> bits(6, std::vector<uint8_t>(6));
  std::vector<uint32_t> words_of_bits(Tiled::kMaskWords);
  for (unsigned r = 0; r < 6; ++r) {
    for (uint8_t& byte : bits[r]) byte = static_cast<uint8_t>(random.below(256));
    for (unsigned i = 0; i < 41; ++i) {
      const unsigned at = tiles_index(r, i, 41, kArch);
      words_of_bits[at / 32] |= static_cast<uint32_t>(bits[r][i / 8] >> (i % 8) & 1) << (at % 32);
    }
  }
  std::string text;
  for (const uint32_t word : words_of_bits) text += std::to_string(word) + '\n';
  write("bits.txt", text);
  std::vector<int> expected;
  text.clear();
  for (Block& block : blocks) {
    block.causal = true;
    block.causal_offset = 30;
    block.valid_length = 40;
    block.bits = bits;
    std::vector<int> logits(Tiled::kElements, 99);
    std::vector<int> results(Tiled::kElements, 0);
    std::vector<uint8_t> p(41);
    for (unsigned r = 0; r < 6; ++r) {
      ASSERT_TRUE(hccs::softmax_reference(block.params, hccs::Normalisation::kScaled, block.rows[r], block.mask(r),
                                          std::span<uint8_t>(p))
                      .ok());
      for (unsigned i = 0; i < 41; ++i) {
        logits[tiles_index(r, i, 41, kArch)] = block.rows[r][i];
        results[tiles_index(r, i, 41, kArch)] = p[i];
      }
    }
    for (size_t i = 0; i < logits.size(); ++i) text += std::to_string(logits[i]) + (i % 4 == 3 ? '\n' : ' ');
    expected.insert(expected.end(), results.begin(), results.end());
  }
  write("logits.txt", text);
  TilesGraph g(words(blocks));
  g.init();
  g.update(g.valid_length, 40);
  g.update(g.causal_offset, 30);
  g.run(1);
  g.end();
  EXPECT_EQ(read_values("out.txt"), expected);
}

}  // namespace
