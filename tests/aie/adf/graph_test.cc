// SPDX-License-Identifier: Apache-2.0
//
// Graphs, kernels and the scheduler. Sources are named at each case: sections of UG1603 and UG1079 (2025.2).
#include <aie_api/aie_adf.hpp>
#include <numeric>

#include "adf_test.h"

namespace {

using namespace adf;
using adf_test::expect_stop;
using adf_test::files;
using adf_test::scale;

class AdfGraph : public adf_test::Files {};

// UG1603 "Creating a Data Flow Graph": two kernels in a row, PLIOs at the ends.
class Chain : public graph {
 public:
  input_plio in;
  output_plio out;
  kernel first, second;

  Chain() {
    in = input_plio::create("DataIn", plio_32_bits, files->path("in.txt"));
    out = output_plio::create("DataOut", plio_64_bits, files->path("out.txt"), 250);
    first = kernel::create(scale<2>);
    second = kernel::create(scale<5>);
    connect<> net0(in.out[0], first.in[0]);
    connect net1(first.out[0], second.in[0]);
    connect<stream>(second.out[0], out.in[0]);
    for (kernel* k : {&first, &second}) {
      source(*k) = "scale.cc";
      runtime<ratio>(*k) = 0.4;
    }
  }
};

TEST_F(AdfGraph, ChainOfTwoKernels) {
  write_range("in.txt", 1, 12, 1);
  Chain g;
  g.init();
  g.run(1);
  g.wait();
  EXPECT_EQ(read("out.txt"), "10 20\n30 40\n");
  g.run(2);
  g.end();
  EXPECT_EQ(read("out.txt"), "10 20\n30 40\n50 60\n70 80\n90 100\n110 120\n");
}

// UG1603 "Graph Control APIs": run() without a count goes on while there is input.
TEST_F(AdfGraph, RunUntilInputEnds) {
  write_range("in.txt", 1, 10, 1);
  Chain g;
  g.init();
  g.run();
  g.end();
  EXPECT_EQ(read_values("out.txt"), (std::vector<int>{10, 20, 30, 40, 50, 60, 70, 80}));
}

TEST_F(AdfGraph, ExhaustedInputNamesGraphKernelPortAndPlio) {
  write_range("in.txt", 1, 6, 1);
  Chain g;
  g.init();
  expect_stop([&] { g.run(2); }, {"Chain", "kernel 0 'scale.cc', call 2 of 2", "in[0]", "2 of 4 elements of type int32",
                                  "input_plio 'DataIn'", "ended after 6 values", "kernel 1 'scale.cc', call 2 of 2"});
  EXPECT_EQ(read("out.txt"), "10 20\n30 40\n");
  expect_stop([&] { g.run(1); }, {"has stopped"});
}

// UG1603 "C++ Kernel Class Support": constructor arguments by value and, for arrays, by reference from a vector.
class Fir {
 public:
  Fir(int32 gain, int32 (&taps)[3], int32 (&history)[4]) : gain_(gain), taps_(taps), history_(history) {}
  void filter(input_buffer<int32>& in, output_buffer<int32>& out) {
    for (unsigned i = 0; i < in.size(); ++i) {
      history_[calls_ % 4] = in.data()[i];
      ++calls_;
      out.data()[i] = gain_ * (taps_[0] + taps_[1] + taps_[2]) + history_[(calls_ + 3) % 4];
    }
  }
  static void registerKernelClass() {
    REGISTER_FUNCTION(Fir::filter);
    REGISTER_PARAMETER(taps_);
    REGISTER_PARAMETER(history_);
  }

 private:
  int32 gain_;
  int32 (&taps_)[3];
  int32 (&history_)[4];
  unsigned calls_ = 0;
};

template <size_t kTaps>
class FirGraph : public graph {
 public:
  input_plio in = input_plio::create("in", plio_32_bits, files->path("in.txt"));
  output_plio out = output_plio::create("out", plio_32_bits, files->path("out.txt"));
  kernel k;
  FirGraph() {
    k = kernel::create_object<Fir>(10, std::vector<int32>(kTaps, 1), std::vector<int32>(4));
    source(k) = "fir.cc";
    headers(k) = {"fir.h"};
    runtime<ratio>(k) = 1.0;
    stack_size(k) = 2048;
    location<parameter>(k.param[0]) = location<kernel>(k);
    location<parameter>(k.param[1]) = {bank(1, 0, 2), offset(64)};
    location<stack>(k) = bank(1, 0, 3);
    location<buffer>(k.in[0]) = {bank(1, 0, 0), bank(1, 0, 3)};
    location<buffer>(k.out[0]) = {address(1, 0, 0)};
    dimensions(k.in[0]) = {2, 2};
    dimensions(k.out[0]) = {4};
    connect(in.out[0], k.in[0]);
    connect(k.out[0], out.in[0]);
  }
};

TEST_F(AdfGraph, KernelClassWithArrayParameters) {
  write_range("in.txt", 1, 8, 1);
  FirGraph<3> g;
  g.init();
  g.run(2);
  g.end();
  EXPECT_EQ(read_values("out.txt"), (std::vector<int>{31, 32, 33, 34, 35, 36, 37, 38}));
}

TEST_F(AdfGraph, ArrayParameterOfAnotherSize) {
  write_range("in.txt", 1, 8, 1);
  FirGraph<5> g;
  expect_stop([&] { g.init(); }, {"FirGraph<5", "Fir", "3 elements", "vector of 5"});
}

// UG1603 "Buffer Port Connection for Multirate Processing": 128 to 192 samples, three runs to two.
std::string trace;
void produce(input_buffer<int32, extents<2>>& in, output_buffer<int32, extents<2>>& out) {
  trace += 'p';
  std::copy_n(in.data(), 2, out.data());
}
void consume(input_buffer<int32, extents<3>>& in, output_buffer<int32, extents<3>>& out) {
  trace += 'c';
  std::copy_n(in.data(), 3, out.data());
}

template <unsigned kProducerRuns>
class Multirate : public graph {
 public:
  input_plio in;
  output_plio out;
  kernel p, c;
  Multirate() {
    in = input_plio::create("in", plio_32_bits, files->path("in.txt"));
    out = output_plio::create("out", plio_32_bits, files->path("out.txt"));
    p = kernel::create(produce);
    c = kernel::create(consume);
    repetition_count(p) = kProducerRuns;
    connect(in.out[0], p.in[0]);
    connect(p.out[0], c.in[0]);
    connect(c.out[0], out.in[0]);
  }
};

TEST_F(AdfGraph, MultirateIsDerivedFromTheSizes) {
  write_range("in.txt", 1, 24, 1);
  trace.clear();
  Multirate<0> g;
  g.init();
  g.run(1);
  g.wait();
  EXPECT_EQ(std::count(trace.begin(), trace.end(), 'p'), 3);
  EXPECT_EQ(std::count(trace.begin(), trace.end(), 'c'), 2);
  g.run(3);
  g.end();
  EXPECT_EQ(read_values("out.txt").size(), 24U);
}

TEST_F(AdfGraph, RepetitionCountSetsTheScale) {
  write_range("in.txt", 1, 24, 1);
  trace.clear();
  Multirate<6> g;
  g.init();
  g.run(2);
  g.end();
  EXPECT_EQ(std::count(trace.begin(), trace.end(), 'p'), 12);
  EXPECT_EQ(std::count(trace.begin(), trace.end(), 'c'), 8);
}

TEST_F(AdfGraph, RepetitionCountThatContradictsTheSizes) {
  write_range("in.txt", 1, 24, 1);
  Multirate<4> g;
  expect_stop([&] { g.init(); }, {"Multirate", "kernel 0", "out[0]", "kernel 1", "in[0]", "repetition_count() = 4"});
}

// Each part that is left unconnected, of another type or driven twice is named.
void int16_consumer(input_buffer<int16, extents<8>>& in, output_buffer<int32, extents<4>>& out) {
  out.data()[0] = in.data()[0];
}

struct Mistake : graph {
  enum Kind { kNoInput, kNoOutput, kNoSize, kOtherType, kTwoDrivers, kNoSuchPort, kOverfullTile, kTwoSizes };
  input_plio in;
  output_plio out;
  kernel a, b;
  explicit Mistake(Kind kind) {
    in = input_plio::create("DIN", plio_32_bits, files->path("in.txt"));
    out = output_plio::create("DOUT", plio_32_bits, files->path("out.txt"));
    a = kernel::create(scale<1>);
    if (kind == kNoSize) {
      b = kernel::create_object<Fir>(1, std::vector<int32>(3), std::vector<int32>(4));
    } else if (kind == kOtherType) {
      b = kernel::create(int16_consumer);
    } else {
      b = kernel::create(scale<1>);
    }
    source(a) = "a.cc";
    source(b) = "b.cc";
    if (kind == kOverfullTile) {
      runtime<ratio>(a) = 0.6F;
      runtime<ratio>(b) = 0.7F;
      location<kernel>(a) = tile(3, 4);
      location<kernel>(b) = location<kernel>(a);
    }
    if (kind == kTwoSizes) dimensions(a.in[0]) = {8};
    if (kind != kNoInput) connect(in.out[0], a.in[0]);
    if (kind == kTwoDrivers) connect(b.out[0], a.in[0]);
    connect(a.out[0], b.in[0]);
    if (kind != kNoOutput) connect(b.out[0], out.in[0]);
    if (kind == kNoSuchPort) connect(b.out[1], out.in[0]);
  }
};

TEST_F(AdfGraph, MistakesAreNamed) {
  write_range("in.txt", 1, 4, 1);
  const auto expect = [](Mistake::Kind kind, std::initializer_list<std::string> parts) {
    expect_stop(
        [kind] {
          Mistake g(kind);
          g.init();
        },
        parts);
  };
  expect(Mistake::kNoInput, {"Mistake", "input_plio 'DIN'", "not connected"});
  expect(Mistake::kNoOutput, {"Mistake", "output_plio 'DOUT'", "not connected"});
  expect(Mistake::kNoSize, {"Mistake", "Fir", "in[0]", "no size"});
  expect(Mistake::kOtherType, {"Mistake", "'b.cc' port in[0]", "int16", "'a.cc' port out[0]", "int32"});
  expect(Mistake::kTwoDrivers, {"'a.cc' port in[0]", "DIN", "'b.cc' port out[0]", "one driver"});
  expect(Mistake::kNoSuchPort, {"'b.cc' has 1 out port", "out[1] does not exist"});
  expect(Mistake::kOverfullTile, {"'b.cc'", "tile (3, 4)", "1.3"});
  expect(Mistake::kTwoSizes, {"'a.cc' port in[0]", "4 elements", "8"});
}

TEST_F(AdfGraph, UnconnectedKernelPort) {
  struct G : graph {
    kernel k;
    G() {
      k = kernel::create(scale<1>);
      source(k) = "alone.cc";
    }
  };
  G g;
  expect_stop([&] { g.init(); }, {"G", "kernel 0 'alone.cc' port in[0] is not connected"});
}

// UG1603 "Hierarchical Graphs": ports of graphs connect inner graphs with outer ones.
class Inner : public graph {
 public:
  input_port in;
  output_port out;
  kernel k[2];
  Inner() {
    for (kernel& each : k) each = kernel::create(scale<3>);
    connect<>(in, k[0].in[0]);
    connect<>(k[0].out[0], k[1].in[0]);
    connect<>(k[1].out[0], out);
  }
};

template <bool kPliosFirst>
class Outer : public graph {
 public:
  std::conditional_t<kPliosFirst, input_plio, Inner> first;
  Inner second;
  std::conditional_t<kPliosFirst, Inner, input_plio> third;
  output_plio out;
  Outer() {
    input_plio& in = [&]() -> input_plio& {
      if constexpr (kPliosFirst)
        return first;
      else
        return third;
    }();
    Inner& inner = [&]() -> Inner& {
      if constexpr (kPliosFirst)
        return third;
      else
        return first;
    }();
    in = input_plio::create("in", plio_32_bits, files->path("in.txt"));
    out = output_plio::create("out", plio_32_bits, files->path("out.txt"));
    connect<>(in.out[0], inner.in);
    connect<>(inner.out, second.in);
    connect<>(second.out, out.in[0]);
  }
};

template <typename G>
void expect_81(const adf_test::Files& test) {
  test.write_range("in.txt", 1, 4, 1);
  G g;
  g.init();
  g.run(1);
  g.end();
  EXPECT_EQ(test.read_values("out.txt"), (std::vector<int>{81, 162, 243, 324}));
}

TEST_F(AdfGraph, GraphsInGraphs) {
  expect_81<Outer<true>>(*this);
  expect_81<Outer<false>>(*this);
}

// Graphs that exist at the same time do not run each other's kernels.
TEST_F(AdfGraph, TwoGraphsAreIndependent) {
  write_range("in.txt", 1, 4, 1);
  Chain a;
  Outer<true> b;
  Multirate<0> c;
  trace.clear();
  b.init();
  b.run(1);
  b.end();
  EXPECT_EQ(read_values("out.txt"), (std::vector<int>{81, 162, 243, 324}));
  a.init();
  a.run(1);
  a.end();
  EXPECT_EQ(read_values("out.txt"), (std::vector<int>{10, 20, 30, 40}));
  EXPECT_EQ(trace, "");
}

// Graphs are independent, too, where one connects only handles that it declares after an inner graph.
TEST_F(AdfGraph, GraphWithAnInnerGraphOfItsOwn) {
  struct Around : graph {
    Chain inner;
    input_plio in;
    output_plio out;
    kernel k;
    Around() {
      in = input_plio::create("in", plio_32_bits, files->path("in.txt"));
      out = output_plio::create("out", plio_32_bits, files->path("around.txt"));
      k = kernel::create(scale<2>);
      connect(in.out[0], k.in[0]);
      connect(k.out[0], out.in[0]);
    }
  };
  write_range("in.txt", 1, 8, 1);
  Around a;
  Multirate<0> b;
  trace.clear();
  a.init();
  a.run(1);
  a.end();
  EXPECT_EQ(trace, "");
  EXPECT_EQ(read_values("around.txt"), (std::vector<int>{2, 4, 6, 8}));
  EXPECT_EQ(read_values("out.txt"), (std::vector<int>{10, 20, 30, 40}));
}

// UG1603 "Kernel Location Constraints" and AM020: kernels on one tile share its control registers, which keep their
// value from call to call; a kernel on its own tile starts with floor and none.
template <int kSet>
void modes(input_buffer<int32, extents<1>>& in, output_buffer<int32, extents<1>>& out) {
  aie_host::Tile& tile = aie_host::current_tile();
  out.data()[0] = in.data()[0] * 100 + tile.rounding;
  if (kSet >= 0) tile.rounding = kSet;
}

template <bool kSharedTile>
struct Modes : graph {
  input_plio in;
  output_plio out;
  kernel a, b;
  Modes() {
    in = input_plio::create("in", plio_32_bits, files->path("in.txt"));
    out = output_plio::create("out", plio_32_bits, files->path("out.txt"));
    a = kernel::create(modes<7>);
    b = kernel::create(modes<-1>);
    connect(in.out[0], a.in[0]);
    connect(a.out[0], b.in[0]);
    connect(b.out[0], out.in[0]);
    location<kernel>(a) = tile(1, 1);
    location<kernel>(b) = kSharedTile ? tile(1, 1) : tile(1, 2);
  }
};

TEST_F(AdfGraph, KernelsOnOneTileShareItsModes) {
  write_range("in.txt", 1, 2, 1);
  {
    Modes<true> g;
    g.init();
    g.run(2);
    g.end();
    EXPECT_EQ(read_values("out.txt"), (std::vector<int>{10007, 20707}));
  }
  Modes<false> g;
  g.init();
  g.run(2);
  g.end();
  EXPECT_EQ(read_values("out.txt"), (std::vector<int>{10000, 20700}));
}

// Kernels that feed each other: the block that would start them never comes.
void two_inputs(input_buffer<int32, extents<1>>& in, input_buffer<int32, extents<1>>& back,
                output_buffer<int32, extents<1>>& out, output_buffer<int32, extents<1>>& forward) {
  out.data()[0] = in.data()[0];
  forward.data()[0] = back.data()[0];
}

void copy_one(input_buffer<int32, extents<1>>& in, output_buffer<int32, extents<1>>& out) {
  out.data()[0] = in.data()[0];
}

TEST_F(AdfGraph, DeadlockIsReportedNotWaitedFor) {
  struct Cycle : graph {
    input_plio in;
    output_plio out;
    kernel a, b;
    Cycle() {
      in = input_plio::create("in", plio_32_bits, files->path("in.txt"));
      out = output_plio::create("out", plio_32_bits, files->path("out.txt"));
      a = kernel::create(two_inputs);
      b = kernel::create(copy_one);
      source(a) = "a.cc";
      source(b) = "b.cc";
      connect(in.out[0], a.in[0]);
      connect(b.out[0], a.in[1]);
      connect(a.out[0], out.in[0]);
      connect(a.out[1], b.in[0]);
    }
  };
  write_range("in.txt", 1, 10, 1);
  Cycle g;
  g.init();
  expect_stop([&] { g.run(3); }, {"Cycle", "deadlock;", "kernel 0 'a.cc', call 1 of 3", "in[1]", "0 of 1 element",
                                  "come from kernel 1 'b.cc' port out[0]", "kernel 1 'b.cc', call 1 of 3", "in[0]"});
}

// A multicast output goes to every reader (UG1603 "Buffer Port Connection for Multirate Processing").
TEST_F(AdfGraph, OutputToSeveralKernels) {
  struct G : graph {
    input_plio in;
    output_plio out[2];
    kernel a, b, c;
    G() {
      in = input_plio::create("in", plio_32_bits, files->path("in.txt"));
      a = kernel::create(scale<1>);
      b = kernel::create(scale<2>);
      c = kernel::create(scale<3>);
      connect(in.out[0], a.in[0]);
      connect(a.out[0], b.in[0]);
      connect(a.out[0], c.in[0]);
      for (int i = 0; i < 2; ++i) {
        out[i] = output_plio::create("out", plio_32_bits, files->path("out" + std::to_string(i) + ".txt"));
        connect((i == 0 ? b : c).out[0], out[i].in[0]);
      }
    }
  };
  write_range("in.txt", 1, 4, 1);
  G g;
  g.init();
  g.run(1);
  g.end();
  EXPECT_EQ(read_values("out0.txt"), (std::vector<int>{2, 4, 6, 8}));
  EXPECT_EQ(read_values("out1.txt"), (std::vector<int>{3, 6, 9, 12}));
}

// The observation hook sees kernels on every thread.
void vector_kernel(input_buffer<int32, extents<8>>& in, output_stream<int32>* out) {
  const auto v = *aie::cbegin_vector<8>(in);
  writeincr(out, v);
}

TEST_F(AdfGraph, ObserverSeesKernels) {
  struct G : graph {
    input_plio in;
    output_plio out;
    kernel k;
    G() {
      in = input_plio::create("in", plio_32_bits, files->path("in.txt"));
      out = output_plio::create("out", plio_32_bits, files->path("out.txt"));
      k = kernel::create(vector_kernel);
      connect(in.out[0], k.in[0]);
      connect(k.out[0], out.in[0]);
    }
  };
  struct Names : aie_host::Observer {
    void operation(const aie_host::Report& report) override { names.emplace_back(name(report.operation)); }
    std::vector<std::string> names;
  };
  write_range("in.txt", 1, 8, 1);
  G g;
  g.init();
  Names names;
  {
    const aie_host::ObserverScope scope(&names);
    g.run(1);
  }
  g.end();
  EXPECT_EQ(names.names, (std::vector<std::string>{"load", "writeincr"}));
  EXPECT_EQ(read_values("out.txt"), (std::vector<int>{1, 2, 3, 4, 5, 6, 7, 8}));
}

}  // namespace
