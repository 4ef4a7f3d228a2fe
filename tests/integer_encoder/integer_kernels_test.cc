// SPDX-License-Identifier: Apache-2.0
//
// Steps of the kernels that models of random numbers do not exhaust, against the definition, on every target.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "hccs/attention.h"
#include "integer_encoder/reference.h"
#include "integer_kernels/integer_math.h"
#include "integer_kernels/kernels.h"

namespace hccs::internal {
namespace {

// A product of nothing with 2^16 columns, whose sums are their biases: a of the definition takes all its values.
class AllWords {
 public:
  explicit AllWords(int16_t multiplier) : multipliers_(kColumns, multiplier) {
    for (int32_t a = -32768; a < 32768; ++a) bias_.push_back(a);
    linear_ = {.in = 0,
               .panels = kColumns / kPanel,
               .weights = nullptr,
               .bias = bias_.data(),
               .shift = zeros_.data(),
               .multiplier = multipliers_.data()};
  }
  Product product() const { return {.linear = linear_, .x = nullptr, .pitch = 0, .rows = 1}; }
  const std::vector<int32_t>& words() const { return bias_; }

  static constexpr int64_t kColumns = 65536;

 private:
  std::vector<int32_t> bias_;
  std::vector<int32_t> zeros_ = std::vector<int32_t>(kColumns);
  std::vector<int16_t> multipliers_;
  ReadyLinear linear_;
};

class EachKernel : public testing::TestWithParam<std::string_view> {
 protected:
  const IntegerKernels& kernels_ = *find_integer_kernels(GetParam());
};

TEST_P(EachKernel, Int8OfEveryWord) {
  for (const int32_t multiplier : {1 << 14, 20001, 32767}) {
    const AllWords all(static_cast<int16_t>(multiplier));
    std::vector<int8_t> out(AllWords::kColumns);
    kernels_.to_int8(all.product(), out.data(), AllWords::kColumns);
    for (size_t j = 0; j < out.size(); ++j) {
      const int64_t expected = std::clamp<int64_t>(rounded_shift(int64_t{all.words()[j]} * multiplier, 22), -127, 127);
      ASSERT_EQ(out[j], expected) << all.words()[j] << " * " << multiplier;
    }
  }
}

TEST_P(EachKernel, GeluOfEveryWordAndFraction) {
  for (int fraction = 4; fraction <= 13; ++fraction) {
    for (const int32_t multiplier : {1, 4000, 32767}) {
      const AllWords all(32767);
      const std::vector<int32_t> splits = {128, 64};
      const GeluStep gelu{.fraction = fraction,
                          .multiplier = multiplier,
                          .zero = fraction * 19,
                          .inner = AllWords::kColumns,
                          .splits = splits};
      const int64_t pitch = AllWords::kColumns + 192;
      std::vector<std::byte> columns(static_cast<size_t>(pitch * kernels_.element_bytes));
      std::vector<int16_t> codes(128);
      kernels_.to_columns(all.product(), gelu, columns.data(), pitch, codes.data());
      const auto column = [&](int64_t j) {
        const auto low = static_cast<uint8_t>(columns[static_cast<size_t>(j * kernels_.element_bytes)]);
        return static_cast<uint8_t>(low - kernels_.columns_offset);
      };
      for (int64_t j = 0; j < AllWords::kColumns; ++j) {
        const int64_t h = rounded_shift(int64_t{all.words()[static_cast<size_t>(j)]} * 32767, 15);
        const int64_t code = rounded_shift(reference_gelu(h, fraction) * multiplier, 15) + gelu.zero;
        ASSERT_EQ(column(j), std::clamp<int64_t>(code, 0, 255)) << h << " at 2^-" << fraction;
        if (j < 128) {
          ASSERT_EQ(column(AllWords::kColumns + j), std::clamp<int64_t>(code - 255, 0, 255)) << j;
        }
        if (j < 64) {
          ASSERT_EQ(column(AllWords::kColumns + 128 + j), std::clamp<int64_t>(code - 510, 0, 255)) << j;
        }
      }
    }
  }
}

// Rows at the ends of y's range, whose sums of squares are the largest, and rows without any variance.
TEST_P(EachKernel, NormsOfExtremeRows) {
  constexpr int32_t kMost = (1 << 17) - 1;
  for (const int64_t hidden : {1, 7, 8, 15, 16, 17, 24, 31, 33, 64, 384, 1000, 1024}) {
    const auto size = static_cast<size_t>(hidden);
    const std::vector<int32_t> scale(size, 1 << 14);
    const std::vector<int32_t> bias(size, 1 << 13);
    constexpr int64_t kRows = 5;
    const int64_t pitch = (hidden + kPanel - 1) / kPanel * kPanel;
    std::vector<int32_t> y(static_cast<size_t>(kRows * pitch));
    for (size_t j = 0; j < size; ++j) {
      const int32_t sign = j % 2 == 0 ? 1 : -1;
      const std::array<int32_t, kRows> values = {kMost, -kMost, sign * kMost, j == 0 ? kMost : -kMost, sign};
      for (size_t row = 0; row < kRows; ++row) y[row * static_cast<size_t>(pitch) + j] = values[row];
    }
    const NormStep norm{.hidden = hidden,
                        .epsilon = 16,
                        .int8 = {scale.data(), bias.data(), 17},
                        .skip = {scale.data(), bias.data(), 14}};
    std::vector<std::byte> x(y.size() * static_cast<size_t>(kernels_.element_bytes));
    std::vector<int16_t> skip(y.size());
    kernels_.normalise(norm, kRows, pitch, y.data(), x.data(), skip.data());
    for (size_t row = 0; row < kRows; ++row) {
      const size_t at = row * static_cast<size_t>(pitch);
      const std::vector<int16_t> z = reference_standardised(std::span(y).subspan(at, size), 16);
      for (size_t j = 0; j < size; ++j) {
        const int64_t v = z[j] * int64_t{1 << 14} + (1 << 13);
        ASSERT_EQ(skip[at + j], std::clamp<int64_t>(v >> 14, -32767, 32767)) << hidden << ", row " << row << ", " << j;
        const auto low = static_cast<uint8_t>(x[(at + j) * static_cast<size_t>(kernels_.element_bytes)]);
        ASSERT_EQ(static_cast<int8_t>(low - kernels_.offset), std::clamp<int64_t>(v >> 17, -127, 127))
            << hidden << ", row " << row << ", " << j;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Kernels, EachKernel, testing::ValuesIn(attention_targets().begin(), attention_targets().end()),
                         [](const auto& target) {
                           std::string name(target.param);
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace hccs::internal
