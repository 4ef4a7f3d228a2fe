// SPDX-License-Identifier: Apache-2.0
//
// The golden rows' JSON (oracle.py describes it) against the reference, tolerance 0.
#ifndef HCCS_TESTS_CONTRACT_GOLDEN_FORMAT_H_
#define HCCS_TESTS_CONTRACT_GOLDEN_FORMAT_H_

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "hccs/reference.h"

namespace hccs {

// The rows of this repository (tests/contract/golden; tests run at its root), or of the folder that the environment's
// HCCS_GOLDEN names: a larger set in the same format.
inline std::filesystem::path golden_file(const char* file) {
  const char* folder = std::getenv("HCCS_GOLDEN");
  return std::filesystem::path(folder != nullptr && *folder != '\0' ? folder : "tests/contract/golden") / file;
}

// All rows of a golden file. A file that is absent or empty fails the test.
inline std::vector<nlohmann::json> golden_rows(const char* file) {
  const std::filesystem::path path = golden_file(file);
  std::ifstream lines(path);
  std::vector<nlohmann::json> rows;
  for (std::string line; std::getline(lines, line);) rows.push_back(nlohmann::json::parse(line));
  EXPECT_FALSE(rows.empty()) << "no golden rows in " << path
                             << ": run the tests at the root of the repository, or name a folder in HCCS_GOLDEN";
  return rows;
}

inline HeadParams golden_params(const nlohmann::json& row) {
  std::vector<Knee> knees;
  for (const auto& knee : row.at("knees")) knees.push_back({knee.at(0), knee.at(1)});
  return {row.at("B").get<int32_t>(), knees};
}

// A row's mask from its own sources where it names them, else from `valid`. Owns the bits.
class GoldenMask {
 public:
  explicit GoldenMask(const nlohmann::json& row) {
    const auto valid = row.at("valid").get<std::vector<int>>();
    if (row.contains("bits")) {
      if (!row.at("valid_length").is_null()) mask_.valid_length = row.at("valid_length").get<int64_t>();
      if (!row.at("last_visible").is_null()) mask_.last_visible = row.at("last_visible").get<int64_t>();
      if (!row.at("bits").is_null()) bits_ = row.at("bits").get<std::vector<uint8_t>>();
    } else {
      bits_.resize((valid.size() + 7) / 8);
      for (size_t i = 0; i < valid.size(); ++i) bits_[i / 8] |= static_cast<uint8_t>(valid[i] << (i % 8));
    }
    if (!bits_.empty()) mask_.bits = bits_.data();
    for (size_t i = 0; i < valid.size(); ++i) {
      EXPECT_EQ(mask_.valid(static_cast<int64_t>(i)), valid[i] == 1) << "position " << i;
    }
  }
  GoldenMask(const GoldenMask&) = delete;
  GoldenMask& operator=(const GoldenMask&) = delete;

  const RowMask& get() const { return mask_; }

 private:
  std::vector<uint8_t> bits_;
  RowMask mask_;
};

template <class Out>
void expect_softmax_output(const nlohmann::json& row, const HeadParams& params, const RowMask& mask,
                           Normalisation normalisation, const std::string& key) {
  const auto x = row.at("x").get<std::vector<int8_t>>();
  std::vector<Out> p(x.size(), Out{77});
  const Status status = softmax_reference(params, normalisation, x, mask, std::span<Out>(p));
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(std::vector<int64_t>(p.begin(), p.end()), row.at(key).get<std::vector<int64_t>>()) << key;
}

// All six outputs.
inline void expect_softmax_row(const nlohmann::json& row) {
  ASSERT_EQ(row.at("x").size(), row.at("n").get<size_t>());
  const HeadParams params = golden_params(row);
  const GoldenMask mask(row);
  for (const Normalisation normalisation : {Normalisation::kDiv, Normalisation::kClb, Normalisation::kScaled}) {
    const std::string key(name(normalisation));
    expect_softmax_output<int16_t>(row, params, mask.get(), normalisation, key + "_i16");
    expect_softmax_output<uint8_t>(row, params, mask.get(), normalisation, key + "_u8");
  }
}

// A query row of attention: matrices row after row.
struct GoldenAttention {
  explicit GoldenAttention(const nlohmann::json& row)
      : params(golden_params(row)),
        rescale{row.at("M"), row.at("R")},
        q(row.at("q").get<std::vector<int8_t>>()),
        value_width(row.at("dv").get<size_t>()),
        mask(row) {
    for (const auto& key : row.at("k")) k.insert(k.end(), key.begin(), key.end());
    for (const auto& value : row.at("v")) v.insert(v.end(), value.begin(), value.end());
    EXPECT_EQ(q.size(), row.at("dh").get<size_t>());
    EXPECT_EQ(k.size(), row.at("n").get<size_t>() * q.size());
    EXPECT_EQ(v.size(), row.at("n").get<size_t>() * value_width);
  }

  HeadParams params;
  Rescale rescale;
  std::vector<int8_t> q, k, v;
  size_t value_width;
  GoldenMask mask;
};

inline void expect_attention_output(const nlohmann::json& row, AttentionWeights weights, const std::string& key) {
  const GoldenAttention c(row);
  std::vector<int8_t> o(c.value_width, int8_t{77});
  const Status status = attention_reference(c.params, c.rescale, c.q, c.k, c.v, c.mask.get(), o, weights);
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(std::vector<int64_t>(o.begin(), o.end()), row.at(key).get<std::vector<int64_t>>()) << key;
}

// The outputs with eight-bit weights and, where the row has it, with wide ones.
inline void expect_attention_row(const nlohmann::json& row) {
  expect_attention_output(row, AttentionWeights::kUint8, "o");
  if (row.contains("o_wide")) expect_attention_output(row, AttentionWeights::kWide, "o_wide");
}

// A row of int32 sums.
struct GoldenSums {
  explicit GoldenSums(const nlohmann::json& row)
      : params(golden_params(row)),
        rescale{row.at("M"), row.at("R")},
        sums(row.at("a").get<std::vector<int32_t>>()),
        mask(row) {
    EXPECT_EQ(sums.size(), row.at("n").get<size_t>());
  }

  HeadParams params;
  Rescale rescale;
  std::vector<int32_t> sums;
  GoldenMask mask;
};

template <class Out>
void expect_sums_output(const GoldenSums& c, const nlohmann::json& row, Normalisation normalisation,
                        const std::string& key) {
  std::vector<Out> p(c.sums.size(), Out{77});
  const Status status = softmax_reference(c.params, normalisation, c.rescale, c.sums, c.mask.get(), std::span<Out>(p));
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(std::vector<int64_t>(p.begin(), p.end()), row.at(key).get<std::vector<int64_t>>()) << key;
}

// All six outputs, and attention's weights with their sum.
inline void expect_sums_row(const nlohmann::json& row) {
  const GoldenSums c(row);
  for (const Normalisation normalisation : {Normalisation::kDiv, Normalisation::kClb, Normalisation::kScaled}) {
    const std::string key(name(normalisation));
    expect_sums_output<int16_t>(c, row, normalisation, key + "_i16");
    expect_sums_output<uint8_t>(c, row, normalisation, key + "_u8");
  }
  std::vector<uint16_t> w(c.sums.size(), uint16_t{77});
  const auto sum = attention_weights_reference(c.params, c.rescale, c.sums, c.mask.get(), AttentionWeights::kUint8, w);
  ASSERT_TRUE(sum.ok()) << sum.status().message();
  EXPECT_EQ(std::vector<int64_t>(w.begin(), w.end()), row.at("w").get<std::vector<int64_t>>());
  EXPECT_EQ(*sum, row.at("W").get<int64_t>());
}

}  // namespace hccs

#endif  // HCCS_TESTS_CONTRACT_GOLDEN_FORMAT_H_
