// SPDX-License-Identifier: Apache-2.0
#include "hccs/calibration.h"

#include <fmt/core.h>
#include <nanobind/nanobind.h>
#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <new>
#include <utility>

#include "arrays.h"
#include "bind.h"
#include "hccs/calibrate_model.h"
#include "hccs/evaluate_logits.h"
#include "hccs/row_file.h"
#include "job.h"
#include "pipeline/sampled_parts.h"
#include "status.h"

namespace hccs::python {

namespace nb = nanobind;
using nb::literals::operator""_a;

namespace {

// hccs.RowSample. While a job works on the rows without the interpreter's lock they are lent, and nobody else may touch
// them.
struct Sample {
  RowSample rows;
  bool lent = false;

  RowSample& mine() {
    if (lent) refuse("the sample is in use by another call");
    return rows;
  }
};

// The samples' rows in one place, without a copy, for as long as this lives.
class Lent {
 public:
  explicit Lent(const std::vector<Sample*>& samples) : samples_(samples) {
    for (Sample* sample : samples_) {
      if (sample->lent) {
        give_back();
        refuse("a sample is there twice, or is in use by another call");
      }
      sample->lent = true;
      rows_.push_back(std::move(sample->rows));
    }
  }
  ~Lent() { give_back(); }
  Lent(const Lent&) = delete;
  Lent& operator=(const Lent&) = delete;

  std::vector<RowSample>& rows() { return rows_; }

 private:
  void give_back() {
    for (size_t i = 0; i < rows_.size(); ++i) {
      samples_[i]->rows = std::move(rows_[i]);
      samples_[i]->lent = false;
    }
    rows_.clear();
  }

  std::vector<Sample*> samples_;
  std::vector<RowSample> rows_;
};

// ---- RowSample ------------------------------------------------------------------------------------------------------

void add(Sample& sample, uint64_t id, nb::handle logits, nb::handle lengths, nb::handle mask) {
  RowSample& rows = sample.mine();
  Array in = array_of(logits, "logits", true);
  if (!has_type<float>(in)) {
    const nb::object floats = nb::module_::import_("numpy").attr("asarray")(logits, "float32");
    in = array_of(floats, "logits", true);
  }
  if (in.ndim() != 1 && in.ndim() != 2) {
    refuse(fmt::format("logits have shape {}, but one row [n], or [rows, n], is needed", text_of(shape_of(in))));
  }
  const Four sizes = sizes_of(in, "logits");
  const Four strides = strides_of(in);
  Array length_of;
  Array valid;
  std::vector<int64_t> length_strides;
  std::vector<int64_t> mask_strides;
  if (!lengths.is_none()) {
    length_of = int32_array_of(lengths, "lengths");
    length_strides = broadcast(length_of, std::span(sizes).subspan(2, 1), "lengths");
  }
  if (!mask.is_none()) {
    valid = array_of(mask, "mask", false);
    if (!has_type<bool>(valid)) refuse_type(fmt::format("mask must be bool, not {}", dtype_name(valid.dtype())));
    mask_strides = broadcast(valid, std::span(sizes).last(2), "mask");
  }
  std::vector<float> row;
  for (int64_t r = 0; r < sizes[2]; ++r) {
    const float* from = static_cast<const float*>(in.data()) + r * strides[2];
    int64_t n = sizes[3];
    if (!lengths.is_none()) {
      const int64_t length = static_cast<const int32_t*>(length_of.data())[r * length_strides[0]];
      if (length < 0 || length > n) refuse(fmt::format("length {} of row {}, but 0 <= length <= {}", length, r, n));
      n = length;
    }
    if (!mask.is_none()) {
      row.clear();
      const auto* bits = static_cast<const uint8_t*>(valid.data()) + r * mask_strides[0];
      for (int64_t i = 0; i < n; ++i) {
        if (bits[i * mask_strides[1]] != 0) row.push_back(from[i]);
      }
      from = row.data();
      n = std::ssize(row);
    }
    if (n == 0 && sizes[3] > 0) continue;  // nothing is valid: no row
    check(rows.add(id + static_cast<uint64_t>(r), std::span(from, static_cast<size_t>(n))));
  }
}

// capacity, seed, counts, ids, logits
using SampleState = std::tuple<int64_t, uint64_t, std::vector<int64_t>, std::vector<uint64_t>, std::vector<nb::bytes>>;

SampleState state_of(Sample& sample) {
  const RowSample& rows = sample.mine();
  std::vector<uint64_t> ids;
  std::vector<nb::bytes> logits;
  for (const RowSample::Row& row : rows.rows()) {
    ids.push_back(row.id);
    logits.emplace_back(row.logits.data(), row.logits.size() * sizeof(float));
  }
  return {rows.capacity(),
          rows.seed(),
          {rows.rows_seen(), rows.non_finite_rows(), rows.minus_infinity_rows()},
          ids,
          logits};
}

void restore(Sample& self, const SampleState& state) {
  const auto& [capacity, seed, counts, ids, logits] = state;
  if (counts.size() != 3 || ids.size() != logits.size()) refuse("this is no state of a RowSample");
  std::vector<RowSample::Row> rows;
  for (size_t i = 0; i < ids.size(); ++i) {
    const auto* first = static_cast<const float*>(logits[i].data());
    rows.push_back({.id = ids[i], .logits = std::vector<float>(first, first + logits[i].size() / sizeof(float))});
  }
  new (&self) Sample{value_of(RowSample::restore(capacity, seed, {counts[0], counts[1], counts[2]}, std::move(rows)))};
}

nb::list rows_of(Sample& sample) {
  nb::list list;
  for (const RowSample::Row& row : sample.mine().rows()) {
    const int64_t shape[] = {std::ssize(row.logits)};
    const nb::object array = empty_array<float>(shape);
    std::copy(row.logits.begin(), row.logits.end(), writable<float>(writable_array_of(array, "row")));
    list.append(nb::make_tuple(row.id, array));
  }
  return list;
}

void bind_sample(nb::module_& m) {
  nb::class_<Sample>(
      m, "RowSample",
      "A uniform sample of one head's rows of float logits: RowSample(capacity=4096, seed=0). It keeps the "
      "`capacity` rows whose ids hash lowest, so it is the same for any order of add() and any partition "
      "between samples that are merged, provided that each row has an id of its own. Can be pickled.")
      .def(
          "__init__",
          [](Sample* self, int64_t capacity, uint64_t seed) {
            if (capacity < 1) refuse(fmt::format("capacity {}, but capacity >= 1", capacity));
            new (self) Sample{RowSample(capacity, seed)};
          },
          "capacity"_a = 4096, "seed"_a = 0)
      .def(
          "add", &add, "id"_a, "logits"_a, "lengths"_a = nb::none(), "mask"_a = nb::none(),
          "Adds a row of logits [n], or rows [rows, n] with ids id, id + 1, ...; floats, 1..65536 of them a row.\n\n"
          "Only valid positions count: the first lengths[r] of row r, those where mask [rows, n] (bool) is true. A row "
          "without any is left out; one with NaN or an infinity is counted, and calibration then refuses the head.")
      .def(
          "merge", [](Sample& self, Sample& other) { check(self.mine().merge(other.mine())); }, "other"_a,
          "Adds what another sample of the same head, capacity and seed has seen. ValueError for a row id that both "
          "have.")
      .def("rows", &rows_of, "The kept rows: a list of (id, float32 array).")
      .def_prop_ro("capacity", [](Sample& s) { return s.mine().capacity(); })
      .def_prop_ro("seed", [](Sample& s) { return s.mine().seed(); })
      .def_prop_ro(
          "rows_seen", [](Sample& s) { return s.mine().rows_seen(); }, "Rows added, kept or not.")
      .def_prop_ro("non_finite_rows", [](Sample& s) { return s.mine().non_finite_rows(); })
      .def(
          "__len__", [](Sample& s) { return s.mine().rows().size(); }, "Rows kept.")
      .def("__getstate__", &state_of)
      .def("__setstate__", &restore)
      .def("__repr__", [](Sample& s) {
        return fmt::format("<hccs.RowSample of {} rows, {} seen>", s.mine().rows().size(), s.mine().rows_seen());
      });
}

// ---- Calibration ----------------------------------------------------------------------------------------------------

template <class T>
T choice(const char* what, const std::string& name, std::initializer_list<std::pair<const char*, T>> choices) {
  std::string known;
  for (const auto& [text, value] : choices) {
    if (name == text) return value;
    known += fmt::format("{}\"{}\"", known.empty() ? "" : ", ", text);
  }
  refuse(fmt::format("{} \"{}\", but there are {}", what, name, known));
}

int64_t layers_of(int64_t samples, int64_t heads) {
  if (heads < 1 || samples < 1 || samples % heads != 0) {
    refuse(fmt::format("{} samples, but layers of {} heads each need a whole number of them, at least one", samples,
                       heads));
  }
  return samples / heads;
}

Params calibrate_samples_of(const std::vector<Sample*>& samples, int64_t heads, int32_t knees,
                            const std::string& limits, int64_t length, const std::string& step,
                            const std::string& share, const std::string& on_unfit, const std::string& implausible,
                            int threads, std::string model, int64_t head_dimension, std::string weights_digest,
                            nb::handle progress) {
  const int64_t layers = layers_of(std::ssize(samples), heads);
  CalibrateModelOptions options{
      .calibration = {
          .knees = knees,
          .limits = choice<Limits>("limits", limits, {{"native", Limits::kNative}, {"paper", Limits::kPaper}}),
          .length = length,
          .step = choice<StepKind>("step", step, {{"real", StepKind::kReal}, {"power-of-two", StepKind::kPowerOfTwo}}),
          .share = choice<Share>("share", share,
                                 {{"head", Share::kHead}, {"layer", Share::kLayer}, {"global", Share::kGlobal}}),
          .on_unfit = choice<OnUnfit>("on_unfit", on_unfit, {{"stop", OnUnfit::kStop}, {"default", OnUnfit::kDefault}}),
          .on_implausible = choice<OnImplausible>("implausible", implausible,
                                                  {{"stop", OnImplausible::kStop}, {"report", OnImplausible::kReport}}),
          .threads = threads}};
  Lent lent(samples);
  options.seed = lent.rows().front().seed();
  SampledModel sampled{.heads = std::move(lent.rows()),
                       .model = {.name = std::move(model),
                                 .layers = layers,
                                 .heads = heads,
                                 .head_dimension = head_dimension,
                                 .weights_digest = std::move(weights_digest)}};
  // Back to their owners whatever happens.
  const auto restore_rows = [&] { lent.rows() = std::move(sampled.heads); };
  try {
    auto result = result_of_job(progress, {}, [&](const Progress& report) {
      options.calibration.progress = report;
      sampled.model.data_digest = internal::digest_of_data(sampled);
      return calibrate_samples(sampled, options);
    });
    check(validate(result.params));
    restore_rows();
    return {std::move(result.params), std::move(result.fits)};
  } catch (...) {
    restore_rows();
    throw;
  }
}

std::vector<HeadEvaluation> evaluate_samples(const std::vector<Sample*>& samples, const Params& params,
                                             const std::string& normalisation, const std::string& output_type,
                                             const std::string& implausible, int threads, nb::handle progress) {
  EvaluateLogitsOptions options{
      .normalisation = normalisation_of(normalisation),
      .output = output_type_of(output_type),
      .on_implausible = choice<OnImplausible>("implausible", implausible,
                                              {{"stop", OnImplausible::kStop}, {"report", OnImplausible::kReport}}),
      .threads = threads};
  Lent lent(samples);
  SampledModel sampled{.heads = std::move(lent.rows()),
                       .model = {.name = params.file.model,
                                 .layers = layers_of(std::ssize(samples), params.file.heads),
                                 .heads = params.file.heads}};
  const auto restore_rows = [&] { lent.rows() = std::move(sampled.heads); };
  try {
    auto result = result_of_job(progress, {}, [&](const Progress& report) {
      options.progress = report;
      return evaluate_logits(sampled, params.file, options);
    });
    restore_rows();
    return std::move(result.heads);
  } catch (...) {
    restore_rows();
    throw;
  }
}

// ---- Files of rows --------------------------------------------------------------------------------------------------

void save_rows(const std::filesystem::path& path, const std::vector<Sample*>& samples, int64_t heads, std::string model,
               int64_t head_dimension, std::string weights_digest) {
  const int64_t layers = layers_of(std::ssize(samples), heads);
  SampledModel sampled{.model = {.name = std::move(model),
                                 .layers = layers,
                                 .heads = heads,
                                 .head_dimension = head_dimension,
                                 .weights_digest = std::move(weights_digest)}};
  for (Sample* sample : samples) sampled.heads.push_back(sample->mine());
  check(write_rows(path, sampled), path.parent_path());
}

nb::object load_rows(const std::vector<std::filesystem::path>& paths) {
  SampledModel sampled;
  {
    Expected<SampledModel> read = read_and_merge_rows(paths);
    const auto absent =
        std::find_if(paths.begin(), paths.end(), [](const auto& p) { return !std::filesystem::exists(p); });
    sampled = value_of(std::move(read), absent == paths.end() ? std::filesystem::path() : *absent);
  }
  nb::list heads;
  for (RowSample& head : sampled.heads) heads.append(nb::cast(Sample{std::move(head)}));
  return nb::make_tuple(heads, sampled.model.heads);
}

void bind_results(nb::module_& m) {
  nb::class_<HeadFit>(m, "HeadFit", "What calibration says of one head.")
      .def_ro("params", &HeadFit::params)
      .def_ro("step", &HeadFit::step)
      .def_ro("kl", &HeadFit::kl)
      .def_ro("kl_continuous", &HeadFit::kl_continuous)
      .def_ro("kl_held_out", &HeadFit::kl_held_out,
              "Of few rows: the KL of each half under what the other gave; or None.")
      .def_ro("rows", &HeadFit::rows)
      .def_ro("longest_row", &HeadFit::longest_row)
      .def_ro("max_probability", &HeadFit::max_probability)
      .def_ro("unfit_reason", &HeadFit::unfit_reason, "Not empty: the head has a stated default, and this is why.")
      .def_prop_ro(
          "findings",
          [](const HeadFit& fit) {
            std::vector<std::string> texts;
            for (const Finding& finding : fit.findings) texts.push_back(finding.message);
            return texts;
          },
          "What is odd about the head's rows, in words.")
      .def_prop_ro(
          "finding_kinds",
          [](const HeadFit& fit) {
            std::vector<std::string> kinds;
            for (const Finding& finding : fit.findings) kinds.emplace_back(name(finding.kind));
            return kinds;
          },
          "The kind of each finding: 'masked-logits', 'padding', 'probabilities', 'shifted-rows', 'whole-numbers' or "
          "'few-rows'.");
  nb::class_<HeadEvaluation>(m, "HeadEvaluation", "One head's integers against the float softmax of rows.")
      .def_ro("layer", &HeadEvaluation::layer)
      .def_ro("head", &HeadEvaluation::head)
      .def_ro("rows", &HeadEvaluation::rows)
      .def_ro("kl_mean", &HeadEvaluation::kl_mean, "Mean KL(softmax || integers) in nats.")
      .def_ro("kl_worst", &HeadEvaluation::kl_worst, "Of one row.")
      .def_ro("top1_agreement", &HeadEvaluation::top1_agreement,
              "Share of rows whose largest probability is at the largest logit, 0..1.")
      .def_ro("largest_error", &HeadEvaluation::largest_error, "|p / T - softmax| of one position, 0..1.")
      .def_ro("largest_probability", &HeadEvaluation::largest_probability)
      .def_ro("largest_float_probability", &HeadEvaluation::largest_float_probability);
}

}  // namespace

void bind_calibration(nb::module_& m) {
  bind_sample(m);
  bind_results(m);
  m.def("calibrate", &calibrate_samples_of, "samples"_a, "heads"_a, nb::kw_only(), "knees"_a, "limits"_a, "length"_a,
        "step"_a, "share"_a, "on_unfit"_a, "implausible"_a, "threads"_a, "model"_a, "head_dimension"_a,
        "weights_digest"_a, "progress"_a.none());
  m.def("evaluate", &evaluate_samples, "samples"_a, "params"_a, nb::kw_only(), "normalisation"_a, "output_type"_a,
        "implausible"_a, "threads"_a, "progress"_a.none());
  m.def("save_rows", &save_rows, "path"_a, "samples"_a, "heads"_a, nb::kw_only(), "model"_a = "logits",
        "head_dimension"_a = 0, "weights_digest"_a = "",
        "Writes the samples of all heads (layer by layer, `heads` a layer) to a file for load_rows() and for\n"
        "`hccs calibrate --rows`, which takes several of one model.");
  m.def("load_rows", &load_rows, "paths"_a,
        "Reads files of rows of one model and merges them: (samples, heads a layer).");
}

}  // namespace hccs::python
