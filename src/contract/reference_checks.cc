// SPDX-License-Identifier: Apache-2.0
//
// The reference's public functions: each checks its arguments, then calls the definition (reference.cc).
#include <fmt/core.h>

#include <string>
#include <utility>

#include "contract/exceptions.h"
#include "contract/reference_rows.h"

namespace hccs {
namespace {

Status invalid(std::string message) { return {StatusCode::kInvalidArgument, std::move(message)}; }

Status check_row_length(size_t n) {
  if (n < 1 || n > kMaxRowLength) {
    return invalid(fmt::format("row of {} positions, but 1 <= n <= {}", n, kMaxRowLength));
  }
  return {};
}

Status check_row(const HeadParams& params, size_t row, size_t out) {
  HCCS_RETURN_IF_ERROR(validate(params));
  HCCS_RETURN_IF_ERROR(check_row_length(row));
  if (out != row) return invalid(fmt::format("output of {} elements, but the row has {} positions", out, row));
  return {};
}

template <class Out>
Status checked_row(const HeadParams& params, Normalisation normalisation, std::span<const int8_t> logits,
                   const RowMask& mask, std::span<Out> out) {
  HCCS_RETURN_IF_ERROR(check_row(params, logits.size(), out.size()));
  internal::softmax_row(params, normalisation, logits, mask, out);
  return {};
}

template <class Out>
Status checked_row(const HeadParams& params, Normalisation normalisation, Rescale rescale,
                   std::span<const int32_t> sums, const RowMask& mask, std::span<Out> out) {
  HCCS_RETURN_IF_ERROR(check_row(params, sums.size(), out.size()));
  HCCS_RETURN_IF_ERROR(validate(rescale));
  internal::softmax_row(params, normalisation, rescale, sums, mask, out);
  return {};
}

}  // namespace

Status validate(Rescale rescale) try {
  if (rescale.multiplier < 1 || rescale.multiplier > kMaxRescaleMultiplier) {
    return invalid(
        fmt::format("rescale multiplier M = {}, but 1 <= M <= {}", rescale.multiplier, kMaxRescaleMultiplier));
  }
  if (rescale.shift < 0 || rescale.shift > kMaxRescaleShift) {
    return invalid(fmt::format("rescale shift R = {}, but 0 <= R <= {}", rescale.shift, kMaxRescaleShift));
  }
  return {};
} catch (...) {
  return internal::status_of_exception("reference");
}

Status softmax_reference(const HeadParams& params, Normalisation normalisation, std::span<const int8_t> logits,
                         const RowMask& mask, std::span<uint8_t> out) try {
  return checked_row(params, normalisation, logits, mask, out);
} catch (...) {
  return internal::status_of_exception("reference");
}

Status softmax_reference(const HeadParams& params, Normalisation normalisation, std::span<const int8_t> logits,
                         const RowMask& mask, std::span<int16_t> out) try {
  return checked_row(params, normalisation, logits, mask, out);
} catch (...) {
  return internal::status_of_exception("reference");
}

Status softmax_reference(const HeadParams& params, Normalisation normalisation, Rescale rescale,
                         std::span<const int32_t> sums, const RowMask& mask, std::span<uint8_t> out) try {
  return checked_row(params, normalisation, rescale, sums, mask, out);
} catch (...) {
  return internal::status_of_exception("reference");
}

Status softmax_reference(const HeadParams& params, Normalisation normalisation, Rescale rescale,
                         std::span<const int32_t> sums, const RowMask& mask, std::span<int16_t> out) try {
  return checked_row(params, normalisation, rescale, sums, mask, out);
} catch (...) {
  return internal::status_of_exception("reference");
}

Expected<int64_t> attention_weights_reference(const HeadParams& params, Rescale rescale, std::span<const int32_t> sums,
                                              const RowMask& mask, AttentionWeights weights,
                                              std::span<uint16_t> out) try {
  HCCS_RETURN_IF_ERROR(check_row(params, sums.size(), out.size()));
  HCCS_RETURN_IF_ERROR(validate(rescale));
  return internal::weight_row(params, rescale, sums, mask, weights, out);
} catch (...) {
  return internal::status_of_exception("reference");
}

Status attention_reference(const HeadParams& params, Rescale rescale, std::span<const int8_t> query,
                           std::span<const int8_t> keys, std::span<const int8_t> values, const RowMask& mask,
                           std::span<int8_t> out, AttentionWeights weights) try {
  HCCS_RETURN_IF_ERROR(validate(params));
  HCCS_RETURN_IF_ERROR(validate(rescale));
  if (query.empty() || query.size() > kMaxHeadDimension) {
    return invalid(fmt::format("head dimension dh = {}, but 1 <= dh <= {}", query.size(), kMaxHeadDimension));
  }
  if (out.empty()) return invalid("value width dv = 0, but dv >= 1");
  if (keys.size() % query.size() != 0) {
    return invalid(
        fmt::format("{} key elements, but a multiple of the head dimension {} is needed", keys.size(), query.size()));
  }
  const size_t n = keys.size() / query.size();
  HCCS_RETURN_IF_ERROR(check_row_length(n));
  if (values.size() % n != 0 || values.size() / n != out.size()) {
    return invalid(
        fmt::format("{} value elements, but {} positions of width {} are needed", values.size(), n, out.size()));
  }
  internal::attention_row(params, rescale, query, keys, values, mask, weights, out);
  return {};
} catch (...) {
  return internal::status_of_exception("reference");
}

}  // namespace hccs
