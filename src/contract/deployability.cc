// SPDX-License-Identifier: Apache-2.0
#include "hccs/deployability.h"

#include <fmt/core.h>

#include "contract/exceptions.h"

namespace hccs {
namespace {

Status broken(std::string_view head, std::string_view predicate, const std::string& rule) {
  return {StatusCode::kInvalidArgument, fmt::format("{}: not deployable ({}): {}", head, predicate, rule)};
}

Status check_length(int64_t n, std::string_view head, std::string_view predicate) {
  if (n < 1 || n > kMaxRowLength) {
    return broken(head, predicate, fmt::format("row length n = {}, but 1 <= n <= {}", n, kMaxRowLength));
  }
  return {};
}

}  // namespace

Status check_paper(const HeadParams& params, int64_t n, std::string_view head) try {
  HCCS_RETURN_IF_ERROR(check_length(n, head, "paper"));
  const auto no = [&](const std::string& rule) { return broken(head, "paper", rule); };
  if (params.knee_count != 1) return no(fmt::format("{} knees, but K = 1", params.knee_count));
  const int64_t b = params.offset;
  const auto [slope, position] = params.knees[0];
  if (b < 0 || b > kMaxOffset) return no(fmt::format("offset B = {}, but 0 <= B <= {}", b, kMaxOffset));
  if (slope < 0 || slope > kMaxSlope) return no(fmt::format("slope S = {}, but 0 <= S <= {}", slope, kMaxSlope));
  if (position < 0 || position > kMaxKneePosition) {
    return no(fmt::format("knee position D = {}, but 0 <= D <= {}", position, kMaxKneePosition));
  }
  const int64_t f = b - int64_t{slope} * position;
  if (f < 0) return no(fmt::format("floor F = B - S*D = {}, but F >= 0", f));
  if (n * b > 32767) return no(fmt::format("n*B = {}*{} = {}, but n*B <= 32767", n, b, n * b));
  if (n * f < 256) return no(fmt::format("n*F = {}*{} = {}, but n*F >= 256", n, f, n * f));
  return {};
} catch (...) {
  return internal::status_of_exception(head);
}

Status check_aie(const HeadParams& params, int64_t n, AieRows rows, std::string_view head) try {
  HCCS_RETURN_IF_ERROR(check_length(n, head, "aie"));
  HCCS_RETURN_IF_ERROR(validate(params, head));
  const int64_t b = params.offset;
  if (rows == AieRows::kMasked) {
    if (b >= kAieLeastSum) return {};
    return broken(
        head, "aie, masked rows",
        fmt::format("offset B = {}, but B >= {} (the uint8 reciprocal of Z = B must fit int16)", b, kAieLeastSum));
  }
  const int64_t f = params.floor();
  const int64_t least = b + (n - 1) * f;
  if (least >= kAieLeastSum) return {};
  return broken(head, "aie",
                fmt::format("B + (n-1)*F = {} + {}*{} = {}, but B + (n-1)*F >= {} (the uint8 reciprocal of the least Z "
                            "must fit int16)",
                            b, n - 1, f, least, kAieLeastSum));
} catch (...) {
  return internal::status_of_exception(head);
}

}  // namespace hccs
