// SPDX-License-Identifier: Apache-2.0
#ifndef HCCS_SRC_CALIBRATION_DIFFERENT_ROWS_H_
#define HCCS_SRC_CALIBRATION_DIFFERENT_ROWS_H_

#include <cstddef>
#include <cstring>
#include <set>
#include <span>
#include <vector>

namespace hccs::internal {

// The rows, in their order, without those that repeat an earlier one to the bit; no more than the first `most` of
// these.
inline std::vector<std::span<const float>> different_rows(std::span<const std::span<const float>> rows, size_t most) {
  const auto before = [](std::span<const float> a, std::span<const float> b) {
    return a.size() != b.size() ? a.size() < b.size() : std::memcmp(a.data(), b.data(), a.size_bytes()) < 0;
  };
  std::set<std::span<const float>, decltype(before)> seen(before);
  std::vector<std::span<const float>> different;
  for (const std::span<const float> row : rows) {
    if (different.size() >= most) break;
    if (seen.insert(row).second) different.push_back(row);
  }
  return different;
}

}  // namespace hccs::internal

#endif  // HCCS_SRC_CALIBRATION_DIFFERENT_ROWS_H_
