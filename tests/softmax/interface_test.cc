// SPDX-License-Identifier: Apache-2.0
//
// The public interface: targets, errors, guard pages, no allocation in run(), threads.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <new>
#include <thread>
#include <vector>

#include "contract/golden_format.h"
#include "hccs/softmax.h"

namespace {
std::atomic<int64_t> allocations = 0;
}

// Counts, so that a test can see that a call makes none. (Inlined, GCC takes free() for a mismatch.)
[[gnu::noinline]] void* operator new(size_t size) {
  ++allocations;
  if (void* p = std::malloc(size == 0 ? 1 : size)) return p;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* p) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, size_t) noexcept { std::free(p); }

namespace hccs {
namespace {

const HeadParams kHead(4690, {{86, 21}, {34, 47}});

Expected<SoftmaxPlan> make(OutputType output = OutputType::kUint8, std::string_view target = {}) {
  return SoftmaxPlan::hccs({&kHead, 1}, Normalisation::kScaled, output, target);
}

TEST(Targets, EndWithPortableAndAreDistinct) {
  ASSERT_FALSE(targets().empty());
  EXPECT_EQ(targets().back(), "portable");
  for (size_t i = 0; i < targets().size(); ++i) {
    for (size_t j = 0; j < i; ++j) EXPECT_NE(targets()[i], targets()[j]);
  }
}

TEST(Targets, EnvironmentPicksOneByName) {
  ASSERT_EQ(setenv("HCCS_TARGET", "portable", 1), 0);
  EXPECT_EQ(default_target().value(), "portable");
  EXPECT_EQ(make()->target(), "portable");
  ASSERT_EQ(setenv("HCCS_TARGET", "quantum", 1), 0);
  const auto plan = make();
  EXPECT_EQ(plan.status().code(), StatusCode::kUnsupported);
  EXPECT_NE(plan.status().message().find("HCCS_TARGET 'quantum'"), std::string::npos) << plan.status().message();
  EXPECT_NE(plan.status().message().find("portable"), std::string::npos) << plan.status().message();
  EXPECT_EQ(default_target().status().code(), StatusCode::kUnsupported);
  EXPECT_EQ(make(OutputType::kUint8, "portable")->target(), "portable") << "a named target needs no environment";
  ASSERT_EQ(setenv("HCCS_TARGET", "", 1), 0);
  EXPECT_EQ(make()->target(), targets().front());
  ASSERT_EQ(unsetenv("HCCS_TARGET"), 0);
  EXPECT_EQ(make()->target(), targets().front());
}

TEST(Plan, RefusesWithValueAndRule) {
  const auto message = [](const auto& plan) {
    EXPECT_FALSE(plan.ok());
    return plan.status().message();
  };
  EXPECT_NE(message(make(OutputType::kUint8, "avx9")).find("target 'avx9'"), std::string::npos);
  EXPECT_NE(message(SoftmaxPlan::hccs({}, Normalisation::kDiv, OutputType::kUint8)).find("0 heads"), std::string::npos);
  const HeadParams heads[] = {kHead, {10, {{5, 3}}}};
  const std::string negative_floor = message(SoftmaxPlan::hccs(heads, Normalisation::kDiv, OutputType::kUint8));
  EXPECT_NE(negative_floor.find("head 1"), std::string::npos) << negative_floor;
  for (double step : {0.0, -1.0, std::nan(""), HUGE_VAL}) {
    EXPECT_NE(message(SoftmaxPlan::exact_lut({&step, 1}, Normalisation::kDiv, OutputType::kUint8)).find("step"),
              std::string::npos);
  }
}

template <class Out, class In>
void expect_refused(const SoftmaxBatch<Out, In>& batch, std::string_view part) {
  const auto plan = make();
  ASSERT_TRUE(plan.ok());
  const Status status = plan->run(batch);
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_NE(status.message().find(part), std::string::npos) << status.message();
}

TEST(Run, RefusesBeforeItWrites) {
  std::vector<int8_t> x(64);
  std::vector<uint8_t> p(64, 77);
  std::vector<int16_t> p16(64, 77);
  const auto good = SoftmaxBatch<uint8_t>::dense(x.data(), p.data(), {.heads = 1, .queries = 4, .keys = 16});
  const auto with = [&](auto change) {
    SoftmaxBatch<uint8_t> batch = good;
    change(batch);
    return batch;
  };
  expect_refused(SoftmaxBatch<int16_t>::dense(x.data(), p16.data(), {.keys = 16}),
                 "int16 output, but the plan's is uint8");
  expect_refused(with([](auto& b) { b.shape.heads = 2; }), "2 heads from head 0, but the plan has 1");
  expect_refused(with([](auto& b) { b.first_head = 1; }), "1 heads from head 1");
  expect_refused(with([](auto& b) { b.first_head = INT64_MAX; }), "heads from head");
  expect_refused(with([](auto& b) { b.first_head = -1; }), "heads from head -1");
  expect_refused(with([](auto& b) { b.shape.heads = -1; }), "-1 heads");
  expect_refused(with([](auto& b) { b.shape.queries = -1; }), "-1 queries");
  expect_refused(with([](auto& b) { b.shape.keys = 0; }), "0 keys");
  expect_refused(with([](auto& b) { b.shape.keys = 65537; }), "65537 keys, but a row has 1 to 65536");
  expect_refused(with([](auto& b) { b.logits = nullptr; }), "null");
  expect_refused(with([](auto& b) { b.out = nullptr; }), "null");
  expect_refused(with([](auto& b) { b.logits_query_stride = -16; }), "logits_query_stride -16");
  expect_refused(with([](auto& b) { b.out_query_stride = INT64_MAX; }), "out_query_stride");
  expect_refused(with([](auto& b) { b.shape.queries = INT64_MAX; }), "1 x 9223372036854775807 rows");
  expect_refused(with([](auto& b) { b.out_query_stride = 15; }), "rows of out overlap");
  expect_refused(with([&](auto& b) { b.out = reinterpret_cast<uint8_t*>(x.data()) + 1; }), "out overlaps logits");
  expect_refused(with([&](auto& b) {
                   b.out = reinterpret_cast<uint8_t*>(x.data());
                   b.logits_query_stride = 0;
                 }),
                 "out overlaps logits");
  EXPECT_EQ(p, std::vector<uint8_t>(64, 77));
  EXPECT_EQ(p16, std::vector<int16_t>(64, 77));
  const auto plan = make();
  EXPECT_TRUE(plan->run(with([](auto& b) { b.shape.queries = 0; })).ok()) << "an empty batch";
  EXPECT_TRUE(plan->run(with([](auto& b) { b.shape.heads = 0; })).ok());
  EXPECT_EQ(p, std::vector<uint8_t>(64, 77));
  EXPECT_TRUE(plan->run(good).ok());
  EXPECT_EQ(p, std::vector<uint8_t>(64, 16));
}

TEST(Run, RefusesSumsBeforeItWrites) {
  std::vector<int32_t> a(64);
  std::vector<uint8_t> p(64, 77);
  const auto bare = SumsBatch<uint8_t>::dense(a.data(), p.data(), {.heads = 1, .queries = 4, .keys = 16});
  const auto good = bare.with_rescale({.multiplier = 3, .shift = 2});
  const std::vector<Rescale> rescales(4, {5, 4});
  expect_refused(bare, "rows of sums need a rescale");
  expect_refused(bare.with_rescale({.multiplier = 0, .shift = 2}), "M = 0");
  expect_refused(bare.with_rescale({.multiplier = 32768, .shift = 2}), "M = 32768");
  expect_refused(bare.with_rescale({.multiplier = 1, .shift = -1}), "R = -1");
  expect_refused(bare.with_rescale({.multiplier = 1, .shift = 47}), "R = 47");
  expect_refused(good.with_rescales(rescales), "rescale and rescales are both set");
  for (const Rescale bad : {Rescale{0, 4}, Rescale{-1, 4}, Rescale{INT32_MIN, 4}, Rescale{5, -1}, Rescale{5, 47}}) {
    std::vector<Rescale> last_bad = rescales;
    last_bad[3] = bad;
    expect_refused(bare.with_rescales(last_bad), "head 0, query 3: rescale");
  }
  expect_refused(bare.with_rescales_per_head(rescales), "4 rescales, but 1 heads and 4 queries");
  expect_refused(bare.with_rescales({}), "0 rescales");
  auto forgotten = bare;
  forgotten.rescales = rescales.data();
  expect_refused(forgotten, "rescale_query_stride is not set");
  auto in_place = good;
  in_place.out = reinterpret_cast<uint8_t*>(a.data());
  expect_refused(in_place, "out overlaps logits");
  in_place.out += 255;
  expect_refused(in_place, "out overlaps logits");
  EXPECT_EQ(p, std::vector<uint8_t>(64, 77));
  EXPECT_TRUE(make()->run(good).ok());
  EXPECT_EQ(p, std::vector<uint8_t>(64, 16));
  EXPECT_TRUE(make()->run(bare.with_rescales(rescales)).ok());
}

// Whatever belongs to rows must say to which: nothing is taken for all rows because a stride was forgotten.
TEST(Run, RefusesForgottenStridesAndSpansThatDoNotFit) {
  std::vector<int8_t> x(96);
  std::vector<uint8_t> p(96, 77);
  const auto good = SoftmaxBatch<uint8_t>::dense(x.data(), p.data(), {.heads = 2, .queries = 3, .keys = 16});
  const std::vector<HeadParams> heads(2, kHead);
  const auto plan = SoftmaxPlan::hccs(heads, Normalisation::kScaled, OutputType::kUint8);
  const auto refused = [&](const SoftmaxBatch<uint8_t>& batch, std::string_view part) {
    const Status status = plan->run(batch);
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
    EXPECT_NE(status.message().find(part), std::string::npos) << status.message();
    EXPECT_EQ(p, std::vector<uint8_t>(96, 77));
  };
  const auto with = [&](auto change) {
    SoftmaxBatch<uint8_t> batch = good;
    change(batch);
    return batch;
  };
  const std::vector<int32_t> lengths(7, 5);
  const std::vector<uint8_t> bits(13, 0xFF);
  refused(with([](auto& b) { b.logits_query_stride = kNoStride; }), "logits_query_stride is not set");
  refused(with([](auto& b) { b.logits_head_stride = kNoStride; }), "logits_head_stride is not set");
  refused(with([](auto& b) { b.out_head_stride = kNoStride; }), "out_head_stride is not set");
  refused(with([&](auto& b) { b.valid_lengths = lengths.data(); }), "valid_head_stride is not set");
  refused(with([&](auto& b) {
            b.valid_lengths = lengths.data();
            b.valid_head_stride = 3;
          }),
          "valid_query_stride is not set");
  refused(with([&](auto& b) {
            b.valid_lengths = lengths.data();
            b.valid_head_stride = 3;
            b.valid_query_stride = -1;
          }),
          "valid_query_stride -1");
  refused(with([&](auto& b) { b.mask_bits = bits.data(); }), "mask_head_stride is not set");
  refused(with([&](auto& b) {
            b.mask_bits = bits.data();
            b.mask_head_stride = 0;
          }),
          "mask_query_stride is not set");
  refused(good.with_lengths({}), "0 valid_lengths");
  refused(good.with_lengths({lengths.data(), 1}), "1 valid_lengths, but 2 heads and 3 queries");
  refused(good.with_lengths({lengths.data(), 3}), "have 6");
  refused(good.with_lengths(lengths), "7 valid_lengths");
  refused(good.with_lengths_per_query({lengths.data(), 6}), "6 valid_lengths");
  refused(good.with_lengths_per_query({lengths.data(), 2}), "2 valid_lengths");
  refused(good.with_lengths_per_head({lengths.data(), 3}), "3 valid_lengths");
  refused(good.with_bits({}), "0 bytes of mask_bits");
  refused(good.with_bits(bits), "13 bytes of mask_bits");
  refused(good.with_bits({bits.data(), 2}), "2 bytes of mask_bits");
  refused(good.with_bits_per_query({bits.data(), 12}), "have 6");
  refused(good.with_bits_per_head({bits.data(), 6}), "have 4");
  EXPECT_TRUE(plan->run(good.with_lengths({lengths.data(), 6}).with_bits({bits.data(), 12})).ok());
}

TEST(Run, BuildersMeanWhatTheySay) {
  constexpr SoftmaxShape kShape = {.heads = 2, .queries = 3, .keys = 16};
  const std::vector<HeadParams> heads(2, kHead);
  const auto plan = SoftmaxPlan::hccs(heads, Normalisation::kScaled, OutputType::kUint8);
  std::vector<int32_t> a(96);
  for (size_t i = 0; i < a.size(); ++i) a[i] = static_cast<int32_t>(i * 71 % 64);
  const std::vector<Rescale> rescales = {{3, 2}, {5, 2}, {7, 2}, {9, 2}, {11, 2}, {13, 2}};
  const std::vector<int32_t> lengths = {16, 5, 9, 1, 12, 0};
  const std::vector<uint8_t> bits = {0xFF, 0x0F, 0xA5, 0x5A, 0x01, 0xFF, 0x80, 0x80, 0x7F, 0xFF, 0x10, 0x00};
  enum class By { kEachRow, kEachQuery, kEachHead };
  for (const By by : {By::kEachRow, By::kEachQuery, By::kEachHead}) {
    const size_t n = by == By::kEachRow ? 6 : by == By::kEachQuery ? 3 : 2;
    std::vector<uint8_t> p(96);
    const auto dense = SumsBatch<uint8_t>::dense(a.data(), p.data(), kShape).with_causal_offset(10);
    const std::span<const int32_t> l(lengths.data(), n);
    const std::span<const uint8_t> m(bits.data(), 2 * n);
    const std::span<const Rescale> s(rescales.data(), n);
    const auto batch = by == By::kEachRow ? dense.with_lengths(l).with_bits(m).with_rescales(s)
                       : by == By::kEachQuery
                           ? dense.with_lengths_per_query(l).with_bits_per_query(m).with_rescales_per_query(s)
                           : dense.with_lengths_per_head(l).with_bits_per_head(m).with_rescales_per_head(s);
    ASSERT_TRUE(plan->run(batch).ok());
    for (size_t h = 0; h < 2; ++h) {
      for (size_t q = 0; q < 3; ++q) {
        const size_t at = by == By::kEachRow ? 3 * h + q : by == By::kEachQuery ? q : h;
        const RowMask mask{
            .valid_length = lengths[at], .last_visible = static_cast<int64_t>(q) + 10, .bits = bits.data() + 2 * at};
        std::vector<uint8_t> row(16);
        const size_t start = 16 * (3 * h + q);
        ASSERT_TRUE(softmax_reference(kHead, Normalisation::kScaled, rescales[at],
                                      std::span<const int32_t>(a).subspan(start, 16), mask, std::span<uint8_t>(row))
                        .ok());
        EXPECT_TRUE(std::equal(row.begin(), row.end(), p.begin() + static_cast<std::ptrdiff_t>(start))) << h << q;
      }
    }
  }
}

TEST(Run, ReadsOneRowForAllQueriesWithStrideZero) {
  std::vector<int8_t> x = {9, 3, 1, -5};
  std::vector<uint8_t> p(12);
  auto batch = SoftmaxBatch<uint8_t>::dense(x.data(), p.data(), {.queries = 3, .keys = 4});
  batch.logits_query_stride = 0;
  ASSERT_TRUE(make()->run(batch).ok());
  std::vector<uint8_t> row(4);
  ASSERT_TRUE(softmax_reference(kHead, Normalisation::kScaled, x, {}, std::span<uint8_t>(row)).ok());
  for (int query = 0; query < 3; ++query) {
    EXPECT_TRUE(std::equal(row.begin(), row.end(), p.begin() + 4 * query)) << query;
  }
}

TEST(Run, DoesNotAllocate) {
  std::vector<int8_t> x(3 * 500);
  std::vector<uint8_t> p(x.size());
  std::vector<int16_t> p16(x.size());
  std::vector<uint8_t> bits(63, 0x5A);
  for (const std::string_view target : targets()) {
    const auto plan = make(OutputType::kUint8, target);
    const auto plan16 = make(OutputType::kInt16, target);
    auto batch = SoftmaxBatch<uint8_t>::dense(x.data(), p.data(), {.queries = 3, .keys = 500});
    auto batch16 = SoftmaxBatch<int16_t>::dense(x.data(), p16.data(), {.queries = 3, .keys = 500});
    batch = batch.with_bits_per_head(bits);
    batch16 = batch16.with_bits_per_head(bits);
    std::vector<int32_t> a(x.size());
    const auto sums = SumsBatch<uint8_t>::dense(a.data(), p.data(), batch.shape).with_rescale({1, 3});
    const auto sums16 = SumsBatch<int16_t>::dense(a.data(), p16.data(), batch.shape).with_rescale({1, 40});
    const int64_t before = allocations;
    const bool ok =
        plan->run(batch).ok() && plan16->run(batch16).ok() && plan->run(sums).ok() && plan16->run(sums16).ok();
    EXPECT_EQ(allocations, before) << target;
    EXPECT_TRUE(ok);
  }
}

// n bytes that end at a page which cannot be touched (or begin after one).
class Guarded {
 public:
  Guarded(size_t bytes, bool at_end) {
    const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    const size_t inside = (bytes + page - 1) / page * page;
    size_ = inside + 2 * page;
    base_ = static_cast<uint8_t*>(mmap(nullptr, size_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (base_ == MAP_FAILED || mprotect(base_ + page, inside, PROT_READ | PROT_WRITE) != 0) std::abort();
    data_ = base_ + page + (at_end ? inside - bytes : 0);
  }
  ~Guarded() { munmap(base_, size_); }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;
  template <class T>
  T* as() {
    return reinterpret_cast<T*>(data_);
  }

 private:
  uint8_t* base_;
  uint8_t* data_;
  size_t size_;
};

template <class Out>
void run_at_guard_pages(OutputType output, std::string_view target, int64_t n, bool at_end) {
  constexpr int64_t kRows = 3;
  Guarded logits(static_cast<size_t>(kRows * n), at_end);
  Guarded out(static_cast<size_t>(kRows * n) * sizeof(Out), at_end);
  Guarded bits(static_cast<size_t>((n + 7) / 8), at_end);
  Guarded lengths(kRows * sizeof(int32_t), at_end);
  for (int64_t i = 0; i < kRows * n; ++i) logits.as<int8_t>()[i] = static_cast<int8_t>(i * 37);
  std::memset(bits.as<uint8_t>(), 0xEF, static_cast<size_t>((n + 7) / 8));
  for (int64_t r = 0; r < kRows; ++r) lengths.as<int32_t>()[r] = static_cast<int32_t>(n - r);
  const auto plan = make(output, target);
  ASSERT_TRUE(plan.ok());
  Guarded sums(static_cast<size_t>(kRows * n) * sizeof(int32_t), at_end);
  Guarded rescales(kRows * sizeof(Rescale), at_end);
  for (int64_t i = 0; i < kRows * n; ++i) sums.as<int32_t>()[i] = static_cast<int32_t>(i * 12345);
  for (int64_t r = 0; r < kRows; ++r) rescales.as<Rescale>()[r] = {20000, static_cast<int32_t>(10 * r)};
  const auto run_masked = [&](const auto& dense) {
    for (int masks = 0; masks < 4; ++masks) {
      auto batch = dense;
      if ((masks & 1) != 0) batch = batch.with_bits_per_head({bits.as<uint8_t>(), static_cast<size_t>((n + 7) / 8)});
      if ((masks & 2) != 0) batch = batch.with_lengths({lengths.as<int32_t>(), kRows});
      ASSERT_TRUE(plan->run(batch).ok());
    }
  };
  const SoftmaxShape shape = {.queries = kRows, .keys = n};
  run_masked(SoftmaxBatch<Out>::dense(logits.as<int8_t>(), out.as<Out>(), shape));
  run_masked(SumsBatch<Out>::dense(sums.as<int32_t>(), out.as<Out>(), shape)
                 .with_rescales({rescales.as<Rescale>(), static_cast<size_t>(kRows)}));
}

TEST(Run, TouchesNothingBeyondGuardPages) {
  for (const std::string_view target : targets()) {
    for (int64_t n = 1; n <= 200; ++n) {
      for (const bool at_end : {false, true}) {
        run_at_guard_pages<uint8_t>(OutputType::kUint8, target, n, at_end);
        run_at_guard_pages<int16_t>(OutputType::kInt16, target, n, at_end);
      }
    }
  }
}

TEST(Run, OnePlanServesManyThreads) {
  const auto plan = make();
  std::vector<int8_t> x(64 * 64);
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<int8_t>(i * 71);
  std::vector<uint8_t> once(x.size());
  ASSERT_TRUE(plan->run(SoftmaxBatch<uint8_t>::dense(x.data(), once.data(), {.queries = 64, .keys = 64})).ok());
  std::vector<std::vector<uint8_t>> results(4, std::vector<uint8_t>(x.size()));
  std::vector<std::thread> threads;
  for (auto& result : results) {
    threads.emplace_back([&] {
      for (int i = 0; i < 100; ++i) {
        (void)plan->run(SoftmaxBatch<uint8_t>::dense(x.data(), result.data(), {.queries = 64, .keys = 64}));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const auto& result : results) EXPECT_EQ(result, once);
}

TEST(Golden, EveryTarget) {
  int line = 0;
  for (const nlohmann::json& row : golden_rows("softmax.jsonl")) {
    ++line;
    const HeadParams params = golden_params(row);
    const GoldenMask mask(row);
    const auto x = row.at("x").get<std::vector<int8_t>>();
    const auto n = static_cast<int64_t>(x.size());
    const int32_t length = static_cast<int32_t>(std::clamp<int64_t>(
        std::min(mask.get().valid_length.value_or(n), mask.get().last_visible.value_or(n - 1) + 1), 0, n));
    const auto expect = [&]<class Out>(Normalisation normalisation, OutputType output, const std::string& key) {
      for (const std::string_view target : targets()) {
        const auto plan = SoftmaxPlan::hccs({&params, 1}, normalisation, output, target);
        ASSERT_TRUE(plan.ok()) << plan.status().message();
        std::vector<Out> p(x.size());
        auto batch = SoftmaxBatch<Out>::dense(x.data(), p.data(), {.keys = n});
        batch.valid_lengths = &length;
        batch.mask_bits = mask.get().bits;
        ASSERT_TRUE(plan->run(batch).ok());
        EXPECT_EQ(std::vector<int64_t>(p.begin(), p.end()), row.at(key).get<std::vector<int64_t>>())
            << target << " " << key << " line " << line;
      }
    };
    for (const Normalisation normalisation : {Normalisation::kDiv, Normalisation::kClb, Normalisation::kScaled}) {
      const std::string key(name(normalisation));
      expect.template operator()<int16_t>(normalisation, OutputType::kInt16, key + "_i16");
      expect.template operator()<uint8_t>(normalisation, OutputType::kUint8, key + "_u8");
    }
  }
}

}  // namespace
}  // namespace hccs
