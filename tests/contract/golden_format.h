// SPDX-License-Identifier: Apache-2.0
//
// The golden rows' JSON (oracle.py describes it) against the reference, tolerance 0.
#ifndef HCCS_TESTS_CONTRACT_GOLDEN_FORMAT_H_
#define HCCS_TESTS_CONTRACT_GOLDEN_FORMAT_H_

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "hccs/reference.h"

namespace hccs {

// Where the golden files are, if this machine has them.
inline std::filesystem::path golden_file(const char* file) {
  const char* data = std::getenv("HCCS_DATA");
  return std::filesystem::path(data != nullptr ? data : "../shared") / "golden" / file;
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

inline void expect_attention_row(const nlohmann::json& row) {
  const auto q = row.at("q").get<std::vector<int8_t>>();
  std::vector<int8_t> k;
  std::vector<int8_t> v;
  for (const auto& key : row.at("k")) k.insert(k.end(), key.begin(), key.end());
  for (const auto& value : row.at("v")) v.insert(v.end(), value.begin(), value.end());
  ASSERT_EQ(q.size(), row.at("dh").get<size_t>());
  ASSERT_EQ(k.size(), row.at("n").get<size_t>() * q.size());
  const GoldenMask mask(row);
  std::vector<int8_t> o(row.at("dv").get<size_t>(), int8_t{77});
  const Status status = attention_reference(golden_params(row), {row.at("M"), row.at("R")}, q, k, v, mask.get(), o);
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(std::vector<int64_t>(o.begin(), o.end()), row.at("o").get<std::vector<int64_t>>());
}

}  // namespace hccs

#endif  // HCCS_TESTS_CONTRACT_GOLDEN_FORMAT_H_
