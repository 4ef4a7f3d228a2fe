// SPDX-License-Identifier: Apache-2.0
//
// The public interface of attention: targets, errors, guard pages, no allocation in run_piece(), pieces on threads, the
// cache.
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

#include "hccs/attention.h"

namespace {
std::atomic<int64_t> allocations = 0;

void* allocate(size_t size, size_t alignment) {
  ++allocations;
  void* p = nullptr;
  if (posix_memalign(&p, std::max(alignment, sizeof(void*)), size == 0 ? 1 : size) == 0) return p;
  throw std::bad_alloc();
}
}  // namespace

// Count, so that a test can see that a call makes none. (Inlined, GCC takes free() for a mismatch.)
[[gnu::noinline]] void* operator new(size_t size) { return allocate(size, 1); }
[[gnu::noinline]] void* operator new(size_t size, std::align_val_t alignment) {
  return allocate(size, static_cast<size_t>(alignment));
}
[[gnu::noinline]] void operator delete(void* p) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, size_t) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, size_t, std::align_val_t) noexcept { std::free(p); }

namespace hccs {
namespace {

const HeadParams kHead(4690, {{86, 21}, {34, 47}});
constexpr Rescale kRescale{24000, 24};

Expected<AttentionPlan> make(AttentionWeights weights = AttentionWeights::kUint8, std::string_view target = {}) {
  return AttentionPlan::hccs({&kHead, 1}, weights, target);
}

// A batch keeps where its rescale is.
template <class Batch>
concept TakesRescaleThatIsGone = requires(Batch batch) {
  batch.with_rescale(Rescale{24000, 24});
};
static_assert(!TakesRescaleThatIsGone<AttentionBatch>);

TEST(AttentionTargets, EndWithPortableAndAreDistinct) {
  ASSERT_FALSE(attention_targets().empty());
  EXPECT_EQ(attention_targets().back(), "portable");
  for (size_t i = 0; i < attention_targets().size(); ++i) {
    for (size_t j = 0; j < i; ++j) EXPECT_NE(attention_targets()[i], attention_targets()[j]);
    EXPECT_NE(
        std::find(compiled_attention_targets().begin(), compiled_attention_targets().end(), attention_targets()[i]),
        compiled_attention_targets().end());
  }
}

TEST(AttentionTargets, EnvironmentPicksOneByName) {
  ASSERT_EQ(setenv("HCCS_TARGET", "portable", 1), 0);
  EXPECT_EQ(default_attention_target().value(), "portable");
  EXPECT_EQ(make()->target(), "portable");
  ASSERT_EQ(setenv("HCCS_TARGET", "quantum", 1), 0);
  const auto plan = make();
  EXPECT_EQ(plan.status().code(), StatusCode::kUnsupported);
  EXPECT_NE(plan.status().message().find("HCCS_TARGET 'quantum'"), std::string::npos) << plan.status().message();
  EXPECT_NE(plan.status().message().find("portable"), std::string::npos) << plan.status().message();
  ASSERT_EQ(setenv("HCCS_TARGET", "", 1), 0);
  EXPECT_EQ(make()->target(), attention_targets().front());
  ASSERT_EQ(unsetenv("HCCS_TARGET"), 0);
  EXPECT_EQ(make()->target(), attention_targets().front());
}

TEST(AttentionPlan, RefusesWithValueAndRule) {
  const auto message = [](const auto& plan) {
    EXPECT_FALSE(plan.ok());
    return plan.status().message();
  };
  EXPECT_NE(message(make(AttentionWeights::kUint8, "avx9")).find("target 'avx9'"), std::string::npos);
  EXPECT_NE(message(AttentionPlan::hccs({})).find("0 heads"), std::string::npos);
  EXPECT_NE(message(AttentionPlan::exact_lut({})).find("0 heads"), std::string::npos);
  const HeadParams heads[] = {kHead, {10, {{5, 3}}}};
  const std::string negative_floor = message(AttentionPlan::hccs(heads));
  EXPECT_NE(negative_floor.find("head 1"), std::string::npos) << negative_floor;
  for (double step : {0.0, -1.0, std::nan(""), HUGE_VAL}) {
    EXPECT_NE(message(AttentionPlan::exact_lut({&step, 1})).find("step"), std::string::npos);
  }
}

// A batch of one text, one head, 4 queries and 9 keys of 16 elements, that runs.
struct Case {
  std::vector<int8_t> q = std::vector<int8_t>(64, 3);
  std::vector<int8_t> k = std::vector<int8_t>(144, 5);
  std::vector<int8_t> v = std::vector<int8_t>(144, 7);
  std::vector<int8_t> out = std::vector<int8_t>(64, 77);
  std::vector<int32_t> lengths = {9};
  std::vector<Rescale> rescales = {kRescale};
  std::vector<uint8_t> weights = std::vector<uint8_t>(36, 77);
  std::vector<uint16_t> wide = std::vector<uint16_t>(36, 77);
  AttentionBatch batch() {
    auto b = AttentionBatch::dense(q.data(), k.data(), v.data(), out.data(),
                                   {.queries = 4, .keys = 9, .head_dimension = 16, .value_dimension = 16});
    b.rescales = rescales;
    return b;
  }
};

TEST(AttentionRun, RefusesBeforeItWrites) {
  Case c;
  const auto plan = make();
  const auto expect_refused = [&](auto change, std::string_view part) {
    AttentionBatch batch = c.batch();
    change(batch);
    for (const Status& status : {plan->run(batch), plan->pieces(batch).status()}) {
      EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << part;
      EXPECT_NE(status.message().find(part), std::string::npos) << status.message();
    }
  };
  expect_refused([](auto& b) { b.shape.query_heads = 2; }, "2 query heads from head 0, but the plan has 1");
  expect_refused([](auto& b) { b.first_head = 1; }, "1 query heads from head 1");
  expect_refused([](auto& b) { b.first_head = INT64_MAX; }, "query heads from head");
  expect_refused([](auto& b) { b.first_head = -1; }, "from head -1");
  expect_refused([](auto& b) { b.shape.key_heads = 2; }, "1 query heads, 2 key heads");
  expect_refused([](auto& b) { b.shape.key_heads = 0; }, "0 key heads");
  expect_refused([](auto& b) { b.shape.texts = -1; }, "-1 texts");
  expect_refused([](auto& b) { b.shape.queries = -1; }, "-1 queries");
  expect_refused([](auto& b) { b.shape.queries = INT64_MAX; }, "at most 2^44 rows");
  expect_refused([](auto& b) { b.shape.keys = 0; }, "0 keys");
  expect_refused([](auto& b) { b.shape.keys = 65537; }, "65537 keys, but a row has 1 to 65536");
  expect_refused([](auto& b) { b.shape.head_dimension = 513; }, "head_dimension 513, but it is 1 to 512");
  expect_refused([](auto& b) { b.shape.value_dimension = 0; }, "value_dimension 0");
  expect_refused([](auto& b) { b.queries.data = nullptr; }, "queries must not be null");
  expect_refused([](auto& b) { b.keys.data = nullptr; }, "keys must not be null");
  expect_refused([](auto& b) { b.values.data = nullptr; }, "values must not be null");
  expect_refused([](auto& b) { b.out.data = nullptr; }, "nothing to write");
  expect_refused([](auto& b) { b.keys.position_stride = -16; }, "keys: position_stride -16");
  expect_refused([](auto& b) { b.out.position_stride = INT64_MAX; }, "out: position_stride");
  expect_refused([](auto& b) { b.out.position_stride = 15; }, "rows of out overlap");
  expect_refused([&](auto& b) { b.out.data = c.v.data(); }, "out overlaps values");
  expect_refused([&](auto& b) { b.out.data = c.q.data() + 1; }, "out overlaps queries");
  expect_refused([&](auto& b) { b.wide_weights = {c.wide.data(), 36, 36, 9}; }, "wide_weights is set");
  expect_refused([](auto& b) { b.rescales = {}; }, "0 rescales");
  expect_refused([](auto& b) { b.rescale_query_stride = 1; }, "1 rescales, but the strides 0, 0, 1 reach 4");
  expect_refused(
      [&](auto& b) {
        c.rescales[0] = {0, 0};
        b.rescales = c.rescales;
      },
      "0");
  c.rescales[0] = kRescale;
  const std::vector<int32_t> lengths = {1, 2, 3, 4};
  expect_refused([&](auto& b) { b.valid_lengths = lengths; }, "4 valid lengths, but the strides 0, 0 reach 1");
  expect_refused([&](auto& b) { b.with_lengths(lengths); }, "4 valid lengths, but the strides 1, 0 reach 1");
  EXPECT_EQ(c.out, std::vector<int8_t>(64, 77));
  AttentionBatch batch = c.batch();
  std::vector<std::byte> scratch(static_cast<size_t>(plan->scratch_bytes(batch)));
  EXPECT_FALSE(plan->run_piece(batch, 1, scratch).ok());
  EXPECT_FALSE(plan->run_piece(batch, -1, scratch).ok());
  EXPECT_FALSE(plan->run_piece(batch, 0, std::span(scratch).first(scratch.size() - 1)).ok());
  EXPECT_EQ(c.out, std::vector<int8_t>(64, 77));
  batch.shape.queries = 0;
  EXPECT_EQ(plan->pieces(batch).value(), 0) << "an empty batch";
  EXPECT_TRUE(plan->run(batch).ok());
  batch.shape.queries = 4;
  EXPECT_TRUE(plan->run_piece(batch.with_lengths_per_query(lengths), 0, scratch).ok());
  EXPECT_EQ(c.out, std::vector<int8_t>(64, 7)) << "all values are 7";
}

TEST(AttentionRun, DoesNotAllocate) {
  Case c;
  for (const std::string_view target : attention_targets()) {
    for (const AttentionWeights weights : {AttentionWeights::kUint8, AttentionWeights::kWide}) {
      const auto plan = make(weights, target);
      AttentionBatch batch = c.batch();
      batch.with_lengths(c.lengths);
      std::vector<std::byte> scratch(static_cast<size_t>(plan->scratch_bytes(batch)));
      const int64_t before = allocations;
      const bool ok = plan->run_piece(batch, 0, scratch).ok();
      EXPECT_EQ(allocations, before) << target;
      EXPECT_TRUE(ok);
    }
  }
}

TEST(AttentionRun, ScratchIsBounded) {
  for (const std::string_view target : attention_targets()) {
    for (const AttentionWeights weights : {AttentionWeights::kUint8, AttentionWeights::kWide}) {
      const auto plan = make(weights, target);
      for (int64_t n = 1; n <= 65536; n += n < 1024 ? 1 : 701) {
        for (const int64_t d : {1, 64, 512}) {
          EXPECT_LE(plan->scratch_bytes({.keys = n, .head_dimension = d, .value_dimension = d}, n), 16 << 20)
              << target << " " << n << " " << d;
        }
      }
    }
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
    for (size_t i = 0; i < bytes; ++i) data_[i] = static_cast<uint8_t>(i * 37);
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

void run_at_guard_pages(const AttentionPlan& plan, int64_t n, int64_t d, bool at_end) {
  constexpr int64_t kRows = 7;
  const auto size = [](int64_t count) { return static_cast<size_t>(count); };
  Guarded q(size(kRows * d), at_end), k(size(n * d), at_end), v(size(n * d), at_end), out(size(kRows * d), at_end);
  Guarded bits(size((n + 7) / 8), at_end), bytes(size(n), at_end), lengths(sizeof(int32_t), at_end);
  Guarded weights(size(kRows * n), at_end);
  Guarded scratch(size(plan.scratch_bytes({.keys = n, .head_dimension = d, .value_dimension = d}, n)), at_end);
  *lengths.as<int32_t>() = static_cast<int32_t>(n);
  for (int masks = 0; masks < 8; ++masks) {
    auto b = AttentionBatch::dense(q.as<int8_t>(), k.as<int8_t>(), v.as<int8_t>(), out.as<int8_t>(),
                                   {.queries = kRows, .keys = n, .head_dimension = d, .value_dimension = d});
    b.with_rescale(kRescale);
    if ((masks & 1) != 0) b.mask_bits = {bits.as<uint8_t>(), 0, 0, 0};
    if ((masks & 2) != 0) b.mask_bytes = {bytes.as<uint8_t>(), 0, 0, 0};
    if ((masks & 4) != 0) b.with_lengths({lengths.as<int32_t>(), 1});
    if (plan.weights() == AttentionWeights::kUint8) b.weights = {weights.as<uint8_t>(), 0, 0, n};
    ASSERT_TRUE(plan.run(b, {scratch.as<std::byte>(),
                             size(plan.scratch_bytes({.keys = n, .head_dimension = d, .value_dimension = d}, n))})
                    .ok());
  }
}

TEST(AttentionRun, TouchesNothingBeyondGuardPages) {
  for (const std::string_view target : attention_targets()) {
    const auto plan = make(AttentionWeights::kUint8, target);
    for (const bool at_end : {false, true}) {
      for (int64_t n = 1; n <= 130; ++n) ASSERT_NO_FATAL_FAILURE(run_at_guard_pages(*plan, n, 1 + n % 35, at_end));
      for (int64_t d = 1; d <= 80; ++d) ASSERT_NO_FATAL_FAILURE(run_at_guard_pages(*plan, 67, d, at_end));
    }
    const auto wide = make(AttentionWeights::kWide, target);
    for (int64_t n = 60; n <= 70; ++n) ASSERT_NO_FATAL_FAILURE(run_at_guard_pages(*wide, n, n, true));
  }
}

TEST(AttentionRun, PiecesRunAtOnceInAnyOrder) {
  const AttentionShape shape{.texts = 2,
                             .query_heads = 1,
                             .key_heads = 1,
                             .queries = 900,
                             .keys = 70,
                             .head_dimension = 16,
                             .value_dimension = 16};
  std::vector<int8_t> q(2 * 900 * 16), k(2 * 70 * 16), v(k.size()), once(q.size()), threaded(q.size());
  for (size_t i = 0; i < q.size(); ++i) q[i] = static_cast<int8_t>(i * 71);
  for (size_t i = 0; i < k.size(); ++i) k[i] = v[i] = static_cast<int8_t>(i * 37);
  const auto plan = make();
  auto batch = AttentionBatch::dense(q.data(), k.data(), v.data(), once.data(), shape);
  batch.with_rescale(kRescale);
  ASSERT_TRUE(plan->run(batch).ok());
  batch.out.data = threaded.data();
  const int64_t pieces = plan->pieces(batch).value();
  ASSERT_GT(pieces, 2);
  std::vector<std::thread> threads;
  for (int64_t i = pieces - 1; i >= 0; --i) {
    threads.emplace_back([&, i] {
      std::vector<std::byte> scratch(static_cast<size_t>(plan->scratch_bytes(batch)));
      EXPECT_TRUE(plan->run_piece(batch, i, scratch).ok());
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(threaded, once);
}

TEST(KvCache, RefusesAndKeepsWhatItHas) {
  const auto plan = make();
  EXPECT_FALSE(KvCache::make(*plan, 0, 16, 16).ok());
  EXPECT_FALSE(KvCache::make(*plan, 1, 513, 16).ok());
  EXPECT_FALSE(KvCache::make(*plan, 1, 16, 0).ok());
  auto cache = KvCache::make(*plan, 1, 16, 16);
  ASSERT_TRUE(cache.ok());
  const std::vector<int8_t> rows(66 * 16, 9);
  const AttentionRows<const int8_t> many{rows.data(), 0, 0, 16};
  const AttentionRows<const int8_t> same{rows.data(), 0, 0, 0};
  EXPECT_FALSE(cache->append({}, many, 1).ok());
  EXPECT_FALSE(cache->append(many, {}, 1).ok());
  EXPECT_FALSE(cache->append(many, many, -1).ok());
  EXPECT_FALSE(cache->append(same, same, 65537).ok());
  EXPECT_EQ(cache->length(), 0);
  ASSERT_TRUE(cache->append(many, many, 66).ok());
  EXPECT_FALSE(cache->append(same, same, 65536 - 65).ok());
  EXPECT_EQ(cache->length(), 66);
  const int64_t bytes = cache->allocated_bytes();
  EXPECT_FALSE(cache->truncate(67).ok());
  EXPECT_FALSE(cache->truncate(-1).ok());
  ASSERT_TRUE(cache->truncate(3).ok());
  EXPECT_EQ(cache->length(), 3);
  ASSERT_TRUE(cache->append(many, many, 60).ok());
  EXPECT_EQ(cache->allocated_bytes(), bytes);
}

// What was truncated leaves nothing behind, and a cache of another target is refused.
TEST(KvCache, GivesTheBitsOfItsPositions) {
  std::vector<int8_t> k(80 * 16), v(80 * 16), q(16, 11), expected(16), out(16);
  for (size_t i = 0; i < k.size(); ++i) k[i] = v[i] = static_cast<int8_t>(i * 53);
  for (const std::string_view target : attention_targets()) {
    const auto plan = make(AttentionWeights::kUint8, target);
    auto cache = KvCache::make(*plan, 1, 16, 16);
    ASSERT_TRUE(cache->append({k.data() + 160, 0, 0, 16}, {v.data() + 160, 0, 0, 16}, 70).ok());
    ASSERT_TRUE(cache->truncate(0).ok());
    ASSERT_TRUE(cache->append({k.data(), 0, 0, 16}, {v.data(), 0, 0, 16}, 65).ok());
    const KvCache* pointer = &*cache;
    const AttentionShape shape{.keys = 65, .head_dimension = 16, .value_dimension = 16};
    auto dense = AttentionBatch::dense(q.data(), k.data(), v.data(), expected.data(), shape);
    auto cached = AttentionBatch::cached(q.data(), {&pointer, 1}, out.data(), shape);
    ASSERT_TRUE(plan->run(dense.with_rescale(kRescale)).ok());
    ASSERT_TRUE(plan->run(cached.with_rescale(kRescale)).ok());
    EXPECT_EQ(out, expected) << target;
    for (const std::string_view other : attention_targets()) {
      if (other == target) continue;
      EXPECT_EQ(make(AttentionWeights::kUint8, other)->run(cached).code(), StatusCode::kMismatch);
    }
  }
}

TEST(AttentionPlan, ExactTableHasItsWeights) {
  const double step = .05;
  std::vector<int8_t> q = {1}, k(130), v(130, 1), out(1);
  for (int i = 0; i < 130; ++i) k[static_cast<size_t>(i)] = static_cast<int8_t>(127 - i);
  for (const std::string_view target : attention_targets()) {
    const auto plan = AttentionPlan::exact_lut({&step, 1}, AttentionWeights::kWide, target);
    std::vector<uint16_t> w(130);
    auto b = AttentionBatch::dense(q.data(), k.data(), v.data(), out.data(),
                                   {.keys = 130, .head_dimension = 1, .value_dimension = 1});
    const Rescale one{1, 0};
    b.with_rescale(one).wide_weights = {w.data(), 0, 0, 130};
    ASSERT_TRUE(plan->run(b).ok());
    for (int d = 0; d < 130; ++d) {
      EXPECT_EQ(w[static_cast<size_t>(d)], std::lround(32640 * std::exp(-step * std::min(d, 127)))) << target << d;
    }
  }
}

}  // namespace
}  // namespace hccs
