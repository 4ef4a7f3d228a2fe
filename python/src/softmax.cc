// SPDX-License-Identifier: Apache-2.0
#include "hccs/softmax.h"

#include <fmt/core.h>
#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <new>
#include <utility>

#include "arrays.h"
#include "bind.h"
#include "hccs/deployability.h"
#include "hccs/quantise.h"
#include "status.h"

namespace hccs::python {

namespace nb = nanobind;
using nb::literals::operator""_a;

Normalisation normalisation_of(std::string_view name) {
  const auto value = parse_normalisation(name);
  if (!value) refuse(fmt::format("normalisation \"{}\", but there are \"div\", \"clb\" and \"scaled\"", name));
  return *value;
}

OutputType output_type_of(std::string_view name) {
  const auto value = parse_output_type(name);
  if (!value) refuse(fmt::format("output_type \"{}\", but there are \"uint8\" and \"int16\"", name));
  return *value;
}

namespace {

// Rows of a call that share a rule for strides: batch, heads, queries.
template <class T>
struct PerRow {
  const T* data = nullptr;
  std::array<int64_t, 3> strides{};
};

struct Call {
  Four sizes{};
  const void* in = nullptr;
  Four in_strides{};
  void* out = nullptr;
  Four out_strides{};
  int64_t first_head = 0;
  std::optional<int64_t> causal_offset;
  PerRow<int32_t> lengths;
  PerRow<uint8_t> bits;
  PerRow<Rescale> rescales;
};

template <class Out, class In>
Status run_call(const SoftmaxPlan& plan, const Call& call) {
  SoftmaxBatch<Out, In> batch;
  batch.shape = {.heads = call.sizes[1], .queries = call.sizes[2], .keys = call.sizes[3]};
  batch.first_head = call.first_head;
  batch.logits_head_stride = call.in_strides[1];
  batch.logits_query_stride = call.in_strides[2];
  batch.out_head_stride = call.out_strides[1];
  batch.out_query_stride = call.out_strides[2];
  batch.valid_head_stride = call.lengths.strides[1];
  batch.valid_query_stride = call.lengths.strides[2];
  batch.causal_offset = call.causal_offset;
  batch.mask_head_stride = call.bits.strides[1];
  batch.mask_query_stride = call.bits.strides[2];
  for (int64_t b = 0; b < call.sizes[0]; ++b) {
    batch.logits = static_cast<const In*>(call.in) + b * call.in_strides[0];
    batch.out = static_cast<Out*>(call.out) + b * call.out_strides[0];
    if (call.lengths.data != nullptr) batch.valid_lengths = call.lengths.data + b * call.lengths.strides[0];
    if (call.bits.data != nullptr) batch.mask_bits = call.bits.data + b * call.bits.strides[0];
    if constexpr (SoftmaxBatch<Out, In>::kSums) {
      batch.rescales = call.rescales.data + b * call.rescales.strides[0];
      batch.rescale_head_stride = call.rescales.strides[1];
      batch.rescale_query_stride = call.rescales.strides[2];
    }
    HCCS_RETURN_IF_ERROR(plan.run(batch));
  }
  return {};
}

Status run_call(const SoftmaxPlan& plan, const Call& call, bool sums) {
  if (plan.output() == OutputType::kUint8) {
    return sums ? run_call<uint8_t, int32_t>(plan, call) : run_call<uint8_t, int8_t>(plan, call);
  }
  return sums ? run_call<int16_t, int32_t>(plan, call) : run_call<int16_t, int8_t>(plan, call);
}

// The masks and rescales of a call, and what owns their memory.
struct Arguments {
  Array lengths, bits, rescales;
  PackedMask packed;

  void set_lengths(Call& call, nb::handle object) {
    lengths = int32_array_of(object, "lengths");
    const auto strides = broadcast(lengths, std::span(call.sizes).first(3), "lengths");
    call.lengths = {static_cast<const int32_t*>(lengths.data()), {strides[0], strides[1], strides[2]}};
  }

  void set_bits(Call& call, nb::handle object) {
    bits = array_of(object, "mask_bits", true);
    if (!has_type<uint8_t>(bits)) {
      refuse_type(fmt::format("mask_bits must be uint8, eight positions a byte, not {}", dtype_name(bits.dtype())));
    }
    const Four sizes = {call.sizes[0], call.sizes[1], call.sizes[2], (call.sizes[3] + 7) / 8};
    const auto strides = broadcast(bits, sizes, "mask_bits");
    if (sizes[3] > 1 && strides[3] == 0) {
      refuse(fmt::format("mask_bits has shape {}, but a row of {} positions has {} bytes", text_of(shape_of(bits)),
                         call.sizes[3], sizes[3]));
    }
    call.bits = {static_cast<const uint8_t*>(bits.data()), {strides[0], strides[1], strides[2]}};
  }

  void set_mask(Call& call, nb::handle object) {
    const Array mask = array_of(object, "mask", false);
    if (!has_type<bool>(mask)) {
      refuse_type(fmt::format("mask must be bool, true where a position is valid, not {}; bits go into mask_bits",
                              dtype_name(mask.dtype())));
    }
    {
      const auto check_shape = broadcast(mask, call.sizes, "mask");  // throws while the interpreter is held
      const nb::gil_scoped_release release;
      packed = pack(mask, call.sizes);
    }
    call.bits = {packed.bits.data(), packed.strides};
  }

  void set_rescales(Call& call, nb::handle object) {
    rescales = int32_array_of(object, "rescale");
    const Four sizes = {call.sizes[0], call.sizes[1], call.sizes[2], 2};
    const auto strides = broadcast(rescales, sizes, "rescale");
    bool whole = strides[3] == 1;
    for (size_t i = 0; i < 3; ++i) whole = whole && strides[i] % 2 == 0;
    if (!whole) {
      refuse(fmt::format("rescale has shape {}, but the last axis holds M and R of a row, contiguous",
                         text_of(shape_of(rescales))));
    }
    static_assert(sizeof(Rescale) == 2 * sizeof(int32_t));
    call.rescales = {reinterpret_cast<const Rescale*>(rescales.data()),
                     {strides[0] / 2, strides[1] / 2, strides[2] / 2}};
  }
};

// SoftmaxPlan, and what a user is told once of rows that it may make 0.
class PlanOfPython : public SoftmaxPlan {
 public:
  PlanOfPython(SoftmaxPlan plan, int64_t longest_row) : SoftmaxPlan(std::move(plan)), longest_row_(longest_row) {}

  int64_t longest_row() const { return longest_row_; }

  // Warns of the first rows that are too long.
  void warn_of(int64_t keys) {
    if (keys <= longest_row_ || keys > kMaxRowLength || told_) return;
    told_ = true;
    const std::string text = fmt::format(
        "rows of {} by {} to {}: rows of more than {} may get 0 at every position with these parameters "
        "(Plan.longest_row); normalisation=\"scaled\" serves every length",
        keys, name(normalisation()), name(output()), longest_row_);
    if (PyErr_WarnEx(PyExc_UserWarning, text.c_str(), 1) != 0) nb::raise_python_error();
  }

 private:
  int64_t longest_row_;
  bool told_ = false;  // guarded by the interpreter's lock
};

nb::object run_plan(PlanOfPython& plan, nb::handle x, nb::object out, nb::handle lengths,
                    std::optional<int64_t> causal_offset, nb::handle mask, nb::handle mask_bits, nb::handle rescale,
                    int64_t first_head) {
  const Array in = array_of(x, "x", true);
  const bool sums = has_type<int32_t>(in);
  if (!sums && !has_type<int8_t>(in)) {
    refuse_type(fmt::format("x must be int8 logits or int32 sums, not {}", dtype_name(in.dtype())));
  }
  if (sums == rescale.is_none()) {
    refuse(sums ? "int32 sums need rescale=(M, R)" : "int8 logits are in steps already: they have no rescale");
  }
  Call call{.sizes = sizes_of(in, "x"),
            .in = in.data(),
            .in_strides = strides_of(in),
            .first_head = first_head,
            .causal_offset = causal_offset};
  plan.warn_of(call.sizes[3]);
  const bool uint8 = plan.output() == OutputType::kUint8;
  if (out.is_none()) out = empty_array(shape_of(in), uint8 ? nb::dtype<uint8_t>() : nb::dtype<int16_t>());
  const Array to = writable_array_of(out, "out");
  if (uint8 ? !has_type<uint8_t>(to) : !has_type<int16_t>(to)) {
    refuse_type(fmt::format("out is {}, but the plan writes {}", dtype_name(to.dtype()), name(plan.output())));
  }
  if (!same_shape(to, in)) {
    refuse(fmt::format("out has shape {}, but x has {}", text_of(shape_of(to)), text_of(shape_of(in))));
  }
  call.out = writable(to);
  call.out_strides = strides_of(to);
  Arguments arguments;
  if (!lengths.is_none()) arguments.set_lengths(call, lengths);
  if (!mask.is_none() && !mask_bits.is_none()) refuse("mask and mask_bits are two forms of one mask: pass one of them");
  if (!mask.is_none()) arguments.set_mask(call, mask);
  if (!mask_bits.is_none()) arguments.set_bits(call, mask_bits);
  if (!rescale.is_none()) arguments.set_rescales(call, rescale);
  Status status;
  {
    const nb::gil_scoped_release release;
    status = run_call(plan, call, sums);
  }
  check(status);
  return out;
}

// For bench/python_bench.py: what a call costs without Python.
double seconds_a_call(const PlanOfPython& plan, nb::handle x, nb::handle out, int64_t calls) {
  const Array in = array_of(x, "x", true);
  const Array to = writable_array_of(out, "out");
  if (!has_type<int8_t>(in) || plan.output() != OutputType::kUint8 || !has_type<uint8_t>(to) || !same_shape(to, in)) {
    refuse_type("x must be int8, out uint8 of its shape, and the plan's output uint8");
  }
  const Call call{.sizes = sizes_of(in, "x"),
                  .in = in.data(),
                  .in_strides = strides_of(in),
                  .out = writable(to),
                  .out_strides = strides_of(to)};
  Status status;
  const auto start = std::chrono::steady_clock::now();
  for (int64_t i = 0; i < calls && status.ok(); ++i) status = run_call(plan, call, false);
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
  check(status);
  return taken.count() / static_cast<double>(std::max<int64_t>(calls, 1));
}

PlanOfPython make_plan(nb::handle heads, const std::string& normalisation, const std::string& output_type,
                       const std::string& target) {
  const std::vector<HeadParams> params = head_params_of(heads);
  const Normalisation mode = normalisation_of(normalisation);
  const OutputType output = output_type_of(output_type);
  SoftmaxPlan plan = value_of(SoftmaxPlan::hccs(params, mode, output, target));
  int64_t longest = kMaxRowLength;
  for (const HeadParams& head : params) longest = std::min(longest, hccs::longest_row(mode, output, head.offset));
  return {std::move(plan), longest};
}

PlanOfPython make_exact_plan(const std::vector<double>& steps, const std::string& normalisation,
                             const std::string& output_type, const std::string& target) {
  const Normalisation mode = normalisation_of(normalisation);
  const OutputType output = output_type_of(output_type);
  return {value_of(SoftmaxPlan::exact_lut(steps, mode, output, target)), hccs::longest_row(mode, output, kMaxOffset)};
}

constexpr const char* kPlanText =
    R"(Row softmax, prepared for this CPU: Plan(heads, normalisation="scaled", output_type="uint8", target="").

heads: HeadParams, one a head. normalisation: "scaled", "div" or "clb". output_type: "uint8" (p / 255) or "int16"
(p / 32767). target: an instruction set out of hccs.targets(); empty: the best. Any number of threads may call one plan.

"scaled" serves rows of every length. "div" and "clb" serve rows of up to longest_row, n * B <= 32767 for int16; of longer
rows those that are flat enough get 0 at every position, and the first call with such rows warns.)";

constexpr const char* kCallText =
    R"(Probabilities of x, an array of [batch, heads, queries, keys] or of the last axes of these; 1..65536 keys.

x: int8 logits in units of the head's step, or int32 sums with rescale=(M, R) (or an int32 array of [..., 2] that
    broadcasts over the rows): a unit of a sum is worth M * 2^-R steps, 1 <= M <= 32767, 0 <= R <= 46.
out: where to write, uint8 or int16 of x's shape; by default a new NumPy array. May be x's own memory for int8 and uint8.
lengths: integers that broadcast to [batch, heads, queries]; positions i < length are valid.
causal_offset: position i is valid for query q where i <= q + causal_offset.
mask: bool that broadcasts to x, true where a position is valid; or mask_bits: uint8 [..., (keys + 7) // 8], the least
    significant bit first. Masks combine; an invalid position gets 0 and takes no part in maximum or sum.
first_head: the plan's head of x's first.

Arrays are not copied unless their last axis is not contiguous or a stride is negative. Returns out.)";

void bind_plan(nb::module_& m) {
  nb::class_<PlanOfPython>(m, "Plan", kPlanText)
      .def(
          "__init__",
          [](PlanOfPython* self, nb::handle heads, const std::string& normalisation, const std::string& output_type,
             const std::string& target) {
            new (self) PlanOfPython(make_plan(heads, normalisation, output_type, target));
          },
          "heads"_a, "normalisation"_a = "scaled", "output_type"_a = "uint8", "target"_a = "")
      .def_static("exact", &make_exact_plan, "steps"_a, "normalisation"_a = "scaled", "output_type"_a = "uint8",
                  "target"_a = "",
                  "For comparison: the exact exponential of int8 logits, a table for each head's step > 0 (in nats).")
      .def("__call__", &run_plan, "x"_a, "out"_a = nb::none(), nb::kw_only(), "lengths"_a = nb::none(),
           "causal_offset"_a = nb::none(), "mask"_a = nb::none(), "mask_bits"_a = nb::none(), "rescale"_a = nb::none(),
           "first_head"_a = 0, kCallText)
      .def_prop_ro("target", [](const PlanOfPython& p) { return std::string(p.target()); })
      .def_prop_ro("normalisation", [](const PlanOfPython& p) { return std::string(name(p.normalisation())); })
      .def_prop_ro("output_type", [](const PlanOfPython& p) { return std::string(name(p.output())); })
      .def_prop_ro("heads", [](const PlanOfPython& p) { return p.heads(); })
      .def_prop_ro("longest_row", &PlanOfPython::longest_row,
                   "The longest row, 1..65536, of which equal logits get 1 or more; 65536 for \"scaled\".");
}

// ---- The definition -------------------------------------------------------------------------------------------------

template <class Out>
nb::object reference_row(const HeadParams& params, Normalisation normalisation, const Array& x,
                         std::optional<Rescale> rescale, const RowMask& mask) {
  const auto n = static_cast<size_t>(x.shape(0));
  nb::object result = empty_array<Out>(shape_of(x));
  const std::span<Out> p(writable<Out>(writable_array_of(result, "out")), n);
  check(rescale
            ? softmax_reference(params, normalisation, *rescale, {static_cast<const int32_t*>(x.data()), n}, mask, p)
            : softmax_reference(params, normalisation, {static_cast<const int8_t*>(x.data()), n}, mask, p));
  return result;
}

nb::object reference(nb::handle x, const HeadParams& params, const std::string& normalisation,
                     const std::string& output_type, nb::handle mask,
                     std::optional<std::pair<int32_t, int32_t>> rescale) {
  const Array row = array_of(x, "x", true);
  if (row.ndim() != 1) refuse(fmt::format("x has shape {}, but the reference takes one row", text_of(shape_of(row))));
  if (rescale ? !has_type<int32_t>(row) : !has_type<int8_t>(row)) {
    refuse_type(
        fmt::format("x must be int8 logits, or int32 sums with rescale=(M, R), not {}", dtype_name(row.dtype())));
  }
  PackedMask packed;
  RowMask row_mask;
  if (!mask.is_none()) {
    const Array valid = array_of(mask, "mask", false);
    if (!has_type<bool>(valid)) refuse_type(fmt::format("mask must be bool, not {}", dtype_name(valid.dtype())));
    packed = pack(valid, {1, 1, 1, static_cast<int64_t>(row.shape(0))});
    row_mask.bits = packed.bits.data();
  }
  std::optional<Rescale> factor;
  if (rescale) factor = Rescale{rescale->first, rescale->second};
  const Normalisation mode = normalisation_of(normalisation);
  return output_type_of(output_type) == OutputType::kUint8
             ? reference_row<uint8_t>(params, mode, row, factor, row_mask)
             : reference_row<int16_t>(params, mode, row, factor, row_mask);
}

// ---- Quantisation ---------------------------------------------------------------------------------------------------

// One step for all, or one a head of [..., heads, queries, keys].
nb::object quantise(nb::handle logits, nb::handle step) {
  const nb::object numpy = nb::module_::import_("numpy");
  const nb::object given = numpy.attr("asarray")(logits);
  const nb::object floats = numpy.attr("ascontiguousarray")(given);
  const Array in = array_of(floats, "logits", true);
  const bool doubles = has_type<double>(in);
  if (!doubles && !has_type<float>(in)) {
    refuse_type(fmt::format("logits must be float32 or float64, not {}", dtype_name(in.dtype())));
  }
  const nb::object step_values = numpy.attr("ascontiguousarray")(step, "float64").attr("ravel")();
  const auto steps = nb::cast<std::vector<double>>(step_values.attr("tolist")());
  const std::vector<int64_t> shape = shape_of(array_of(given, "logits", false));
  const auto heads = steps.size() == 1 ? int64_t{1} : shape.size() >= 3 ? shape[shape.size() - 3] : int64_t{-1};
  if (heads != std::ssize(steps)) {
    refuse(
        fmt::format("{} steps for logits of shape {}, but there is one for all, or one for each head of "
                    "[..., heads, queries, keys]",
                    steps.size(), text_of(shape)));
  }
  for (const double s : steps) {
    if (!(s > 0) || s > std::numeric_limits<double>::max()) refuse(fmt::format("step {}, but 0 < step < infinity", s));
  }
  nb::object result = empty_array<int8_t>(shape);
  const Array out = writable_array_of(result, "x");
  const size_t block = steps.size() == 1 ? in.size() : static_cast<size_t>(shape.end()[-1] * shape.end()[-2]);
  {
    const nb::gil_scoped_release release;
    auto* x = writable<int8_t>(out);
    for (size_t i = 0, head = 0; i < in.size(); i += block, head = (head + 1) % steps.size()) {
      const std::span<int8_t> to(x + i, block);
      if (doubles) {
        quantise_logits(std::span(static_cast<const double*>(in.data()) + i, block), steps[head], to);
      } else {
        quantise_logits(std::span(static_cast<const float*>(in.data()) + i, block), steps[head], to);
      }
    }
  }
  return result;
}

std::vector<std::string> names(std::span<const std::string_view> views) { return {views.begin(), views.end()}; }

}  // namespace

void bind_softmax(nb::module_& m) {
  bind_plan(m);
  m.def("reference", &reference, "x"_a, "params"_a, "normalisation"_a = "scaled", "output_type"_a = "uint8",
        nb::kw_only(), "mask"_a = nb::none(), "rescale"_a = nb::none(),
        "The definition, for tests: probabilities of one row of 1..65536 int8 logits, or of int32 sums with "
        "rescale=(M, R). mask: bool [n], true where a position is valid.");
  m.def("quantise_logits", &quantise, "logits"_a, "step"_a,
        "int8 logits: clamp(round_half_to_even(logit / step), -128, 127), computed in double; NaN gives 0.\n\n"
        "logits: float32 or float64 of any shape. step: > 0, one for all or one for each head of [..., heads, queries, "
        "keys].");
  m.def("seconds_a_call", &seconds_a_call, "plan"_a, "x"_a, "out"_a, "calls"_a,
        "What SoftmaxPlan::run takes from C++, of `calls` calls in a loop: for bench/python_bench.py.");
  m.def(
      "targets", [] { return names(targets()); },
      "Instruction sets that Plan can use on this CPU, best first; the last is 'portable'.");
  m.def(
      "compiled_targets", [] { return names(compiled_targets()); },
      "Instruction sets that this build has kernels for, also where this CPU lacks them.");
}

}  // namespace hccs::python
