// SPDX-License-Identifier: Apache-2.0
//
// Calibration: rows of float logits in, integer parameters out. It knows no model and no file.
//
// Objective: the mean over rows of KL(softmax(logits) || s / Z), in nats, where s and Z are the contract's integers for
// the row's int8 logits. A zero score under a positive probability would cost infinitely much; it is charged instead as
// if the floor were B / 65536, half of the smallest that the contract can express beside B = 32767 (added to every
// score and to Z, so that the charged scores still sum to Z, and the objective is never negative). docs/calibration.md
// describes the search.
#ifndef HCCS_CALIBRATION_H_
#define HCCS_CALIBRATION_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "hccs/export.h"
#include "hccs/params.h"
#include "hccs/plausibility.h"
#include "hccs/progress.h"
#include "hccs/quantise.h"
#include "hccs/status.h"

namespace HCCS_API hccs {

// The floor as the objective sees it: F, or B / 65536 for F = 0.
constexpr double charged_floor(int64_t offset, int64_t floor) noexcept {
  return floor > 0 ? static_cast<double>(floor) : static_cast<double>(offset) / 65536.0;
}

// The objective for one row of 1 <= n <= 65536 finite logits: KL(softmax(logits) || s / Z) in nats, >= 0. `params` are
// valid, step > 0.
double row_kl(std::span<const float> logits, double step, const HeadParams& params) noexcept;

// The same for int8 logits and the exact exponential, KL(softmax(logits) || softmax(step * x)): what the logits'
// rounding alone costs.
double row_kl_int8_exact(std::span<const float> logits, double step) noexcept;

// B / (B + (n-1) F): the most that one position of a row of n >= 1 can get.
double max_probability(const HeadParams& params, int64_t n) noexcept;

// A uniform sample, of bounded size, of one head's rows: it keeps the rows with the `capacity` smallest hashes of
// (seed, id). So it is the same for any order of add() and any partition between threads, provided that ids are unique.
// Not synchronised: one thread at a time.
class RowSample {
 public:
  // capacity >= 1 rows.
  RowSample(int64_t capacity, uint64_t seed) : capacity_(capacity), seed_(seed) {}

  // Adds the logits of one row's valid positions (1..65536 of them; padding and masked positions never enter). Copies
  // them only if the row is kept. A row with NaN or infinite logits is not kept but counted. Errors: kInvalidArgument
  // for a length out of range; kOutOfMemory.
  Status add(uint64_t id, std::span<const float> logits);

  struct Row {
    uint64_t hash = 0;
    uint64_t id = 0;
    std::vector<float> logits;
  };

  // Adds what another sample has seen of the same head: afterwards this one is as if it had seen all rows itself, in
  // any order. Errors, and then nothing changes: kInvalidArgument for another capacity or seed, or for a row id that
  // both have kept; kOutOfMemory.
  Status merge(const RowSample& other);

  // What a sample has seen, for one that is written and read again (restore).
  struct Counts {
    int64_t seen = 0;            // rows_seen()
    int64_t non_finite = 0;      // non_finite_rows()
    int64_t minus_infinity = 0;  // minus_infinity_rows()
  };
  // The sample that kept these rows, whose hashes are not read. Errors: kInvalidArgument for a capacity below 1, more
  // rows than the capacity, a row of another length than 1..65536 or with a NaN or an infinity, an id that occurs
  // twice, counts that contradict each other or the rows, or more than 2^46 rows seen; kOutOfMemory.
  static Expected<RowSample> restore(int64_t capacity, uint64_t seed, const Counts& counts, std::vector<Row> rows);

  // The kept rows, in order of (hash, id). Sorts on first use.
  const std::vector<Row>& rows() const;

  int64_t capacity() const noexcept { return capacity_; }
  uint64_t seed() const noexcept { return seed_; }
  int64_t rows_seen() const noexcept { return rows_seen_; }                      // including those not kept
  int64_t non_finite_rows() const noexcept { return non_finite_rows_; }          // with a NaN or an infinity
  int64_t minus_infinity_rows() const noexcept { return minus_infinity_rows_; }  // of those: with -infinity alone

 private:
  int64_t capacity_;
  uint64_t seed_;
  int64_t rows_seen_ = 0;
  int64_t non_finite_rows_ = 0;
  int64_t minus_infinity_rows_ = 0;
  mutable bool sorted_ = false;  // else a max-heap
  mutable std::vector<Row> rows_;
};

// What to do with a head that cannot be fitted.
enum class OnUnfit {
  kStop,     // fail, naming every such head and the reason
  kDefault,  // give it the parameters fitted to the rows of all fittable heads together, and say so in
             // HeadFit::unfit_reason
};

// What to do with a head whose rows cannot be logits (Finding::refused).
enum class OnImplausible {
  kStop,    // fail, naming every such head and what was found
  kReport,  // fit it as it is; HeadFit::findings says what was found
};

// What a head's step may be.
enum class StepKind {
  kReal,
  kPowerOfTwo,  // 2^-f for an integer f, as quantisers with shifts in place of factors have
};

struct CalibrationOptions {
  int32_t knees = 3;  // K, 1..4; 1 under kPaper
  Limits limits = Limits::kNative;
  int64_t length = 0;  // kPaper: n, 1..16383 (beyond, no B > F fits); otherwise unused
  StepKind step = StepKind::kReal;
  Share share = Share::kHead;
  OnUnfit on_unfit = OnUnfit::kStop;
  OnImplausible on_implausible = OnImplausible::kStop;
  int threads = 1;      // >= 1; the result is the same for every number
  Progress progress{};  // in fits
};

struct HeadFit {
  HeadParams params;
  double step = 0;             // real value of one int8 logit unit
  double kl = 0;               // objective reached with these integers, over the fitted rows (the group's where shared)
  double kl_continuous = 0;    // the same with real-valued parameters and unrounded logits
  int64_t rows = 0;            // rows fitted
  int64_t longest_row = 0;     // n of the longest of them
  double max_probability = 0;  // of a row of longest_row
  std::string unfit_reason;    // not empty: the parameters are the stated default
  // Of a fit to fewer than kFewRows different rows (2 or more): the mean KL of each half of these under what was fitted
  // to the other half. How far it lies above `kl` says how little the rows say about others.
  std::optional<double> kl_held_out;
  std::vector<Finding> findings;  // about this head's own rows
};

// Fits `heads.size()` = layers x heads_per_layer heads, row-major. Returns one HeadFit a head.
// A head cannot be fitted if it has no rows, a NaN or infinite logit, only rows with one valid position, or only rows
// of equal logits. Errors: kInvalidArgument for options out of range, an unfittable head under kStop (or when no head
// at all can be fitted) or an implausible one, with the head's name and the reason; kCancelled; kIo if no thread can be
// started; kOutOfMemory.
Expected<std::vector<HeadFit>> calibrate(std::span<const RowSample> heads, int64_t heads_per_layer,
                                         const CalibrationOptions& options);

}  // namespace hccs

#endif  // HCCS_CALIBRATION_H_
