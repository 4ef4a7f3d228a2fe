// SPDX-License-Identifier: Apache-2.0
//
// Row softmax and attention's weights from rows of int32 sums, and attention with wide weights. (golden_test and
// oracle_test compare whole rows with independent implementations.)
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "hccs/reference.h"

namespace hccs {
namespace {

constexpr Normalisation kNormalisations[] = {Normalisation::kDiv, Normalisation::kClb, Normalisation::kScaled};
constexpr int32_t kLowest = INT32_MIN;
constexpr int32_t kHighest = INT32_MAX;

HeadParams random_params(std::mt19937_64& random) {
  std::vector<Knee> knees;
  int32_t position = 0;
  for (uint64_t k = 1 + random() % kMaxKnees; k > 0; --k) {
    position += 1 + static_cast<int32_t>(random() % 30);
    knees.push_back({static_cast<int32_t>(random() % 60), position});
  }
  HeadParams params(0, knees);
  const int64_t least = std::max<int64_t>(1, -params.floor());
  params.offset = static_cast<int32_t>(least + static_cast<int64_t>(random() % (kMaxOffset - least + 1)));
  return params;
}

template <class Out>
std::vector<int64_t> softmax(const HeadParams& params, Normalisation normalisation, Rescale rescale,
                             std::span<const int32_t> sums, const RowMask& mask) {
  std::vector<Out> p(sums.size(), Out{77});
  const Status status = softmax_reference(params, normalisation, rescale, sums, mask, std::span<Out>(p));
  EXPECT_TRUE(status.ok()) << status.message();
  return {p.begin(), p.end()};
}

// The six outputs one after another.
std::vector<int64_t> all_outputs(const HeadParams& params, Rescale rescale, std::span<const int32_t> sums,
                                 const RowMask& mask = {}) {
  std::vector<int64_t> out;
  for (const Normalisation normalisation : kNormalisations) {
    for (const auto& p : {softmax<uint8_t>(params, normalisation, rescale, sums, mask),
                          softmax<int16_t>(params, normalisation, rescale, sums, mask)}) {
      out.insert(out.end(), p.begin(), p.end());
    }
  }
  return out;
}

std::vector<int64_t> all_outputs_of_logits(const HeadParams& params, std::span<const int8_t> logits,
                                           const RowMask& mask = {}) {
  std::vector<int64_t> out;
  for (const Normalisation normalisation : kNormalisations) {
    std::vector<uint8_t> bytes(logits.size());
    std::vector<int16_t> words(logits.size());
    EXPECT_TRUE(softmax_reference(params, normalisation, logits, mask, std::span<uint8_t>(bytes)).ok());
    EXPECT_TRUE(softmax_reference(params, normalisation, logits, mask, std::span<int16_t>(words)).ok());
    out.insert(out.end(), bytes.begin(), bytes.end());
    out.insert(out.end(), words.begin(), words.end());
  }
  return out;
}

// With M * 2^-R = 1 a sum is a logit, whatever is added to all of them: no distance of int8 logits beyond 127 matters.
TEST(Int32Rows, OfUnitFactorAreTheInt8RowWhateverTheirOffset) {
  std::mt19937_64 random(1);
  for (int draw = 0; draw < 300; ++draw) {
    const HeadParams params = random_params(random);
    std::vector<int8_t> logits(1 + random() % 40);
    for (int8_t& x : logits) x = static_cast<int8_t>(random());
    const std::vector<int64_t> expected = all_outputs_of_logits(params, logits);
    for (const int32_t offset : {0, kLowest + 128, kHighest - 127, -1}) {
      std::vector<int32_t> sums;
      for (const int8_t x : logits) sums.push_back(offset + x);
      EXPECT_EQ(all_outputs(params, {1, 0}, sums), expected) << "draw " << draw << ", offset " << offset;
      EXPECT_EQ(all_outputs(params, {1 << 14, 14}, sums), expected) << "draw " << draw << ", offset " << offset;
    }
  }
}

// Every output follows from the distance of the definition: the int8 row 127 - d has the same distances.
TEST(Int32Rows, HaveTheProbabilitiesOfTheirRoundedDistances) {
  std::mt19937_64 random(2);
  for (int draw = 0; draw < 500; ++draw) {
    const HeadParams params = random_params(random);
    const Rescale rescale{static_cast<int32_t>(1 + random() % 32767), static_cast<int32_t>(random() % 47)};
    const int width = static_cast<int>(1 + random() % 31);  // sums spread over so many bits
    std::vector<int32_t> sums(1 + random() % 70);
    for (int32_t& a : sums) a = static_cast<int32_t>(random()) >> (32 - width);
    const int64_t m = *std::max_element(sums.begin(), sums.end());
    std::vector<int8_t> logits;
    for (const int32_t a : sums) logits.push_back(static_cast<int8_t>(127 - sum_distance(rescale, m - a)));
    EXPECT_EQ(all_outputs(params, rescale, sums), all_outputs_of_logits(params, logits)) << "draw " << draw;
  }
}

TEST(Int32Rows, TheWidestDifferencesFit) {
  const HeadParams params(32767, {{127, 1}, {100, 127}});
  const std::vector<int32_t> sums = {kLowest, kHighest, kLowest, kHighest};
  const std::vector<int8_t> far = {0, 127, 0, 127};  // distance 127
  const std::vector<int8_t> equal = {0, 0, 0, 0};    // distance 0
  EXPECT_EQ(all_outputs(params, {32767, 0}, sums), all_outputs_of_logits(params, far));
  EXPECT_EQ(all_outputs(params, {1, 46}, sums), all_outputs_of_logits(params, equal));
  EXPECT_EQ(all_outputs(params, {32767, 46}, sums), all_outputs_of_logits(params, std::vector<int8_t>{0, 2, 0, 2}));
}

// Invalid positions take no part, whatever stands there, and equal ones are equal.
TEST(Int32Rows, MaskedPositionsAreAsGoodAsAbsent) {
  std::mt19937_64 random(3);
  for (int draw = 0; draw < 300; ++draw) {
    const HeadParams params = random_params(random);
    const Rescale rescale{static_cast<int32_t>(1 + random() % 32767), 20 + static_cast<int32_t>(random() % 12)};
    std::vector<int32_t> sums(1 + random() % 50);
    std::vector<uint8_t> bits((sums.size() + 7) / 8);
    std::vector<int32_t> valid;
    for (size_t i = 0; i < sums.size(); ++i) {
      const bool keep = random() % 3 != 0;
      sums[i] = keep ? static_cast<int32_t>(random()) >> 8 : (random() % 2 != 0 ? kHighest : kLowest);
      if (keep) bits[i / 8] |= static_cast<uint8_t>(1U << (i % 8));
      if (keep) valid.push_back(sums[i]);
    }
    const RowMask mask{.bits = bits.data()};
    std::vector<int64_t> expected(6 * sums.size(), 0);
    if (!valid.empty()) {
      const std::vector<int64_t> p = all_outputs(params, rescale, valid);
      for (size_t output = 0; output < 6; ++output) {
        size_t next = output * valid.size();
        for (size_t i = 0; i < sums.size(); ++i) {
          if (mask.valid(static_cast<int64_t>(i))) expected[output * sums.size() + i] = p[next++];
        }
      }
    }
    EXPECT_EQ(all_outputs(params, rescale, sums, mask), expected) << "draw " << draw;
  }
}

TEST(Int32Rows, LargerSumsNeverGetLess) {
  std::mt19937_64 random(4);
  for (int draw = 0; draw < 300; ++draw) {
    const HeadParams params = random_params(random);
    const Rescale rescale{static_cast<int32_t>(1 + random() % 32767), static_cast<int32_t>(random() % 47)};
    std::vector<int32_t> sums(30);
    for (int32_t& a : sums) a = static_cast<int32_t>(random()) >> (random() % 31);
    std::sort(sums.begin(), sums.end());
    const std::vector<int64_t> p = all_outputs(params, rescale, sums);
    for (size_t output = 0; output < 6; ++output) {
      const auto first = p.begin() + static_cast<std::ptrdiff_t>(output * sums.size());
      EXPECT_TRUE(std::is_sorted(first, first + std::ssize(sums))) << "draw " << draw << ", output " << output;
    }
  }
}

// ---- Weights --------------------------------------------------------------------------------

TEST(AttentionWeightRows, AreTheWeightsOfTheDistancesAndTheirSum) {
  std::mt19937_64 random(5);
  for (int draw = 0; draw < 300; ++draw) {
    const HeadParams params = random_params(random);
    const Rescale rescale{static_cast<int32_t>(1 + random() % 32767), static_cast<int32_t>(random() % 47)};
    std::vector<int32_t> sums(1 + random() % 60);
    for (int32_t& a : sums) a = static_cast<int32_t>(random()) >> (random() % 31);
    const RowMask mask{.valid_length = static_cast<int64_t>(random() % (sums.size() + 1))};
    for (const AttentionWeights weights : {AttentionWeights::kUint8, AttentionWeights::kWide}) {
      std::vector<uint16_t> w(sums.size(), 77);
      const auto total = attention_weights_reference(params, rescale, sums, mask, weights, w);
      ASSERT_TRUE(total.ok()) << total.status().message();
      EXPECT_EQ(*total, std::accumulate(w.begin(), w.end(), int64_t{0}));
      const auto valid = static_cast<size_t>(*mask.valid_length);
      const int64_t m =
          valid == 0 ? 0 : *std::max_element(sums.begin(), sums.begin() + static_cast<std::ptrdiff_t>(valid));
      for (size_t i = 0; i < sums.size(); ++i) {
        const int64_t expected = i < valid ? attention_weight(params, sum_distance(rescale, m - sums[i]), weights) : 0;
        ASSERT_EQ(w[i], expected) << "draw " << draw << ", position " << i;
      }
    }
  }
}

// The longest row of the largest scores: W still fits 31 bits, and so do the sums of its product with v.
TEST(AttentionWeightRows, LongestRowOfTheLargestScores) {
  const HeadParams params(32767, {{0, 1}});
  const std::vector<int32_t> sums(static_cast<size_t>(kMaxRowLength), kLowest);
  std::vector<uint16_t> w(sums.size());
  const auto wide = attention_weights_reference(params, {1, 0}, sums, {}, AttentionWeights::kWide, w);
  ASSERT_TRUE(wide.ok());
  EXPECT_EQ(*wide, kMaxRowLength * 32767);
  EXPECT_LT(*wide, int64_t{1} << 31);
  const auto bytes = attention_weights_reference(params, {1, 0}, sums, {}, AttentionWeights::kUint8, w);
  ASSERT_TRUE(bytes.ok());
  EXPECT_EQ(*bytes, kMaxRowLength * 128);
}

// Wide weights are the scores, so o is the rounded mean that they weigh; eight bits move some of these means.
TEST(WideAttention, IsTheMeanThatTheScoresWeigh) {
  std::mt19937_64 random(6);
  int moved = 0;
  for (int draw = 0; draw < 300; ++draw) {
    const HeadParams params = random_params(random);
    const Rescale rescale{static_cast<int32_t>(1 + random() % 32767), 15 + static_cast<int32_t>(random() % 8)};
    const size_t n = 1 + random() % 40;
    const std::vector<int8_t> q = {100};
    std::vector<int8_t> k(n);
    std::vector<int8_t> v(n);
    for (int8_t& x : k) x = static_cast<int8_t>(random());
    for (int8_t& x : v) x = static_cast<int8_t>(random());
    const int64_t m = 100 * *std::max_element(k.begin(), k.end());
    int64_t total = 0;
    int64_t weighed = 0;
    for (size_t i = 0; i < n; ++i) {
      const int64_t s = params.score(sum_distance(rescale, m - 100 * k[i]));
      total += s;
      weighed += s * v[i];
    }
    std::vector<int8_t> wide(1, 77);
    std::vector<int8_t> narrow(1, 77);
    ASSERT_TRUE(attention_reference(params, rescale, q, k, v, {}, wide, AttentionWeights::kWide).ok());
    ASSERT_TRUE(attention_reference(params, rescale, q, k, v, {}, narrow).ok());
    // o - 1/2 <= weighed / total < o + 1/2
    EXPECT_LE((2 * wide[0] - 1) * total, 2 * weighed) << "draw " << draw;
    EXPECT_GT((2 * wide[0] + 1) * total, 2 * weighed) << "draw " << draw;
    moved += narrow[0] != wide[0] ? 1 : 0;
  }
  EXPECT_GT(moved, 0);
}

// ---- Arguments ------------------------------------------------------------------------------

void expect_refused(const Status& status, const std::string& part) {
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_NE(status.message().find(part), std::string::npos) << status.message();
}

TEST(Int32Rows, ArgumentsAreChecked) {
  const HeadParams params(100, {{1, 10}});
  const std::vector<int32_t> sums(3);
  std::vector<uint8_t> p(3, 77);
  std::vector<uint16_t> w(3, 77);
  const auto row = [&](const HeadParams& head, Rescale rescale, std::span<const int32_t> a) {
    return softmax_reference(head, Normalisation::kScaled, rescale, a, {}, std::span<uint8_t>(p));
  };
  expect_refused(row(params, {0, 0}, sums), "M = 0, but 1 <= M <= 32767");
  expect_refused(row(params, {32768, 0}, sums), "M = 32768");
  expect_refused(row(params, {1, -1}, sums), "R = -1, but 0 <= R <= 46");
  expect_refused(row(params, {1, 47}, sums), "R = 47");
  expect_refused(row({0, {{1, 10}}}, {1, 0}, sums), "B = 0");
  expect_refused(row(params, {1, 0}, std::span(sums).first(2)), "output of 3 elements, but the row has 2");
  expect_refused(row(params, {1, 0}, {}), "row of 0 positions");
  const auto weights = [&](Rescale rescale, std::span<const int32_t> a) {
    return attention_weights_reference(params, rescale, a, {}, AttentionWeights::kUint8, w).status();
  };
  expect_refused(weights({0, 0}, sums), "M = 0");
  expect_refused(weights({1, 0}, std::span(sums).first(1)), "output of 3 elements");
  EXPECT_EQ(p, std::vector<uint8_t>(3, 77));  // nothing is half written
  EXPECT_EQ(w, std::vector<uint16_t>(3, 77));
}

}  // namespace
}  // namespace hccs
