// SPDX-License-Identifier: Apache-2.0
#include "hccs/encoder.h"

#include <fmt/core.h>
#include <nanobind/nanobind.h>
#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <memory>
#include <new>
#include <optional>
#include <utility>

#include "arrays.h"
#include "bind.h"
#include "hccs/integer_encoder.h"
#include "hccs/model_folder.h"
#include "job.h"
#include "status.h"

namespace hccs::python {

namespace nb = nanobind;
using nb::literals::operator""_a;

namespace {

using Texts = std::vector<std::string>;

// A float model with a softmax, or an integer model.
struct Encoder {
  struct Float {
    ModelFolder folder;
    BertEncoder encoder;
    std::unique_ptr<AttentionSoftmax> softmax;
  };
  std::optional<Float> of_float;
  std::optional<IntegerEncoder> of_integers;

  int64_t embedding_size() const {
    return of_float ? of_float->encoder.embedding_size() : of_integers->info().hidden_size;
  }
  Texts labels() const { return of_float ? of_float->folder.labels : of_integers->info().labels; }
};

std::unique_ptr<AttentionSoftmax> softmax_of(const ModelFolder& folder, const std::optional<Params>& params,
                                             const std::string& kind, const std::string& normalisation,
                                             const std::string& output_type) {
  if (kind == "exact") return make_exact_softmax();
  if (kind != "hccs" && kind != "int8-exact") {
    refuse(fmt::format("softmax \"{}\", but there are \"hccs\", \"int8-exact\" and \"exact\"", kind));
  }
  if (!params) refuse(fmt::format("softmax \"{}\" needs params", kind));
  const BertConfig& config = folder.config;
  check(check_matches(params->file, folder.name, config.layers, config.heads, config.head_dimension(),
                      folder.weights.digest()));
  if (kind == "hccs") {
    const Normalisation mode = normalisation_of(normalisation);
    const OutputType output = output_type_of(output_type);
    warn_of_range(params->file, mode, output, 1);
    return value_of(make_hccs_softmax(params->file, mode, output));
  }
  std::vector<double> steps;
  for (const HeadEntry& entry : params->file.entries) steps.push_back(entry.step);
  return value_of(make_int8_exact_softmax(steps, config.heads));
}

void load(Encoder* self, const std::filesystem::path& path, nb::handle params, const std::string& softmax,
          const std::string& normalisation, const std::string& output_type) {
  if (is_integer_model(path)) {
    if (!params.is_none()) refuse(fmt::format("{}: an integer model has parameters of its own", path.native()));
    new (self) Encoder{.of_integers = value_of(IntegerEncoder::load(path), path)};
    return;
  }
  ModelFolder folder = value_of(open_model_folder(path), path);
  std::optional<Params> given;
  if (!params.is_none()) given = nb::cast<Params>(params);
  const std::string kind = !softmax.empty() ? softmax : given ? "hccs" : "exact";
  auto softmax_object = softmax_of(folder, given, kind, normalisation, output_type);
  BertEncoder encoder = value_of(BertEncoder::load(folder), path);
  new (self) Encoder{.of_float = Encoder::Float{std::move(folder), std::move(encoder), std::move(softmax_object)}};
}

nb::object matrix(const std::vector<float>& values, size_t rows) {
  const auto count = static_cast<int64_t>(rows);
  const int64_t shape[] = {count, count == 0 ? 0 : std::ssize(values) / count};
  nb::object array = empty_array<float>(shape);
  std::copy(values.begin(), values.end(), writable<float>(writable_array_of(array, "result")));
  return array;
}

std::vector<Encoding> encode(const Encoder& encoder, const Texts& texts, bool classify) {
  std::vector<Encoding> encodings;
  for (const std::string& text : texts) {
    if (encoder.of_integers) {
      const IntegerModelInfo& info = encoder.of_integers->info();
      encodings.push_back(classify ? encoder.of_integers->tokenizer().encode(text, info.classifier_max_length)
                                   : encoder.of_integers->encode(text));
    } else {
      const ModelFolder& folder = encoder.of_float->folder;
      encodings.push_back(classify
                              ? folder.tokenizer.encode(text, folder.max_length)
                              : folder.tokenizer.encode(folder.sentence.prepared(text), folder.sentence.max_length));
    }
  }
  return encodings;
}

nb::object run(const Encoder& encoder, const Texts& texts, bool classify, int threads, nb::handle progress) {
  const auto values = result_of_job(progress, {}, [&](const Progress& report) {
    const std::vector<Encoding> encodings = encode(encoder, texts, classify);
    if (encoder.of_integers) {
      const IntegerEncoder::Options options{.threads = threads, .progress = report};
      return classify ? encoder.of_integers->classify(encodings, options)
                      : encoder.of_integers->embed(encodings, options);
    }
    const EncodeOptions options{.threads = threads, .progress = report};
    const Encoder::Float& model = *encoder.of_float;
    return classify ? model.encoder.classify(encodings, *model.softmax, options)
                    : model.encoder.embed(encodings, *model.softmax, options);
  });
  return matrix(values, texts.size());
}

}  // namespace

void bind_encoder(nb::module_& m) {
  nb::class_<Encoder>(
      m, "Encoder",
      "A sentence encoder of the BERT family: Encoder(path, params=None, softmax=\"\", normalisation=\"scaled\", "
      "output_type=\"uint8\").\n\npath: a Hugging Face or sentence-transformers folder, run in float32, or an integer "
      "model that `hccs quantise` wrote, run in integers, the same bits on every machine. params: hccs.Params of the "
      "folder's model. softmax: \"hccs\" (the default with params), \"int8-exact\" or \"exact\" (the default "
      "without).\n\n"
      "FileNotFoundError, OSError, or ValueError with what the folder has that is not supported.")
      .def("__init__", &load, "path"_a, "params"_a = nb::none(), "softmax"_a = "", "normalisation"_a = "scaled",
           "output_type"_a = "uint8")
      .def(
          "embed",
          [](const Encoder& e, const Texts& texts, int threads, nb::handle progress) {
            return run(e, texts, false, threads, progress);
          },
          "texts"_a, nb::kw_only(), "threads"_a = 1, "progress"_a = nb::none(),
          "Embeddings of length 1: float32 [texts, embedding_size]. What a text gives depends on the text alone.\n"
          "progress: called with (done, total) texts; returning False raises hccs.Cancelled.")
      .def(
          "classify",
          [](const Encoder& e, const Texts& texts, int threads, nb::handle progress) {
            return run(e, texts, true, threads, progress);
          },
          "texts"_a, nb::kw_only(), "threads"_a = 1, "progress"_a = nb::none(),
          "A classifier's logits: float32 [texts, labels].")
      .def_prop_ro("embedding_size", &Encoder::embedding_size)
      .def_prop_ro("labels", &Encoder::labels, "Names of a classifier's classes; empty: the model is none.")
      .def_prop_ro(
          "integers", [](const Encoder& e) { return e.of_integers.has_value(); },
          "Whether it runs in integers from end to end.");
}

}  // namespace hccs::python
