// SPDX-License-Identifier: Apache-2.0
//
// Run-time parameters. Sources: UG1603 (2025.2) "Specifying Runtime Data Parameters", "Runtime Parameter Support
// Summary", "Parameter Update/Read Using Graph APIs".
#include "adf_test.h"

namespace {

using namespace adf;
using adf_test::expect_stop;
using adf_test::files;

class AdfParameter : public adf_test::Files {
 protected:
  void SetUp() override { write_range("in.txt", 1, 8, 1); }
};

void scale(input_buffer<int32, extents<1>>& in, int8 factor, output_buffer<int32, extents<1>>& out, int32& total) {
  out.data()[0] = factor * in.data()[0];
  total += out.data()[0];
}

template <bool kAsyncIn, bool kSyncOut>
struct Scale : graph {
  input_plio in;
  output_plio out;
  input_port factor;
  inout_port total;
  kernel k;
  Scale() {
    in = input_plio::create("in", plio_32_bits, files->path("in.txt"));
    out = output_plio::create("out", plio_32_bits, files->path("out.txt"));
    k = kernel::create(scale);
    source(k) = "scale.cc";
    connect(in.out[0], k.in[0]);
    connect(k.out[0], out.in[0]);
    if (kAsyncIn) {
      connect<parameter>(factor, async(k.in[1]));
    } else {
      connect<parameter>(factor, k.in[1]);
    }
    if (kSyncOut) {
      connect<parameter>(sync(k.inout[0]), total);
    } else {
      connect<parameter>(k.inout[0], total);
    }
  }
};

// A call takes one value.
TEST_F(AdfParameter, SynchronousInput) {
  Scale<false, false> g;
  g.init();
  g.run(3);
  EXPECT_EQ(read("out.txt"), "");
  g.update(g.factor, 10);
  EXPECT_EQ(read("out.txt"), "10\n");
  g.update(g.factor, 20);
  g.update(g.factor, -3);
  g.end();
  EXPECT_EQ(read("out.txt"), "10\n40\n-9\n");
}

TEST_F(AdfParameter, SynchronousInputThatDoesNotCome) {
  Scale<false, false> g;
  g.init();
  g.run(2);
  g.update(g.factor, 10);
  expect_stop([&] { g.wait(); }, {"Scale<false, false>", "kernel 0 'scale.cc', call 2 of 2", "in[1]",
                                  "new value of a synchronous run-time parameter", "graph.update"});
}

// Two values can wait (a ping-pong pair); a third has no place.
TEST_F(AdfParameter, SynchronousUpdatesThatAreNotTaken) {
  Scale<false, false> g;
  g.init();
  g.update(g.factor, 1);
  g.update(g.factor, 2);
  expect_stop([&] { g.update(g.factor, 3); }, {"kernel 0 'scale.cc' port in[1]", "not taken"});
}

// A call sees the last value given.
TEST_F(AdfParameter, AsynchronousInput) {
  Scale<true, false> g;
  g.init();
  g.update(g.factor, 2);
  g.update(g.factor, 3);
  g.run(2);
  g.wait();
  g.update(g.factor, 100);
  g.run(2);
  g.end();
  EXPECT_EQ(read_values("out.txt"), (std::vector<int>{3, 6, 300, 400}));
}

TEST_F(AdfParameter, AsynchronousInputWithoutAFirstValue) {
  Scale<true, false> g;
  g.init();
  g.run(1);
  expect_stop([&] { g.end(); }, {"in[1]", "first value of an asynchronous run-time parameter"});
}

// The value after the last call; the argument keeps its value between calls.
TEST_F(AdfParameter, AsynchronousOutput) {
  Scale<true, false> g;
  g.init();
  g.update(g.factor, 2);
  int32 total = -1;
  expect_stop([&] { g.read(g.total, total); }, {"read of kernel 0 'scale.cc' port inout[0]", "no value"});
  g.run(3);
  g.read(g.total, total);
  EXPECT_EQ(total, 2 + 4 + 6);
  g.read(g.total, total);
  EXPECT_EQ(total, 12);
  g.run(1);
  g.read(g.total, total);
  EXPECT_EQ(total, 20);
}

// The values of the calls in order; a call waits while two are not read.
TEST_F(AdfParameter, SynchronousOutput) {
  Scale<true, true> g;
  g.init();
  g.update(g.factor, 1);
  g.run(4);
  EXPECT_EQ(read_values("out.txt"), (std::vector<int>{1, 2}));
  for (const int expected : {1, 3, 6, 10}) {
    int32 total = 0;
    g.read(g.total, total);
    EXPECT_EQ(total, expected);
  }
  g.end();
  EXPECT_EQ(read_values("out.txt"), (std::vector<int>{1, 2, 3, 4}));
}

TEST_F(AdfParameter, WrongValues) {
  Scale<true, false> g;
  g.init();
  expect_stop([&] { g.update(g.factor, 128); }, {"kernel 0 'scale.cc' port in[1]", "128", "int8"});
  const int16 wide[2] = {1, 2};
  expect_stop([&] { g.update(g.factor, wide, 2); }, {"2 values of type int16", "has 1 of type int8"});
  g.update(g.factor, 1);
  g.run(1);
  int16 narrow = 0;
  expect_stop([&] { g.read(g.total, narrow); }, {"1 value of type int16", "has 1 of type int32"});
  expect_stop([&] { g.read(g.factor, narrow); }, {"no kernel's inout port drives"});
}

// Arrays: const by reference in, not const by reference inout; from kernel to kernel.
void sums(input_buffer<int32, extents<1>>& in, const int32 (&weights)[3], int16 (&history)[2],
          output_buffer<int32, extents<1>>& out) {
  history[1] = history[0];
  history[0] = static_cast<int16>(in.data()[0]);
  out.data()[0] = weights[0] + 10 * weights[1] + 100 * weights[2];
}
void follow(const int16 (&history)[2], output_buffer<int32, extents<1>>& out) {
  out.data()[0] = 100 * history[0] + history[1];
}

TEST_F(AdfParameter, ArraysAndKernelToKernel) {
  struct G : graph {
    input_plio in;
    output_plio out, second_out;
    port<direction::in> weights;
    inout_port history;
    kernel first, second;
    G() {
      in = input_plio::create("in", plio_32_bits, files->path("in.txt"));
      out = output_plio::create("out", plio_32_bits, files->path("out.txt"));
      second_out = output_plio::create("second_out", plio_32_bits, files->path("second.txt"));
      first = kernel::create(sums);
      second = kernel::create(follow);
      connect(in.out[0], first.in[0]);
      connect(first.out[0], out.in[0]);
      connect<parameter>(weights, async(first.in[1]));
      connect<parameter>(first.inout[0], history);
      connect<parameter>(first.inout[0], second.in[0]);
      connect(second.out[0], second_out.in[0]);
    }
  };
  G g;
  g.init();
  const int32 weights[3] = {1, 2, 3};
  expect_stop([&] { g.update(g.weights, weights, 2); }, {"kernel 0", "in[1]", "2 values", "has 3"});
  g.update(g.weights, weights, 3);
  g.run(3);
  int16 history[2] = {};
  g.read(g.history, history, 2);
  g.end();
  EXPECT_EQ(history[0], 3);
  EXPECT_EQ(history[1], 2);
  EXPECT_EQ(read_values("out.txt"), (std::vector<int>{321, 321, 321}));
  EXPECT_EQ(read_values("second.txt"), (std::vector<int>{100, 201, 302}));
}

// UG1603 "Buffer Port Attributes and API": two kernels share a ping-pong pair, or one buffer after single_buffer(). The
// producer gets so many calls ahead of a consumer that waits for its parameter.
void count_up(input_buffer<int32, extents<1>>& in, output_buffer<int32, extents<1>>& out,
              output_buffer<int32, extents<1>>& copy) {
  out.data()[0] = copy.data()[0] = in.data()[0];
}

template <bool kSingle>
struct Ahead : graph {
  input_plio in;
  output_plio out, copy;
  input_port factor;
  kernel producer, consumer;
  Ahead() {
    in = input_plio::create("in", plio_32_bits, files->path("in.txt"));
    out = output_plio::create("out", plio_32_bits, files->path("out.txt"));
    copy = output_plio::create("copy", plio_32_bits, files->path("copy.txt"));
    producer = kernel::create(count_up);
    consumer = kernel::create(scale);
    connect(in.out[0], producer.in[0]);
    connect(producer.out[0], consumer.in[0]);
    connect(producer.out[1], copy.in[0]);
    connect(consumer.out[0], out.in[0]);
    connect<parameter>(factor, consumer.in[1]);
    if (kSingle) {
      single_buffer(producer.out[0]);
      single_buffer(consumer.in[0]);
    }
  }
};

template <bool kSingle>
void expect_ahead(const adf_test::Files& test, size_t calls) {
  Ahead<kSingle> g;
  g.init();
  g.run(6);
  EXPECT_EQ(test.read_values("copy.txt").size(), calls);
  g.update(g.factor, 2);
  EXPECT_EQ(test.read_values("copy.txt").size(), calls + 1);
  EXPECT_EQ(test.read_values("out.txt"), (std::vector<int>{2}));
}

TEST_F(AdfParameter, KernelsShareAPingPongPair) {
  expect_ahead<false>(*this, 2);
  expect_ahead<true>(*this, 1);
}

TEST_F(AdfParameter, BeforeInit) {
  Scale<true, false> g;
  expect_stop([&] { g.run(1); }, {"Scale<true, false>", "before init()"});
}

}  // namespace
