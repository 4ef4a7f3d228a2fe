// SPDX-License-Identifier: Apache-2.0
//
// Streams and cascades. Sources are named at each case: UG1603 (2025.2), Xilinx/aie_api adf/stream.hpp, AM020.
#include <aie_api/aie_adf.hpp>
#include <numeric>

#include "adf_test.h"

namespace {

using namespace adf;
using adf_test::expect_stop;
using adf_test::files;

class AdfStream : public adf_test::Files {};

// in.txt (32 bits) -> kernel -> out.txt (32 bits).
template <auto kFunction>
struct One : graph {
  input_plio in;
  output_plio out;
  kernel k;
  One() {
    in = input_plio::create("in", plio_32_bits, files->path("in.txt"));
    out = output_plio::create("out", plio_32_bits, files->path("out.txt"));
    k = kernel::create(kFunction);
    source(k) = "one.cc";
    connect<stream>(in.out[0], k.in[0]);
    connect<stream>(k.out[0], out.in[0]);
  }
};

template <typename G>
void run(int iterations) {
  G g;
  g.init();
  g.run(iterations);
  g.end();
}

// UG1603 "Reading and Advancing an Input Stream", "Writing and Advancing an Output Stream": scalars.
void scalars(input_stream<int32>* in, output_stream<int32>* out) {
  for (int i = 0; i < 3; ++i) writeincr(out, -readincr(in));
}

TEST_F(AdfStream, Scalars) {
  write_range("in.txt", 1, 6, 1);
  run<One<scalars>>(2);
  EXPECT_EQ(read("out.txt"), "-1\n-2\n-3\n-4\n-5\n-6\n");
}

// A 64-bit element is two words, the lower first.
void wide(input_stream<int64>* in, output_stream<int32>* out) {
  const int64 value = readincr(in);
  writeincr(out, static_cast<int32>(value >> 40));
}

TEST_F(AdfStream, SixtyFourBits) {
  struct G : One<wide> {
    G() { in.host_node()->width = plio_64_bits; }
  };
  write("in.txt", "-1099511627776000\n4398046511104\n");
  run<G>(2);
  EXPECT_EQ(read_values("out.txt"), (std::vector<int>{-1000, 4}));
}

// Vitis-Tutorials (2025.2) AIE-ML 13-aie-ml-performance-analysis, normalization_v3: bfloat16 scalars from kernel to
// kernel, each a word.
void send_bfloat16(input_stream<float>* in, output_stream<bfloat16>* out) {
  writeincr(out, bfloat16(readincr(in)), true);
}
void receive_bfloat16(input_stream<bfloat16>* in, output_stream<float>* out) {
  bool last = false;
  const float value = readincr(in, last);
  writeincr(out, last ? value : -1.0F);
}

TEST_F(AdfStream, ScalarsBelow32Bits) {
  struct G : graph {
    input_plio in;
    output_plio out;
    kernel a, b;
    G() {
      in = input_plio::create("in", plio_32_bits, files->path("in.txt"));
      out = output_plio::create("out", plio_32_bits, files->path("out.txt"));
      a = kernel::create(send_bfloat16);
      b = kernel::create(receive_bfloat16);
      connect(in.out[0], a.in[0]);
      connect(a.out[0], b.in[0]);
      connect(b.out[0], out.in[0]);
    }
  };
  write("in.txt", "1.5\n-3\n256\n");
  run<G>(3);
  EXPECT_EQ(read("out.txt"), "1.5\n-3\n256\n");
}

// TLAST comes from the file, goes with the last word of a write (aie_api, stream_out_helper) and into the file.
void tlast(input_stream<int32>* in, output_stream<int16>* out) {
  bool last = false;
  int32 sum = 0;
  while (!last) sum += readincr(in, last);
  aie::vector<int16, 8> v = aie::vector<int16, 8>(0, 1, 2, 3, 4, 5, 6);
  v.set(static_cast<int16>(sum), 7);
  writeincr(out, v, true);
}

TEST_F(AdfStream, Tlast) {
  write("in.txt", "1\n2\nTLAST\n3\nT 12 ns\nTLAST\n40\n");
  run<One<tlast>>(2);
  EXPECT_EQ(read("out.txt"), "0 1\n2 3\n4 5\nTLAST\n6 6\n0 1\n2 3\n4 5\nTLAST\n6 40\n");
}

// aie_api, readincr_v and writeincr: lanes in order, 8-bit lanes four to a word.
template <typename T, unsigned kElems>
void vectors(input_stream<T>* in, output_stream<T>* out) {
  const aie::vector<T, kElems> v = readincr_v<kElems>(in);
  aie::vector<T, kElems> reversed;
  for (unsigned i = 0; i < kElems; ++i) reversed[i] = v[kElems - 1 - i];
  writeincr(out, reversed);
}

template <typename T, unsigned kElems>
void expect_reversed(const adf_test::Files& test) {
  test.write_range("in.txt", -60, kElems, 4 / sizeof(T));
  run<One<vectors<T, kElems>>>(1);
  std::vector<int> expected(kElems);
  std::iota(expected.rbegin(), expected.rend(), -60);
  EXPECT_EQ(test.read_values("out.txt"), expected);
}

TEST_F(AdfStream, Vectors) {
  expect_reversed<int8, 16>(*this);
  expect_reversed<int8, 64>(*this);
  expect_reversed<int16, 32>(*this);
  expect_reversed<int32, 8>(*this);
}

void undefined_lane(input_stream<int32>* in, output_stream<int32>* out) {
  aie::vector<int32, 8> v = aie::vector<int32, 8>(readincr(in));
  writeincr(out, v);
}

TEST_F(AdfStream, UndefinedLaneStops) {
  write_range("in.txt", 1, 1, 1);
  expect_stop([] { run<One<undefined_lane>>(1); }, {"One", "one.cc", "writeincr", "lane 1 is undefined"});
}

// UG1603 "Stream-Based Access": reads stall while there are no data; here both kernels go on in turn.
void generate(input_stream<int32>* in, output_stream<int32>* out) {
  const int32 n = readincr(in);
  for (int32 i = 0; i < n; ++i) writeincr(out, i);
}
void add_pairs(input_stream<int32>* in, output_stream<int32>* out) {
  for (int i = 0; i < 50; ++i) {
    const int32 first = readincr(in);
    writeincr(out, first + readincr(in));
  }
}

TEST_F(AdfStream, LongerThanAnyFifo) {
  struct G : graph {
    input_plio in;
    output_plio out;
    kernel a, b;
    G() {
      in = input_plio::create("in", plio_32_bits, files->path("in.txt"));
      out = output_plio::create("out", plio_32_bits, files->path("out.txt"));
      a = kernel::create(generate);
      b = kernel::create(add_pairs);
      connect(in.out[0], a.in[0]);
      connect(a.out[0], b.in[0]);
      connect(b.out[0], out.in[0]);
    }
  };
  write("in.txt", "100\n");
  run<G>(1);
  const std::vector<int> out = read_values("out.txt");
  ASSERT_EQ(out.size(), 50U);
  for (int i = 0; i < 50; ++i) EXPECT_EQ(out[i], 4 * i + 1);
}

// Kernels on one tile run one after the other (UG1603 "Run-Time Ratio"): a stream between them that does not hold a
// whole call's output stands still.
TEST_F(AdfStream, KernelsOnOneTileDoNotOverlap) {
  struct G : graph {
    input_plio in;
    output_plio out;
    kernel a, b;
    explicit G(int row) {
      in = input_plio::create("in", plio_32_bits, files->path("in.txt"));
      out = output_plio::create("out", plio_32_bits, files->path("out.txt"));
      a = kernel::create(generate);
      b = kernel::create(add_pairs);
      source(a) = "a.cc";
      source(b) = "b.cc";
      connect(in.out[0], a.in[0]);
      connect(a.out[0], b.in[0]);
      connect(b.out[0], out.in[0]);
      location<kernel>(a) = tile(4, 0);
      location<kernel>(b) = tile(4, row);
    }
  };
  write("in.txt", "100\n");
  {
    G g(1);
    g.init();
    g.run(1);
    g.end();
    EXPECT_EQ(read_values("out.txt").size(), 50U);
  }
  G g(0);
  g.init();
  expect_stop([&] { g.run(1); },
              {"deadlock", "kernel 0 'a.cc', call 1 of 1, inside the call", "no room",
               "kernel 1 'b.cc', call 1 of 1, before the call, waits for its tile, on which kernel 0"});
}

// UG1603 "Stream FIFO Depth": a producer that writes one stream in full before the other, which the consumer reads
// first, needs a FIFO; without it both wait for ever.
void one_after_the_other(input_stream<int32>* in, output_stream<int32>* first, output_stream<int32>* second) {
  const int32 x = readincr(in);
  for (int i = 0; i < 32; ++i) writeincr(first, x);
  for (int i = 0; i < 32; ++i) writeincr(second, 10 * x);
}
void side_by_side(input_stream<int32>* first, input_stream<int32>* second, output_stream<int32>* out) {
  for (int i = 0; i < 32; ++i) {
    const int32 b = readincr(second);
    writeincr(out, readincr(first) + b);
  }
}

template <int kDepth>
struct Reconvergent : graph {
  input_plio in;
  output_plio out;
  kernel a, b;
  Reconvergent() {
    in = input_plio::create("in", plio_32_bits, files->path("in.txt"));
    out = output_plio::create("out", plio_32_bits, files->path("out.txt"));
    a = kernel::create(one_after_the_other);
    b = kernel::create(side_by_side);
    source(a) = "a.cc";
    source(b) = "b.cc";
    connect(in.out[0], a.in[0]);
    connect<stream> first(a.out[0], b.in[0]);
    connect<stream> second(a.out[1], b.in[1]);
    connect(b.out[0], out.in[0]);
    fifo_depth(first) = kDepth;
  }
};

TEST_F(AdfStream, ReconvergentStreamsNeedAFifo) {
  write("in.txt", "3\n");
  expect_stop([] { run<Reconvergent<0>>(1); },
              {"Reconvergent<0>", "deadlock", "kernel 0 'a.cc', call 1 of 1, inside the call", "out[0]", "no room",
               "kernel 1 'b.cc' port in[0]", "kernel 1 'b.cc', call 1 of 1, inside the call", "in[1]",
               "come from kernel 0 'a.cc' port out[1]"});
  run<Reconvergent<32>>(1);
  EXPECT_EQ(read_values("out.txt"), std::vector<int>(32, 33));
}

// AM020 "Cascade": 512 bits a cycle; aie_api, cascade_stream_helper: longer accumulators in parts, shorter ones grown.
template <typename Tag, unsigned kElems>
void to_cascade(input_buffer<int32, extents<kElems>>& in, output_cascade<Tag>* out) {
  const aie::vector<int32, kElems> v = aie::load_v<kElems>(in.data());
  aie::accum<Tag, kElems> acc;
  acc.from_vector(v);
  writeincr(out, acc);
}
template <typename Tag, unsigned kElems, unsigned kRead>
void from_cascade(input_cascade<Tag>* in, output_buffer<int32, extents<kElems>>& out) {
  for (unsigned i = 0; i < kElems; i += kRead) {
    const aie::accum<Tag, kRead> acc = readincr_v<kRead>(in);
    aie::store_v(out.data() + i, acc.template to_vector<int32>(0));
  }
}

template <auto kWriter, auto kReader>
struct Cascade : graph {
  input_plio in;
  output_plio out;
  kernel a, b;
  Cascade() {
    in = input_plio::create("in", plio_32_bits, files->path("in.txt"));
    out = output_plio::create("out", plio_32_bits, files->path("out.txt"));
    a = kernel::create(kWriter);
    b = kernel::create(kReader);
    connect(in.out[0], a.in[0]);
    connect<cascade>(a.out[0], b.in[0]);
    connect(b.out[0], out.in[0]);
  }
};

template <typename G>
void expect_copied(const adf_test::Files& test, int n) {
  test.write_range("in.txt", -9, 3 * n, 1);
  run<G>(3);
  std::vector<int> expected(3 * n);
  for (int i = 0; i < 3 * n; ++i) expected[i] = i - 9;
  EXPECT_EQ(test.read_values("out.txt"), expected);
}

TEST_F(AdfStream, CascadeOfAccumulators) {
  expect_copied<Cascade<to_cascade<acc32, 16>, from_cascade<acc32, 16, 16>>>(*this, 16);
  expect_copied<Cascade<to_cascade<acc32, 32>, from_cascade<acc32, 32, 16>>>(*this, 32);
  expect_copied<Cascade<to_cascade<acc64, 16>, from_cascade<acc64, 16, 8>>>(*this, 16);
  expect_copied<Cascade<to_cascade<acc64, 8>, from_cascade<acc64, 8, 8>>>(*this, 8);
}

TEST_F(AdfStream, CascadeReadAsAnotherAccumulator) {
  write_range("in.txt", 0, 16, 1);
  expect_stop([] { run<Cascade<to_cascade<acc32, 16>, from_cascade<acc64, 16, 16>>>(1); },
              {"in[0]", "acc32, 16u", "read as", "acc64, 8u"});
}

void vector_to_cascade(input_buffer<int32, extents<32>>& in, output_cascade<int32>* out) {
  writeincr(out, aie::load_v<32>(in.data()));
}
void vector_from_cascade(input_cascade<int32>* in, output_buffer<int32, extents<32>>& out) {
  aie::store_v(out.data(), readincr_v<32>(in));
}

TEST_F(AdfStream, CascadeOfVectors) {
  write_range("in.txt", 5, 64, 1);
  run<Cascade<vector_to_cascade, vector_from_cascade>>(2);
  std::vector<int> expected(64);
  std::iota(expected.begin(), expected.end(), 5);
  EXPECT_EQ(read_values("out.txt"), expected);
}

// More than the cascade holds: the writer waits for the reader.
void ten_to_cascade(input_buffer<int32, extents<16>>& in, output_cascade<int32>* out) {
  for (int i = 0; i < 10; ++i) writeincr(out, aie::load_v<16>(in.data()));
}
void eleven_from_cascade(input_cascade<int32>* in, output_buffer<int32, extents<16>>& out) {
  for (int i = 0; i < 11; ++i) aie::store_v(out.data(), readincr_v<16>(in));
}

TEST_F(AdfStream, CascadeThatRunsDry) {
  write_range("in.txt", 5, 16, 1);
  expect_stop([] { run<Cascade<ten_to_cascade, eleven_from_cascade>>(1); },
              {"deadlock", "kernel 1", "call 1 of 1, inside the call", "in[0] (a cascade; it is empty)"});
}

// AM020 "Cascade": two words at each side; the fifth waits until one is read.
template <int kWords>
void cascade_then_stream(input_stream<int32>* in, output_cascade<int32>* cascade, output_stream<int32>* out) {
  const int32 x = readincr(in);
  for (int i = 0; i < kWords; ++i) writeincr(cascade, aie::broadcast<int32, 16>(x + i));
  writeincr(out, x);
}
template <int kWords>
void stream_then_cascade(input_cascade<int32>* cascade, input_stream<int32>* in, output_stream<int32>* out) {
  int32 sum = readincr(in);
  for (int i = 0; i < kWords; ++i) sum += readincr_v<16>(cascade).get(i);
  writeincr(out, sum);
}

template <int kWords>
struct FullCascade : graph {
  input_plio in;
  output_plio out;
  kernel a, b;
  FullCascade() {
    in = input_plio::create("in", plio_32_bits, files->path("in.txt"));
    out = output_plio::create("out", plio_32_bits, files->path("out.txt"));
    a = kernel::create(cascade_then_stream<kWords>);
    b = kernel::create(stream_then_cascade<kWords>);
    connect(in.out[0], a.in[0]);
    connect<cascade>(a.out[0], b.in[0]);
    connect(a.out[1], b.in[1]);
    connect(b.out[0], out.in[0]);
  }
};

TEST_F(AdfStream, CascadeIsFourWordsDeep) {
  write("in.txt", "100\n");
  run<FullCascade<4>>(1);
  EXPECT_EQ(read_values("out.txt"), (std::vector<int>{5 * 100 + 1 + 2 + 3}));
  expect_stop([] { run<FullCascade<5>>(1); },
              {"deadlock", "kernel 0, call 1 of 1, inside the call, waits for out[0]", "its 4 words are full",
               "kernel 1, call 1 of 1, inside the call", "in[1]"});
}

// A register on the cascade may have lanes without a value: they arrive without one.
void partly_to_cascade(input_buffer<int32, extents<16>>& in, output_cascade<int32>* out) {
  writeincr(out, aie::vector<int32, 16>(in.data()[0], in.data()[1]));
}
template <unsigned kLane>
void lane_from_cascade(input_cascade<int32>* in, output_buffer<int32, extents<1>>& out) {
  out.data()[0] = readincr_v<16>(in).get(kLane);
}

TEST_F(AdfStream, UndefinedLanesCrossTheCascade) {
  write_range("in.txt", 5, 16, 1);
  run<Cascade<partly_to_cascade, lane_from_cascade<1>>>(1);
  EXPECT_EQ(read_values("out.txt"), (std::vector<int>{6}));
  expect_stop([] { run<Cascade<partly_to_cascade, lane_from_cascade<2>>>(1); }, {"get", "lane 2 is undefined"});
}

TEST_F(AdfStream, CascadeToAStream) {
  write_range("in.txt", 5, 16, 1);
  expect_stop(
      [] {
        Cascade<to_cascade<acc32, 16>, scalars> g;
        g.init();
      },
      {"in[0]", "is connected as a cascade, and is none"});
}

}  // namespace
