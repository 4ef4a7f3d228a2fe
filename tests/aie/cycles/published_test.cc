// SPDX-License-Identifier: Apache-2.0
//
// The kernel that the paper measured, on the model, against the twelve cells that it published; that an impossible call
// is refused, and that every possible one is verified and gets a number.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <string>

#include "aie/results/results.h"

namespace {

using namespace aie_traces;
using aie_cycles::Device;

// What docs/results/aie-throughput.md reports as the largest errors of the six clb and of the six div cells, 7.1 %
// and 1.9 %, and a point more.
constexpr double kClbTolerance = 0.081;
constexpr double kDivTolerance = 0.029;

TEST(Published, TwelveCells) {
  ASSERT_EQ(aie_results::published().size(), 6u);
  for (const aie_results::PublishedCell& cell : aie_results::published()) {
    const auto error = [&](Mode mode, Output output, double gelem) {
      const auto modelled =
          cost({.kernel = Kernel::kPaperRows, .device = cell.device, .mode = mode, .output = output, .n = cell.n});
      EXPECT_TRUE(modelled.ok()) << modelled.status().message();
      return modelled.ok() ? modelled->cycles_per_row / (cell.n * aie_cycles::kClockGhz / gelem) - 1 : 1;
    };
    SCOPED_TRACE(std::string(name(cell.device)) + ", n = " + std::to_string(cell.n));
    EXPECT_LE(std::abs(error(Mode::kClb, Output::kUint8, cell.clb)), kClbTolerance);
    EXPECT_LE(std::abs(error(Mode::kDiv, Output::kInt16, cell.div)), kDivTolerance);
  }
}

// The numbers do not depend on the logits, nor on where the buffers are.
TEST(Traces, SameCostForOtherLogits) {
  for (const Kernel kernel : {Kernel::kPaperRows, Kernel::kRows, Kernel::kTiles}) {
    Call call{.kernel = kernel, .device = Device::kAieMl, .n = 64};
    const auto first = cost(call);
    ASSERT_TRUE(first.ok()) << first.status().message();
    for (call.seed = 1; call.seed <= 3; ++call.seed) {
      const auto other = cost(call);
      ASSERT_TRUE(other.ok()) << other.status().message();
      EXPECT_EQ(other->core.cycles, first->core.cycles) << name(kernel) << ", seed " << call.seed;
    }
  }
}

// A call on XDNA 2 is recorded with __AIE_ARCH__ 22, so that no kernel may tell 21 from 22.
TEST(Traces, KernelsHaveOneFormForXdna2AndV2) {
  const std::regex tells_apart("(__AIE_ARCH__|\\b[kK]?[aA]rch)\\s*[=!<>]=?\\s*2[12]");
  unsigned files = 0;
  for (const auto& entry : std::filesystem::directory_iterator("aie/kernels")) {
    std::ifstream file(entry.path());
    const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    EXPECT_FALSE(std::regex_search(text, tells_apart)) << entry.path();
    ++files;
  }
  EXPECT_GT(files, 30u);
  EXPECT_TRUE(std::regex_search("if constexpr (kArch == 22)", tells_apart));
  EXPECT_TRUE(std::regex_search("#if __AIE_ARCH__ > 21", tells_apart));
}

// XDNA 2 runs what AIE-ML v2 does: with another core, so other cycles, and streams of half the width.
TEST(Traces, Xdna2HasCostsOfItsOwn) {
  for (const Call& call :
       {Call{.kernel = Kernel::kPaperRows}, Call{.knees = 3}, Call{.kernel = Kernel::kTiles},
        Call{.kernel = Kernel::kAttention, .mode = Mode::kDeferred, .output = Output::kInt8},
        Call{.kernel = Kernel::kExpBf16, .mode = Mode::kExp2, .output = Output::kBf16, .knees = 0}}) {
    SCOPED_TRACE(name(call.kernel));
    Call on_xdna2 = call;
    on_xdna2.device = Device::kXdna2;
    Call on_v2 = call;
    on_v2.device = Device::kAieMlV2;
    const auto xdna2 = cost(on_xdna2);
    const auto v2 = cost(on_v2);
    ASSERT_TRUE(xdna2.ok()) << xdna2.status().message();
    ASSERT_TRUE(v2.ok()) << v2.status().message();
    EXPECT_NEAR(xdna2->core.cycles, v2->core.cycles, 0.4 * v2->core.cycles);
    if (call.kernel == Kernel::kExpBf16) {
      EXPECT_NE(xdna2->core.cycles, v2->core.cycles);  // float products are a cycle shorter
    }
    EXPECT_GE(xdna2->fed.cycles, v2->fed.cycles * 0.9);
  }
}

TEST(Traces, RefusesWhatAKernelIsNotFor) {
  const auto message = [](Call call) { return trace(call).status().message(); };
  EXPECT_EQ(message({.kernel = Kernel::kPaperRows, .n = 48}), "kernel paper_rows: n 48: a multiple of 32");
  EXPECT_EQ(message({.kernel = Kernel::kPaperRows, .mode = Mode::kScaled}),
            "kernel paper_rows: mode scaled: div or clb");
  EXPECT_EQ(message({.kernel = Kernel::kPaperRows, .mask = kBitMask}), "kernel paper_rows: mask bits: none");
  EXPECT_EQ(message({.knees = 5}), "kernel rows: knees 5: 1..4");
  EXPECT_EQ(message({.n = 0}), "kernel rows: n 0: 1..8192");
  EXPECT_EQ(message({.n = 8192, .rows = 64}), "kernel rows: rows * n 524288: at most 131072");
  EXPECT_EQ(message({.output = Output::kBf16}), "kernel rows: output bf16: uint8 or int16");
  EXPECT_EQ(message({.kernel = Kernel::kExpBf16,
                     .device = Device::kAieMl,
                     .mode = Mode::kExp2,
                     .output = Output::kBf16,
                     .knees = 0}),
            "kernel exp_bf16: mode exp2: tables (aie-ml), exp2 (aie-ml-v2, xdna2) or bits");
  EXPECT_EQ(
      message({.kernel = Kernel::kAttention, .mode = Mode::kDeferred, .output = Output::kInt8, .head_dimension = 48}),
      "kernel attention: head dimension 48: 32 or 64");
}

// Every kernel, mode, number of knees and mask that hccs cycles offers: right results on both devices, on rows that do
// not fill their registers.
TEST(Traces, EveryCaseIsVerified) {
  for (const Device device : {Device::kAieMl, Device::kAieMlV2}) {
    for (const Kernel kernel : {Kernel::kRows, Kernel::kTiles, Kernel::kAttention}) {
      for (unsigned knees = 1; knees <= 4; ++knees) {
        for (const DrawnMask mask : {kNoMask, kLengthMask, kCausalMask, kBitMask}) {
          Call call{.kernel = kernel, .device = device, .knees = knees, .mask = mask, .n = 45, .rows = 19};
          const auto expect_right = [&] {
            const auto traced = trace(call);
            EXPECT_TRUE(traced.ok()) << traced.status().message();
            if (traced.ok()) {
              EXPECT_GT(aie_cycles::count_operations(traced->block), 0u);
            }
          };
          if (kernel == Kernel::kAttention) {
            call.mode = Mode::kDeferred;
            call.output = Output::kInt8;
            for (call.head_dimension = 32; call.head_dimension <= 64; call.head_dimension += 32) expect_right();
            continue;
          }
          for (const Mode mode : {Mode::kDiv, Mode::kClb, Mode::kScaled}) {
            for (const Output output : {Output::kUint8, Output::kInt16}) {
              call.mode = mode;
              call.output = output;
              for (const Heads heads : {Heads::kPaper, Heads::kNative}) {
                call.heads = heads;
                expect_right();
              }
            }
          }
        }
      }
    }
    for (const Mode mode : {device == Device::kAieMl ? Mode::kTables : Mode::kExp2, Mode::kBits}) {
      const auto traced = trace({.kernel = Kernel::kExpBf16,
                                 .device = device,
                                 .mode = mode,
                                 .output = Output::kBf16,
                                 .knees = 0,
                                 .n = 64,
                                 .rows = 5});
      EXPECT_TRUE(traced.ok()) << traced.status().message();
    }
  }
}

TEST(Traces, NamesAreParsed) {
  for (const Mode mode :
       {Mode::kDiv, Mode::kClb, Mode::kScaled, Mode::kDeferred, Mode::kTables, Mode::kExp2, Mode::kBits}) {
    EXPECT_EQ(parse_mode(name(mode)), mode);
  }
  for (const Kernel kernel :
       {Kernel::kPaperRows, Kernel::kRows, Kernel::kTiles, Kernel::kAttention, Kernel::kExpBf16}) {
    EXPECT_EQ(parse_kernel(name(kernel)), kernel);
  }
  for (const DrawnMask mask : {kNoMask, kLengthMask, kCausalMask, kBitMask}) {
    EXPECT_EQ(parse_mask(name(mask)), mask);
  }
  EXPECT_EQ(parse_kernel("Tiles"), std::nullopt);
  EXPECT_EQ(parse_mode(""), std::nullopt);
  EXPECT_EQ(parse_mask(""), std::nullopt);
}

}  // namespace
