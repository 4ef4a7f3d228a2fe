// SPDX-License-Identifier: Apache-2.0
//
// What stands between the two products where each is a call of its own: row softmax of the int32 sums, and
// requantisation followed by int8 softmax.
#include <fmt/core.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "attention_kernel.h"
#include "hccs/softmax.h"
#include "softmax_sums_kernel.h"

namespace hccs::bench {
namespace {

struct SumRows {
  SoftmaxPlan plan;
  Rescale rescale;
  std::vector<int32_t> sums;  // q . k, a row for each query
  std::vector<uint8_t> out;
};

std::vector<int32_t> products_of(const AttentionData& data) {
  std::vector<int32_t> sums(static_cast<size_t>(data.queries * data.keys));
  int32_t* sum = sums.data();
  for (int64_t r = 0; r < data.queries; ++r) {
    for (int64_t i = 0; i < data.keys; ++i) {
      int32_t total = 0;
      for (int64_t j = 0; j < data.dimension; ++j)
        total += data.q[r * data.dimension + j] * data.k[i * data.dimension + j];
      *sum++ = total;
    }
  }
  return sums;
}

// Calls expected(row, out) for some rows and compares.
template <class Expected>
Status verify(const AttentionData& data, const SumRows& rows, const std::string& name, const Expected& expected) {
  std::vector<uint8_t> out(static_cast<size_t>(data.keys));
  for (int64_t r = 0; r<data.queries; r += data.keys> 1024 ? 17 : 1) {
    HCCS_RETURN_IF_ERROR(expected(r, std::span<uint8_t>(out)));
    if (std::memcmp(out.data(), rows.out.data() + r * data.keys, out.size()) != 0) {
      return {StatusCode::kMismatch,
              fmt::format("{}, d {}, n {}: row {} differs from the definition", name, data.dimension, data.keys, r)};
    }
  }
  return {};
}

}  // namespace

Status add_softmax_of_sums(const AttentionData& data, const HeadParams& params, Rescale rescale,
                           std::string_view target, std::vector<AttentionKernel>& kernels) {
  HCCS_ASSIGN_OR_RETURN(SoftmaxPlan plan,
                        SoftmaxPlan::hccs({&params, 1}, Normalisation::kScaled, OutputType::kUint8, target));
  auto rows = std::make_shared<SumRows>(SumRows{std::move(plan), rescale, products_of(data), {}});
  rows->out.resize(rows->sums.size());
  const SoftmaxShape shape{1, data.queries, data.keys};
  const auto batch =
      SumsBatch<uint8_t>::dense(rows->sums.data(), rows->out.data(), shape).with_rescales_per_head({&rows->rescale, 1});
  kernels.push_back({.kernel = "softmax-int32",
                     .target = std::string(rows->plan.target()),
                     .knees = params.knee_count,
                     .run = [rows, batch] { (void)rows->plan.run(batch); },
                     .verify =
                         [rows, params, &data] {
                           return verify(data, *rows, "softmax-int32", [&](int64_t r, std::span<uint8_t> out) {
                             const std::span<const int32_t> sums(rows->sums.data() + r * data.keys, out.size());
                             return softmax_reference(params, Normalisation::kScaled, rows->rescale, sums, {}, out);
                           });
                         }});
  std::vector<std::string> absent;
  for (const Requantisation& recipe : requantisations(absent)) {
    auto* logits = reinterpret_cast<int8_t*>(rows->out.data());
    const auto in_place = SoftmaxBatch<uint8_t>::dense(logits, rows->out.data(), shape);
    kernels.push_back({.kernel = "requantise+softmax",
                       .target = recipe.name,
                       .knees = params.knee_count,
                       .run =
                           [rows, recipe, logits, in_place] {
                             recipe.run(rows->sums.data(), std::ssize(rows->sums), rows->rescale.multiplier,
                                        rows->rescale.shift, logits);
                             (void)rows->plan.run(in_place);
                           },
                       .verify =
                           [rows, recipe, params, &data] {
                             return verify(data, *rows, recipe.name, [&](int64_t r, std::span<uint8_t> out) {
                               std::vector<int8_t> row(out.size());
                               for (size_t i = 0; i < row.size(); ++i) {
                                 row[i] = defined_logit(rows->sums[r * data.keys + i], rows->rescale, recipe.two_steps);
                               }
                               return softmax_reference(params, Normalisation::kScaled, row, {}, out);
                             });
                           }});
  }
  return {};
}

}  // namespace hccs::bench
