// SPDX-License-Identifier: Apache-2.0
//
// Buffers of kernels: margins, asynchronous ones, what may be written where. Sources are named at each case: sections
// of UG1603 (2025.2).
#include <aie_api/aie_adf.hpp>

#include "adf_test.h"

namespace {

using namespace adf;
using adf_test::expect_stop;
using adf_test::files;

class AdfBuffer : public adf_test::Files {};

// UG1603 "Buffer Port Attributes and API": the margin is the end of the block before; zeros at first.
void with_margin(input_buffer<int32, extents<inherited_extent>, margin<2>>& in, output_buffer<int32>& out) {
  ASSERT_EQ(in.size_incl_margin(), in.size() + 2);
  for (unsigned i = 0; i < out.size(); ++i) out.data()[i] = in.data()[i] + in.data()[i + 2];
}

TEST_F(AdfBuffer, Margin) {
  struct G : graph {
    input_plio in;
    output_plio out;
    kernel k;
    G() {
      in = input_plio::create("in", plio_32_bits, files->path("in.txt"));
      out = output_plio::create("out", plio_32_bits, files->path("out.txt"));
      k = kernel::create(with_margin);
      connect(in.out[0], k.in[0]);
      connect(k.out[0], out.in[0]);
      dimensions(k.in[0]) = {4};
      dimensions(k.out[0]) = {4};
      single_buffer(k.in[0]);
    }
  };
  write_range("in.txt", 1, 8, 1);
  G g;
  g.init();
  g.run(2);
  g.end();
  EXPECT_EQ(read_values("out.txt"), (std::vector<int>{1, 2, 1 + 3, 2 + 4, 3 + 5, 4 + 6, 5 + 7, 6 + 8}));
}

// UG1603 "Asynchronous Buffer Port Access": coefficients once for all calls, output every second call.
void asynchronous(input_buffer<int32, extents<2>>& in, input_async_buffer<int32, extents<2>>& weights,
                  output_async_buffer<int32, extents<2>>& out) {
  static int calls = 0;
  static int32 w[2];
  if (calls == 0) {
    weights.acquire();
    std::copy_n(weights.data(), 2, w);
    weights.release();
  }
  if (calls % 2 == 1) {
    out.acquire();
    for (int i = 0; i < 2; ++i) out.data()[i] = w[i] * in.data()[i];
    out.release();
  }
  ++calls;
}

TEST_F(AdfBuffer, AsynchronousBuffers) {
  struct G : graph {
    input_plio in, weights;
    output_plio out;
    kernel k;
    G() {
      in = input_plio::create("in", plio_32_bits, files->path("in.txt"));
      weights = input_plio::create("weights", plio_32_bits, files->path("weights.txt"));
      out = output_plio::create("out", plio_32_bits, files->path("out.txt"));
      k = kernel::create(asynchronous);
      connect(in.out[0], k.in[0]);
      connect(weights.out[0], k.in[1]);
      connect(k.out[0], out.in[0]);
    }
  };
  write_range("in.txt", 1, 8, 1);
  write_range("weights.txt", 100, 2, 1);
  G g;
  g.init();
  g.run(4);
  g.end();
  EXPECT_EQ(read_values("out.txt"), (std::vector<int>{300, 404, 700, 808}));
}

void uses_before_acquire(input_async_buffer<int32, extents<1>>& in, output_buffer<int32, extents<1>>& out) {
  out.data()[0] = in.data()[0];
}

void writes_too_far(input_buffer<int32, extents<1>>& in, output_buffer<int32, extents<1>>& out) {
  out.data()[1] = in.data()[0];
}

void keeps_old_output(input_buffer<int32, extents<1>>& in, output_buffer<int32, extents<1>>& out) {
  if (in.data()[0] == 1) out.data()[0] = 77;
}

template <auto kFunction>
class One : public graph {
 public:
  input_plio in;
  output_plio out;
  kernel k;
  One() {
    in = input_plio::create("in", plio_32_bits, files->path("in.txt"));
    out = output_plio::create("out", plio_32_bits, files->path("out.txt"));
    k = kernel::create(kFunction);
    source(k) = "one.cc";
    connect(in.out[0], k.in[0]);
    connect(k.out[0], out.in[0]);
  }
};

TEST_F(AdfBuffer, BufferUsedBeforeAcquire) {
  write_range("in.txt", 1, 1, 1);
  One<uses_before_acquire> g;
  g.init();
  expect_stop([&] { g.run(1); }, {"One", "kernel '0 one.cc'", "in[0] is used before acquire()"});
}

TEST_F(AdfBuffer, StoreBeyondAnOutputBuffer) {
  write_range("in.txt", 1, 1, 1);
  One<writes_too_far> g;
  g.init();
#ifdef ADF_HOST_ASAN
  EXPECT_DEATH(g.run(1), "use-after-poison.*\n.*WRITE of size 4");
  return;
#endif
  expect_stop([&] { g.run(1); }, {"one.cc", "beyond the ends of out[0]", "1 element"});
}

// A ping-pong pair is reused after two calls; what an earlier call wrote must not be there any more.
TEST_F(AdfBuffer, OutputBufferDoesNotKeepItsContents) {
  write_range("in.txt", 1, 6, 1);
  One<keeps_old_output> g;
  g.init();
  g.run(6);
  g.end();
  const std::vector<int> out = read_values("out.txt");
  ASSERT_EQ(out.size(), 6U);
  EXPECT_EQ(out[0], 77);
  EXPECT_EQ(std::count(out.begin() + 1, out.end(), 77), 0);
}

// A kernel can be called without a graph, on memory of the caller.
TEST_F(AdfBuffer, ViewOfMemory) {
  int32 a[4] = {1, 2, 3, 4}, b[4] = {};
  input_buffer<int32, extents<4>> in(a, 4);
  output_buffer<int32, extents<4>> out(b, 4);
  adf_test::scale<7>(in, out);
  EXPECT_EQ(b[3], 28);
}

}  // namespace
