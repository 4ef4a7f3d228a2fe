// SPDX-License-Identifier: Apache-2.0
#include "hccs/deployability.h"

#include <fmt/core.h>

#include "contract/exceptions.h"

namespace hccs {
namespace {

Status to_status(const std::optional<BrokenRule>& broken, std::string_view head, std::string_view predicate) {
  if (!broken) return {};
  return {StatusCode::kInvalidArgument, fmt::format("{}: not deployable ({}): {}", head, predicate, broken->detail)};
}

std::optional<BrokenRule> broken_length_rule(int64_t n) {
  if (n >= 1 && n <= kMaxRowLength) return std::nullopt;
  return BrokenRule{n < 1 ? "n < 1" : fmt::format("n > {}", kMaxRowLength),
                    fmt::format("row length n = {}, but 1 <= n <= {}", n, kMaxRowLength)};
}

// value = `number` outside 0..most.
BrokenRule out_of_range(std::string_view letter, std::string_view value, int64_t number, int64_t most) {
  return {number < 0 ? fmt::format("{} < 0", letter) : fmt::format("{} > {}", letter, most),
          fmt::format("{} {} = {}, but 0 <= {} <= {}", value, letter, number, letter, most)};
}

}  // namespace

std::optional<BrokenRule> broken_paper_rule(const HeadParams& params, int64_t n) {
  if (auto broken = broken_length_rule(n)) return broken;
  if (params.knee_count != 1) {
    return BrokenRule{params.knee_count > 1 ? "K > 1" : "K < 1", fmt::format("{} knees, but K = 1", params.knee_count)};
  }
  const int64_t b = params.offset;
  const auto [slope, position] = params.knees[0];
  if (b < 0 || b > kMaxOffset) return out_of_range("B", "offset", b, kMaxOffset);
  if (slope < 0 || slope > kMaxSlope) return out_of_range("S", "slope", slope, kMaxSlope);
  if (position < 0 || position > kMaxKneePosition) {
    return out_of_range("D", "knee position", position, kMaxKneePosition);
  }
  const int64_t f = b - int64_t{slope} * position;
  if (f < 0) return BrokenRule{"F < 0", fmt::format("floor F = B - S*D = {}, but F >= 0", f)};
  if (n * b > 32767) {
    return BrokenRule{"n*B > 32767", fmt::format("n*B = {}*{} = {}, but n*B <= 32767", n, b, n * b)};
  }
  if (n * f < 256) return BrokenRule{"n*F < 256", fmt::format("n*F = {}*{} = {}, but n*F >= 256", n, f, n * f)};
  return std::nullopt;
}

std::optional<BrokenRule> broken_aie_rule(const HeadParams& params, int64_t n, AieRows rows) {
  if (auto broken = broken_length_rule(n)) return broken;
  if (const Status valid = validate(params, "parameters"); !valid.ok()) {
    return BrokenRule{"not valid", valid.message()};
  }
  const int64_t b = params.offset;
  if (rows == AieRows::kMasked) {
    if (b >= kAieLeastSum) return std::nullopt;
    return BrokenRule{
        fmt::format("B < {}", kAieLeastSum),
        fmt::format("offset B = {}, but B >= {} (the uint8 reciprocal of Z = B must fit int16)", b, kAieLeastSum)};
  }
  const int64_t f = params.floor();
  const int64_t least = b + (n - 1) * f;
  if (least >= kAieLeastSum) return std::nullopt;
  return BrokenRule{
      fmt::format("B + (n-1)*F < {}", kAieLeastSum),
      fmt::format("B + (n-1)*F = {} + {}*{} = {}, but B + (n-1)*F >= {} (the uint8 reciprocal of the least Z "
                  "must fit int16)",
                  b, n - 1, f, least, kAieLeastSum)};
}

int64_t longest_row(Normalisation normalisation, OutputType output, int32_t offset) noexcept {
  if (normalisation == Normalisation::kScaled) return kMaxRowLength;
  // p of equal logits never rises with n, and is 1 or more at n = 1.
  int64_t served = 1;
  int64_t beyond = kMaxRowLength + 1;
  while (beyond - served > 1) {
    const int64_t n = (served + beyond) / 2;
    (probability(normalisation, output, offset, n * offset) >= 1 ? served : beyond) = n;
  }
  return served;
}

Status check_range(const HeadParams& params, Normalisation normalisation, OutputType output, int64_t n,
                   std::string_view head) try {
  if (const auto broken = broken_length_rule(n)) {
    return {StatusCode::kInvalidArgument, fmt::format("{}: {}", head, broken->detail)};
  }
  HCCS_RETURN_IF_ERROR(validate(params, head));
  const int64_t longest = longest_row(normalisation, output, params.offset);
  if (n <= longest) return {};
  return {StatusCode::kInvalidArgument,
          fmt::format("{}: row length n = {}, but n <= {} for offset B = {}: longer rows may get 0 everywhere by {} to "
                      "{}; scaled serves every length",
                      head, n, longest, params.offset, name(normalisation), name(output))};
} catch (...) {
  return internal::status_of_exception(head);
}

Status check_paper(const HeadParams& params, int64_t n, std::string_view head) try {
  return to_status(broken_paper_rule(params, n), head, "paper");
} catch (...) {
  return internal::status_of_exception(head);
}

Status check_aie(const HeadParams& params, int64_t n, AieRows rows, std::string_view head) try {
  if (const auto broken = broken_length_rule(n)) return to_status(broken, head, "aie");
  HCCS_RETURN_IF_ERROR(validate(params, head));
  return to_status(broken_aie_rule(params, n, rows), head, rows == AieRows::kMasked ? "aie, masked rows" : "aie");
} catch (...) {
  return internal::status_of_exception(head);
}

}  // namespace hccs
