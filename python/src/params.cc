// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>
#include <nanobind/nanobind.h>
#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <new>
#include <utility>

#include "bind.h"
#include "hccs/deployability.h"
#include "status.h"

namespace hccs::python {

namespace nb = nanobind;
using nb::literals::operator""_a;

namespace {

using Knees = std::vector<std::pair<int32_t, int32_t>>;

HeadParams make_head(int32_t offset, const Knees& knees) {
  std::vector<Knee> values;
  values.reserve(knees.size());
  for (const auto& [slope, position] : knees) values.push_back({slope, position});
  HeadParams params(offset, std::span<const Knee>(values));
  check(validate(params));
  return params;
}

Knees knees_of(const HeadParams& params) {
  Knees knees;
  for (const Knee& knee : params.active_knees()) knees.emplace_back(knee.slope, knee.position);
  return knees;
}

std::string text_of(const HeadParams& params) {
  std::string knees;
  for (const Knee& knee : params.active_knees()) {
    knees += fmt::format("{}({}, {})", knees.empty() ? "" : ", ", knee.slope, knee.position);
  }
  return fmt::format("HeadParams({}, [{}])", params.offset, knees);
}

void bind_head_params(nb::module_& m) {
  nb::class_<HeadParams>(m, "HeadParams",
                         "The integers of one attention head: s(d) = B - sum_k S_k * min(d, D_k) for d = row maximum - "
                         "logit.\n\nHeadParams(B, [(S, D), ...]): 1 <= B <= 32767, one to four knees, 0 <= S <= 127, "
                         "1 <= D_1 < D_2 < ... <= 127, and a floor F = B - sum S * D >= 0; else ValueError.")
      .def(
          "__init__",
          [](HeadParams* self, int32_t offset, const Knees& knees) { new (self) HeadParams(make_head(offset, knees)); },
          "offset"_a, "knees"_a)
      .def_prop_ro(
          "offset", [](const HeadParams& p) { return p.offset; }, "B: the score of the row's maximum.")
      .def_prop_ro("knees", &knees_of, "[(S, D), ...], positions D rising.")
      .def_prop_ro("floor", &HeadParams::floor, "F: the score beyond the last knee, 0..B.")
      .def(
          "score",
          [](const HeadParams& p, int64_t d) {
            if (d < 0) refuse(fmt::format("distance {}, but d >= 0", d));
            return p.score(d);
          },
          "d"_a, "s(d) of a distance d >= 0.")
      .def(
          "longest_row",
          [](const HeadParams& p, const std::string& normalisation, const std::string& output_type) {
            return hccs::longest_row(normalisation_of(normalisation), output_type_of(output_type), p.offset);
          },
          "normalisation"_a = "scaled", "output_type"_a = "uint8",
          "The longest row, 1..65536, of which equal logits get 1 or more: what \"div\" and \"clb\" serve. n * B <= "
          "32767 "
          "for int16; every length for \"scaled\".")
      .def("__eq__", [](const HeadParams& a, const HeadParams& b) { return a == b; })
      .def("__eq__", [](const HeadParams&, nb::handle) { return false; })
      .def("__hash__", [](const HeadParams& p) { return nb::hash(nb::str(text_of(p).c_str())); })
      .def("__getstate__", [](const HeadParams& p) { return std::make_pair(p.offset, knees_of(p)); })
      .def("__setstate__",
           [](HeadParams& self, const std::pair<int32_t, Knees>& state) {
             new (&self) HeadParams(make_head(state.first, state.second));
           })
      .def("__repr__", &text_of);
}

using EntryState = std::tuple<HeadParams, double, double, double, int64_t, double, bool>;

void bind_head_entry(nb::module_& m) {
  nb::class_<HeadEntry>(m, "HeadEntry", "One head of a parameter file.")
      .def(
          "__init__",
          [](HeadEntry* self, const HeadParams& params, double step, double kl, double kl_continuous, int64_t rows,
             double max_probability, bool is_default) {
            new (self) HeadEntry{params, step, kl, kl_continuous, rows, max_probability, is_default};
          },
          "params"_a, "step"_a, nb::kw_only(), "kl"_a = 0.0, "kl_continuous"_a = 0.0, "rows"_a = 0,
          "max_probability"_a = 0.0, "is_default"_a = false)
      .def_ro("params", &HeadEntry::params, "HeadParams: B and knees.")
      .def_ro("step", &HeadEntry::step, "The real value of one unit of the int8 logits; > 0.")
      .def_ro("kl", &HeadEntry::kl, "Mean KL(softmax || integers) of the calibration rows, in nats; >= 0.")
      .def_ro("kl_continuous", &HeadEntry::kl_continuous, "The same before rounding to integers.")
      .def_ro("rows", &HeadEntry::rows, "How many rows it was calibrated on.")
      .def_ro("max_probability", &HeadEntry::max_probability, "The most that one position of the longest row can get.")
      .def_ro("is_default", &HeadEntry::is_default, "True: the head could not be fitted and has a stated default.")
      .def("__getstate__",
           [](const HeadEntry& e) {
             return EntryState(e.params, e.step, e.kl, e.kl_continuous, e.rows, e.max_probability, e.is_default);
           })
      .def("__setstate__",
           [](HeadEntry& self, const EntryState& s) {
             new (&self) HeadEntry{std::get<0>(s), std::get<1>(s), std::get<2>(s), std::get<3>(s),
                                   std::get<4>(s), std::get<5>(s), std::get<6>(s)};
           })
      .def("__repr__", [](const HeadEntry& e) {
        return fmt::format("HeadEntry({}, step={}, kl={})", text_of(e.params), e.step, e.kl);
      });
}

Params make_params(std::string model, int64_t layers, int64_t heads, std::vector<HeadEntry> entries,
                   int64_t head_dimension, int64_t sequence_length, const std::string& limits, const std::string& share,
                   uint64_t seed, std::string data_digest, std::string weights_digest, int64_t knees) {
  Params params;
  ParamFile& file = params.file;
  const auto limits_value = parse_limits(limits);
  if (!limits_value) refuse(fmt::format("limits \"{}\", but there are \"native\" and \"paper\"", limits));
  const auto share_value = parse_share(share);
  if (!share_value) refuse(fmt::format("share \"{}\", but there are \"head\", \"layer\" and \"global\"", share));
  file = {.model = std::move(model),
          .layers = layers,
          .heads = heads,
          .head_dimension = head_dimension,
          .sequence_length = sequence_length,
          .knees = std::max<int64_t>(knees, 1),
          .limits = *limits_value,
          .share = *share_value,
          .seed = seed,
          .data_digest = std::move(data_digest),
          .weights_digest = std::move(weights_digest),
          .entries = std::move(entries)};
  for (const HeadEntry& entry : file.entries) {
    if (knees == 0) file.knees = std::max<int64_t>(file.knees, entry.params.knee_count);
  }
  check(validate(file));
  return params;
}

// make_params()' arguments.
using ParamsState = std::tuple<std::string, int64_t, int64_t, std::vector<HeadEntry>, int64_t, int64_t, std::string,
                               std::string, uint64_t, std::string, std::string, int64_t>;

ParamsState state_of(const Params& params) {
  const ParamFile& f = params.file;
  return {f.model,
          f.layers,
          f.heads,
          f.entries,
          f.head_dimension,
          f.sequence_length,
          std::string(name(f.limits)),
          std::string(name(f.share)),
          f.seed,
          f.data_digest,
          f.weights_digest,
          f.knees};
}

const HeadEntry& entry_at(const Params& params, int64_t layer, int64_t head) {
  const ParamFile& file = params.file;
  if (layer < 0 || layer >= file.layers || head < 0 || head >= file.heads) {
    throw nb::index_error(
        fmt::format("{}, but there are {} layers of {} heads", head_name(layer, head), file.layers, file.heads)
            .c_str());
  }
  return file.at(layer, head);
}

std::vector<HeadParams> layer_of(const Params& params, int64_t layer) {
  std::vector<HeadParams> heads;
  for (int64_t h = 0; h < params.file.heads; ++h) heads.push_back(entry_at(params, layer, h).params);
  return heads;
}

void bind_params_fields(nb::class_<Params>& params) {
  params
      .def_prop_ro(
          "model", [](const Params& p) { return p.file.model; }, "The model's name.")
      .def_prop_ro("layers", [](const Params& p) { return p.file.layers; })
      .def_prop_ro(
          "heads", [](const Params& p) { return p.file.heads; }, "Heads of a layer.")
      .def_prop_ro(
          "head_dimension", [](const Params& p) { return p.file.head_dimension; }, "0: unknown.")
      .def_prop_ro(
          "sequence_length", [](const Params& p) { return p.file.sequence_length; },
          "Positions of the longest row in calibration.")
      .def_prop_ro(
          "knees", [](const Params& p) { return p.file.knees; }, "K, 1..4: no head has more.")
      .def_prop_ro(
          "limits", [](const Params& p) { return std::string(name(p.file.limits)); }, "'native' or 'paper'.")
      .def_prop_ro(
          "share", [](const Params& p) { return std::string(name(p.file.share)); }, "'head', 'layer' or 'global'.")
      .def_prop_ro("seed", [](const Params& p) { return p.file.seed; })
      .def_prop_ro(
          "data_digest", [](const Params& p) { return p.file.data_digest; }, "Identifies the calibration data.")
      .def_prop_ro(
          "weights_digest", [](const Params& p) { return p.file.weights_digest; },
          "Identifies the model's weights; empty: unknown.")
      .def_prop_ro(
          "entries", [](const Params& p) { return p.file.entries; }, "All heads, layer by layer: a list of HeadEntry.")
      .def_prop_ro(
          "fits", [](const Params& p) { return p.fits; },
          "What calibration said of each head, a list of HeadFit; empty for a file that was loaded.");
}

}  // namespace

std::vector<HeadParams> head_params_of(nb::handle heads) {
  if (!nb::isinstance<nb::sequence>(heads) || nb::isinstance<nb::str>(heads)) {
    refuse_type("heads must be a sequence of HeadParams or HeadEntry, one a head");
  }
  std::vector<HeadParams> params;
  for (nb::handle head : nb::borrow<nb::sequence>(heads)) {
    if (nb::isinstance<HeadParams>(head)) {
      params.push_back(nb::cast<HeadParams>(head));
    } else if (nb::isinstance<HeadEntry>(head)) {
      params.push_back(nb::cast<HeadEntry>(head).params);
    } else {
      refuse_type("heads must be a sequence of HeadParams or HeadEntry, one a head");
    }
  }
  return params;
}

int64_t longest_row(const ParamFile& file, Normalisation normalisation, OutputType output) {
  int64_t longest = kMaxRowLength;
  for (const HeadEntry& entry : file.entries) {
    longest = std::min(longest, hccs::longest_row(normalisation, output, entry.params.offset));
  }
  return longest;
}

void warn_of_range(const ParamFile& file, Normalisation normalisation, OutputType output, int stack_level) {
  const int64_t longest = longest_row(file, normalisation, output);
  if (file.sequence_length <= longest) return;
  const std::string text = fmt::format(
      "the parameters were calibrated on rows of up to {}, but by {} to {} rows of more than {} may get 0 at every "
      "position (Params.longest_row); normalisation=\"scaled\" serves every length",
      file.sequence_length, name(normalisation), name(output), longest);
  if (PyErr_WarnEx(PyExc_UserWarning, text.c_str(), stack_level) != 0) nb::raise_python_error();
}

void bind_params(nb::module_& m) {
  m.def(
      "warn_of_range",
      [](const Params& p, const std::string& normalisation, const std::string& output_type) {
        warn_of_range(p.file, normalisation_of(normalisation), output_type_of(output_type), 2);
      },
      "params"_a, "normalisation"_a, "output_type"_a);
  bind_head_params(m);
  bind_head_entry(m);
  nb::class_<Params> params(m, "Params",
                            "A parameter file: the integers and the logit step of every head of a model. The C++ "
                            "program, the exports and the encoder read the same file.");
  params
      .def(
          "__init__",
          [](Params* self, std::string model, int64_t layers, int64_t heads, std::vector<HeadEntry> entries,
             int64_t head_dimension, int64_t sequence_length, const std::string& limits, const std::string& share,
             uint64_t seed, std::string data_digest, std::string weights_digest, int64_t knees) {
            new (self)
                Params(make_params(std::move(model), layers, heads, std::move(entries), head_dimension, sequence_length,
                                   limits, share, seed, std::move(data_digest), std::move(weights_digest), knees));
          },
          "model"_a, "layers"_a, "heads"_a, "entries"_a, nb::kw_only(), "head_dimension"_a = 0, "sequence_length"_a = 1,
          "limits"_a = "native", "share"_a = "head", "seed"_a = 0, "data_digest"_a = "", "weights_digest"_a = "",
          "knees"_a = 0, "knees: K, no head has more; 0: as many as the heads have.")
      .def_static(
          "load",
          [](const std::filesystem::path& path) {
            return Params{value_of(read_param_file(path), path), {}};
          },
          "path"_a, "Reads a parameter file. FileNotFoundError, OSError, or ValueError with the field, value and rule.")
      .def(
          "save",
          [](const Params& p, const std::filesystem::path& path) {
            check(write_param_file(path, p.file), path.parent_path());
          },
          "path"_a, "Writes the parameter file, whole or not at all. Loading and saving gives the same bytes.")
      .def("__getstate__", &state_of)
      .def("__setstate__",
           [](Params& self, const ParamsState& state) { new (&self) Params(std::apply(make_params, state)); })
      .def(
          "__getitem__",
          [](const Params& p, std::pair<int64_t, int64_t> at) { return entry_at(p, at.first, at.second); },
          "params[layer, head]: a HeadEntry, both counted from 0.")
      .def(
          "longest_row",
          [](const Params& p, const std::string& normalisation, const std::string& output_type) {
            return longest_row(p.file, normalisation_of(normalisation), output_type_of(output_type));
          },
          "normalisation"_a = "scaled", "output_type"_a = "uint8", "The least of its heads' longest_row().")
      .def("layer", &layer_of, "layer"_a, "The heads of a layer: a list of HeadParams.")
      .def(
          "__eq__",
          [](const Params& a, const Params& b) {
            if (a.file.entries.size() != b.file.entries.size()) return false;
            for (size_t i = 0; i < a.file.entries.size(); ++i) {
              const HeadEntry& x = a.file.entries[i];
              const HeadEntry& y = b.file.entries[i];
              if (x.params != y.params || x.step != y.step) return false;
            }
            return a.file.layers == b.file.layers && a.file.heads == b.file.heads;
          },
          "Whether layers, heads, integers and steps are the same.")
      .def("__eq__", [](const Params&, nb::handle) { return false; })
      .def("__repr__", [](const Params& p) {
        return fmt::format("<hccs.Params of {}: {} layers of {} heads, K = {}>",
                           p.file.model.empty() ? "a model without a name" : p.file.model, p.file.layers, p.file.heads,
                           p.file.knees);
      });
  bind_params_fields(params);
}

}  // namespace hccs::python
