// SPDX-License-Identifier: Apache-2.0
#include "cpp_side.h"

#include <algorithm>
#include <cstdlib>
#include <span>
#include <string>
#include <vector>

#include "hccs/param_file.h"
#include "hccs/reference.h"
#include "hccs/softmax.h"

namespace {

hccs::HeadParams to_cpp(const hccs_head_params& params) {
  hccs::HeadParams result;
  result.offset = params.offset;
  result.knee_count = params.knee_count;
  for (size_t k = 0; k < result.knees.size(); ++k) result.knees[k] = {params.knees[k].slope, params.knees[k].position};
  return result;
}

hccs::Normalisation to_cpp(hccs_normalisation normalisation) {
  return normalisation == HCCS_NORMALISATION_DIV   ? hccs::Normalisation::kDiv
         : normalisation == HCCS_NORMALISATION_CLB ? hccs::Normalisation::kClb
                                                   : hccs::Normalisation::kScaled;
}

hccs::ParamFile the_file() {
  hccs::ParamFile file;
  file.model = "made up";
  file.layers = 2;
  file.heads = 3;
  file.head_dimension = 32;
  file.sequence_length = 64;
  file.knees = 3;
  file.data_digest = "none";
  for (int32_t i = 0; i < 6; ++i) {
    hccs::HeadEntry entry;
    entry.params = {4690 + i, {{86, 21}, {34, 47}, {14, 85}}};
    if (i == 4) entry.params = {300, {{4, 60}}};
    entry.step = 0.1 / (i + 3);
    entry.rows = i;
    entry.max_probability = 0.5;
    file.entries.push_back(entry);
  }
  return file;
}

hccs::RowMask mask_of(int64_t valid_length, int64_t last_visible, const uint8_t* bits) {
  hccs::RowMask mask;
  if (valid_length >= 0) mask.valid_length = valid_length;
  if (last_visible >= -1) mask.last_visible = last_visible;
  mask.bits = bits;
  return mask;
}

// `compute` fills a row of uint8 or of int16.
template <class Compute>
void row(hccs_output_type output, int64_t keys, int32_t* out, const Compute& compute) {
  const auto run = [&](auto zero) {
    std::vector<decltype(zero)> p(static_cast<size_t>(keys));
    if (!compute(std::span(p)).ok()) std::abort();
    std::copy(p.begin(), p.end(), out);
  };
  if (output == HCCS_OUTPUT_UINT8) {
    run(uint8_t{0});
  } else {
    run(int16_t{0});
  }
}

std::string message;

}  // namespace

void cpp_row(const hccs_head_params* params, hccs_normalisation normalisation, hccs_output_type output,
             const int8_t* logits, int64_t keys, int64_t valid_length, int64_t last_visible, const uint8_t* bits,
             int32_t* out) {
  row(output, keys, out, [&](auto p) {
    return softmax_reference(to_cpp(*params), to_cpp(normalisation), {logits, p.size()},
                             mask_of(valid_length, last_visible, bits), p);
  });
}

void cpp_row_of_sums(const hccs_head_params* params, hccs_normalisation normalisation, hccs_output_type output,
                     hccs_rescale rescale, const int32_t* sums, int64_t keys, int64_t valid_length,
                     int64_t last_visible, const uint8_t* bits, int32_t* out) {
  row(output, keys, out, [&](auto p) {
    return softmax_reference(to_cpp(*params), to_cpp(normalisation), {rescale.multiplier, rescale.shift},
                             {sums, p.size()}, mask_of(valid_length, last_visible, bits), p);
  });
}

void cpp_exact_row(double step, const int8_t* logits, int64_t keys, uint8_t* out) {
  const auto plan = hccs::SoftmaxPlan::exact_lut({&step, 1}, hccs::Normalisation::kScaled, hccs::OutputType::kUint8);
  if (!plan.value().run(hccs::SoftmaxBatch<uint8_t>::dense(logits, out, {.keys = keys})).ok()) std::abort();
}

void cpp_attention_row(const hccs_head_params* params, hccs_attention_weights kind, hccs_rescale rescale,
                       const int8_t* q, const int8_t* k, const int8_t* v, int64_t keys, int64_t dh, int64_t dv,
                       const uint8_t* bits, int8_t* out, uint16_t* weights, int64_t* sum) {
  const hccs::AttentionWeights cpp_kind =
      kind == HCCS_ATTENTION_WEIGHTS_WIDE ? hccs::AttentionWeights::kWide : hccs::AttentionWeights::kUint8;
  const hccs::Rescale cpp_rescale = {rescale.multiplier, rescale.shift};
  hccs::RowMask mask;
  mask.bits = bits;
  const auto span = [](auto* data, int64_t size) { return std::span(data, static_cast<size_t>(size)); };
  if (!attention_reference(to_cpp(*params), cpp_rescale, span(q, dh), span(k, keys * dh), span(v, keys * dv), mask,
                           span(out, dv), cpp_kind)
           .ok()) {
    std::abort();
  }
  std::vector<int32_t> sums(static_cast<size_t>(keys));
  for (int64_t i = 0; i < keys; ++i) {
    for (int64_t j = 0; j < dh; ++j) sums[static_cast<size_t>(i)] += q[j] * k[i * dh + j];
  }
  *sum = attention_weights_reference(to_cpp(*params), cpp_rescale, sums, mask, cpp_kind, span(weights, keys)).value();
}

const char* cpp_validate(const hccs_head_params* params) {
  message = validate(to_cpp(*params)).message();
  return message.c_str();
}

const char* cpp_read_error(const char* path) {
  message = hccs::read_param_file(path).status().message();
  return message.c_str();
}

int cpp_write_param_file(const char* path) { return hccs::write_param_file(path, the_file()).ok() ? 0 : 1; }

void cpp_head_of_file(int64_t layer, int64_t head, hccs_head_params* params, double* step) {
  const hccs::ParamFile file = the_file();
  const hccs::HeadEntry& entry = file.at(layer, head);
  *params = {};
  params->offset = entry.params.offset;
  params->knee_count = entry.params.knee_count;
  for (size_t k = 0; k < entry.params.knees.size(); ++k) {
    params->knees[k] = {entry.params.knees[k].slope, entry.params.knees[k].position};
  }
  *step = entry.step;
}
