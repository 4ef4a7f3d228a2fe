// SPDX-License-Identifier: Apache-2.0
//
// Row softmax: every mode, mask and instruction set of hccs/softmax.h beside other makers' kernels, one thread.
//
//   softmax_bench [--json=FILE] [--markdown=FILE] [options of Google Benchmark]
//
// All kernels read and write the same memory. Each is verified on what it is timed on; one that is wrong gets no
// number, no file is written, and the program fails.
#include <benchmark/benchmark.h>
#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <thread>
#include <utility>

#include "hccs/softmax.h"
#include "hccs_bench_commit.h"  // made by the build
#include "softmax_kernel.h"
#include "softmax_report.h"

namespace hccs::bench {
namespace {

constexpr int kRepetitions = 9;
constexpr double kSeconds = .012;  // at least, each repetition

// Mid-sized heads: the cost does not depend on the values.
const HeadParams kOneKnee(4690, {{86, 40}});
const HeadParams kThreeKnees(4690, {{60, 21}, {34, 47}, {5, 100}});

constexpr double kNarrowStep = .1;  // the exact table is 0 from a distance of 111 on
constexpr double kWideStep = .04;   // and here all 256 entries are in use

// A definition of one row's output.
template <class Out>
using Define = std::function<Status(std::span<const int8_t> logits, const RowMask& mask, std::span<Out> out)>;

// A SoftmaxPlan on batches with one kind of mask.
template <class Out>
class PlanKernel : public Kernel {
 public:
  PlanKernel(SoftmaxPlan plan, Define<Out> define, const std::string& mask, const Data& data, const Shape& shape)
      : plan_(std::move(plan)),
        define_(std::move(define)),
        shape_(shape),
        valid_lengths_(shape.rows(), static_cast<int32_t>(shape.keys / 2)) {
    const int64_t mask_bytes = (shape.keys + 7) / 8;
    for (int64_t batch = 0; batch < shape.batches; ++batch) {
      const int64_t start = batch * shape.stride();
      auto b = SoftmaxBatch<Out>::dense(data.s8.data() + start, reinterpret_cast<Out*>(data.out.data()) + start,
                                        {shape.heads, shape.queries, shape.keys});
      if (mask == kHalf) {
        b.valid_lengths = valid_lengths_.data();
        b.valid_head_stride = shape.queries;
        b.valid_query_stride = 1;
      } else if (mask == kCausal) {
        b.causal_offset = 0;
      } else if (mask == kBits) {
        b.mask_bits = data.mask_bits.data() + batch * shape.rows() * mask_bytes;
        b.mask_head_stride = shape.queries * mask_bytes;
        b.mask_query_stride = mask_bytes;
      }
      batches_.push_back(b);
    }
  }

  bool run(int64_t batch) override { return plan_.run(batches_[batch]).ok(); }

  Status verify() const override {
    std::vector<Out> expected(shape_.keys);
    for (size_t batch = 0; batch < batches_.size(); ++batch) {
      const SoftmaxBatch<Out>& b = batches_[batch];
      for (int64_t row = 0; row < shape_.rows(); ++row) {
        RowMask mask;
        if (b.valid_lengths != nullptr) mask.valid_length = valid_lengths_[row];
        if (b.causal_offset) mask.last_visible = row % shape_.queries + *b.causal_offset;
        if (b.mask_bits != nullptr) mask.bits = b.mask_bits + row * b.mask_query_stride;
        HCCS_RETURN_IF_ERROR(define_({b.logits + row * shape_.keys, expected.size()}, mask, expected));
        const Out* got = b.out + row * shape_.keys;
        const auto [want, differs] = std::mismatch(expected.begin(), expected.end(), got);
        if (want != expected.end()) {
          return {StatusCode::kMismatch, fmt::format("batch {}, row {}, position {}: {}, but the definition gives {}",
                                                     batch, row, differs - got, *differs, *want)};
        }
      }
    }
    return {};
  }

  std::string target() const override { return std::string(plan_.target()); }

 private:
  SoftmaxPlan plan_;
  Define<Out> define_;
  Shape shape_;
  std::vector<int32_t> valid_lengths_;
  std::vector<SoftmaxBatch<Out>> batches_;
};

template <class Out>
MakeKernel hccs_kernel(const HeadParams& params, Normalisation normalisation, const std::string& mask,
                       std::string_view target) {
  return [=](const Data& data, const Shape& shape) -> Expected<std::unique_ptr<Kernel>> {
    const std::vector<HeadParams> heads(shape.heads, params);
    constexpr OutputType kOutput = sizeof(Out) == 1 ? OutputType::kUint8 : OutputType::kInt16;
    HCCS_ASSIGN_OR_RETURN(SoftmaxPlan plan, SoftmaxPlan::hccs(heads, normalisation, kOutput, target));
    const Define<Out> define = [=](std::span<const int8_t> logits, const RowMask& row_mask, std::span<Out> out) {
      return softmax_reference(params, normalisation, logits, row_mask, out);
    };
    return std::unique_ptr<Kernel>(std::make_unique<PlanKernel<Out>>(std::move(plan), define, mask, data, shape));
  };
}

template <class Out>
MakeKernel exact_kernel(double step, Normalisation normalisation, std::string_view target) {
  return [=](const Data& data, const Shape& shape) -> Expected<std::unique_ptr<Kernel>> {
    const std::vector<double> steps(shape.heads, step);
    constexpr OutputType kOutput = sizeof(Out) == 1 ? OutputType::kUint8 : OutputType::kInt16;
    HCCS_ASSIGN_OR_RETURN(SoftmaxPlan plan, SoftmaxPlan::exact_lut(steps, normalisation, kOutput, target));
    std::vector<int64_t> score(256);
    for (int d = 0; d < 256; ++d) score[d] = std::lround(kFullScaleInt16 * std::exp(-step * d));
    const Define<Out> define = [=](std::span<const int8_t> logits, const RowMask&, std::span<Out> out) {
      const int maximum = *std::max_element(logits.begin(), logits.end());
      int64_t sum = 0;
      for (const int8_t x : logits) sum += score[maximum - x];
      std::transform(logits.begin(), logits.end(), out.begin(), [&](int8_t x) {
        return static_cast<Out>(probability(normalisation, kOutput, score[maximum - x], sum));
      });
      return Status();
    };
    return std::unique_ptr<Kernel>(std::make_unique<PlanKernel<Out>>(std::move(plan), define, kNoMask, data, shape));
  };
}

// What no kernel that reads and writes every element can beat by much.
class Copy : public Kernel {
 public:
  Copy(const Data& data, const Shape& shape) : data_(data), shape_(shape) {}
  bool run(int64_t batch) override {
    const int64_t start = batch * shape_.stride();
    std::memcpy(data_.out.data() + start, data_.s8.data() + start, shape_.elements());
    return true;
  }
  Status verify() const override {
    for (int64_t batch = 0; batch < shape_.batches; ++batch) {
      const int64_t start = batch * shape_.stride();
      if (std::memcmp(data_.out.data() + start, data_.s8.data() + start, shape_.elements()) != 0) {
        return {StatusCode::kMismatch, fmt::format("batch {} is not a copy", batch)};
      }
    }
    return {};
  }
  std::string target() const override { return "libc"; }

 private:
  Data data_;
  Shape shape_;
};

Expected<std::unique_ptr<Kernel>> make_copy(const Data& data, const Shape& shape) {
  return std::unique_ptr<Kernel>(std::make_unique<Copy>(data, shape));
}

// Input and output together, and how many elements one call does.
struct WorkingSet {
  std::string name;
  int64_t bytes;
  int64_t batch_elements;
};

// From the caches of this machine; those of a common one if it does not tell.
std::vector<WorkingSet> working_sets() {
  int64_t l1 = 32 << 10;
  int64_t l2 = 1 << 20;
  for (const auto& cache : benchmark::CPUInfo::Get().caches) {
    if (cache.level == 1 && cache.type != "Instruction") l1 = cache.size;
    if (cache.level == 2) l2 = cache.size;
  }
  return {{"L1", l1 * 2 / 3, 8 << 10}, {"L2", l2 / 2, 64 << 10}, {"beyond L2", l2 * 4, 64 << 10}};
}

// Batches of rows that fill the working set and that no call may exceed.
Shape rows_shape(const WorkingSet& set, int64_t element_bytes, int64_t n) {
  Shape shape{.keys = n};
  shape.queries = std::max<int64_t>(std::min(set.batch_elements, set.bytes / element_bytes) / n, 1);
  shape.batches = std::max<int64_t>(set.bytes / (shape.stride() * element_bytes), 1);
  return shape;
}

// Blocks of n x n: of short rows several a call, as attention has several heads.
Shape square_shape(const WorkingSet& set, int64_t element_bytes, int64_t n) {
  Shape shape{.heads = std::clamp<int64_t>(set.batch_elements / (n * n), 1, 4), .queries = n, .keys = n};
  shape.batches = set.bytes / (shape.stride() * element_bytes);
  return shape;
}

// 64-byte aligned.
class Buffer {
 public:
  explicit Buffer(size_t bytes) : lines_(bytes / sizeof(Line) + 1), bytes_(bytes) {}
  template <class T>
  std::span<T> as() {
    return {reinterpret_cast<T*>(lines_.data()), bytes_ / sizeof(T)};
  }

 private:
  struct alignas(64) Line {
    std::byte bytes[64];
  };
  std::vector<Line> lines_;
  size_t bytes_;
};

// Enough for any shape whose input and output are `bytes` together.
class Arena {
 public:
  explicit Arena(int64_t bytes)
      : s8_(bytes / 2), nats_(bytes / 2), u8_(bytes / 2), f32_(bytes / 2), mask_bits_(bytes / 8), out_(bytes) {
    std::mt19937 random(1);
    std::normal_distribution<double> logit(0, 25);
    const auto s8 = s8_.as<int8_t>();
    for (int8_t& x : s8) x = static_cast<int8_t>(std::clamp<long>(std::lround(logit(random)), -128, 127));
    std::transform(s8.begin(), s8.end(), u8_.as<uint8_t>().begin(), [](int8_t x) { return x + 128; });
    std::transform(s8.begin(), s8.end(), nats_.as<int8_t>().begin(),
                   [](int8_t x) { return static_cast<int8_t>(std::lround(kStep * x)); });
    const auto f32 = f32_.as<float>();
    std::transform(s8.begin(), s8.begin() + std::ssize(f32), f32.begin(), [](int8_t x) { return kStep * x; });
    // Three of four positions valid.
    for (uint8_t& bits : mask_bits_.as<uint8_t>()) bits = static_cast<uint8_t>(random() | random());
  }
  Data data() {
    return {s8_.as<int8_t>(), nats_.as<int8_t>(),       u8_.as<uint8_t>(),
            f32_.as<float>(), mask_bits_.as<uint8_t>(), out_.as<std::byte>()};
  }

 private:
  Buffer s8_, nats_, u8_, f32_, mask_bits_, out_;
};

struct Timed {
  Case what;
  Shape shape;
  MakeKernel make;
  std::unique_ptr<Kernel> kernel;  // made and verified when it is first run
  Status error;
  std::vector<double> ns_per_batch;  // of each repetition
};

Status make_and_verify(Timed& timed, const Data& data) {
  HCCS_ASSIGN_OR_RETURN(std::unique_ptr<Kernel> kernel, timed.make(data, timed.shape));
  std::fill(data.out.begin(), data.out.end(), std::byte{0xA5});  // what a kernel leaves unwritten is wrong
  for (int64_t batch = 0; batch < timed.shape.batches; ++batch) {
    if (!kernel->run(batch)) return {StatusCode::kUnsupported, "the kernel refused to run"};
  }
  HCCS_RETURN_IF_ERROR(kernel->verify());
  timed.what.target = kernel->target();
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
    if (++batch == timed.shape.batches) batch = 0;
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

// What is timed, in the order of the table.
std::vector<Timed> all_kernels(const std::vector<WorkingSet>& sets, const std::vector<Peer>& peers) {
  std::vector<Timed> list;
  const auto add = [&](const WorkingSet& set, Case what, int64_t element_bytes, const MakeKernel& make) {
    for (const int64_t n : kRowLengths) {
      what.n = n;
      what.working_set = set.name;
      list.push_back({.what = what, .shape = rows_shape(set, element_bytes, n), .make = make});
    }
  };
  const auto hccs_case = [](Normalisation mode, OutputType output, int knees, std::string_view target) {
    return Case{.kernel = "hccs",
                .target = std::string(target),
                .mode = std::string(name(mode)),
                .output = std::string(name(output)),
                .knees = knees,
                .mask = kNoMask};
  };
  const auto make_hccs = [](Normalisation mode, OutputType output, int knees, const std::string& mask,
                            std::string_view target) {
    const HeadParams& params = knees == 1 ? kOneKnee : kThreeKnees;
    return output == OutputType::kUint8 ? hccs_kernel<uint8_t>(params, mode, mask, target)
                                        : hccs_kernel<int16_t>(params, mode, mask, target);
  };
  const auto bytes = [](OutputType output) { return output == OutputType::kUint8 ? 2 : 3; };
  const auto add_hccs = [&](const WorkingSet& set, Normalisation mode, OutputType output, int knees,
                            std::string_view target) {
    add(set, hccs_case(mode, output, knees, target), bytes(output), make_hccs(mode, output, knees, kNoMask, target));
  };
  const auto add_exact = [&](const WorkingSet& set, double step, Normalisation mode, OutputType output,
                             std::string_view target) {
    Case what = hccs_case(mode, output, 0, target);
    what.kernel = "exact-lut";
    what.step = step;
    add(set, what, bytes(output),
        output == OutputType::kUint8 ? exact_kernel<uint8_t>(step, mode, target)
                                     : exact_kernel<int16_t>(step, mode, target));
  };

  using enum Normalisation;
  using enum OutputType;
  const WorkingSet& l1 = sets.front();
  const std::string_view best = targets().front();
  for (const OutputType output : {kUint8, kInt16}) {
    for (const Normalisation mode : {kScaled, kClb, kDiv}) {
      for (const int knees : {1, 3}) add_hccs(l1, mode, output, knees, best);
    }
  }
  const auto add_main = [&](const WorkingSet& set, const Shape& shape, const std::string& mask, std::string full_of) {
    Case what = hccs_case(kScaled, kUint8, 1, best);
    what.mask = mask;
    what.full_of = std::move(full_of);
    what.working_set = set.name;
    what.n = shape.keys;
    list.push_back({.what = what, .shape = shape, .make = make_hccs(kScaled, kUint8, 1, mask, best)});
  };
  for (const std::string mask : {kHalf, kBits}) {
    for (const int64_t n : kRowLengths) add_main(l1, rows_shape(l1, bytes(kUint8), n), mask, "");
  }
  for (const int64_t n : kRowLengths) {
    Shape half = rows_shape(l1, bytes(kUint8), n);
    half.keys = n / 2;
    add_main(l1, half, kNoMask, kHalf);
  }
  for (const int64_t n : kRowLengths) {
    // In the smallest set that holds a block; one larger than all is left out.
    const auto set = std::find_if(sets.begin(), sets.end(),
                                  [&](const WorkingSet& s) { return square_shape(s, bytes(kUint8), n).batches > 0; });
    if (set == sets.end()) continue;
    const Shape shape = square_shape(*set, bytes(kUint8), n);
    add_main(*set, shape, kCausal, "");
    add_main(*set, shape, kNoMask, kCausal);
  }
  add_exact(l1, kNarrowStep, kScaled, kUint8, best);
  add_exact(l1, kWideStep, kScaled, kUint8, best);
  add_exact(l1, kNarrowStep, kClb, kUint8, best);
  add_exact(l1, kNarrowStep, kScaled, kInt16, best);
  for (const std::string_view target : targets().subspan(1)) {
    add_hccs(l1, kScaled, kUint8, 1, target);
    add_hccs(l1, kScaled, kUint8, 3, target);
    add_hccs(l1, kClb, kUint8, 1, target);
    add_hccs(l1, kScaled, kInt16, 1, target);
    add_exact(l1, kNarrowStep, kScaled, kUint8, target);
  }
  for (const WorkingSet& set : sets) {
    if (&set != &l1) {
      add_hccs(set, kScaled, kUint8, 1, best);
      add_hccs(set, kClb, kUint8, 1, best);
      add_hccs(set, kScaled, kInt16, 1, best);
      add_exact(set, kNarrowStep, kScaled, kUint8, best);
    }
    for (const Peer& peer : peers) {
      add(set, {.kernel = peer.kernel, .mode = "float", .output = peer.output, .mask = kNoMask}, peer.element_bytes,
          peer.make);
    }
    add(set, {.kernel = "memcpy", .mode = "copy", .output = "int8", .mask = kNoMask}, 2, make_copy);
  }
  for (Timed& timed : list) {
    timed.what.heads = timed.shape.heads;
    timed.what.queries = timed.shape.queries;
    timed.what.batches = timed.shape.batches;
  }
  return list;
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

std::string machine() {
  std::string processor = "unknown processor";
  std::ifstream cpuinfo("/proc/cpuinfo");
  for (std::string line; std::getline(cpuinfo, line);) {
    const size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) processor = line.substr(colon + 2);
  }
  const unsigned cores = std::thread::hardware_concurrency();
  return fmt::format("{}, {} core{}", processor, cores, cores == 1 ? "" : "s");
}

std::string describe(const std::vector<WorkingSet>& sets) {
  std::string text = "Calls take batches in turn. Input and output of all of them together:";
  for (const WorkingSet& set : sets) {
    text += fmt::format(" {} KiB (\"{}\", up to {} Ki elements a call),", set.bytes >> 10, set.name,
                        set.batch_elements >> 10);
  }
  text.back() = '.';
  return text + " Buffers start at cache lines, rows follow each other without a gap.";
}

bool write(const std::string& path, const std::string& text) {
  std::error_code ignored;  // the stream says it
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), ignored);
  std::ofstream file(path);
  file << text << std::flush;
  if (!file) fmt::print(stderr, "softmax_bench: cannot write {}\n", path);
  return static_cast<bool>(file);
}

int run(int argc, char** argv) {
  std::string json_path;
  std::string markdown_path;
  std::string interleave = "--benchmark_enable_random_interleaving=true";
  std::vector<char*> arguments = {argv[0], interleave.data()};
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument.starts_with("--json=")) {
      json_path = argument.substr(7);
    } else if (argument.starts_with("--markdown=")) {
      markdown_path = argument.substr(11);
    } else {
      arguments.push_back(argv[i]);
    }
  }
  int count = static_cast<int>(arguments.size());
  benchmark::Initialize(&count, arguments.data());
  if (benchmark::ReportUnrecognizedArguments(count, arguments.data())) return 1;

  Report report{.machine = machine(), .commit = kCommit};
  std::vector<Peer> peers;
#if HCCS_BENCH_ONEDNN
  add_onednn_peers(peers);
#else
  report.absent.emplace_back("oneDNN");
#endif
#if HCCS_BENCH_XNNPACK
  add_xnnpack_peers(peers);
#else
  report.absent.emplace_back("XNNPACK");
#endif
  for (const std::string& absent : report.absent)
    fmt::print("{} was not found when this was built: no rows of it\n", absent);

  const std::vector<WorkingSet> sets = working_sets();
  report.sizes = describe(sets);
  report.repetitions = fmt::format(
      "Median of {} repetitions of at least {:.0f} ms of thread time, those of all kernels in random order.",
      kRepetitions, kSeconds * 1e3);
  for (const std::string_view target : targets()) report.targets.emplace_back(target);

  Arena arena(sets.back().bytes);
  const Data data = arena.data();
  std::vector<Timed> kernels = all_kernels(sets, peers);
  std::vector<double> clock;
  std::map<std::string, std::vector<double>*> times = {{"clock", &clock}};
  const auto settle = [](benchmark::internal::Benchmark* b) { b->MinTime(kSeconds)->Repetitions(kRepetitions); };
  settle(benchmark::RegisterBenchmark("clock", time_clock));
  for (Timed& timed : kernels) {
    const Case& c = timed.what;
    const std::string name =
        fmt::format("{}/{}/{}/{}/K{}/step{}/{}/{}/{}x{}x{}", c.kernel, c.target, c.mode, c.output, c.knees, c.step,
                    c.full_of.empty() ? c.mask : "full rows of " + c.full_of, c.working_set, c.heads, c.queries, c.n);
    settle(benchmark::RegisterBenchmark(name.c_str(),
                                        [&timed, &data](benchmark::State& state) { time(state, timed, data); }));
    times.emplace(name, &timed.ns_per_batch);
  }
  fmt::print(stderr, "timing {} kernels, shapes and working sets; about {:.0f} seconds\n", kernels.size(),
             1.6 * kSeconds * kRepetitions * static_cast<double>(kernels.size()));
  Collector collector(std::move(times));
  benchmark::RunSpecifiedBenchmarks(&collector);

  bool right = true;
  for (Timed& timed : kernels) {
    if (!timed.error.ok()) {
      right = false;
      const Case& c = timed.what;
      fmt::print(stderr, "softmax_bench: {} {} {} {} K={} mask {} n={} {}: {}\n", c.kernel, c.target, c.mode, c.output,
                 c.knees, c.mask, c.n, c.working_set, timed.error.message());
    } else if (!timed.ns_per_batch.empty()) {
      report.rows.push_back({timed.what, timing(std::move(timed.ns_per_batch), timed.shape.rows())});
    }
  }
  if (!clock.empty()) {
    std::sort(clock.begin(), clock.end());
    report.clock_ghz = kChain / median(clock);
  }
  if (!report.rows.empty()) {
    fmt::print("{}; commit {}; one thread; {:.2f} GHz\n{}\n{}\n10^9 elements a second:\n\n{}\n{}", report.machine,
               report.commit, report.clock_ghz, report.sizes, report.repetitions, table(report), goals(report));
  }
  if (!right) {
    fmt::print(stderr, "softmax_bench: a kernel is wrong; no results are written\n");
    return 1;
  }
  const bool written = (json_path.empty() || write(json_path, json(report))) &&
                       (markdown_path.empty() || write(markdown_path, markdown(report)));
  return written ? 0 : 1;
}

}  // namespace
}  // namespace hccs::bench

int main(int argc, char** argv) { return hccs::bench::run(argc, argv); }
