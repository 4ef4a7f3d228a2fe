// SPDX-License-Identifier: Apache-2.0
//
// Recorded calls of the AI Engine kernels, for the cycle model (aie/cycles): the only part that knows both. A trace is
// given only of a call whose results are right, so no cycle count can be printed for a wrong kernel.
#ifndef HCCS_AIE_TRACES_TRACES_H_
#define HCCS_AIE_TRACES_TRACES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "aie/cycles/cost.h"
#include "aie/cycles/feed.h"
#include "hccs/mask.h"
#include "hccs/params.h"
#include "hccs/status.h"

namespace aie_traces {

enum class Kernel { kPaperRows, kRows, kTiles, kAttention, kExpBf16 };
// How scores become results: the normalisations of row softmax; attention's deferred one; the exponentials of exp_bf16.
enum class Mode { kDiv, kClb, kScaled, kDeferred, kTables, kExp2, kBits };
enum class Output { kUint8, kInt16, kInt8, kBf16 };
// Of every row: none; the positions below n - 3; the positions up to the row's number, of a block whose last row sees
// all; a bit for each position, 7 in 8 of them set.
struct DrawnMask {
  hccs::MaskKind kind = hccs::MaskKind::kNone;
  bool causal = false;
  friend bool operator==(const DrawnMask&, const DrawnMask&) = default;
};
inline constexpr DrawnMask kNoMask{};
inline constexpr DrawnMask kLengthMask{hccs::MaskKind::kLength};
inline constexpr DrawnMask kCausalMask{hccs::MaskKind::kLength, true};
inline constexpr DrawnMask kBitMask{hccs::MaskKind::kBits};
// Whose parameters: n * B <= 32767, the paper's limit, but under a mask B >= 256 all the same, which the kernels need;
// those that it has under a mask, without one; or B = 4690, as native calibration finds them.
enum class Heads { kPaper, kMasked, kNative };

std::string_view name(Kernel kernel);   // "paper_rows", ...
std::string_view name(Mode mode);       // "div", "clb", "scaled", "deferred", "tables", "exp2", "bits"
std::string_view name(Output output);   // "uint8", ...
std::string_view name(DrawnMask mask);  // "none", "length", "causal", "bits"
std::string_view name(Heads heads);     // "paper", "masked", "native"
std::optional<Kernel> parse_kernel(std::string_view text);
std::optional<Mode> parse_mode(std::string_view text);
std::optional<Output> parse_output(std::string_view text);
std::optional<DrawnMask> parse_mask(std::string_view text);
std::optional<Heads> parse_heads(std::string_view text);

// A call: `rows` rows of n logits of one head; for attention as many query rows, and n keys.
struct Call {
  Kernel kernel = Kernel::kRows;
  aie_cycles::Device device = aie_cycles::Device::kAieMl;
  Mode mode = Mode::kClb;
  Output output = Output::kUint8;
  unsigned knees = 1;  // 0: exp_bf16
  DrawnMask mask = kNoMask;
  unsigned n = 128;
  unsigned rows = 64;
  Heads heads = Heads::kPaper;
  std::optional<hccs::HeadParams> head = {};  // of a parameter file, in place of `heads`; its K is `knees`
  unsigned head_dimension = 32;               // of attention's q, k, v
  std::uint64_t seed = 1;                     // of the logits
};

// The rows of a call that results are given for: 64, and 32 from n = 512 on.
constexpr unsigned usual_rows(unsigned n) { return n < 512 ? 64 : 32; }

// What a call must be: kInvalidArgument with the value and the rule.
hccs::Status validate(const Call& call);

// The parameters of a call's head. Nothing for exp_bf16, whose head is empty.
hccs::HeadParams head_of(const Call& call);

// What goes in and comes out, through one channel each, as in the graphs.
aie_cycles::BlockTraffic traffic(const Call& call);

struct Trace {
  aie_cycles::Block block;
  std::vector<aie_cycles::Buffer> buffers;
};
// Runs the call, compares its results (integer kernels with the contract, tolerance 0; exp_bf16 with an exponential in
// double, to the tolerance that it states) and gives what was recorded.
// Errors: kInvalidArgument as validate(); kMismatch with the first wrong result.
hccs::Expected<Trace> trace(const Call& call);

// A verified call on its device.
struct Cost {
  aie_cycles::CallCost core;
  aie_cycles::Accesses accesses;
  aie_cycles::BlockTraffic traffic;
  aie_cycles::BlockTime fed;  // one block in a row of them
  long elements = 0;          // rows * n

  double cycles_per_row = 0;
  double cycles_per_64 = 0;
  double gelem_per_s = 0;      // of one tile at 1.25 GHz, the core alone
  double fed_gelem_per_s = 0;  // of one tile with its feed
};
// Errors: those of trace(); kUnsupported for an operation that the model does not know.
hccs::Expected<Cost> cost(const Call& call);

}  // namespace aie_traces

#endif  // HCCS_AIE_TRACES_TRACES_H_
