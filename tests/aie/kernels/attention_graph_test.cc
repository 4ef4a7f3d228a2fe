// SPDX-License-Identifier: Apache-2.0
//
// The ADF kernel class of attention in a graph, against the contract, tolerance 0.
#include <adf.h>

#include "adf/adf_test.h"
#include "kernels/attention_case.h"

namespace {

using namespace kernel_test;
using Case = AttentionCase;

const adf_test::Files* files = nullptr;

constexpr unsigned kGraphRows = 12;
constexpr unsigned kGraphN = 20;

template <hccs_kernels::MaskKind kMask>
struct AttentionGraph : adf::graph {
  adf::input_plio q, k, v, rescales, bits;
  adf::output_plio o;
  adf::input_port valid_length, causal_offset;
  adf::kernel head;
  static constexpr bool kBits = kMask == hccs_kernels::MaskKind::kBits;

  explicit AttentionGraph(const std::vector<int16>& words) {
    q = adf::input_plio::create("q", adf::plio_32_bits, files->path("q.txt"));
    k = adf::input_plio::create("k", adf::plio_32_bits, files->path("k.txt"));
    v = adf::input_plio::create("v", adf::plio_32_bits, files->path("v.txt"));
    rescales = adf::input_plio::create("rescales", adf::plio_32_bits, files->path("rescales.txt"));
    o = adf::output_plio::create("o", adf::plio_32_bits, files->path("o.txt"));
    head = adf::kernel::create_object<hccs_kernels::Attention<2, 32, 32, kGraphRows, kGraphN, kMask>>(words);
    adf::source(head) = "attention.cc";
    adf::runtime<adf::ratio>(head) = 0.9;
    adf::connect(q.out[0], head.in[0]);
    adf::connect(k.out[0], head.in[1]);
    adf::connect(v.out[0], head.in[2]);
    adf::connect(rescales.out[0], head.in[3]);
    if constexpr (kBits) {
      bits = adf::input_plio::create("bits", adf::plio_32_bits, files->path("bits.txt"));
      adf::connect(bits.out[0], head.in[4]);
    }
    adf::connect<adf::parameter>(valid_length, head.in[4 + kBits]);
    adf::connect<adf::parameter>(causal_offset, head.in[5 + kBits]);
    adf::connect(head.out[0], o.in[0]);
  }
};

// The lines of a 32-bit PLIO.
template <typename T>
std::string text_of(GuardedArray<T>& array) {
  std::string text;
  for (size_t i = 0; i < array.size(); ++i) {
    text += std::to_string(array[i]) + ((i + 1) % (4 / sizeof(T)) == 0 ? '\n' : ' ');
  }
  return text;
}

class AttentionAdf : public adf_test::Files {
 protected:
  void SetUp() override { files = this; }

  template <hccs_kernels::MaskKind kMask>
  void expect_graph_equals_contract() {
    Random random(14);
    Case c = draw_case(random, kGraphRows, kGraphN, 32, 32);
    c.params = draw_contract_head(random, 2);
    c.valid_length = 17;
    c.causal = true;
    c.causal_offset = 3;
    if (kMask == hccs_kernels::MaskKind::kBits) draw_bits(random, c, 4);
    AttentionTiles tiles(c, 32, 32);
    write("q.txt", text_of(tiles.q));
    write("k.txt", text_of(tiles.k));
    write("v.txt", text_of(tiles.v));
    write("rescales.txt", text_of(tiles.rescales));
    MaskWords bits(c);
    std::string bits_text;
    for (size_t i = 0; i < bits.size(); ++i) bits_text += std::to_string(bits.data()[i]) + '\n';
    write("bits.txt", bits_text);
    std::vector<int16> words(hccs_kernels::kHeadWords);
    hccs_kernels::head_to_words(kernel_head(c.params), words.data());
    AttentionGraph<kMask> graph(words);
    graph.init();
    graph.update(graph.valid_length, c.valid_length);
    graph.update(graph.causal_offset, c.causal_offset);
    graph.run(1);
    graph.end();
    const std::vector<int> o = read_values("o.txt");
    ASSERT_EQ(o.size(), 16u * 32u);
    const std::vector<int8_t> expected = expected_rows(c);
    for (unsigned r = 0; r < 16; ++r) {
      for (unsigned j = 0; j < 32; ++j) {
        ASSERT_EQ(o[hccs_kernels::attention_index(r, j, 32)], r < c.rows ? int{expected[r * 32 + j]} : 0)
            << "row " << r << ", column " << j;
      }
    }
  }
};

TEST_F(AttentionAdf, KernelOfAGraph) { expect_graph_equals_contract<hccs_kernels::MaskKind::kLength>(); }
TEST_F(AttentionAdf, KernelOfAGraphWithBits) { expect_graph_equals_contract<hccs_kernels::MaskKind::kBits>(); }

}  // namespace
