// SPDX-License-Identifier: Apache-2.0
#include "hccs/row_file.h"

#include <fmt/core.h>

#include <charconv>
#include <cstring>
#include <map>
#include <string>
#include <utility>

#include "contract/exceptions.h"
#include "hccs/safetensors.h"
#include "pipeline/sampled_parts.h"

namespace hccs {
namespace {

constexpr const char* kFormat = "hccs-rows";

template <class T>
constexpr const char* kDtype = nullptr;
template <>
constexpr const char* kDtype<float> = "F32";
template <>
constexpr const char* kDtype<int32_t> = "I32";
template <>
constexpr const char* kDtype<int64_t> = "I64";
template <>
constexpr const char* kDtype<uint64_t> = "U64";
template <>
constexpr const char* kDtype<char> = "U8";

template <class T>
TensorToWrite tensor(std::string name, const std::vector<T>& values, std::vector<int64_t> shape = {}) {
  if (shape.empty()) shape = {std::ssize(values)};
  return {std::move(name), kDtype<T>, std::move(shape), std::as_bytes(std::span(values))};
}

// Reads a file's fields and tensors, each with its rule.
class Reader {
 public:
  explicit Reader(const Safetensors& file) : file_(file) {}

  Status bad(const std::string& what) const {
    return {StatusCode::kBadData, fmt::format("{}: {}", file_.path().native(), what)};
  }

  const std::string* text(const std::string& field) const {
    const auto found = file_.metadata().find(field);
    return found == file_.metadata().end() ? nullptr : &found->second;
  }

  template <class T>
  Status number(const std::string& field, T least, T most, T& value) const {
    const std::string* digits = text(field);
    if (digits == nullptr) return bad(fmt::format("the field \"{}\" is missing", field));
    const auto [end, error] = std::from_chars(digits->data(), digits->data() + digits->size(), value);
    if (error != std::errc() || end != digits->data() + digits->size() || value < least || value > most) {
      return bad(fmt::format("\"{}\" is \"{}\", but {} <= {} <= {}", field, *digits, least, field, most));
    }
    return {};
  }

  // `columns` > 0: the shape is [values / columns, columns].
  template <class T>
  Status tensor(const std::string& name, int64_t columns, std::vector<T>& values) const {
    const auto found = file_.tensors().find(name);
    if (found == file_.tensors().end()) return bad(fmt::format("the tensor \"{}\" is missing", name));
    const TensorView& view = found->second;
    const bool fits = columns == 0 ? view.shape.size() == 1 : view.shape.size() == 2 && view.shape[1] == columns;
    if (view.dtype != kDtype<T> || !fits) {
      return bad(fmt::format("the tensor \"{}\" is {} with {} axes, but {} {} is needed", name, view.dtype,
                             view.shape.size(), kDtype<T>, columns == 0 ? "[n]" : fmt::format("[n, {}]", columns)));
    }
    values.resize(view.data.size() / sizeof(T));
    if (!values.empty()) std::memcpy(values.data(), view.data.data(), view.data.size());
    return {};
  }

 private:
  const Safetensors& file_;
};

// The rows of all heads, one after the other.
struct Rows {
  std::vector<int64_t> kept;    // [heads]
  std::vector<int64_t> counts;  // [heads, 3]: seen, not finite, of these with -infinity alone
  std::vector<uint64_t> ids;    // [rows]
  std::vector<int32_t> lengths;
  std::vector<float> logits;
};

Expected<std::vector<RowSample>> samples_of(const Reader& reader, int64_t heads, int64_t capacity, uint64_t seed) {
  Rows r;
  HCCS_RETURN_IF_ERROR(reader.tensor("kept", 0, r.kept));
  HCCS_RETURN_IF_ERROR(reader.tensor("counts", 3, r.counts));
  HCCS_RETURN_IF_ERROR(reader.tensor("ids", 0, r.ids));
  HCCS_RETURN_IF_ERROR(reader.tensor("lengths", 0, r.lengths));
  HCCS_RETURN_IF_ERROR(reader.tensor("logits", 0, r.logits));
  if (std::ssize(r.kept) != heads || std::ssize(r.counts) != 3 * heads || r.ids.size() != r.lengths.size()) {
    return reader.bad(fmt::format("{} heads, but {} and {} counts of rows; {} ids, but {} lengths", heads,
                                  r.kept.size(), r.counts.size() / 3, r.ids.size(), r.lengths.size()));
  }
  std::vector<RowSample> samples;
  size_t row = 0;
  size_t logit = 0;
  for (int64_t head = 0; head < heads; ++head) {
    const int64_t kept = r.kept[static_cast<size_t>(head)];
    if (kept < 0 || kept > std::ssize(r.ids) - static_cast<int64_t>(row)) {
      return reader.bad(
          fmt::format("head {} of the file keeps {} rows, but {} are left", head, kept, r.ids.size() - row));
    }
    std::vector<RowSample::Row> rows;
    for (int64_t i = 0; i < kept; ++i, ++row) {
      const int32_t length = r.lengths[row];
      if (length < 1 || length > std::ssize(r.logits) - static_cast<int64_t>(logit)) {
        return reader.bad(
            fmt::format("row {} of the file has {} logits, but {} are left", row, length, r.logits.size() - logit));
      }
      const auto first = r.logits.begin() + static_cast<int64_t>(logit);
      rows.push_back({.id = r.ids[row], .logits = std::vector<float>(first, first + length)});
      logit += static_cast<size_t>(length);
    }
    const int64_t* counts = &r.counts[static_cast<size_t>(3 * head)];
    auto sample = RowSample::restore(capacity, seed, {counts[0], counts[1], counts[2]}, std::move(rows));
    if (!sample.ok()) return reader.bad(fmt::format("head {} of the file: {}", head, sample.status().message()));
    samples.push_back(std::move(*sample));
  }
  if (row != r.ids.size() || logit != r.logits.size()) {
    return reader.bad(
        fmt::format("{} rows and {} logits belong to no head", r.ids.size() - row, r.logits.size() - logit));
  }
  return samples;
}

Status read_part(const Reader& reader, SampledModel& sampled) {
  const std::string* kind = reader.text("data");
  if (kind == nullptr || (*kind != "texts" && *kind != "dumps" && *kind != "rows")) {
    return reader.bad("the field \"data\" is none of \"texts\", \"dumps\" and \"rows\"");
  }
  if (*kind == "rows") return {};
  std::vector<int64_t> parts;
  HCCS_RETURN_IF_ERROR(reader.tensor("parts", 2, parts));
  std::vector<char> text;
  std::vector<int64_t> lengths;
  if (*kind == "texts") {
    HCCS_RETURN_IF_ERROR(reader.tensor("text", 0, text));
    HCCS_RETURN_IF_ERROR(reader.tensor("text_lengths", 0, lengths));
  }
  size_t at = 0;
  size_t number = 0;
  for (size_t i = 0; i + 1 < parts.size(); i += 2) {
    SampledPart part{.first = parts[i], .count = parts[i + 1]};
    if (part.count < 0 || part.count > internal::kMostNumbers || !internal::check_first(part.first).ok()) {
      return reader.bad(fmt::format("part {} has {} numbers from {} on", i / 2, part.count, part.first));
    }
    if (*kind == "dumps") {
      const std::string* digest = reader.text(fmt::format("digest{}", i / 2));
      if (digest == nullptr || digest->empty())
        return reader.bad(fmt::format("the field \"digest{}\" is missing", i / 2));
      part.digest = *digest;
    } else if (part.count > std::ssize(lengths) - static_cast<int64_t>(number)) {
      return reader.bad(
          fmt::format("part {} has {} texts, but {} are left", i / 2, part.count, lengths.size() - number));
    }
    for (int64_t t = 0; *kind == "texts" && t < part.count; ++t, ++number) {
      const int64_t size = lengths[number];
      if (size < 0 || size > std::ssize(text) - static_cast<int64_t>(at)) {
        return reader.bad(fmt::format("text {} has {} bytes, but {} are left", number, size, text.size() - at));
      }
      part.texts.emplace_back(text.data() + at, static_cast<size_t>(size));
      at += static_cast<size_t>(size);
    }
    sampled.parts.push_back(std::move(part));
  }
  return {};
}

Status check_format(const Reader& reader) {
  const std::string* format = reader.text("format");
  if (format == nullptr || *format != kFormat) {
    return reader.bad(fmt::format("\"format\" is {}, but a file of rows has \"{}\"",
                                  format == nullptr ? "missing" : "\"" + *format + "\"", kFormat));
  }
  int version = 0;
  HCCS_RETURN_IF_ERROR(reader.number("version", 0, 1'000'000, version));
  if (version != kRowFileVersion) {
    return {
        StatusCode::kUnsupported,
        reader.bad(fmt::format("version {}, but this program knows version {}", version, kRowFileVersion)).message()};
  }
  return {};
}

std::map<std::string, std::string> metadata_of(const SampledModel& sampled, const char* kind) {
  const CalibratedModel& model = sampled.model;
  std::map<std::string, std::string> metadata = {{"format", kFormat},
                                                 {"version", std::to_string(kRowFileVersion)},
                                                 {"model", model.name},
                                                 {"layers", std::to_string(model.layers)},
                                                 {"heads", std::to_string(model.heads)},
                                                 {"head_dimension", std::to_string(model.head_dimension)},
                                                 {"weights_digest", model.weights_digest},
                                                 {"capacity", std::to_string(sampled.heads.front().capacity())},
                                                 {"seed", std::to_string(sampled.heads.front().seed())},
                                                 {"data", kind},
                                                 {"texts", std::to_string(sampled.texts.count)},
                                                 {"max_length", std::to_string(sampled.texts.max_length)},
                                                 {"truncated", std::to_string(sampled.texts.truncated)},
                                                 {"longest", std::to_string(sampled.texts.longest)},
                                                 {"without_lengths", std::to_string(sampled.without_lengths)}};
  for (size_t i = 0; i < sampled.parts.size(); ++i) {
    if (!sampled.parts[i].digest.empty()) metadata[fmt::format("digest{}", i)] = sampled.parts[i].digest;
  }
  return metadata;
}

}  // namespace

Status write_rows(const std::filesystem::path& path, const SampledModel& sampled) try {
  const CalibratedModel& model = sampled.model;
  bool alike = model.layers >= 1 && model.heads >= 1 && model.layers <= kMaxHeads / model.heads &&
               std::ssize(sampled.heads) == model.layers * model.heads;
  Rows r;
  for (const RowSample& sample : sampled.heads) {
    alike = alike && sample.capacity() == sampled.heads[0].capacity() && sample.seed() == sampled.heads[0].seed();
    r.kept.push_back(std::ssize(sample.rows()));
    r.counts.insert(r.counts.end(), {sample.rows_seen(), sample.non_finite_rows(), sample.minus_infinity_rows()});
    for (const RowSample::Row& row : sample.rows()) {
      r.ids.push_back(row.id);
      r.lengths.push_back(static_cast<int32_t>(row.logits.size()));
      r.logits.insert(r.logits.end(), row.logits.begin(), row.logits.end());
    }
  }
  if (!alike) {
    return {
        StatusCode::kInvalidArgument,
        fmt::format("{}: {} samples for {} layers of {} heads, but each head has one, of the same capacity and seed",
                    path.native(), sampled.heads.size(), model.layers, model.heads)};
  }
  std::vector<int64_t> parts;
  std::vector<char> text;
  std::vector<int64_t> lengths;
  for (const SampledPart& part : sampled.parts) {
    parts.insert(parts.end(), {part.first, part.count});
    for (const std::string& one : part.texts) {
      lengths.push_back(std::ssize(one));
      text.insert(text.end(), one.begin(), one.end());
    }
  }
  const char* kind = sampled.parts.empty() ? "rows" : sampled.parts[0].digest.empty() ? "texts" : "dumps";
  std::vector<TensorToWrite> tensors = {tensor("logits", r.logits), tensor("ids", r.ids), tensor("kept", r.kept),
                                        tensor("counts", r.counts, {std::ssize(r.kept), 3}),
                                        tensor("lengths", r.lengths)};
  if (!parts.empty()) tensors.push_back(tensor("parts", parts, {std::ssize(sampled.parts), 2}));
  if (std::string_view(kind) == "texts") {
    tensors.push_back(tensor("text_lengths", lengths));
    tensors.push_back(tensor("text", text));
  }
  return write_safetensors(path, tensors, metadata_of(sampled, kind));
} catch (...) {
  return internal::status_of_exception(path.native());
}

Expected<SampledModel> read_rows(const std::filesystem::path& path) try {
  HCCS_ASSIGN_OR_RETURN(const Safetensors file, Safetensors::open(path));
  const Reader reader(file);
  HCCS_RETURN_IF_ERROR(check_format(reader));
  SampledModel sampled;
  CalibratedModel& model = sampled.model;
  int64_t capacity = 0;
  uint64_t seed = 0;
  const int64_t most = internal::kMostNumbers;
  HCCS_RETURN_IF_ERROR(reader.number("layers", int64_t{1}, kMaxHeads, model.layers));
  HCCS_RETURN_IF_ERROR(reader.number("heads", int64_t{1}, kMaxHeads / model.layers, model.heads));
  HCCS_RETURN_IF_ERROR(reader.number("head_dimension", int64_t{0}, most, model.head_dimension));
  HCCS_RETURN_IF_ERROR(reader.number("capacity", int64_t{1}, most, capacity));
  HCCS_RETURN_IF_ERROR(reader.number("seed", uint64_t{0}, UINT64_MAX, seed));
  HCCS_RETURN_IF_ERROR(reader.number("texts", int64_t{0}, most, sampled.texts.count));
  HCCS_RETURN_IF_ERROR(reader.number("max_length", int64_t{0}, most, sampled.texts.max_length));
  HCCS_RETURN_IF_ERROR(reader.number("truncated", int64_t{0}, most, sampled.texts.truncated));
  HCCS_RETURN_IF_ERROR(reader.number("longest", int64_t{0}, most, sampled.texts.longest));
  HCCS_RETURN_IF_ERROR(reader.number("without_lengths", int64_t{0}, most, sampled.without_lengths));
  for (auto [field, value] : {std::pair{"model", &model.name}, std::pair{"weights_digest", &model.weights_digest}}) {
    const std::string* found = reader.text(field);
    if (found == nullptr) return reader.bad(fmt::format("the field \"{}\" is missing", field));
    *value = *found;
  }
  HCCS_ASSIGN_OR_RETURN(sampled.heads, samples_of(reader, model.layers * model.heads, capacity, seed));
  HCCS_RETURN_IF_ERROR(read_part(reader, sampled));
  model.data_digest = internal::digest_of_data(sampled);
  return sampled;
} catch (...) {
  return internal::status_of_exception(path.native());
}

}  // namespace hccs
