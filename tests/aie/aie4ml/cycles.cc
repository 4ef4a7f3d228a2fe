// SPDX-License-Identifier: Apache-2.0
//
// aie4ml's tiled softmax kernel on the cycle model, in the cells whose cycles aie4ml states. cycles_test.py makes
// marked_softmax.cpp: the kernel as it is in the package, with its loops over bands and blocks marked for the observer.
// The statements are untouched. Prints "ROWS COLS clb|div CYCLES" a line; results that differ from the definition end
// the program.
#include <adf.h>
#include <fmt/core.h>

#include <aie_api/aie.hpp>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "aie/cycles/cost.h"
#include "aie/cycles/print.h"
#include "aie_host/observe.h"
#include "aie_host/tile.h"
#include "hccs/reference.h"

// Stands for the head of a loop `for (int i = 0; i < count; ++i)`.
#define HCCS_MARKED(i, count, site)            \
  if (::aie_host::Loop marked_##i(site); true) \
    for (int i = 0; i < (count) && (marked_##i.iteration(), true); ++i)

#include "marked_softmax.cpp"

namespace {

template <int kRows, int kCols, bool kClb>
struct Config {
  using input_t = int8_t;
  using output_t = std::conditional_t<kClb, uint8_t, int16_t>;
  using acc_scalar_t = acc32;
  static constexpr int ROWS = kRows;
  static constexpr int COLS = kCols;
  static constexpr int VEC = 32;
  static constexpr int INV_SHIFT = 15;
  static constexpr bool USE_CLB = kClb;
  static constexpr int MICROTILE_OUTER = 4;
  static constexpr int MICROTILE_INNER = 8;
  static constexpr bool TRANSPOSE_INPUT = false;
  static constexpr int16_t EXP_KQ = 0, EXP_A2 = 0, EXP_B1 = 0, EXP_C0 = 0;
  static constexpr int EXP_ZF = 8;
  static constexpr auto ROUNDING = aie::rounding_mode::floor;
  static constexpr auto SATURATION = aie::saturation_mode::saturate;
};

constexpr int index_of(int row, int i, int cols) { return (row / 4 * (cols / 8) + i / 8) * 32 + row % 4 * 8 + i % 8; }

template <int kRows, int kCols, bool kClb>
long cycles(bool pieces) {
  using Kernel = softmax_i8_tiled<Config<kRows, kCols, kClb>>;
  using Out = typename Kernel::out_t;
  constexpr int kOffset = 32767 / kCols;
  constexpr int kFloor = (255 + kCols) / kCols;
  constexpr int kPosition = 60;
  constexpr int kSlope = (kOffset - kFloor) / kPosition;
  alignas(64) static std::array<int8_t, kRows * kCols> logits;
  alignas(64) static std::array<Out, kRows * kCols> out;
  std::vector<std::vector<std::int8_t>> rows(kRows, std::vector<std::int8_t>(kCols));
  for (int r = 0; r < kRows; ++r) {
    for (int i = 0; i < kCols; ++i) {
      const int x = 50 + r * 37 % 61 - (i * i * 31 + r * 17 + i) % (20 + r * 29 % 60);
      rows[r][i] = logits[index_of(r, i, kCols)] = static_cast<int8_t>(x);
    }
  }

  aie_cycles::Recorder recorder;
  aie_host::Tile tile("modelled");
  {
    const aie_host::TileScope on_tile(tile);
    static Kernel kernel(kOffset, kSlope, kPosition);
    adf::input_buffer<int8_t> in(logits.data());
    adf::output_buffer<Out> to(out.data());
    const aie_host::ObserverScope observed(&recorder);
    kernel.run(in, to);
  }
  const hccs::HeadParams head(kOffset, {{kSlope, kPosition}});
  std::vector<Out> expected(kCols);
  for (int r = 0; r < kRows; ++r) {
    const auto normalisation = kClb ? hccs::Normalisation::kClb : hccs::Normalisation::kDiv;
    if (!hccs::softmax_reference(head, normalisation, rows[r], hccs::RowMask{}, std::span<Out>(expected)).ok())
      return -1;
    for (int i = 0; i < kCols; ++i) {
      if (out[index_of(r, i, kCols)] == expected[i]) continue;
      std::fputs(fmt::format("{} x {}: row {}, position {} is {}, not {}\n", kRows, kCols, r, i,
                             static_cast<int>(out[index_of(r, i, kCols)]), static_cast<int>(expected[i]))
                     .c_str(),
                 stderr);
      std::exit(1);
    }
  }
  const aie_cycles::CallCost cost = aie_cycles::cost_of_call(recorder.take(), aie_cycles::Device::kAieMl);
  for (const aie_cycles::Piece& piece : cost.pieces) {
    if (pieces)
      fmt::print("  {}: {} times, {} passes, {} cycles\n", piece.name, piece.times, piece.passes, piece.cycles);
  }
  fmt::print("{} {} {} {}\n", kRows, kCols, kClb ? "clb" : "div", cost.cycles);
  return cost.cycles;
}

}  // namespace

int main(int argc, char**) {
  cycles<16, 64, true>(argc > 1);
  cycles<64, 128, true>(argc > 1);
  cycles<16, 64, false>(argc > 1);
}
