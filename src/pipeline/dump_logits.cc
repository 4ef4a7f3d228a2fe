// SPDX-License-Identifier: Apache-2.0
#include "hccs/dump_logits.h"

#include <fmt/core.h>

#include <algorithm>
#include <vector>

#include "contract/exceptions.h"
#include "hccs/file.h"
#include "hccs/npy.h"
#include "hccs/quantise.h"

namespace hccs {
namespace {

namespace fs = std::filesystem;

// A head's rows, the shorter ones filled up.
template <class T>
struct Dump {
  int64_t rows = 0;
  int64_t n = 0;  // of the longest row
  std::vector<T> logits;
  std::vector<int32_t> lengths;

  bool full() const {
    return std::all_of(lengths.begin(), lengths.end(), [&](int32_t l) { return l == n; });
  }
};

// convert(from, to): one row's floats to what the file has.
template <class T, class Convert>
Dump<T> make_dump(const RowSample& sample, T filler, const Convert& convert) {
  Dump<T> dump;
  dump.rows = std::ssize(sample.rows());
  for (const RowSample::Row& row : sample.rows()) {
    dump.lengths.push_back(static_cast<int32_t>(row.logits.size()));
    dump.n = std::max(dump.n, std::ssize(row.logits));
  }
  dump.logits.assign(static_cast<size_t>(dump.rows * dump.n), filler);
  for (size_t r = 0; r < sample.rows().size(); ++r) {
    const std::vector<float>& from = sample.rows()[r].logits;
    convert(std::span(from), std::span(dump.logits).subspan(r * static_cast<size_t>(dump.n), from.size()));
  }
  return dump;
}

template <class T>
Status write_head(const Dump<T>& dump, const fs::path& folder, int64_t layer, int64_t head) {
  if (dump.rows == 0) {
    return {StatusCode::kInvalidArgument, fmt::format("{}: no rows to write", head_name(layer, head))};
  }
  const std::string name = fmt::format("layer{}_head{}", layer, head);
  const std::vector<int64_t> shape = {dump.rows, dump.n};
  HCCS_RETURN_IF_ERROR(write_npy<T>(folder / (name + ".npy"), shape, dump.logits));
  return write_npy<int32_t>(folder / (name + "_lengths.npy"), std::span(shape).first(1), dump.lengths);
}

}  // namespace

Status write_logits(const SampledModel& sampled, const fs::path& folder) try {
  HCCS_ASSIGN_OR_RETURN(NewFolder target, NewFolder::create(folder));
  for (int64_t i = 0; i < std::ssize(sampled.heads); ++i) {
    const Dump<float> dump = make_dump(
        sampled.heads[static_cast<size_t>(i)], 0.0F,
        [](std::span<const float> from, std::span<float> to) { std::copy(from.begin(), from.end(), to.begin()); });
    HCCS_RETURN_IF_ERROR(write_head(dump, target.path(), i / sampled.model.heads, i % sampled.model.heads));
  }
  return target.finish();
} catch (...) {
  return internal::status_of_exception(folder.native());
}

Status write_int8_logits(const SampledModel& sampled, const ParamFile& params, const fs::path& folder) try {
  const CalibratedModel& model = sampled.model;
  HCCS_RETURN_IF_ERROR(
      check_matches(params, model.name, model.layers, model.heads, model.head_dimension, model.weights_digest));
  HCCS_ASSIGN_OR_RETURN(NewFolder target, NewFolder::create(folder));
  for (int64_t layer = 0; layer < model.layers; ++layer) {
    std::vector<int8_t> together;  // of all heads, while they are alike
    std::vector<int64_t> shape = {model.heads, 0, 0};
    bool alike = true;
    for (int64_t head = 0; head < model.heads; ++head) {
      const double step = params.at(layer, head).step;
      const Dump<int8_t> dump =
          make_dump(sampled.heads[static_cast<size_t>(layer * model.heads + head)], int8_t{-128},
                    [&](std::span<const float> from, std::span<int8_t> to) { quantise_logits(from, step, to); });
      HCCS_RETURN_IF_ERROR(write_head(dump, target.path(), layer, head));
      if (head == 0) shape = {model.heads, dump.rows, dump.n};
      alike = alike && dump.full() && dump.rows == shape[1] && dump.n == shape[2];
      if (alike) together.insert(together.end(), dump.logits.begin(), dump.logits.end());
    }
    if (alike) {
      HCCS_RETURN_IF_ERROR(write_npy<int8_t>(target.path() / fmt::format("layer{}.npy", layer), shape, together));
    }
  }
  return target.finish();
} catch (...) {
  return internal::status_of_exception(folder.native());
}

}  // namespace hccs
