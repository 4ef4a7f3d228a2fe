// SPDX-License-Identifier: Apache-2.0
//
// The parameters of one attention head, and the score that they define:
//
//   s(d) = B - sum_k S_k * min(d, D_k),   d = row maximum - logit, 0..255
//
// K = 1 is Head-Calibrated Clipped-Linear Softmax (HCCS) as published, arXiv 2604.02292; K = 2..4 is
// this project's extension.
#ifndef HCCS_PARAMS_H_
#define HCCS_PARAMS_H_

#include <array>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "hccs/export.h"
#include "hccs/status.h"

namespace HCCS_API hccs {

inline constexpr int kMaxKnees = 4;
inline constexpr int32_t kMaxOffset = 32767;      // B fits a signed 16-bit register
inline constexpr int32_t kMaxSlope = 127;         // S_k fits a signed 8-bit register
inline constexpr int32_t kMaxKneePosition = 127;  // D_k too
inline constexpr int64_t kMaxRowLength = 65536;   // n * B < 2^31

// One clipped line: slope S (0..127) per logit unit, until the distance reaches the position D (1..127).
struct Knee {
  int32_t slope = 0;
  int32_t position = 0;
  friend bool operator==(const Knee&, const Knee&) = default;
};

struct HeadParams {
  int32_t offset = 0;                   // B, 1..32767: the score of the row's maximum
  int32_t knee_count = 0;               // K, 1..4
  std::array<Knee, kMaxKnees> knees{};  // [0, K), positions strictly increasing

  HeadParams() = default;
  // Keeps the first kMaxKnees knees but counts all, so that validate() refuses an excess.
  HeadParams(int32_t b, std::initializer_list<Knee> k);
  HeadParams(int32_t b, std::span<const Knee> k);

  // The K knees in use. Never reads beyond the array, whatever knee_count says.
  std::span<const Knee> active_knees() const noexcept;

  // F = B - sum_k S_k * D_k: the score beyond the last knee. Valid parameters have F >= 0.
  int64_t floor() const noexcept;

  // s(d) for d >= 0; F..B for valid parameters.
  int64_t score(int64_t d) const noexcept;

  friend bool operator==(const HeadParams&, const HeadParams&) = default;
};

// Ok, or kInvalidArgument naming `head`, the offending value and the rule of the contract that it
// breaks: 1 <= B <= 32767, K in 1..4, 0 <= S_k <= 127, 1 <= D_1 < ... < D_K <= 127, F >= 0.
Status validate(const HeadParams& params, std::string_view head = "head");

// "layer 3, head 7", counted from 0: how every message names a head.
std::string head_name(int64_t layer, int64_t head);

// What B, S, D may be.
//   kNative: the contract's ranges. calibrate() reports its result as the least multiple (B and all S_k by one integer,
//            which changes no probability) with B >= 256 where S_k <= 127 leaves one: then the AI Engine kernels serve
//            the head under every mask (check_aie with AieRows::kMasked).
//   kPaper:  the paper's and aie4ml's, for rows of n positions (K = 1, n*B <= 32767, n*F >= 256), as found.
enum class Limits { kNative, kPaper };

// Which heads share one parameter set, step included (the paper's ablation).
enum class Share { kHead, kLayer, kGlobal };

std::string_view name(Limits limits) noexcept;  // "native", "paper"
std::string_view name(Share share) noexcept;    // "head", "layer", "global"
std::optional<Limits> parse_limits(std::string_view text) noexcept;
std::optional<Share> parse_share(std::string_view text) noexcept;

}  // namespace hccs

#endif  // HCCS_PARAMS_H_
