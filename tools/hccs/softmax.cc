// SPDX-License-Identifier: Apache-2.0
#include "hccs/softmax.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "command.h"
#include "console.h"
#include "hccs/file.h"
#include "hccs/npy.h"
#include "hccs/param_file.h"
#include "json_option.h"

namespace hccs::tool {
namespace {

namespace fs = std::filesystem;

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

Expected<HeadParams> parameters(const Options& o) {
  if (o.params.empty()) {
    std::vector<Knee> knees;
    for (const std::string& text : o.knees) {
      Knee knee;
      std::sscanf(text.c_str(), "%d:%d", &knee.slope, &knee.position);
      knees.push_back(knee);
    }
    const HeadParams params(o.offset, std::span<const Knee>(knees));
    HCCS_RETURN_IF_ERROR(validate(params, "--offset, --knee"));
    return params;
  }
  HCCS_ASSIGN_OR_RETURN(const ParamFile file, read_param_file(o.params));
  if (o.layer >= file.layers || o.head >= file.heads) {
    return Status(StatusCode::kInvalidArgument,
                  fmt::format("{}, but {} has {} layers of {} heads", head_name(o.layer, o.head), o.params.string(),
                              file.layers, file.heads));
  }
  return file.at(o.layer, o.head).params;
}

Expected<SoftmaxPlan> make_plan(const Options& o) {
  const Normalisation normalisation = *parse_normalisation(o.normalisation);
  const OutputType output = *parse_output_type(o.output_type);
  if (o.exact_step) return SoftmaxPlan::exact_lut({&*o.exact_step, 1}, normalisation, output, o.target);
  HCCS_ASSIGN_OR_RETURN(const HeadParams params, parameters(o));
  return SoftmaxPlan::hccs({&params, 1}, normalisation, output, o.target);
}

Expected<NpyArray> read_array(const fs::path& path, NpyType type, std::span<const int64_t> shape,
                              std::string_view what) {
  HCCS_ASSIGN_OR_RETURN(NpyArray array, read_npy(path));
  if (array.type == type && std::equal(array.shape.begin(), array.shape.end(), shape.begin(), shape.end()))
    return array;
  const auto text = [](std::span<const int64_t> s) {
    std::string out;
    for (int64_t extent : s) out += fmt::format("{}{}", out.empty() ? "" : ", ", extent);
    return "[" + out + "]";
  };
  return Status(StatusCode::kMismatch, fmt::format("{}: {} {}, but {} is {} {}", path.string(), name(array.type),
                                                   text(array.shape), what, name(type), text(shape)));
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
Status softmax_rows(const Options& o, const SoftmaxPlan& plan, const NpyArray& logits) {
  const int64_t rows = logits.shape[0];
  const int64_t n = logits.shape[1];
  NpyArray lengths;
  NpyArray mask;
  std::vector<uint8_t> bits;
  std::vector<Out> out(static_cast<size_t>(rows * n));
  auto batch = SoftmaxBatch<Out>::dense(logits.as<int8_t>().data(), out.data(), {.queries = rows, .keys = n});
  batch.causal_offset = o.causal_offset;
  if (!o.valid_lengths.empty()) {
    HCCS_ASSIGN_OR_RETURN(lengths,
                          read_array(o.valid_lengths, NpyType::kInt32, std::array{rows}, "a valid length a row"));
    batch.valid_lengths = lengths.as<int32_t>().data();
    batch.valid_query_stride = 1;
  }
  if (!o.mask.empty()) {
    HCCS_ASSIGN_OR_RETURN(mask, read_array(o.mask, NpyType::kUint8, logits.shape, "the mask"));
    for (uint8_t value : mask.as<uint8_t>()) {
      if (value > 1)
        return {StatusCode::kBadData, fmt::format("{}: a value of {}, but a mask is 0 or 1", o.mask.string(), value)};
    }
    bits = pack_bits(mask.as<uint8_t>(), rows, n);
    batch.mask_bits = bits.data();
    batch.mask_query_stride = (n + 7) / 8;
  }
  HCCS_RETURN_IF_ERROR(plan.run(batch));
  if (interrupted()) return {StatusCode::kCancelled, "interrupted"};
  return write_npy<Out>(o.output, logits.shape, out);
}

Status run(const Options& o) {
  HCCS_RETURN_IF_ERROR(check_writable(o.output));
  HCCS_RETURN_IF_ERROR(o.json.check(o.output));
  HCCS_ASSIGN_OR_RETURN(const SoftmaxPlan plan, make_plan(o));
  HCCS_ASSIGN_OR_RETURN(const NpyArray logits, read_npy(o.input));
  if (logits.type != NpyType::kInt8 || logits.shape.size() != 2) {
    return {StatusCode::kBadData, fmt::format("{}: {} with {} dimensions, but logits are int8 [rows, n]",
                                              o.input.string(), name(logits.type), logits.shape.size())};
  }
  HCCS_RETURN_IF_ERROR(o.output_type == "uint8" ? softmax_rows<uint8_t>(o, plan, logits)
                                                : softmax_rows<int16_t>(o, plan, logits));
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
  CLI::App* app = root.add_subcommand("softmax", "Row softmax of int8 logits, by the contract's integers");
  app->add_option("--in", o->input, "logits.npy, int8 [rows, n]")->required();
  app->add_option("-o,--out", o->output, "probabilities to write, the same shape: p/255 (uint8) or p/32767 (int16)")
      ->required();
  app->add_option("--normalisation", o->normalisation, "how scores become probabilities")
      ->check(CLI::IsMember({"div", "clb", "scaled"}))
      ->capture_default_str();
  app->add_option("--output,--output-type", o->output_type, "the probabilities' type")
      ->check(CLI::IsMember({"uint8", "int16"}))
      ->capture_default_str();
  app->add_option("--params", o->params, "parameter file, with --layer and --head");
  app->add_option("--layer", o->layer, "layer in the parameter file, from 0")->check(CLI::NonNegativeNumber);
  app->add_option("--head", o->head, "head in the layer, from 0")->check(CLI::NonNegativeNumber);
  app->add_option("--offset", o->offset, "B, instead of a parameter file")->check(CLI::Range(1, kMaxOffset));
  app->add_option("--knee", o->knees, "S:D, up to four times, D increasing")->check(check_knee)->expected(1, kMaxKnees);
  app->add_option("--exact-step", o->exact_step,
                  "instead of parameters: the exact exponential of logits whose unit is this many nats");
  app->add_option(
      "--target", o->target,
      fmt::format("instruction set: {} (default: HCCS_TARGET, else the first)", fmt::join(targets(), ", ")));
  app->add_option("--valid-lengths", o->valid_lengths, "int32 .npy, one length a row");
  app->add_option("--causal-offset", o->causal_offset, "row i sees positions 0..i + C");
  app->add_option("--mask", o->mask, "uint8 .npy of the logits' shape, 1 is valid");
  o->json.add_to(*app, "what was written");
  app->footer(
      "Example:\n  hccs softmax --in logits.npy -o p.npy --offset 4690 --knee 86:21 --knee 34:47 --causal-offset 0");
  return {.app = app, .usage_error = [o] { return usage_error(*o); }, .run = [o] { return run(*o); }};
}

}  // namespace hccs::tool
