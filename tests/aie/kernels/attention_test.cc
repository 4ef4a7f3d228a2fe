// SPDX-License-Identifier: Apache-2.0
//
// attention against the contract, tolerance 0.
#include "aie/kernels/attention.h"

#include "kernels/attention_case.h"

#define HCCS_DECLARE_ATTENTION(name)                                                                                  \
  extern "C" void name(const int8*, const int8*, const int8*, const int16*, int8*, int32, int32, int32, int32, int32, \
                       const int16*, void*);                                                                          \
  extern "C" void name##_bits(const int8*, const int8*, const int8*, const int16*, int8*, int32, int32, int32, int32, \
                              int32, const int16*, const uint32*, void*);
HCCS_DECLARE_ATTENTION(hccs_attention_k1_d32)
HCCS_DECLARE_ATTENTION(hccs_attention_k2_d32)
HCCS_DECLARE_ATTENTION(hccs_attention_k3_d32)
HCCS_DECLARE_ATTENTION(hccs_attention_k4_d32)
HCCS_DECLARE_ATTENTION(hccs_attention_k1_d64)
HCCS_DECLARE_ATTENTION(hccs_attention_k2_d64)
HCCS_DECLARE_ATTENTION(hccs_attention_k3_d64)
HCCS_DECLARE_ATTENTION(hccs_attention_k4_d64)

namespace {

using namespace kernel_test;
using Case = AttentionCase;
using Kernel = AttentionKernel;

// The plain functions.
Kernel linked_kernel(int knees, unsigned dim) {
  const auto of = [dim](auto* plain, auto* with_bits) -> Kernel {
    return {dim, dim,
            [=](const int8* q, const int8* k, const int8* v, const int16* rescales, int8* o, int32 rows, int32 n,
                int32 valid_length, int32 causal, int32 causal_offset, const int16* head, const uint32* bits,
                void* scratch) {
              if (bits == nullptr) {
                plain(q, k, v, rescales, o, rows, n, valid_length, causal, causal_offset, head, scratch);
              } else {
                with_bits(q, k, v, rescales, o, rows, n, valid_length, causal, causal_offset, head, bits, scratch);
              }
            }};
  };
  if (dim == 32) {
    return knees == 1   ? of(hccs_attention_k1_d32, hccs_attention_k1_d32_bits)
           : knees == 2 ? of(hccs_attention_k2_d32, hccs_attention_k2_d32_bits)
           : knees == 3 ? of(hccs_attention_k3_d32, hccs_attention_k3_d32_bits)
                        : of(hccs_attention_k4_d32, hccs_attention_k4_d32_bits);
  }
  return knees == 1   ? of(hccs_attention_k1_d64, hccs_attention_k1_d64_bits)
         : knees == 2 ? of(hccs_attention_k2_d64, hccs_attention_k2_d64_bits)
         : knees == 3 ? of(hccs_attention_k3_d64, hccs_attention_k3_d64_bits)
                      : of(hccs_attention_k4_d64, hccs_attention_k4_d64_bits);
}

TEST(Attention, RandomCases) {
  const uint64_t seed = draw_seed();
  SCOPED_TRACE("HCCS_SEED=" + std::to_string(seed));
  Random random(seed);
  for (unsigned i = 0; i < 240; ++i) {
    const unsigned dim = random.one_in(2) ? 32 : 64;
    const Case c =
        draw_case(random, static_cast<unsigned>(random.between(1, 20)),
                  static_cast<unsigned>(random.one_in(8) ? random.between(1, 300) : random.between(1, 70)), dim, dim);
    expect_equals_contract(c, linked_kernel(random.between(c.params.knee_count, 4), dim), i);
  }
}

// Bit masks of every density, with and without the other masks.
TEST(Attention, BitMasks) {
  const uint64_t seed = draw_seed();
  SCOPED_TRACE("HCCS_SEED=" + std::to_string(seed));
  Random random(seed);
  for (unsigned i = 0; i < 180; ++i) {
    const unsigned dim = random.one_in(2) ? 32 : 64;
    Case c =
        draw_case(random, static_cast<unsigned>(random.between(1, 20)),
                  static_cast<unsigned>(random.one_in(8) ? random.between(1, 300) : random.between(1, 70)), dim, dim);
    draw_bits(random, c, static_cast<int>(i % 9));
    expect_equals_contract(c, linked_kernel(random.between(c.params.knee_count, 4), dim), i);
  }
}

// One valid position, each of them, in the middle of rows without any: its value is the result.
TEST(Attention, EveryPositionAlone) {
  Random random(15);
  for (const unsigned n : {33u, 64u}) {
    Case c = draw_case(random, 2 * n, n, 32, 32);
    c.valid_length = INT32_MAX;
    c.causal = false;
    draw_bits(random, c, 0);
    for (unsigned i = 0; i < n; ++i) c.bits[2 * i][i / 8] = static_cast<uint8_t>(1 << (i % 8));
    expect_equals_contract(c, linked_kernel(c.params.knee_count, 32), n);
    const std::vector<int8_t> o = expected_rows(c);
    for (unsigned i = 0; i < n; ++i) {
      ASSERT_TRUE(std::equal(&c.v[i * 32], &c.v[i * 32] + 32, &o[2 * i * 32]));
    }
  }
}

// Masks that leave nothing or nearly nothing, alone and with the other masks, over positions that would win: whatever a
// mask hides has the largest product and value -128.
TEST(Attention, HostileBitMasks) {
  Random random(16);
  enum Bits { kNone, kFirst, kLast, kEven, kOnlyHidden, kAll };
  for (const unsigned n : {1u, 7u, 8u, 15u, 16u, 17u, 31u, 32u, 33u, 40u, 64u, 65u, 100u}) {
    for (const unsigned rows : {1u, 4u, 7u, 9u}) {
      const int last = static_cast<int>(n) - 1;
      struct Mask {
        int32_t length;
        bool causal;
        int32_t offset;
      };
      for (const Mask mask :
           {Mask{INT32_MAX, false, 0}, Mask{last, false, 0}, Mask{INT32_MAX, true, -2}, Mask{last, true, last / 2},
            Mask{INT32_MIN, true, INT32_MAX}, Mask{INT32_MAX, true, INT32_MIN}, Mask{0, false, 0}}) {
        for (const Bits bits : {kNone, kFirst, kLast, kEven, kOnlyHidden, kAll}) {
          Case c = draw_case(random, rows, n, 32, 32);
          c.valid_length = mask.length;
          c.causal = mask.causal;
          c.causal_offset = mask.offset;
          draw_bits(random, c, bits == kAll ? 8 : 0);
          const auto visible = [&](unsigned r, unsigned i) {
            const auto position = static_cast<int64_t>(i);
            return position < mask.length && (!mask.causal || position <= int64_t{r} + mask.offset);
          };
          // k of what no row sees is all 127; q has the same sign everywhere.
          for (int8_t& x : c.q) x = static_cast<int8_t>(random.between(1, 127));
          for (unsigned i = 0; i < n; ++i) {
            bool seen = false;
            for (unsigned r = 0; r < rows; ++r) {
              const bool set = bits == kAll || (bits == kFirst && i == 0) || (bits == kLast && i == n - 1) ||
                               (bits == kEven && i % 2 == 0) || (bits == kOnlyHidden && !visible(r, i));
              if (set) c.bits[r][i / 8] = static_cast<uint8_t>(c.bits[r][i / 8] | 1 << (i % 8));
              seen |= set && visible(r, i);
            }
            if (seen) continue;
            std::fill_n(c.k.begin() + i * 32, 32, int8_t{127});
            std::fill_n(c.v.begin() + i * 32, 32, int8_t{-128});
          }
          expect_equals_contract(c, linked_kernel(c.params.knee_count, 32), n + rows);
          if (HasFatalFailure()) return;
        }
      }
    }
  }
}

TEST(Attention, OtherDimensions) {
  Random random(11);
  for (unsigned i = 0; i < 20; ++i) {
    const unsigned rows = 1 + i;
    const unsigned n = 5 + 9 * i;
    expect_equals_contract(draw_case(random, rows, n, 8, 16), kernel_of<4, 8, 16>(), i);
    expect_equals_contract(draw_case(random, rows, n, 96, 48), kernel_of<4, 96, 48>(), i);
    expect_equals_contract(draw_case(random, rows, n, 24, 128), kernel_of<4, 24, 128>(), i);
  }
}

// Every R with the ends of M, many to a block.
TEST(Attention, EveryRescale) {
  Random random(12);
  constexpr int32_t kMultipliers[] = {1, 2, 16383, 16384, 32767};
  for (unsigned dim : {32u, 64u}) {
    Case c = draw_case(random, 47 * 5, 40, dim, dim);
    c.valid_length = INT32_MAX;
    c.causal = false;
    for (unsigned r = 0; r < c.rows; ++r) {
      c.rescales[r] = {kMultipliers[r % 5], static_cast<int32_t>(r / 5)};
      // Differences of products from 0 to the largest.
      const int scale = static_cast<int>(r / 5) < 8 ? 1 : static_cast<int>(r / 5) < 16 ? 12 : 127;
      for (unsigned j = 0; j < dim; ++j) c.q[r * dim + j] = static_cast<int8_t>(random.between(-scale, scale));
    }
    for (int knees = 1; knees <= 4; ++knees) {
      c.params = draw_contract_head(random, knees);
      expect_equals_contract(c, linked_kernel(knees, dim), static_cast<unsigned>(knees));
    }
  }
}

// Ties of the shifts: products 0 .. 1023 at every R up to 10, M = 1 and 3.
TEST(Attention, DistancesRoundHalfUp) {
  Case c{{32767, {{127, 1}, {127, 127}}}, 22, 1024, 32, 32, {}, {}, {}, {}};
  c.q.assign(c.rows * 32, 0);
  c.k.assign(c.n * 32, 0);
  c.v.assign(c.n * 32, 0);
  for (unsigned r = 0; r < c.rows; ++r) {
    c.q[r * 32] = 32;
    c.q[r * 32 + 1] = 1;
    c.rescales.push_back({r % 2 == 0 ? 1 : 3, static_cast<int32_t>(r / 2)});
  }
  for (unsigned i = 0; i < c.n; ++i) {
    c.k[i * 32] = static_cast<int8_t>(-static_cast<int>(i / 32));
    c.k[i * 32 + 1] = static_cast<int8_t>(-static_cast<int>(i % 32));
    for (unsigned j = 0; j < 32; ++j) c.v[i * 32 + j] = static_cast<int8_t>(i * (j + 1));
  }
  expect_equals_contract(c, linked_kernel(2, 32), 0);
}

// Ties of shifts that are large and near each other, as far as the fast way goes and one farther: distances j + 1/2
// of every row, and one unit of q . k beside them.
TEST(Attention, DistancesOfCloseShiftsRoundHalfUp) {
  for (const int spread : {0, 3, 6, 7}) {
    for (const int multiplier : {1, 3, 255}) {
      Case c{{32767, {{127, 1}, {90, 127}}}, 16, 31 * 3, 64, 32, {}, {}, {}, {}};
      c.q.assign(c.rows * 64, 0);
      c.k.assign(c.n * 64, 0);
      c.v.resize(c.n * 32);
      for (unsigned i = 0; i < c.v.size(); ++i) c.v[i] = static_cast<int8_t>(i * 7 + i / 32);
      for (unsigned r = 0; r < c.rows; ++r) {
        // One unit of q . k is multiplier * 2^-17.
        const int more = static_cast<int>(r % 8) * spread / 7;
        c.rescales.push_back({multiplier << more, 17 + more});
        std::fill_n(c.q.begin() + r * 64, 63, int8_t{-128});
        c.q[r * 64 + 63] = 1;
      }
      // t = 128 * sum of 63 + one: near (j + 1/2) * 2^17 / multiplier.
      for (unsigned i = 0; i < c.n; ++i) {
        const int64_t t = (2 * int64_t{i / 3} + 1) * 65536 / multiplier + static_cast<int>(i % 3) - 1;
        int64_t sum = t / 128;
        c.k[i * 64 + 63] = static_cast<int8_t>(-(t - 128 * sum));
        for (unsigned j = 0; j < 63; ++j) {
          const auto part = static_cast<int8_t>(std::min<int64_t>(sum, 127));
          c.k[i * 64 + j] = part;
          sum -= part;
        }
      }
      expect_equals_contract(c, linked_kernel(2, 64), 0);
    }
  }
}

// The largest products and sums: q and k at the ends of int8, 65536 positions of weight 255 and value -128 or 127.
TEST(Attention, ExtremeSums) {
  for (const int8_t value : {int8_t{-128}, int8_t{127}}) {
    Case c{{255, {{0, 127}}}, 1, 65536, 8, 16, {}, {}, {}, {{32767, 0}}};
    c.q.assign(8, -128);
    c.k.assign(c.n * 8, -128);
    c.v.assign(c.n * 16, value);
    for (unsigned i = 0; i < c.n; i += 3) std::fill_n(c.k.begin() + 8 * i, 8, int8_t{127});
    expect_equals_contract(c, kernel_of<1, 8, 16>(), 0);
  }
  Case c{{32767, {{127, 127}}}, 2, 33, 2048, 16, {}, {}, {}, {{32767, 46}, {32767, 35}}};
  c.q.assign(2 * 2048, -128);
  c.k.assign(c.n * 2048, -128);
  c.v.assign(c.n * 16, -77);
  std::fill_n(c.k.begin() + 5 * 2048, 2048, int8_t{127});
  std::fill_n(c.v.begin() + 5 * 16, 16, int8_t{99});
  expect_equals_contract(c, kernel_of<1, 2048, 16>(), 0);
}

// A head whose least weights are 0: the sums are the maximum's alone.
TEST(Attention, WeightsOfZero) {
  Random random(13);
  for (const hccs::HeadParams& params : {hccs::HeadParams{1, {{1, 1}}}, hccs::HeadParams{2, {{1, 2}}},
                                         hccs::HeadParams{127, {{127, 1}}}, hccs::HeadParams{254, {{127, 2}}}}) {
    for (unsigned i = 0; i < 20; ++i) {
      Case c = draw_case(random, 9, 30, 32, 32);
      c.params = params;
      expect_equals_contract(c, linked_kernel(1, 32), i);
    }
  }
}

TEST(Attention, GoldenRows) {
  unsigned compared = 0;
  for (const nlohmann::json& row : hccs::golden_rows("attention.jsonl")) {
    const auto valid = row.at("valid").get<std::vector<int>>();
    const auto visible = std::count(valid.begin(), valid.end(), 1);
    const bool prefix = std::all_of(valid.begin(), valid.begin() + visible, [](int x) { return x == 1; });
    Case c{hccs::golden_params(row), 1, row.at("n"), row.at("dh"), row.at("dv"), {}, {}, {}, {}};
    c.q = row.at("q").get<std::vector<int8_t>>();
    for (const auto& key : row.at("k")) c.k.insert(c.k.end(), key.begin(), key.end());
    for (const auto& value : row.at("v")) c.v.insert(c.v.end(), value.begin(), value.end());
    c.rescales = {{row.at("M"), row.at("R")}};
    const auto compare = [&] {
      ASSERT_EQ(expected_rows(c), row.at("o").get<std::vector<int8_t>>());
      expect_equals_contract(c, linked_kernel(c.params.knee_count, 64), compared);
    };
    c.bits.emplace_back((c.n + 7) / 8);
    for (unsigned i = 0; i < c.n; ++i) {
      c.bits[0][i / 8] = static_cast<uint8_t>(c.bits[0][i / 8] | valid[i] << (i % 8));
    }
    compare();
    if (prefix) {
      c.bits.clear();
      c.valid_length = static_cast<int32_t>(visible);
      compare();
    }
    ++compared;
  }
}

// The exact quotient for every result, at every tie and beside it, of W of all sizes: blocks of eight rows of one size,
// and of sizes that are far apart.
TEST(AttentionQuotient, IsExact) {
  const uint64_t seed = draw_seed();
  SCOPED_TRACE("HCCS_SEED=" + std::to_string(seed));
  Random random(seed);
  const hccs_kernels::RoundingSaturation modes(aie::rounding_mode::floor, aie::saturation_mode::saturate);
  std::vector<int32_t> all;
  for (int32_t w = 1; w <= 1100; ++w) all.push_back(w);
  for (int k = 10; k < 24; ++k) {
    for (const int near : {-1, 0, 1}) all.push_back((1 << k) + near);
    for (int i = 0; i < 20; ++i) all.push_back(std::min(65536 * 255, (1 << k) + random.below(1 << k)));
  }
  all.push_back(65536 * 255);
  for (const bool mixed : {false, true}) {
    std::vector<int32_t> blocks = all;
    if (mixed) std::shuffle(blocks.begin(), blocks.end(), std::mt19937_64(seed));
    blocks.resize(blocks.size() / 8 * 8);
    for (size_t block = 0; block < blocks.size(); block += 8) {
      aie::vector<int32, 16> w;
      for (unsigned lane = 0; lane < 16; ++lane) w.set(blocks[block + lane % 8], lane);
      const auto divisors = [&] {
        const auto plain = hccs_kernels::factor_modes();
        return hccs_kernels::attention::Divisors(w);
      }();
      for (int q = -128; q <= 127; q += 3) {
        for (int64_t near = -1; near <= 1; ++near) {
          // Lane by lane another of three quotients: q - 1/2 is the tie, and is its start.
          std::vector<int64_t> sums(32);
          aie::vector<int32, 32> x;
          for (unsigned lane = 0; lane < 32; ++lane) {
            const int64_t z = w.get(lane % 16);
            const int64_t quotient = std::min<int64_t>(127, q + lane / 8);
            sums[lane] = std::clamp((2 * quotient - 1) * z / 2 + near, -128 * z, 127 * z);
            x.set(static_cast<int32>(sums[lane] + z / 2), lane);
          }
          const auto out = divisors.divide(aie::accum<acc32, 32>(x));
          for (unsigned lane = 0; lane < 32; ++lane) {
            const double sum = static_cast<double>(sums[lane]);
            ASSERT_EQ(out.get(lane), std::floor(sum / w.get(lane % 16) + 0.5)) << sum << " / " << w.get(lane % 16);
          }
        }
      }
    }
  }
}

TEST(AttentionHead, IsRefusedBeyondTheContract) {
  using hccs_kernels::attention_error;
  const auto error = [](const hccs::HeadParams& params, unsigned knees, unsigned n) {
    const char* text = attention_error(kernel_head(params), knees, n);
    return std::string(text != nullptr ? text : "");
  };
  EXPECT_EQ(error({1, {{1, 1}}}, 1, 1), "");
  EXPECT_EQ(error({32767, {{127, 127}}}, 1, 65536), "");
  EXPECT_EQ(error({256, {{1, 1}, {1, 127}}}, 4, 64), "");
  EXPECT_NE(error({0, {{0, 1}}}, 1, 1).find("offset B must be 1..32767"), std::string::npos);
  EXPECT_NE(error({1, {{1, 2}}}, 1, 1).find("floor F"), std::string::npos);
  EXPECT_NE(error({1, {{0, 1}}}, 1, 65537).find("row length n"), std::string::npos);
  EXPECT_NE(error({1, {{0, 1}}}, 1, 0).find("row length n"), std::string::npos);
  EXPECT_NE(error({300, {{1, 1}, {1, 2}}}, 1, 8).find("fewer knees"), std::string::npos);
  EXPECT_NE(error({300, {{1, 2}, {1, 2}}}, 2, 8).find("must increase"), std::string::npos);
}

}  // namespace
