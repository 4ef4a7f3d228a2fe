// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <tuple>

#include "contract/exceptions.h"
#include "hccs/calibration.h"

namespace hccs {
namespace {

// SplitMix64's finaliser (Steele, Lea and Flood, OOPSLA 2014): a bijection whose outputs look random.
uint64_t mix(uint64_t x) {
  x += 0x9E3779B97F4A7C15;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
  return x ^ (x >> 31);
}

bool before(const RowSample::Row& a, const RowSample::Row& b) {
  return std::tie(a.hash, a.id) < std::tie(b.hash, b.id);
}

}  // namespace

Status RowSample::add(uint64_t id, std::span<const float> logits) try {
  if (logits.empty() || static_cast<int64_t>(logits.size()) > kMaxRowLength) {
    return {StatusCode::kInvalidArgument,
            fmt::format("row {} has {} positions, but 1 <= n <= {}", id, logits.size(), kMaxRowLength)};
  }
  ++rows_seen_;
  if (!std::all_of(logits.begin(), logits.end(), [](float x) { return std::isfinite(x); })) {
    ++non_finite_rows_;
    const bool masked = std::all_of(logits.begin(), logits.end(), [](float x) { return std::isfinite(x) || x < 0; });
    minus_infinity_rows_ += masked ? 1 : 0;
    return {};
  }
  Row row{.hash = mix(mix(seed_) ^ id), .id = id, .logits = {}};
  if (sorted_) {
    std::make_heap(rows_.begin(), rows_.end(), before);
    sorted_ = false;
  }
  const bool full = static_cast<int64_t>(rows_.size()) >= capacity_;
  if (full && !before(row, rows_.front())) return {};
  row.logits.assign(logits.begin(), logits.end());  // before the heap changes: it may throw
  if (full) {
    std::pop_heap(rows_.begin(), rows_.end(), before);
    rows_.pop_back();
  }
  rows_.push_back(std::move(row));
  std::push_heap(rows_.begin(), rows_.end(), before);
  return {};
} catch (...) {
  return internal::status_of_exception("row sample");
}

const std::vector<RowSample::Row>& RowSample::rows() const {
  if (!sorted_) {
    std::sort(rows_.begin(), rows_.end(), before);
    sorted_ = true;
  }
  return rows_;
}

}  // namespace hccs
