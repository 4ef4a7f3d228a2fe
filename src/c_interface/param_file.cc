// SPDX-License-Identifier: Apache-2.0
#include "c_interface/param_file.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <span>

#include "c_interface/call.h"
#include "hccs/quantise.h"

using hccs::Status;
using hccs::internal::call;
using hccs::internal::check_not_null;
using hccs::internal::invalid;

static_assert(HCCS_MAX_KNEES == hccs::kMaxKnees);

namespace hccs::internal {

// validate() refuses a count of knees that is out of range.
HeadParams from_c(const hccs_head_params& params) {
  HeadParams result;
  result.offset = params.offset;
  result.knee_count = params.knee_count;
  std::transform(std::begin(params.knees), std::end(params.knees), result.knees.begin(), [](const hccs_knee& knee) {
    return Knee{knee.slope, knee.position};
  });
  return result;
}

namespace {

Status check_layer(const ParamFile& file, int64_t layer) {
  if (layer >= 0 && layer < file.layers) return {};
  return invalid(fmt::format("layer {}, but the file has {} layers", layer, file.layers));
}

Status check_count(std::string_view what, const void* array, int64_t count) {
  if (count < 1) return invalid(fmt::format("{} heads, but a plan needs one or more", count));
  return check_not_null({{what, array}});
}

hccs_head_params to_c(const HeadParams& params) {
  hccs_head_params result{};
  result.offset = params.offset;
  result.knee_count = params.knee_count;
  std::transform(params.knees.begin(), params.knees.end(), std::begin(result.knees), [](const Knee& knee) {
    return hccs_knee{knee.slope, knee.position};
  });
  return result;
}

constexpr size_t kFirstInfoBytes = offsetof(hccs_param_file_info, weights_digest) + sizeof(const char*);

}  // namespace

Expected<std::vector<HeadParams>> heads_of(const hccs_head_params* heads, int64_t count) {
  HCCS_RETURN_IF_ERROR(check_count("heads", heads, count));
  std::vector<HeadParams> params;
  params.reserve(static_cast<size_t>(count));
  for (int64_t h = 0; h < count; ++h) params.push_back(from_c(heads[h]));
  return params;
}

Expected<std::vector<HeadParams>> heads_of(const hccs_param_file* file, int64_t layer) {
  HCCS_RETURN_IF_ERROR(check_not_null({{"file", file}}));
  HCCS_RETURN_IF_ERROR(check_layer(file->file, layer));
  std::vector<HeadParams> params;
  for (int64_t h = 0; h < file->file.heads; ++h) params.push_back(file->file.at(layer, h).params);
  return params;
}

Expected<std::span<const double>> steps_of(const double* steps, int64_t count) {
  HCCS_RETURN_IF_ERROR(check_count("steps", steps, count));
  return std::span(steps, static_cast<size_t>(count));
}

}  // namespace hccs::internal

using hccs::internal::from_c;

extern "C" {

hccs_code hccs_head_params_validate(const hccs_head_params* params, hccs_status* status) {
  return call("head", status, [&]() -> Status {
    HCCS_RETURN_IF_ERROR(check_not_null({{"params", params}}));
    return validate(from_c(*params));
  });
}

hccs_code hccs_quantise_logits(const float* logits, int64_t count, double step, int8_t* x, hccs_status* status) {
  return call("logits", status, [&]() -> Status {
    if (count < 0) return invalid(fmt::format("{} logits, but count >= 0", count));
    if (!(step > 0) || !std::isfinite(step)) {
      return invalid(fmt::format("step {}, but a logit step is positive and finite", step));
    }
    if (count == 0) return {};
    HCCS_RETURN_IF_ERROR(check_not_null({{"logits", logits}, {"x", x}}));
    const auto size = static_cast<size_t>(count);
    hccs::quantise_logits(std::span(logits, size), step, std::span(x, size));
    return {};
  });
}

hccs_code hccs_param_file_read(const char* path, hccs_param_file** file, hccs_status* status) {
  return call("parameter file", status, [&]() -> Status {
    HCCS_RETURN_IF_ERROR(check_not_null({{"path", path}, {"file", file}}));
    HCCS_ASSIGN_OR_RETURN(hccs::ParamFile content, hccs::read_param_file(path));
    *file = std::make_unique<hccs_param_file>(hccs_param_file{std::move(content)}).release();
    return {};
  });
}

void hccs_param_file_free(hccs_param_file* file) { delete file; }

hccs_code hccs_param_file_describe(const hccs_param_file* file, hccs_param_file_info* info, hccs_status* status) {
  return call("parameter file", status, [&]() -> Status {
    HCCS_RETURN_IF_ERROR(check_not_null({{"file", file}}));
    HCCS_ASSIGN_OR_RETURN(const size_t size,
                          hccs::internal::struct_size(info, hccs::internal::kFirstInfoBytes, "info"));
    HCCS_RETURN_IF_ERROR(hccs::internal::check_unknown(info, size, sizeof(*info), "info"));
    const hccs::ParamFile& f = file->file;
    const hccs_param_file_info known = {.struct_size = size,
                                        .layers = f.layers,
                                        .heads = f.heads,
                                        .head_dimension = f.head_dimension,
                                        .sequence_length = f.sequence_length,
                                        .knees = f.knees,
                                        .model = f.model.c_str(),
                                        .data_digest = f.data_digest.c_str(),
                                        .weights_digest = f.weights_digest.c_str()};
    std::memcpy(info, &known, std::min(size, sizeof(known)));
    return {};
  });
}

hccs_code hccs_param_file_head(const hccs_param_file* file, int64_t layer, int64_t head, hccs_head_params* params,
                               double* step, hccs_status* status) {
  return call("parameter file", status, [&]() -> Status {
    HCCS_RETURN_IF_ERROR(check_not_null({{"file", file}}));
    HCCS_RETURN_IF_ERROR(hccs::internal::check_layer(file->file, layer));
    if (head < 0 || head >= file->file.heads) {
      return invalid(
          fmt::format("layer {}, head {}, but a layer of the file has {} heads", layer, head, file->file.heads));
    }
    const hccs::HeadEntry& entry = file->file.at(layer, head);
    if (params != nullptr) *params = hccs::internal::to_c(entry.params);
    if (step != nullptr) *step = entry.step;
    return {};
  });
}

hccs_code hccs_param_file_check_model(const hccs_param_file* file, const char* model, int64_t layers, int64_t heads,
                                      int64_t head_dimension, const char* weights_digest, hccs_status* status) {
  return call("parameter file", status, [&]() -> Status {
    HCCS_RETURN_IF_ERROR(check_not_null({{"file", file}, {"model", model}}));
    return check_matches(file->file, model, layers, heads, head_dimension,
                         weights_digest == nullptr ? "" : weights_digest);
  });
}

}  // extern "C"
