// SPDX-License-Identifier: Apache-2.0
#include "aie/traces/traces.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <random>
#include <span>
#include <stdexcept>

#include "aie/kernels/layout.h"
#include "aie/traces/device.h"
#include "hccs/deployability.h"
#include "hccs/mask.h"
#include "hccs/reference.h"

namespace aie_traces {
namespace {

static_assert(aie_cycles::kPipelinedInstructions == hccs_kernels::kPipelinedInstructions,
              "the kernels' passes are cut for another model");

using aie_cycles::Device;
using hccs::Status;
using hccs::StatusCode;

constexpr std::array<std::string_view, 5> kKernelNames{"paper_rows", "rows", "tiles", "attention", "exp_bf16"};
constexpr std::array<std::string_view, 7> kModeNames{"div", "clb", "scaled", "deferred", "tables", "exp2", "bits"};
constexpr std::array<std::string_view, 4> kOutputNames{"uint8", "int16", "int8", "bf16"};
constexpr std::array<std::pair<DrawnMask, std::string_view>, 4> kMaskNames{
    {{kNoMask, "none"}, {kLengthMask, "length"}, {kCausalMask, "causal"}, {kBitMask, "bits"}}};
constexpr std::array<std::string_view, 3> kHeadsNames{"paper", "masked", "native"};

template <typename E, std::size_t kCount>
std::optional<E> parse(const std::array<std::string_view, kCount>& names, std::string_view text) {
  const auto it = std::find(names.begin(), names.end(), text);
  if (it == names.end()) return std::nullopt;
  return static_cast<E>(it - names.begin());
}

// The kernels have one form for AIE-ML v2 and XDNA 2 (aie/kernels/layout.h), so that a call of one is a call of the
// other; it is recorded with __AIE_ARCH__ 22.
bool is_wide(const Call& call) { return call.device != Device::kAieMl; }

Status invalid(std::string message) { return {StatusCode::kInvalidArgument, std::move(message)}; }

// Elements of a call that the host can record in a few seconds, and the tile's memory is far below.
constexpr unsigned kMostElements = 1 << 17;
constexpr unsigned kMostRows = 1024;
constexpr unsigned kLongestRow = 8192;

using Random = std::mt19937_64;  // whose numbers the standard fixes, unlike those of distributions

int between(Random& random, int least, int most) {
  return least + static_cast<int>(random() % static_cast<std::uint64_t>(most - least + 1));
}

// Logits as a model makes them: rows of different widths, so that their maxima, sums and shifts differ. The model
// tells a row's scalars from the loop's constants by their bits, and takes -1, 0 and 1 for constants: no maximum is so
// near `position`, the farthest knee's.
std::vector<std::int8_t> draw_logits(Random& random, unsigned rows, unsigned n, int position) {
  std::vector<std::int8_t> logits(std::size_t{rows} * n);
  for (unsigned r = 0; r < rows; ++r) {
    const int width = 4 + static_cast<int>(r * 29 % 64);
    int top = 40 + static_cast<int>(r * 37 % 88);  // other than the maxima of the 87 rows before
    if (std::abs(top - position) <= 1) top += 30 - position;
    const std::span row(logits.data() + std::size_t{r} * n, n);
    for (std::int8_t& x : row) {
      const int below = (between(random, 0, width) + between(random, 0, width) + between(random, 0, width)) / 2;
      x = static_cast<std::int8_t>(std::max(-128, top - 1 - below));
    }
    row[static_cast<std::size_t>(between(random, 0, static_cast<int>(n) - 1))] = static_cast<std::int8_t>(top);
    row[0] = static_cast<std::int8_t>(top);  // no mask hides it
  }
  return logits;
}

// The call's mask. Its bits, if it has any, are in `bits`: bit i % 8 of byte i / 8 of a row.
hccs::BlockMask draw_mask(Random& random, const Call& call, std::vector<std::uint8_t>& bits) {
  hccs::BlockMask mask;
  if (call.mask == kLengthMask) {
    mask.valid_length = std::max(1, static_cast<int>(call.n) - 3);
  } else if (call.mask == kCausalMask) {
    mask.causal_offset = std::max(0, static_cast<int>(call.n) - static_cast<int>(call.rows));
  } else if (call.mask == kBitMask) {
    mask.bits_stride = (call.n + 7) / 8;
    bits.resize(static_cast<std::size_t>(mask.bits_stride) * call.rows);
    for (std::size_t i = 0; i < bits.size(); ++i) {
      const auto dropped = static_cast<std::uint8_t>(random() & random() & random());
      bits[i] = static_cast<std::uint8_t>(~dropped | (i % static_cast<std::size_t>(mask.bits_stride) == 0 ? 1 : 0));
    }
    mask.bits = bits.data();
  }
  return mask;
}

Status wrong(const Call& call, unsigned row, unsigned column, double got, double expected) {
  return {StatusCode::kMismatch,
          fmt::format("{} {} on {}: row {}, column {} is {}, not {}; a wrong kernel gets no cycle count",
                      name(call.kernel), name(call.mode), name(call.device), row, column, got, expected)};
}

Status stopped(const Call& call, const std::string& error) {
  return {StatusCode::kMismatch, fmt::format("{} {} on {}: {}; a wrong kernel gets no cycle count", name(call.kernel),
                                             name(call.mode), name(call.device), error)};
}

template <int kArch>
void run_knees(const Call& call, SoftmaxCall& run) {
  const bool is_rows = call.kernel == Kernel::kRows;
  switch (call.knees) {
    case 1:
      return is_rows ? run_rows<kArch, 1>(run) : run_tiles<kArch, 1>(run);
    case 2:
      return is_rows ? run_rows<kArch, 2>(run) : run_tiles<kArch, 2>(run);
    case 3:
      return is_rows ? run_rows<kArch, 3>(run) : run_tiles<kArch, 3>(run);
    default:
      return is_rows ? run_rows<kArch, 4>(run) : run_tiles<kArch, 4>(run);
  }
}

template <typename Out>
Status compare(const Call& call, const SoftmaxCall& run) {
  std::vector<Out> expected(call.n);
  for (unsigned r = 0; r < call.rows; ++r) {
    const std::span row(run.logits.data() + std::size_t{r} * call.n, call.n);
    HCCS_RETURN_IF_ERROR(
        hccs::softmax_reference(run.head, run.normalisation, row, run.mask.row(r), std::span<Out>(expected)));
    for (unsigned i = 0; i < call.n; ++i) {
      const std::int16_t got = run.results[std::size_t{r} * call.n + i];
      if (got != static_cast<std::int16_t>(expected[i])) return wrong(call, r, i, got, expected[i]);
    }
  }
  return {};
}

Status run_softmax(const Call& call, aie_host::Observer* observer, std::vector<aie_cycles::Buffer>* buffers) {
  Random random(call.seed);
  SoftmaxCall run;
  run.head = head_of(call);
  run.normalisation = call.mode == Mode::kDiv   ? hccs::Normalisation::kDiv
                      : call.mode == Mode::kClb ? hccs::Normalisation::kClb
                                                : hccs::Normalisation::kScaled;
  run.output = call.output == Output::kUint8 ? hccs::OutputType::kUint8 : hccs::OutputType::kInt16;
  run.rows = call.rows;
  run.n = call.n;
  run.logits = draw_logits(random, call.rows, call.n, run.head.knees[run.head.knee_count - 1].position);
  std::vector<std::uint8_t> bits;
  run.mask = draw_mask(random, call, bits);
  run.observer = observer;
  const auto rows = call.mask == kNoMask ? hccs::AieRows::kFull : hccs::AieRows::kMasked;
  HCCS_RETURN_IF_ERROR(hccs::check_aie(run.head, call.n, rows));
  if (call.kernel == Kernel::kPaperRows) {
    is_wide(call) ? run_paper_rows<22>(run) : run_paper_rows<20>(run);
  } else {
    is_wide(call) ? run_knees<22>(call, run) : run_knees<20>(call, run);
  }
  if (!run.error.empty()) return stopped(call, run.error);
  *buffers = run.buffers;
  return call.output == Output::kUint8 ? compare<std::uint8_t>(call, run) : compare<std::int16_t>(call, run);
}

Status run_attention(const Call& call, aie_host::Observer* observer, std::vector<aie_cycles::Buffer>* buffers) {
  Random random(call.seed);
  AttentionCall run;
  run.head = head_of(call);
  run.rows = call.rows;
  run.n = call.n;
  run.dimension = call.head_dimension;
  const auto draw = [&](unsigned rows) {
    std::vector<std::int8_t> matrix(std::size_t{rows} * call.head_dimension);
    for (std::int8_t& x : matrix) x = static_cast<std::int8_t>(between(random, -60, 60));
    return matrix;
  };
  run.q = draw(call.rows);
  run.k = draw(call.n);
  run.v = draw(call.n);
  for (unsigned r = 0; r < call.rows; ++r) {
    // Products of such rows spread over some 1e5: distances to a few hundred steps.
    run.rescales.push_back({16384 + static_cast<std::int32_t>(r * 211 % 16384), 22 + static_cast<std::int32_t>(r % 3)});
  }
  std::vector<std::uint8_t> bits;
  run.mask = draw_mask(random, call, bits);
  run.observer = observer;
  HCCS_RETURN_IF_ERROR(hccs::validate(run.head));
  is_wide(call) ? aie_traces::run_attention<22>(run) : aie_traces::run_attention<20>(run);
  if (!run.error.empty()) return stopped(call, run.error);
  *buffers = run.buffers;
  std::vector<std::int8_t> expected(call.head_dimension);
  for (unsigned r = 0; r < call.rows; ++r) {
    const std::size_t first = std::size_t{r} * call.head_dimension;
    HCCS_RETURN_IF_ERROR(hccs::attention_reference(run.head, run.rescales[r],
                                                   std::span(run.q).subspan(first, call.head_dimension), run.k, run.v,
                                                   run.mask.row(r), expected));
    for (unsigned j = 0; j < call.head_dimension; ++j) {
      if (run.results[first + j] != expected[j]) return wrong(call, r, j, run.results[first + j], expected[j]);
    }
  }
  return {};
}

// Each exponential is off by the stated error E and, for the rounding of the difference x, by |x| / 512; a quotient of
// such by 2E / (1 - E) and |x| / 256; and three roundings to bf16 add 1 / 128.
Status compare(const Call& call, const ExpCall& run) {
  const double error = run.error_of_exponential;
  for (unsigned r = 0; r < call.rows; ++r) {
    const std::size_t first = std::size_t{r} * call.n;
    std::vector<double> x(run.logits.begin() + static_cast<std::ptrdiff_t>(first),
                          run.logits.begin() + static_cast<std::ptrdiff_t>(first + call.n));
    const double most = *std::max_element(x.begin(), x.end());
    double sum = 0;
    for (double& value : x) sum += std::exp(value -= most);
    for (unsigned i = 0; i < call.n; ++i) {
      const double exact = std::exp(x[i]) / sum;
      const double bound = std::expm1(std::abs(std::max(x[i], -64.0)) / 256) + 2 * error / (1 - error) + 1.0 / 128;
      const double got = run.results[first + i];
      if (!(std::abs(got - exact) <= exact * bound + 1e-27)) return wrong(call, r, i, got, exact);
    }
  }
  return {};
}

Status run_exp_bf16(const Call& call, aie_host::Observer* observer, std::vector<aie_cycles::Buffer>* buffers) {
  Random random(call.seed);
  ExpCall run;
  run.exponential = call.mode == Mode::kTables ? ExpCall::Exponential::kTables
                    : call.mode == Mode::kExp2 ? ExpCall::Exponential::kExp2
                                               : ExpCall::Exponential::kBits;
  run.rows = call.rows;
  run.n = call.n;
  // Sixteenths below 8: each is a bf16.
  for (const std::int8_t x : draw_logits(random, call.rows, call.n, -128))
    run.logits.push_back(static_cast<float>(x) / 16);
  run.observer = observer;
  is_wide(call) ? aie_traces::run_exp_bf16<22>(run) : aie_traces::run_exp_bf16<20>(run);
  if (!run.error.empty()) return stopped(call, run.error);
  *buffers = run.buffers;
  return compare(call, run);
}

}  // namespace

std::string_view name(Kernel kernel) { return kKernelNames[static_cast<unsigned>(kernel)]; }
std::string_view name(Mode mode) { return kModeNames[static_cast<unsigned>(mode)]; }
std::string_view name(Output output) { return kOutputNames[static_cast<unsigned>(output)]; }
std::string_view name(DrawnMask mask) {
  const auto found = std::find_if(kMaskNames.begin(), kMaskNames.end(), [&](const auto& m) { return m.first == mask; });
  return found == kMaskNames.end() ? "?" : found->second;
}
std::string_view name(Heads heads) { return kHeadsNames[static_cast<unsigned>(heads)]; }
std::optional<Kernel> parse_kernel(std::string_view text) { return parse<Kernel>(kKernelNames, text); }
std::optional<Mode> parse_mode(std::string_view text) { return parse<Mode>(kModeNames, text); }
std::optional<Output> parse_output(std::string_view text) { return parse<Output>(kOutputNames, text); }
std::optional<DrawnMask> parse_mask(std::string_view text) {
  for (const auto& [mask, mask_name] : kMaskNames) {
    if (text == mask_name) return mask;
  }
  return std::nullopt;
}
std::optional<Heads> parse_heads(std::string_view text) { return parse<Heads>(kHeadsNames, text); }

Status validate(const Call& call) {
  const auto refuse = [&](std::string_view what, auto value, std::string_view rule) {
    return invalid(fmt::format("kernel {}: {} {}: {}", name(call.kernel), what, value, rule));
  };
  if (call.n < 1 || call.n > kLongestRow) return refuse("n", call.n, "1..8192");
  if (call.rows < 1 || call.rows > kMostRows) return refuse("rows", call.rows, "1..1024");
  if (call.n * call.rows > kMostElements) return refuse("rows * n", call.n * call.rows, "at most 131072");
  if (call.kernel == Kernel::kExpBf16) {
    const bool on_device = call.mode == Mode::kBits || call.mode == (is_wide(call) ? Mode::kExp2 : Mode::kTables);
    if (!on_device) return refuse("mode", name(call.mode), "tables (aie-ml), exp2 (aie-ml-v2, xdna2) or bits");
    if (call.output != Output::kBf16) return refuse("output", name(call.output), "bf16");
    if (call.knees != 0) return refuse("knees", call.knees, "0: it has an exponential");
    if (call.mask != kNoMask) return refuse("mask", name(call.mask), "none");
    if (call.n % 32 != 0) return refuse("n", call.n, "a multiple of 32");
    return {};
  }
  if (call.knees < 1 || call.knees > 4) return refuse("knees", call.knees, "1..4");
  if (call.head && call.head->knee_count != static_cast<int>(call.knees)) {
    return refuse("knees", call.knees, fmt::format("those of its head, {}", call.head->knee_count));
  }
  if (call.kernel == Kernel::kAttention) {
    if (call.mode != Mode::kDeferred) return refuse("mode", name(call.mode), "deferred");
    if (call.output != Output::kInt8) return refuse("output", name(call.output), "int8");
    if (call.head_dimension != 32 && call.head_dimension != 64) {
      return refuse("head dimension", call.head_dimension, "32 or 64");
    }
    return {};
  }
  if (call.mode != Mode::kDiv && call.mode != Mode::kClb && call.mode != Mode::kScaled) {
    return refuse("mode", name(call.mode), "div, clb or scaled");
  }
  if (call.output != Output::kUint8 && call.output != Output::kInt16) {
    return refuse("output", name(call.output), "uint8 or int16");
  }
  if (call.kernel == Kernel::kPaperRows) {
    if (call.mode == Mode::kScaled) return refuse("mode", name(call.mode), "div or clb");
    if (call.knees != 1) return refuse("knees", call.knees, "1");
    if (call.mask != kNoMask) return refuse("mask", name(call.mask), "none");
    if (call.n % 32 != 0) return refuse("n", call.n, "a multiple of 32");
  }
  return {};
}

hccs::HeadParams head_of(const Call& call) {
  if (call.kernel == Kernel::kExpBf16) return {};
  if (call.head) return *call.head;
  constexpr double kPositions[4][4] = {{40}, {24, 60}, {21, 47, 85}, {13, 30, 54, 90}};
  constexpr double kShares[4][4] = {{1}, {0.6, 0.4}, {0.393, 0.348, 0.259}, {0.3, 0.28, 0.24, 0.18}};
  const auto n = static_cast<int>(call.n);
  hccs::HeadParams head;
  head.knee_count = static_cast<int>(call.knees);
  head.offset = call.heads == Heads::kNative ? 4690 : std::clamp(32767 / n, 3, 4690);
  if (call.mask != kNoMask || call.heads == Heads::kMasked) head.offset = std::max(head.offset, 256);
  // F: a 48th of B or more. The model tells scalars apart by their bits, and a row's shifts are among 7..31: F, which
  // rows hold as a scalar, is not.
  int floor = std::max((255 + n) / n, head.offset / 48);
  if (head.offset > 96) {
    floor = std::max(floor, 37);
  } else if (floor < 7) {
    floor = std::max(floor, 3);
  }
  const int drop = std::max(0, head.offset - floor);
  double reach = 0;  // of all knees
  for (const double position : kPositions[call.knees - 1]) reach += position;
  const double scale = std::min(1.0, drop / (2 * reach));
  int position = 0;
  int left = drop;
  for (unsigned k = 0; k < call.knees; ++k) {
    position = std::max(position + 1, static_cast<int>(kPositions[call.knees - 1][k] * scale));
    const int slope = std::clamp(static_cast<int>(drop * kShares[call.knees - 1][k]) / position, 1, 127);
    head.knees[k] = {std::min(slope, left / position), position};
    left -= head.knees[k].slope * position;
  }
  return head;
}

aie_cycles::BlockTraffic traffic(const Call& call) {
  const long elements = static_cast<long>(call.rows) * call.n;
  switch (call.kernel) {
    case Kernel::kAttention: {
      const long dimension = call.head_dimension;
      return {(call.rows + 2L * call.n) * dimension + 4L * call.rows, call.rows * dimension};
    }
    case Kernel::kExpBf16:
      return {2 * elements, 2 * elements};
    default: {
      const long words = call.mask == kBitMask ? elements / 8 : 0;
      return {elements + words, call.output == Output::kUint8 ? elements : 2 * elements};
    }
  }
}

hccs::Expected<Trace> trace(const Call& call) {
  HCCS_RETURN_IF_ERROR(validate(call));
  aie_cycles::Recorder recorder;
  Trace trace;
  HCCS_RETURN_IF_ERROR(call.kernel == Kernel::kExpBf16     ? run_exp_bf16(call, &recorder, &trace.buffers)
                       : call.kernel == Kernel::kAttention ? run_attention(call, &recorder, &trace.buffers)
                                                           : run_softmax(call, &recorder, &trace.buffers));
  trace.block = recorder.take();
  return trace;
}

hccs::Expected<Cost> cost(const Call& call) {
  HCCS_ASSIGN_OR_RETURN(Trace recorded, trace(call));
  Cost cost;
  cost.accesses = aie_cycles::count_accesses(recorded.block, recorded.buffers, call.device);
  try {
    cost.core = aie_cycles::cost_of_call(std::move(recorded.block), call.device);
  } catch (const std::invalid_argument& error) {  // an operation that the model does not know
    return Status(StatusCode::kUnsupported, fmt::format("{}: {}", name(call.kernel), error.what()));
  }
  cost.traffic = traffic(call);
  cost.fed = aie_cycles::block_time(static_cast<double>(cost.core.cycles), cost.traffic, call.device);
  cost.elements = static_cast<long>(call.rows) * call.n;
  const auto elements = static_cast<double>(cost.elements);
  const auto cycles = static_cast<double>(cost.core.cycles);
  cost.cycles_per_row = cycles / call.rows;
  cost.cycles_per_64 = cycles * 64 / elements;
  cost.gelem_per_s = elements / cycles * aie_cycles::kClockGhz;
  cost.fed_gelem_per_s = elements / cost.fed.cycles * aie_cycles::kClockGhz;
  return cost;
}

}  // namespace aie_traces
