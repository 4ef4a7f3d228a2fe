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

template <class Out>
void expect_refused(const SoftmaxBatch<Out>& batch, std::string_view part) {
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
    batch.mask_bits = batch16.mask_bits = bits.data();
    const int64_t before = allocations;
    const bool ok = plan->run(batch).ok() && plan16->run(batch16).ok();
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
  for (int masks = 0; masks < 4; ++masks) {
    auto batch = SoftmaxBatch<Out>::dense(logits.as<int8_t>(), out.as<Out>(), {.queries = kRows, .keys = n});
    if ((masks & 1) != 0) batch.mask_bits = bits.as<uint8_t>();
    if ((masks & 2) != 0) {
      batch.valid_lengths = lengths.as<int32_t>();
      batch.valid_query_stride = 1;
    }
    ASSERT_TRUE(plan->run(batch).ok());
  }
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
