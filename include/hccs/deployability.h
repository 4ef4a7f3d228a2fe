// SPDX-License-Identifier: Apache-2.0
//
// Can these parameters run on that kernel? Each predicate is Ok, or kInvalidArgument with a message
// that names the head, the value and the rule. docs/arithmetic.md derives every rule.
#ifndef HCCS_DEPLOYABILITY_H_
#define HCCS_DEPLOYABILITY_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "hccs/export.h"
#include "hccs/params.h"
#include "hccs/reference.h"
#include "hccs/status.h"

namespace HCCS_API hccs {

// The paper's kernels, as aie4ml's validator states them, for rows of exactly n valid positions, 1 <= n <= 65536:
//   K = 1, 0 <= B <= 32767, 0 <= S <= 127, 0 <= D <= 127, F >= 0, n*B <= 32767, n*F >= 256.
// So 256 <= Z <= 32767: both reciprocals fit int16 and neither is 0. A masked row is outside this promise.
// D = 0 passes here, as it does in aie4ml, although validate() refuses it.
Status check_paper(const HeadParams& params, int64_t n, std::string_view head = "head");

// Which rows an AI Engine kernel meets. kFull: n valid positions in each. kMasked: up to n, under any mask.
enum class AieRows { kFull, kMasked };

// The least Z for which the uint8 reciprocals (255 << 15) / Z and (255 << 15) >> floor(log2 Z) fit int16.
inline constexpr int32_t kAieLeastSum = 256;

// This project's AI Engine kernels, for rows of n positions, 1 <= n <= 65536, and all six outputs: valid parameters,
// and
//   kFull:    B + (n-1)*F >= 256, the least Z of a row: one maximum, the other positions on the floor
//   kMasked:  B >= 256, the Z of a row with one valid position
// The int32 row sum needs no rule of its own: n*B <= 65536 * 32767 < 2^31.
// Two kernels differ, and check that by themselves: tiles serves `scaled` to int16 only for n <= 8192; attention, whose
// deferred normalisation has no reciprocal, serves all valid parameters.
Status check_aie(const HeadParams& params, int64_t n, AieRows rows, std::string_view head = "head");

// The longest row, 1..65536, that `div` and `clb` serve: one of n equal logits, which has Z = n*B, gets 1 or more at
// every position. Beyond that n the factor r, or all products with it, are 0, and so are rows of unequal logits whose Z
// is as large: from n*B = 32768 on for int16, somewhere below n = 512 for uint8. `scaled` serves every length. B is
// 1..32767.
int64_t longest_row(Normalisation normalisation, OutputType output, int32_t offset) noexcept;

// Ok for rows of up to n positions, 1 <= n <= 65536, of valid parameters where n <= longest_row().
Status check_range(const HeadParams& params, Normalisation normalisation, OutputType output, int64_t n,
                   std::string_view head = "head");

// The first rule that keeps a head from a kernel, for reports that count heads by rule.
struct BrokenRule {
  std::string breach;  // "K > 1": the same text for every head that breaks this rule
  std::string detail;  // "3 knees, but K = 1": with this head's value
};

// What check_paper() and check_aie() refuse, or nothing where they are Ok.
std::optional<BrokenRule> broken_paper_rule(const HeadParams& params, int64_t n);
std::optional<BrokenRule> broken_aie_rule(const HeadParams& params, int64_t n, AieRows rows);

}  // namespace hccs

#endif  // HCCS_DEPLOYABILITY_H_
