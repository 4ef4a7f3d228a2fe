// SPDX-License-Identifier: Apache-2.0
//
// The ADF kernel class of exp_bf16 in a graph, against the kernel.
#include <adf.h>

#include "adf/adf_test.h"
#include "kernels/exp_bf16_case.h"

namespace {

using namespace kernel_test;

const adf_test::Files* files = nullptr;

template <typename V>
struct SoftmaxGraph : adf::graph {
  adf::input_plio in;
  adf::output_plio out;
  adf::kernel softmax;
  SoftmaxGraph() {
    in = adf::input_plio::create("in", adf::plio_32_bits, files->path("in.txt"));
    out = adf::output_plio::create("out", adf::plio_32_bits, files->path("out.txt"));
    softmax = adf::kernel::create_object<hccs_kernels::ExpBf16Softmax<V::kExponential, 32, 2>>();
    adf::source(softmax) = "exp_bf16.cc";
    adf::runtime<adf::ratio>(softmax) = 0.9;
    adf::connect(in.out[0], softmax.in[0]);
    adf::connect(softmax.out[0], out.in[0]);
  }
};

class ExpBf16Adf : public adf_test::Files {
 protected:
  void SetUp() override { files = this; }
};

TEST_F(ExpBf16Adf, KernelOfAGraph) {
  std::string text;
  std::vector<float> logits;
  for (unsigned i = 0; i < 64; ++i) {
    logits.push_back(static_cast<float>(i * 37 % 64) / 8);
    text += std::to_string(logits.back()) + (i % 2 == 1 ? '\n' : ' ');
  }
  write("in.txt", text);
  SoftmaxGraph<Native> graph;
  graph.init();
  graph.run(1);
  graph.end();
  std::istringstream out(read("out.txt"));
  const std::vector<float> expected = softmax<Native>(logits, 2, 32, 0);
  for (unsigned i = 0; i < 64; ++i) {
    float p = 0;
    ASSERT_TRUE(out >> p) << i;
    EXPECT_NEAR(p, expected[i], 1e-5f) << i;
  }
}

}  // namespace
