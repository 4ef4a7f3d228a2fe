// SPDX-License-Identifier: Apache-2.0
//
// Every target against the reference, tolerance 0. HCCS_SEED replays a run.
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

#include "contract/target_list.h"
#include "softmax/plan.h"
#include "softmax_case.h"

namespace hccs {
namespace {

uint64_t seed() {
  static const uint64_t value = [] {
    const char* text = std::getenv("HCCS_SEED");
    const uint64_t chosen = text != nullptr ? std::strtoull(text, nullptr, 10) : std::random_device{}();
    std::printf("HCCS_SEED=%llu\n", static_cast<unsigned long long>(chosen));
    return chosen;
  }();
  return value;
}

class EachTarget : public testing::TestWithParam<std::string_view> {};
INSTANTIATE_TEST_SUITE_P(Softmax, EachTarget, testing::ValuesIn(targets().begin(), targets().end()),
                         [](const auto& target) {
                           std::string name(target.param);
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

// As many cases of logits as of sums.
void expect_cases(std::string_view target, CaseShape shape, int cases) {
  RandomChoices choose(seed() + static_cast<uint64_t>(shape.keys * 1000 + shape.queries));
  for (int i = 0; i < 2 * cases; ++i) {
    shape.input = i % 2 == 0 ? CaseInput::kLogits : CaseInput::kSums;
    const auto found = difference(choose_case(choose, shape), target);
    ASSERT_FALSE(found) << *found << "\nHCCS_SEED=" << seed();
  }
}

TEST_P(EachTarget, IsTheOneThatRuns) {
  const HeadParams params[] = {{100, {{3, 20}}}};
  for (const internal::Target& target : internal::target_list().available()) {
    if (target.name != GetParam()) continue;
    for (const OutputType output : {OutputType::kUint8, OutputType::kInt16}) {
      const internal::Plan plan = internal::make_plan(params, Normalisation::kScaled, output);
      const int8_t logits[4] = {};
      int16_t out[4];
      internal::Rows rows{};
      rows.heads = rows.queries = 1;
      rows.keys = 4;
      rows.logits = logits;
      rows.out = out;
      rows.causal_offset = internal::kNoCausalOffset;
      EXPECT_EQ(target.run(plan, rows), target.id);
      const int32_t sums[4] = {};
      const Rescale rescale{};
      rows.logits = nullptr;
      rows.sums = sums;
      rows.rescales = &rescale;
      EXPECT_EQ(target.run(plan, rows), target.id);
    }
    const auto plan = SoftmaxPlan::hccs(params, Normalisation::kScaled, OutputType::kUint8, GetParam());
    ASSERT_TRUE(plan.ok());
    EXPECT_EQ(plan->target(), GetParam());
    return;
  }
  FAIL() << "not available";
}

TEST_P(EachTarget, EverySizeTo300) {
  for (int64_t n = 1; n <= 300; ++n) ASSERT_NO_FATAL_FAILURE(expect_cases(GetParam(), {.keys = n, .queries = 3}, 8));
}

TEST_P(EachTarget, SizesAroundEveryVectorAndTileTo4097) {
  for (int64_t n = 320; n <= 4096; n += n < 1024 ? 32 : 256) {
    for (int64_t delta = -1; delta <= 1; ++delta) {
      ASSERT_NO_FATAL_FAILURE(expect_cases(GetParam(), {.keys = n + delta, .queries = 2}, 4));
    }
  }
}

TEST_P(EachTarget, LongestRows) {
  for (int64_t n : {65535, 65536}) ASSERT_NO_FATAL_FAILURE(expect_cases(GetParam(), {.keys = n, .queries = 2}, 6));
}

// The reductions of up to 16 rows are made together.
TEST_P(EachTarget, EveryNumberOfRowsTo40AndSeveralHeads) {
  for (int64_t queries = 1; queries <= 40; ++queries) {
    for (int64_t n : {1, 7, 16, 33, 64, 70}) {
      ASSERT_NO_FATAL_FAILURE(expect_cases(GetParam(), {.keys = n, .heads = 1 + queries % 3, .queries = queries}, 3));
    }
  }
}

// The scores of a head are a table over 0..255 in some kernels, a formula over 0..127 in others.
TEST_P(EachTarget, EveryDistanceOfManyHeads) {
  RandomChoices choose(seed());
  for (int i = 0; i < 300; ++i) {
    SoftmaxCase c = choose_case(choose, {.keys = 256, .heads = 1, .queries = 1});
    c.valid_lengths.clear();
    c.mask_bits.clear();
    c.causal_offset.reset();
    for (int d = 0; d < 256; ++d) c.logits[static_cast<size_t>(d)] = static_cast<int8_t>(127 - d);
    const auto found = difference(c, GetParam());
    ASSERT_FALSE(found) << *found << "\nHCCS_SEED=" << seed();
  }
}

// One row of sums that goes through every difference at which a distance changes, and its neighbours, for rescales on
// both sides of what each kernel's short forms take.
TEST_P(EachTarget, EveryDistanceOfManyRescales) {
  RandomChoices choose(seed());
  const auto expect_edges = [&](Rescale rescale) {
    SoftmaxCase c = choose_case(choose, {.keys = 3 * 128, .heads = 1, .queries = 1, .input = CaseInput::kSums});
    c.valid_lengths.clear();
    c.mask_bits.clear();
    c.causal_offset.reset();
    c.rescales = {rescale};
    const int64_t top = choose.one_in(2) ? INT32_MAX : choose.between(-1000000, 1000000);
    for (int64_t d = 0; d < 128; ++d) {
      // The least t of distance d, and what lies beside it.
      const int64_t half = rescale.shift == 0 ? 0 : int64_t{1} << (rescale.shift - 1);
      const int64_t least =
          std::max<int64_t>(0, ((d << rescale.shift) - half + rescale.multiplier - 1) / rescale.multiplier);
      for (int64_t i = 0; i < 3; ++i) {
        const int64_t t = std::max<int64_t>(0, least + i - 1);
        c.sums[static_cast<size_t>(3 * d + i)] = static_cast<int32_t>(std::max<int64_t>(INT32_MIN, top - t));
      }
    }
    const auto found = difference(c, GetParam());
    ASSERT_FALSE(found) << *found << "\nHCCS_SEED=" << seed();
  };
  for (int32_t shift = 0; shift <= kMaxRescaleShift; ++shift) {
    for (const int32_t multiplier :
         {1, 2, 3, 127, 128, 253, 254, 8191, 8192, 16383, 16384, 16385, 32384, 32385, 32766, 32767}) {
      ASSERT_NO_FATAL_FAILURE(expect_edges({multiplier, shift}));
    }
    for (int i = 0; i < 10; ++i) {
      const auto multiplier = static_cast<int32_t>(choose.between(1, kMaxRescaleMultiplier));
      ASSERT_NO_FATAL_FAILURE(expect_edges({multiplier, shift}));
    }
    // The first and the last multiplier of the short forms: 65535 M >= 126.5 * 2^R, 2^24 M >= 126.5 * 2^R, 2 M <= 2^R.
    for (const int64_t edge :
         {(int64_t{253} << shift) / 131070, (int64_t{253} << shift) >> 25, (int64_t{1} << shift) / 2}) {
      for (int64_t multiplier = edge - 1; multiplier <= edge + 2; ++multiplier) {
        if (multiplier < 1 || multiplier > kMaxRescaleMultiplier) continue;
        ASSERT_NO_FATAL_FAILURE(expect_edges({static_cast<int32_t>(multiplier), shift}));
      }
    }
  }
}

// Z from 1 to 40,000, so that every shift and every small-sum reciprocal comes up: B = 1 and F = 1 make Z the number of
// valid positions, other heads multiples of it.
TEST_P(EachTarget, EverySmallSum) {
  constexpr int64_t kKeys = 700;
  const std::vector<int8_t> flat(kKeys, 5);
  for (const int32_t offset : {1, 2, 3, 5, 57, 127, 128}) {
    const HeadParams params[] = {{offset, {{0, 1}}}};
    for (const Normalisation normalisation : {Normalisation::kDiv, Normalisation::kClb, Normalisation::kScaled}) {
      const auto plan8 = SoftmaxPlan::hccs(params, normalisation, OutputType::kUint8, GetParam());
      const auto plan16 = SoftmaxPlan::hccs(params, normalisation, OutputType::kInt16, GetParam());
      ASSERT_TRUE(plan8.ok() && plan16.ok());
      for (int64_t n = 1; n <= kKeys; ++n) {
        std::vector<uint8_t> got8(static_cast<size_t>(n));
        std::vector<int16_t> got16(static_cast<size_t>(n));
        ASSERT_TRUE(plan8->run(SoftmaxBatch<uint8_t>::dense(flat.data(), got8.data(), {.keys = n})).ok());
        ASSERT_TRUE(plan16->run(SoftmaxBatch<int16_t>::dense(flat.data(), got16.data(), {.keys = n})).ok());
        ASSERT_EQ(got8, std::vector<uint8_t>(
                            static_cast<size_t>(n),
                            static_cast<uint8_t>(probability(normalisation, OutputType::kUint8, offset, n * offset))))
            << n << " " << offset << " " << name(normalisation);
        ASSERT_EQ(got16, std::vector<int16_t>(
                             static_cast<size_t>(n),
                             static_cast<int16_t>(probability(normalisation, OutputType::kInt16, offset, n * offset))))
            << n << " " << offset << " " << name(normalisation);
      }
    }
  }
}

}  // namespace
}  // namespace hccs
