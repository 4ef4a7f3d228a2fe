// SPDX-License-Identifier: Apache-2.0
//
// Calibration as the largest model of the demo's kind needs it: 72 heads, 4,096 rows each, n uniform in 2..64.
#include <benchmark/benchmark.h>
#include <sys/resource.h>

#include <cmath>
#include <random>
#include <vector>

#include "hccs/calibration.h"

namespace {

constexpr int kLayers = 6;
constexpr int kHeads = 12;
constexpr int kRows = 4096;

std::vector<hccs::RowSample> make_heads() {
  std::vector<hccs::RowSample> heads;
  std::mt19937_64 random(1);
  std::uniform_int_distribution<int> length(2, 64);
  for (int h = 0; h < kLayers * kHeads; ++h) {
    // From nearly flat to nearly one-hot.
    std::normal_distribution<float> logit(0.0F, 0.5F + 3.0F * static_cast<float>(h) / (kLayers * kHeads));
    hccs::RowSample& head = heads.emplace_back(kRows, 1);
    for (int r = 0; r < kRows; ++r) {
      std::vector<float> row(length(random));
      for (float& x : row) x = logit(random);
      (void)head.add(r, row);
    }
  }
  return heads;
}

void calibrate(benchmark::State& state) {
  const std::vector<hccs::RowSample> heads = make_heads();
  const hccs::CalibrationOptions options{.knees = static_cast<int32_t>(state.range(0)),
                                         .threads = static_cast<int>(state.range(1))};
  double kl = 0;
  while (state.KeepRunning()) {
    const auto fits = hccs::calibrate(heads, kHeads, options);
    if (!fits.ok()) {
      state.SkipWithError(fits.status().message().c_str());
      break;
    }
    kl = 0;
    for (const hccs::HeadFit& fit : *fits) kl += fit.kl / static_cast<double>(fits->size());
  }
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  state.counters["mean_kl"] = kl;
  state.counters["peak_MiB"] = static_cast<double>(usage.ru_maxrss) / 1024;
}

// CPU time is of all threads: what other programs on the machine disturb least.
BENCHMARK(calibrate)
    ->ArgNames({"knees", "threads"})
    ->ArgsProduct({{1, 2, 3, 4}, {2}})
    ->Iterations(1)
    ->Unit(benchmark::kSecond)
    ->MeasureProcessCPUTime()
    ->UseRealTime();

}  // namespace

BENCHMARK_MAIN();
