// SPDX-License-Identifier: Apache-2.0
#include "hccs/softmax.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>

#include "command.h"
#include "console.h"
#include "hccs/calibration.h"
#include "hccs/deployability.h"
#include "hccs/file.h"
#include "hccs/npy.h"
#include "hccs/param_file.h"
#include "hccs/plausibility.h"
#include "hccs/quantise.h"
#include "json_option.h"

namespace hccs::tool {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kCheckedRows = 1024;  // of float logits, whose plausibility is checked

struct Options {
  fs::path input;
  fs::path output;
  std::string normalisation = "scaled";
  std::string output_type = "uint8";
  fs::path params;
  int64_t layer = -1;
  int64_t head = -1;
  int32_t offset = 0;
  std::vector<std::string> knees;
  std::optional<double> exact_step;
  std::string target;
  fs::path valid_lengths;
  std::optional<int64_t> causal_offset;
  fs::path mask;
  JsonOption json;
  std::string implausible = "stop";
};

std::string usage_error(const Options& o) {
  const bool by_file = !o.params.empty();
  const bool by_hand = o.offset != 0 || !o.knees.empty();
  if (by_file + by_hand + o.exact_step.has_value() != 1) {
    return "exactly one of --params, --offset with --knee, and --exact-step is needed";
  }
  if (by_file && (o.layer < 0 || o.head < 0)) return "--params needs --layer and --head";
  if (!by_file && (o.layer >= 0 || o.head >= 0)) return "--layer and --head go with --params";
  if (by_hand && (o.offset == 0 || o.knees.empty())) return "--offset and at least one --knee go together";
  return {};
}

// "S:D", two integers.
std::string check_knee(const std::string& text) {
  int slope = 0;
  int position = 0;
  int end = 0;
  const bool two = std::sscanf(text.c_str(), "%d:%d%n", &slope, &position, &end) == 2;
  return two && end == static_cast<int>(text.size()) ? ""
                                                     : fmt::format("knee '{}', but a knee is S:D, two integers", text);
}

// What the rows are quantised and computed by.
struct Head {
  HeadParams params;
  double step = 0;  // 0: unknown
};

Expected<Head> head_of(const Options& o) {
  if (o.params.empty()) {
    std::vector<Knee> knees;
    for (const std::string& text : o.knees) {
      Knee knee;
      std::sscanf(text.c_str(), "%d:%d", &knee.slope, &knee.position);
      knees.push_back(knee);
    }
    const HeadParams params(o.offset, std::span<const Knee>(knees));
    HCCS_RETURN_IF_ERROR(validate(params, "--offset, --knee"));
    return Head{params};
  }
  HCCS_ASSIGN_OR_RETURN(const ParamFile file, read_param_file(o.params));
  if (o.layer >= file.layers || o.head >= file.heads) {
    return Status(StatusCode::kInvalidArgument,
                  fmt::format("{}, but {} has {} layers of {} heads", head_name(o.layer, o.head), o.params.string(),
                              file.layers, file.heads));
  }
  return Head{file.at(o.layer, o.head).params, file.at(o.layer, o.head).step};
}

Expected<SoftmaxPlan> make_plan(const Options& o, const Head& head) {
  const Normalisation normalisation = *parse_normalisation(o.normalisation);
  const OutputType output = *parse_output_type(o.output_type);
  if (o.exact_step) return SoftmaxPlan::exact_lut({&*o.exact_step, 1}, normalisation, output, o.target);
  return SoftmaxPlan::hccs({&head.params, 1}, normalisation, output, o.target);
}

std::string shape_text(std::span<const int64_t> shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

Status other_array(const fs::path& path, const NpyArray& array, std::string_view what, std::string_view type,
                   std::span<const int64_t> shape) {
  return {StatusCode::kMismatch, fmt::format("{}: {} {}, but {} is {} {}", path.string(), name(array.type),
                                             shape_text(array.shape), what, type, shape_text(shape))};
}

// Which positions of the rows are valid, as the options say.
struct Masks {
  std::vector<int32_t> lengths;  // empty: none are said
  std::vector<uint8_t> mask;     // [rows, n], empty: none
  std::optional<int64_t> causal_offset;
  int64_t n = 0;

  bool valid(int64_t row, int64_t i) const {
    return (lengths.empty() || i < lengths[static_cast<size_t>(row)]) &&
           (mask.empty() || mask[static_cast<size_t>(row * n + i)] != 0) &&
           (!causal_offset || i - row <= *causal_offset);
  }
};

Expected<Masks> read_masks(const Options& o, std::span<const int64_t> shape) {
  Masks masks{.causal_offset = o.causal_offset, .n = shape[1]};
  if (!o.valid_lengths.empty()) {
    HCCS_ASSIGN_OR_RETURN(const NpyArray array, read_npy(o.valid_lengths));
    if (!is_integer(array.type) || array.shape != std::vector<int64_t>{shape[0]}) {
      return other_array(o.valid_lengths, array, "a valid length a row", "integers", shape.first(1));
    }
    HCCS_ASSIGN_OR_RETURN(const std::vector<int64_t> lengths, to_int64(array));
    for (const int64_t length : lengths) {
      masks.lengths.push_back(static_cast<int32_t>(std::clamp<int64_t>(length, INT32_MIN, INT32_MAX)));
    }
  }
  if (!o.mask.empty()) {
    HCCS_ASSIGN_OR_RETURN(const NpyArray array, read_npy(o.mask));
    const bool bytes = array.type == NpyType::kUint8 || array.type == NpyType::kBool;
    if (!bytes || !std::equal(array.shape.begin(), array.shape.end(), shape.begin(), shape.end())) {
      return other_array(o.mask, array, "the mask", "uint8 or bool", shape);
    }
    for (const std::byte value : array.data) masks.mask.push_back(static_cast<uint8_t>(value));
    for (const uint8_t value : masks.mask) {
      if (value <= 1) continue;
      return Status(StatusCode::kBadData,
                    fmt::format("{}: a value of {}, but a mask is 0 or 1", o.mask.string(), value));
    }
  }
  return masks;
}

// Refuses float logits that cannot be what they should: not finite, or masked by their values.
Status check_floats(const Options& o, std::span<const float> logits, const Masks& masks) {
  const int64_t n = masks.n;
  RowSample sample(kCheckedRows, 0);
  std::vector<float> valid;
  for (int64_t r = 0; r < std::ssize(logits) / n; ++r) {
    valid.clear();
    for (int64_t i = 0; i < n; ++i) {
      if (!masks.valid(r, i)) continue;
      const float x = logits[static_cast<size_t>(r * n + i)];
      if (!std::isfinite(x)) {
        return {StatusCode::kBadData,
                fmt::format("{}: row {}, position {}: {}, but logits are finite (masks are for --valid-lengths, --mask "
                            "and --causal-offset)",
                            o.input.string(), r, i, x)};
      }
      valid.push_back(x);
    }
    if (!valid.empty()) HCCS_RETURN_IF_ERROR(sample.add(static_cast<uint64_t>(r), valid));
  }
  for (const Finding& finding : check_plausibility(sample)) {
    if (!finding.refused || o.implausible == "report") {
      if (finding.refused) warning("{}: {}", o.input.string(), finding.message);
      continue;
    }
    return {StatusCode::kBadData, fmt::format("{}: {} (here: --valid-lengths, --mask or --causal-offset)",
                                              o.input.string(), finding.message)};
  }
  return {};
}

// Int8 logits as they are in the file, or made from floats at the head's step.
Expected<std::vector<int8_t>> int8_logits(const Options& o, const NpyArray& array, double step, const Masks& masks) {
  std::vector<int8_t> x(static_cast<size_t>(array.element_count()));
  if (array.type == NpyType::kInt8) {
    std::copy_n(array.as<int8_t>().begin(), x.size(), x.begin());
    return x;
  }
  HCCS_ASSIGN_OR_RETURN(const std::vector<float> floats, to_float32(array));
  HCCS_RETURN_IF_ERROR(check_floats(o, floats, masks));
  if (array.type == NpyType::kFloat64) {
    quantise_logits(array.as<double>(), step, x);
  } else {
    quantise_logits(floats, step, x);
  }
  return x;
}

// One bit a position, least significant first, every row from a new byte on.
std::vector<uint8_t> pack_bits(std::span<const uint8_t> bytes, int64_t rows, int64_t n) {
  const int64_t row_bytes = (n + 7) / 8;
  std::vector<uint8_t> bits(static_cast<size_t>(rows * row_bytes), 0);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t i = 0; i < n; ++i) {
      bits[r * row_bytes + i / 8] |= static_cast<uint8_t>((bytes[r * n + i] != 0 ? 1 : 0) << (i % 8));
    }
  }
  return bits;
}

template <class Out>
Status softmax_rows(const Options& o, const SoftmaxPlan& plan, std::span<const int64_t> shape,
                    std::span<const int8_t> logits, const Masks& masks) {
  const int64_t rows = shape[0];
  const int64_t n = shape[1];
  std::vector<uint8_t> bits;
  std::vector<Out> out(logits.size());
  auto batch = SoftmaxBatch<Out>::dense(logits.data(), out.data(), {.queries = rows, .keys = n});
  batch.causal_offset = masks.causal_offset;
  if (!masks.lengths.empty()) batch = batch.with_lengths(masks.lengths);
  if (!masks.mask.empty()) {
    bits = pack_bits(masks.mask, rows, n);
    batch = batch.with_bits(bits);
  }
  HCCS_RETURN_IF_ERROR(plan.run(batch));
  if (interrupted()) return {StatusCode::kCancelled, "interrupted"};
  return write_npy<Out>(o.output, shape, out);
}

Status run(const Options& o) {
  const Inputs inputs{.files = {o.input, o.params, o.valid_lengths, o.mask}};
  HCCS_RETURN_IF_ERROR(check_output(o.output, inputs));
  HCCS_RETURN_IF_ERROR(o.json.check(inputs, o.output));
  Head head;
  if (!o.exact_step) {
    HCCS_ASSIGN_OR_RETURN(head, head_of(o));
  }
  HCCS_ASSIGN_OR_RETURN(const SoftmaxPlan plan, make_plan(o, head));
  HCCS_ASSIGN_OR_RETURN(const NpyArray logits, read_npy(o.input));
  const double step = o.exact_step.value_or(head.step);
  if (is_float(logits.type) && step == 0) {
    return {StatusCode::kBadData,
            fmt::format("{}: {}, but logits are int8; floats need the head's step, which --params knows",
                        o.input.string(), name(logits.type))};
  }
  if ((logits.type != NpyType::kInt8 && !is_float(logits.type)) || logits.shape.size() != 2) {
    return {StatusCode::kBadData, fmt::format("{}: {} with {} dimensions, but logits are int8 or floats [rows, n]",
                                              o.input.string(), name(logits.type), logits.shape.size())};
  }
  if (logits.shape[1] < 1) {
    return {StatusCode::kBadData,
            fmt::format("{}: {} rows of no position, but n >= 1", o.input.string(), logits.shape[0])};
  }
  HCCS_ASSIGN_OR_RETURN(const Masks masks, read_masks(o, logits.shape));
  HCCS_ASSIGN_OR_RETURN(const std::vector<int8_t> x, int8_logits(o, logits, step, masks));
  if (!o.exact_step) {
    const Status range = check_range(
        head.params, plan.normalisation(), plan.output(), logits.shape[1],
        o.params.empty() ? "--offset" : fmt::format("{}: {}", o.params.string(), head_name(o.layer, o.head)));
    if (!range.ok()) warning("{}", range.message());
  }
  HCCS_RETURN_IF_ERROR(o.output_type == "uint8" ? softmax_rows<uint8_t>(o, plan, logits.shape, x, masks)
                                                : softmax_rows<int16_t>(o, plan, logits.shape, x, masks));
  message("wrote {}: {} [{}, {}], computed with {}\n", o.output.string(), o.output_type, logits.shape[0],
          logits.shape[1], plan.target());
  return o.json.write({{"output", o.output.string()},
                       {"type", o.output_type},
                       {"shape", logits.shape},
                       {"normalisation", o.normalisation},
                       {"target", plan.target()}});
}

}  // namespace

Command add_softmax(CLI::App& root) {
  auto o = std::make_shared<Options>();
  CLI::App* app = root.add_subcommand("softmax", "Row softmax of int8 or float logits, by the contract's integers");
  app->add_option("--in", o->input, "logits.npy [rows, n]: int8, or floats, which the head's step makes int8")
      ->required();
  app->add_option("-o,--out", o->output, "probabilities to write, the same shape: p/255 (uint8) or p/32767 (int16)")
      ->required();
  app->add_option("--normalisation", o->normalisation, "how scores become probabilities")
      ->check(CLI::IsMember({"div", "clb", "scaled"}))
      ->capture_default_str();
  app->add_option("--output,--output-type", o->output_type, "the probabilities' type")
      ->check(CLI::IsMember({"uint8", "int16"}))
      ->capture_default_str();
  app->add_option("--params", o->params, "parameter file, with --layer and --head");
  app->add_option("--layer", o->layer, "layer in the parameter file, from 0")
      ->check(CLI::Range(int64_t{0}, kMaxHeads - 1));
  app->add_option("--head", o->head, "head in the layer, from 0")->check(CLI::Range(int64_t{0}, kMaxHeads - 1));
  app->add_option("--offset", o->offset, "B, instead of a parameter file")->check(CLI::Range(1, kMaxOffset));
  app->add_option("--knee", o->knees, "S:D, up to four times, D increasing")->check(check_knee)->expected(1, kMaxKnees);
  app->add_option("--exact-step", o->exact_step,
                  "instead of parameters: the exact exponential of logits whose unit is this many nats");
  app->add_option(
      "--target", o->target,
      fmt::format("instruction set: {} (default: HCCS_TARGET, else the first)", fmt::join(targets(), ", ")));
  app->add_option("--valid-lengths", o->valid_lengths, "integers, .npy, one length a row");
  app->add_option("--causal-offset", o->causal_offset, "row i sees positions 0..i + C");
  app->add_option("--mask", o->mask, "uint8 or bool .npy of the logits' shape, 1 is valid");
  app->add_option("--implausible", o->implausible,
                  "float logits with masks or padding among their valid positions stop the run, or are reported")
      ->check(CLI::IsMember({"stop", "report"}))
      ->capture_default_str();
  o->json.add_to(*app, "what was written");
  app->footer(
      "Example:\n  hccs softmax --in logits.npy -o p.npy --offset 4690 --knee 86:21 --knee 34:47 --causal-offset 0");
  return {.app = app, .usage_error = [o] { return usage_error(*o); }, .run = [o] { return run(*o); }};
}

}  // namespace hccs::tool
