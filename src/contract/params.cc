// SPDX-License-Identifier: Apache-2.0
#include "hccs/params.h"

#include <fmt/core.h>

#include <algorithm>

#include "contract/exceptions.h"

namespace hccs {

HeadParams::HeadParams(int32_t b, std::span<const Knee> k) : offset(b), knee_count(static_cast<int32_t>(k.size())) {
  std::copy_n(k.begin(), std::min<size_t>(k.size(), kMaxKnees), knees.begin());
}
HeadParams::HeadParams(int32_t b, std::initializer_list<Knee> k)
    : HeadParams(b, std::span<const Knee>(k.begin(), k.size())) {}

std::span<const Knee> HeadParams::active_knees() const noexcept {
  return std::span(knees).first(static_cast<size_t>(std::clamp(knee_count, 0, kMaxKnees)));
}

int64_t HeadParams::floor() const noexcept { return score(kMaxKneePosition + int64_t{1}); }

int64_t HeadParams::score(int64_t d) const noexcept {
  int64_t s = offset;
  for (const Knee& knee : active_knees()) {
    s -= knee.slope * std::min<int64_t>(d, knee.position);
  }
  return s;
}

Status validate(const HeadParams& params, std::string_view head) try {
  const auto broken = [&](std::string rule) {
    return Status(StatusCode::kInvalidArgument, fmt::format("{}: {}", head, rule));
  };
  if (params.offset < 1 || params.offset > kMaxOffset) {
    return broken(fmt::format("offset B = {}, but 1 <= B <= {}", params.offset, kMaxOffset));
  }
  if (params.knee_count < 1 || params.knee_count > kMaxKnees) {
    return broken(fmt::format("{} knees, but 1 <= K <= {}", params.knee_count, kMaxKnees));
  }
  int32_t previous = 0;
  int k = 0;
  for (const Knee& knee : params.active_knees()) {
    ++k;
    if (knee.slope < 0 || knee.slope > kMaxSlope) {
      return broken(fmt::format("slope S_{} = {}, but 0 <= S <= {}", k, knee.slope, kMaxSlope));
    }
    if (knee.position < 1 || knee.position > kMaxKneePosition) {
      return broken(fmt::format("knee position D_{} = {}, but 1 <= D <= {}", k, knee.position, kMaxKneePosition));
    }
    if (knee.position <= previous) {
      return broken(fmt::format("knee position D_{} = {} after D_{} = {}, but positions strictly increase", k,
                                knee.position, k - 1, previous));
    }
    previous = knee.position;
  }
  if (params.floor() < 0) {
    return broken(fmt::format("floor F = B - sum S_k*D_k = {}, but F >= 0", params.floor()));
  }
  return {};
} catch (...) {
  return internal::status_of_exception(head);
}

}  // namespace hccs
