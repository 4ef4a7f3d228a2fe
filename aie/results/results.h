// SPDX-License-Identifier: Apache-2.0
//
// What the cycle model says of the kernels, beside what is published of them.
#ifndef HCCS_AIE_RESULTS_RESULTS_H_
#define HCCS_AIE_RESULTS_RESULTS_H_

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "aie/traces/traces.h"
#include "hccs/status.h"

namespace aie_results {

// What AMD's simulator gave in the HCCS paper (arXiv 2604.02292), as 10^9 elements a second of one tile with int8
// results by clb, int16 results by div, and with a bf16 softmax.
struct PublishedCell {
  aie_cycles::Device device;
  unsigned n;
  double bf16, div, clb;
};
const std::vector<PublishedCell>& published();

// A case and its cost. Of several pieces, `interval` and `binding` are those of the one that takes most of the time.
struct Row {
  aie_traces::Call call;
  long cycles = 0;
  double cycles_per_row = 0;
  double cycles_per_64 = 0;
  int interval = 0;     // 0: its passes do not overlap
  std::string binding;  // a slot, "recurrence", ...; "latency" where nothing overlaps
  std::optional<double> published_cycles_per_64;
  double gelem_per_s = 0;
  double fed_gelem_per_s = 0;
  aie_cycles::Bind fed_binding = aie_cycles::Bind::kCore;
  long program_bytes = 0;
  unsigned spills = 0;
  double paired_loads_per_64 = 0;  // bundles with two loads, aie_cycles::paired_loads()
  aie_cycles::Breakdown breakdown;
  aie_cycles::BlockTraffic traffic;
  aie_cycles::BlockTime fed;

  std::optional<double> error_percent() const {
    if (!published_cycles_per_64) return std::nullopt;
    return 100 * (cycles_per_64 / *published_cycles_per_64 - 1);
  }
};

struct ScalingRow {
  aie_cycles::Device device;
  aie_cycles::Scaling scaling;
};

struct Results {
  std::vector<Row> rows;            // heads within the paper's limit, as far as masks allow
  std::vector<Row> native;          // of native heads, the recommended calls among them
  std::vector<Row> masked_heads;    // without masks, of the heads that masked rows have
  std::vector<ScalingRow> scaling;  // `rows`, clb, uint8, K = 1, n = kScaledLength
  std::optional<Row> tutorial;      // exp_bf16 of one row of 2048 on AIE-ML
};

inline constexpr aie_cycles::Device kDevices[] = {aie_cycles::Device::kAieMl, aie_cycles::Device::kAieMlV2};
std::string_view title(aie_cycles::Device device) noexcept;  // "AIE-ML", "AIE-ML v2"

// kReduced: a few cases of each kernel, for tests.
enum class Extent { kFull, kReduced };

inline constexpr unsigned kRowLengths[] = {32, 64, 128, 256, 512};
inline constexpr unsigned kScaledLength = 128;

// Every kernel call of the results. `progress` hears how many of them are done.
// Errors: those of aie_traces::cost(); the first one ends the run.
hccs::Expected<Results> run(Extent extent, const std::function<void(std::size_t done, std::size_t all)>& progress = {});

// Null if there is none.
const Row* find(const std::vector<Row>& rows, const aie_traces::Call& call);
std::optional<double> cycles_per_64(const std::vector<Row>& rows, const aie_traces::Call& call);

// A row of exp_bf16 with n classes: by what the device has for it (tables on AIE-ML, exp2 on v2), or by bits.
aie_traces::Call exp_bf16_call(aie_cycles::Device device, unsigned n, bool native);

// What this project recommends: `rows`, K = 3, scaled to uint8, under a valid length, of a native head.
aie_traces::Call recommended_call(aie_cycles::Device device, unsigned n);

std::string json(const Results& results);

}  // namespace aie_results

#endif  // HCCS_AIE_RESULTS_RESULTS_H_
