// SPDX-License-Identifier: Apache-2.0
#include "softmax_runner.h"

#include <benchmark/benchmark.h>
#include <fmt/core.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>
#include <utility>

namespace hccs::bench {
namespace {

struct Timed {
  RunnableCase run;
  std::unique_ptr<Kernel> kernel;  // made and verified when it is first run
  Status error;
  std::vector<double> ns_per_batch;  // of each repetition
};

Status make_and_verify(Timed& timed, const Data& data) {
  HCCS_ASSIGN_OR_RETURN(std::unique_ptr<Kernel> kernel, timed.run.make(data, timed.run.shape));
  std::fill(data.out.begin(), data.out.end(), std::byte{0xA5});  // what a kernel leaves unwritten is wrong
  for (int64_t batch = 0; batch < timed.run.shape.batches; ++batch) {
    if (!kernel->run(batch)) return {StatusCode::kUnsupported, "the kernel refused to run"};
  }
  HCCS_RETURN_IF_ERROR(kernel->verify());
  timed.run.what.target = kernel->target();
  timed.kernel = std::move(kernel);
  return {};
}

void time(benchmark::State& state, Timed& timed, const Data& data) {
  if (timed.kernel == nullptr && timed.error.ok()) timed.error = make_and_verify(timed, data);
  if (!timed.error.ok()) {
    state.SkipWithError(timed.error.message().c_str());
    return;
  }
  Kernel& kernel = *timed.kernel;
  int64_t batch = 0;
  bool ok = true;
  for (auto _ : state) {
    ok &= kernel.run(batch);
    if (++batch == timed.run.shape.batches) batch = 0;
  }
  if (!ok) timed.error = Status(StatusCode::kUnsupported, "the kernel refused to run");
}

constexpr size_t kChain = 256;

// One addition a cycle, as each waits for the one before.
void time_clock(benchmark::State& state) {
  uint64_t x = 0;
  uint64_t one = 1;
  benchmark::DoNotOptimize(one);
  const auto add = [&](size_t) {
    x += one;
    asm volatile("" : "+r"(x));  // or the compiler would add all at once
  };
  for (auto _ : state) {
    [&]<size_t... kIndex>(std::index_sequence<kIndex...>) { (add(kIndex), ...); }
    (std::make_index_sequence<kChain>());
  }
  benchmark::DoNotOptimize(x);
}

// Keeps the repetitions' times; the tables are made of them at the end.
class Collector : public benchmark::BenchmarkReporter {
 public:
  explicit Collector(std::map<std::string, std::vector<double>*> times) : times_(std::move(times)) {}
  bool ReportContext(const Context&) override { return true; }
  void ReportRuns(const std::vector<Run>& runs) override {
    for (const Run& run : runs) {
      const auto found = times_.find(run.run_name.function_name);
      // Thread time, in nanoseconds as no benchmark asks for another unit.
      if (run.run_type == Run::RT_Iteration && found != times_.end()) {
        found->second->push_back(run.GetAdjustedCPUTime());
      }
    }
  }

 private:
  std::map<std::string, std::vector<double>*> times_;
};

double median(std::vector<double> sorted) {
  const size_t middle = sorted.size() / 2;
  return sorted.size() % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

// Of the times of one batch, per row.
Timing timing(std::vector<double> times, int64_t rows) {
  std::sort(times.begin(), times.end());
  const double middle = median(times);
  const size_t quarter = times.size() / 4;
  return {.ns_per_row = middle / static_cast<double>(rows),
          .spread = (times[times.size() - 1 - quarter] - times[quarter]) / middle};
}

std::string error_message(const Case& c, const Status& error) {
  return fmt::format("{} {} {} {} K={} mask {} n={} {}: {}", c.kernel, c.target, c.mode, c.output, c.knees, c.mask, c.n,
                     c.working_set, error.message());
}

}  // namespace

Measurements measure(std::vector<RunnableCase> cases, const Data& data) {
  std::vector<Timed> all;
  all.reserve(cases.size());
  for (RunnableCase& one : cases) all.push_back({.run = std::move(one)});
  std::vector<double> clock;
  std::map<std::string, std::vector<double>*> times = {{"clock", &clock}};
  const auto settle = [](benchmark::internal::Benchmark* b) { b->MinTime(kSeconds)->Repetitions(kRepetitions); };
  settle(benchmark::RegisterBenchmark("clock", time_clock));
  for (Timed& timed : all) {
    const std::string name = benchmark_name(timed.run.what);
    settle(benchmark::RegisterBenchmark(name.c_str(),
                                        [&timed, &data](benchmark::State& state) { time(state, timed, data); }));
    times.emplace(name, &timed.ns_per_batch);
  }
  std::fputs(fmt::format("timing {} kernels, shapes and working sets; about {:.0f} seconds\n", all.size(),
                         1.6 * kSeconds * kRepetitions * static_cast<double>(all.size()))
                 .c_str(),
             stderr);
  Collector collector(std::move(times));
  benchmark::RunSpecifiedBenchmarks(&collector);

  Measurements measured;
  for (Timed& timed : all) {
    if (!timed.error.ok()) {
      measured.errors.push_back(error_message(timed.run.what, timed.error));
    } else if (!timed.ns_per_batch.empty()) {
      measured.rows.push_back({timed.run.what, timing(std::move(timed.ns_per_batch), timed.run.shape.rows())});
    }
  }
  if (!clock.empty()) {
    std::sort(clock.begin(), clock.end());
    measured.clock_ghz = kChain / median(clock);
  }
  return measured;
}

}  // namespace hccs::bench
