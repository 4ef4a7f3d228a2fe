// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <tuple>
#include <utility>

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

uint64_t hash_of(uint64_t seed, uint64_t id) { return mix(mix(seed) ^ id); }

bool is_finite(const std::vector<float>& logits) {
  return std::all_of(logits.begin(), logits.end(), [](float x) { return std::isfinite(x); });
}

// Of rows in order: the first id that occurs twice. Equal ids have equal hashes, so they are neighbours.
std::vector<RowSample::Row>::const_iterator repeated_id(const std::vector<RowSample::Row>& rows) {
  return std::adjacent_find(rows.begin(), rows.end(), [](const auto& a, const auto& b) { return a.id == b.id; });
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
  Row row{.hash = hash_of(seed_, id), .id = id, .logits = {}};
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

Status RowSample::merge(const RowSample& other) try {
  if (capacity_ != other.capacity_ || seed_ != other.seed_) {
    return {
        StatusCode::kInvalidArgument,
        fmt::format("a sample of up to {} rows with seed {} cannot take one of up to {} rows with seed {}: both must "
                    "be equal",
                    capacity_, seed_, other.capacity_, other.seed_)};
  }
  std::vector<Row> all;
  all.reserve(rows().size() + other.rows().size());
  std::merge(rows().begin(), rows().end(), other.rows().begin(), other.rows().end(), std::back_inserter(all), before);
  if (const auto twice = repeated_id(all); twice != all.end()) {
    return {StatusCode::kInvalidArgument,
            fmt::format("row id {} is in both samples, but each row has an id of its own", twice->id)};
  }
  if (std::ssize(all) > capacity_) all.resize(static_cast<size_t>(capacity_));
  rows_ = std::move(all);
  rows_seen_ += other.rows_seen_;
  non_finite_rows_ += other.non_finite_rows_;
  minus_infinity_rows_ += other.minus_infinity_rows_;
  return {};
} catch (...) {
  return internal::status_of_exception("row sample");
}

Expected<RowSample> RowSample::restore(int64_t capacity, uint64_t seed, const Counts& counts,
                                       std::vector<Row> rows) try {
  const auto refuse = [](std::string message) { return Status(StatusCode::kInvalidArgument, std::move(message)); };
  if (capacity < 1 || std::ssize(rows) > capacity) {
    return refuse(fmt::format("{} rows in a sample of up to {}, but 1 <= capacity, and no more rows than that",
                              rows.size(), capacity));
  }
  // So many that sums of what samples have seen do not overflow.
  constexpr int64_t kMostSeen = int64_t{1} << 46;
  if (counts.seen > kMostSeen) {
    return refuse(fmt::format("{} rows seen, but at most {} are possible", counts.seen, kMostSeen));
  }
  const bool ordered =
      counts.minus_infinity >= 0 && counts.minus_infinity <= counts.non_finite && counts.non_finite <= counts.seen;
  if (!ordered || std::min(counts.seen - counts.non_finite, capacity) != std::ssize(rows)) {
    return refuse(
        fmt::format("{} rows kept of {} seen, {} of them not finite and {} of these with -infinity alone: the "
                    "numbers contradict each other",
                    rows.size(), counts.seen, counts.non_finite, counts.minus_infinity));
  }
  for (Row& row : rows) {
    if (row.logits.empty() || std::ssize(row.logits) > kMaxRowLength || !is_finite(row.logits)) {
      return refuse(fmt::format("row {} has {} positions, but 1 <= n <= {}, all of them finite", row.id,
                                row.logits.size(), kMaxRowLength));
    }
    row.hash = hash_of(seed, row.id);
  }
  RowSample sample(capacity, seed);
  sample.rows_ = std::move(rows);
  if (const auto twice = repeated_id(sample.rows()); twice != sample.rows_.end()) {
    return refuse(fmt::format("row id {} occurs twice, but each row has an id of its own", twice->id));
  }
  sample.rows_seen_ = counts.seen;
  sample.non_finite_rows_ = counts.non_finite;
  sample.minus_infinity_rows_ = counts.minus_infinity;
  return sample;
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
