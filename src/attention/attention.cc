// SPDX-License-Identifier: Apache-2.0
#include "hccs/attention.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "attention/batch.h"
#include "attention/piece.h"
#include "attention/plan.h"
#include "contract/exceptions.h"
#include "contract/target_list.h"

namespace hccs {
namespace {

using internal::AttentionHead;
using internal::AttentionTarget;

Status invalid(std::string message) { return {StatusCode::kInvalidArgument, std::move(message)}; }

Expected<const AttentionTarget*> choose_target(std::string_view name) {
  return internal::attention_target_list().choose(name, "for attention this build and CPU have");
}

AttentionHead::Bytes steps(const AttentionHead::Bytes& table) {
  AttentionHead::Bytes bytes = table;
  for (size_t d = 16; d < bytes.size(); ++d) bytes[d] = static_cast<uint8_t>(table[d] ^ table[d - 16]);
  return bytes;
}

// The head whose weight at distance d is weight(d), 0..255, or 0..32767 if wide.
template <class Weight>
AttentionHead prepare(const Weight& weight) {
  AttentionHead head;
  for (size_t d = 0; d < head.low.size(); ++d) {
    const auto w = static_cast<uint32_t>(weight(static_cast<int64_t>(d)));
    head.low[d] = static_cast<uint8_t>(w & 255);
    head.high[d] = static_cast<uint8_t>(w >> 8);
  }
  head.low_steps = steps(head.low);
  head.high_steps = steps(head.high);
  return head;
}

}  // namespace

std::span<const std::string_view> compiled_attention_targets() noexcept {
  return internal::attention_target_list().compiled_names();
}

std::span<const std::string_view> attention_targets() noexcept {
  return internal::attention_target_list().available_names();
}

Expected<std::string_view> default_attention_target() {
  HCCS_ASSIGN_OR_RETURN(const AttentionTarget* target, choose_target({}));
  return target->name;
}

Expected<AttentionPlan> AttentionPlan::hccs(std::span<const HeadParams> heads, AttentionWeights weights,
                                            std::string_view target_name) try {
  HCCS_ASSIGN_OR_RETURN(const AttentionTarget* target, choose_target(target_name));
  if (heads.empty()) return invalid("0 heads, but a plan needs one or more");
  auto impl = std::make_unique<Impl>(Impl{weights, {}, *target});
  impl->heads.reserve(heads.size());
  for (size_t h = 0; h < heads.size(); ++h) {
    HCCS_RETURN_IF_ERROR(validate(heads[h], fmt::format("head {}", h)));
    impl->heads.push_back(prepare([&](int64_t d) { return attention_weight(heads[h], d, weights); }));
  }
  return AttentionPlan(std::move(impl));
} catch (...) {
  return internal::status_of_exception("attention plan");
}

Expected<AttentionPlan> AttentionPlan::exact_lut(std::span<const double> unit, AttentionWeights weights,
                                                 std::string_view target_name) try {
  HCCS_ASSIGN_OR_RETURN(const AttentionTarget* target, choose_target(target_name));
  if (unit.empty()) return invalid("0 heads, but a plan needs one or more");
  auto impl = std::make_unique<Impl>(Impl{weights, {}, *target});
  impl->heads.reserve(unit.size());
  for (size_t h = 0; h < unit.size(); ++h) {
    if (!(unit[h] > 0) || !std::isfinite(unit[h])) {
      return invalid(fmt::format("head {}: step {}, but a logit step is positive and finite", h, unit[h]));
    }
    impl->heads.push_back(prepare([&](int64_t d) {
      const int64_t s = std::lround(32640 * std::exp(-unit[h] * static_cast<double>(d)));
      return weights == AttentionWeights::kWide ? s : (s + 64) >> 7;
    }));
  }
  return AttentionPlan(std::move(impl));
} catch (...) {
  return internal::status_of_exception("attention plan");
}

AttentionPlan::AttentionPlan(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
AttentionPlan::AttentionPlan(AttentionPlan&&) noexcept = default;
AttentionPlan& AttentionPlan::operator=(AttentionPlan&&) noexcept = default;
AttentionPlan::~AttentionPlan() = default;

Expected<int64_t> AttentionPlan::pieces(const AttentionBatch& batch) const try {
  HCCS_RETURN_IF_ERROR(internal::check_batch(*impl_, batch));
  return internal::piece_count(batch.shape);
} catch (...) {
  return internal::status_of_exception("attention");
}

int64_t AttentionPlan::scratch_bytes(const AttentionShape& shape, int64_t longest) const noexcept {
  return internal::scratch_bytes(*impl_, shape, longest);
}

int64_t AttentionPlan::scratch_bytes(const AttentionBatch& batch) const noexcept {
  return internal::scratch_bytes(*impl_, batch.shape, internal::longest_text(batch));
}

Status AttentionPlan::run_piece(const AttentionBatch& batch, int64_t piece, std::span<std::byte> scratch) const try {
  HCCS_ASSIGN_OR_RETURN(const int64_t count, pieces(batch));
  if (piece < 0 || piece >= count) return invalid(fmt::format("piece {}, but the batch has {}", piece, count));
  if (std::ssize(scratch) < scratch_bytes(batch)) {
    return invalid(fmt::format("{} bytes of scratch, but a piece needs {}", scratch.size(), scratch_bytes(batch)));
  }
  internal::run_piece(*impl_, batch, piece, scratch.data());
  return {};
} catch (...) {
  return internal::status_of_exception("attention");
}

Status AttentionPlan::run(const AttentionBatch& batch, std::span<std::byte> scratch) const try {
  HCCS_ASSIGN_OR_RETURN(const int64_t count, pieces(batch));
  if (count > 0 && std::ssize(scratch) < scratch_bytes(batch)) {
    return invalid(fmt::format("{} bytes of scratch, but a piece needs {}", scratch.size(), scratch_bytes(batch)));
  }
  internal::run_batch(*impl_, batch, scratch.data());
  return {};
} catch (...) {
  return internal::status_of_exception("attention");
}

Status AttentionPlan::run(const AttentionBatch& batch) const try {
  HCCS_ASSIGN_OR_RETURN(const int64_t count, pieces(batch));
  if (count == 0) return {};
  // Not a vector, which would clear it.
  const auto bytes = static_cast<size_t>(scratch_bytes(batch));
  const std::unique_ptr<std::byte[]> scratch(new std::byte[bytes]);  // NOLINT(modernize-avoid-c-arrays)
  return run(batch, {scratch.get(), bytes});
} catch (...) {
  return internal::status_of_exception("attention");
}

std::string_view AttentionPlan::target() const noexcept { return impl_->target.name; }
AttentionWeights AttentionPlan::weights() const noexcept { return impl_->weights; }
int64_t AttentionPlan::heads() const noexcept { return std::ssize(impl_->heads); }

}  // namespace hccs
