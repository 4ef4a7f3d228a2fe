// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "attention/piece.h"
#include "attention_kernel.h"
#include "hccs/attention.h"
#include "hccs/softmax.h"

namespace hccs::bench {
namespace {

constexpr double kLogitStep = .1;  // nats
const HeadParams kOneKnee(4690, {{60, 60}});
const HeadParams kThreeKnees(4690, {{86, 21}, {34, 47}, {14, 85}});

// The factor of a unit of q . k in logit steps, with 15 significant bits.
Rescale rescale_of(int64_t dimension) {
  const double units = nats_per_unit(dimension) / kLogitStep;
  int exponent = 0;
  const double mantissa = std::frexp(units, &exponent);
  return {static_cast<int32_t>(std::lround(std::ldexp(mantissa, 14))), 14 - exponent};
}

struct Own {
  AttentionPlan plan;
  std::vector<std::unique_ptr<KvCache>> caches;
  std::vector<const KvCache*> pointers;
  std::vector<int8_t> out;
  std::vector<std::byte> scratch;
  std::vector<Rescale> rescale;
  AttentionBatch batch;
};

struct Variant {
  std::string kernel;
  std::string mask;
  const HeadParams* params;  // null: the exact exponential
  AttentionWeights weights;
};

// The definition's output of query row r.
Status expected_row(const AttentionData& data, const Variant& variant, Rescale rescale, const RowMask& mask, int64_t r,
                    std::vector<int8_t>& out) {
  const std::span<const int8_t> query(data.q.data() + r * data.dimension, static_cast<size_t>(data.dimension));
  if (variant.params != nullptr) {
    return attention_reference(*variant.params, rescale, query, data.k, data.v, mask, out, variant.weights);
  }
  std::vector<int64_t> sum(static_cast<size_t>(data.keys), 0);
  int64_t maximum = INT64_MIN;
  for (int64_t i = 0; i < data.keys; ++i) {
    for (int64_t j = 0; j < data.dimension; ++j) sum[i] += query[j] * data.k[i * data.dimension + j];
    maximum = std::max(maximum, sum[i]);
  }
  int64_t total = 0;
  std::vector<int64_t> numerator(out.size(), 0);
  for (int64_t i = 0; i < data.keys; ++i) {
    const int64_t d = sum_distance(rescale, maximum - sum[i]);
    const int64_t w = (std::lround(32640 * std::exp(-kLogitStep * static_cast<double>(d))) + 64) >> 7;
    total += w;
    for (size_t j = 0; j < out.size(); ++j) numerator[j] += w * data.v[i * data.dimension + j];
  }
  for (size_t j = 0; j < out.size(); ++j) {
    out[j] = static_cast<int8_t>(std::floor((2.0 * numerator[j] + total) / (2.0 * total)));
  }
  return {};
}

Status verify(const AttentionData& data, const Variant& variant, const Own& own) {
  std::vector<int8_t> out(static_cast<size_t>(data.dimension));
  const int64_t rows = variant.mask == "cache" ? 1 : data.queries;
  const int64_t step = data.keys > 1024 ? 17 : 1;  // the definition is slow
  for (int64_t r = 0; r < rows; r += step) {
    RowMask mask;
    if (variant.mask == "causal") mask.last_visible = r;
    HCCS_RETURN_IF_ERROR(expected_row(data, variant, own.rescale[0], mask, r, out));
    if (std::memcmp(out.data(), own.out.data() + r * data.dimension, out.size()) != 0) {
      return {StatusCode::kMismatch,
              fmt::format("{} {} on {}, d {}, n {}: row {} differs from the definition", variant.kernel, variant.mask,
                          own.plan.target(), data.dimension, data.keys, r)};
    }
  }
  return {};
}

Status add(const AttentionData& data, const Variant& variant, std::string_view target,
           std::vector<AttentionKernel>& kernels) {
  const double step[] = {kLogitStep};
  auto plan = variant.params != nullptr ? AttentionPlan::hccs({variant.params, 1}, variant.weights, target)
                                        : AttentionPlan::exact_lut(step, variant.weights, target);
  if (!plan.ok()) return plan.status();
  auto own = std::make_shared<Own>(Own{.plan = std::move(*plan)});
  own->out.resize(data.q.size());
  own->rescale = {rescale_of(data.dimension)};
  AttentionShape shape{
      .queries = data.queries, .keys = data.keys, .head_dimension = data.dimension, .value_dimension = data.dimension};
  if (variant.mask == "cache") {
    HCCS_ASSIGN_OR_RETURN(KvCache cache, KvCache::make(own->plan, 1, data.dimension, data.dimension));
    HCCS_RETURN_IF_ERROR(
        cache.append({data.k.data(), 0, 0, data.dimension}, {data.v.data(), 0, 0, data.dimension}, data.keys));
    own->caches.push_back(std::make_unique<KvCache>(std::move(cache)));
    own->pointers = {own->caches[0].get()};
    shape.queries = 1;
    own->batch = AttentionBatch::cached(data.q.data(), own->pointers, own->out.data(), shape);
  } else {
    own->batch = AttentionBatch::dense(data.q.data(), data.k.data(), data.v.data(), own->out.data(), shape);
    if (variant.mask == "causal") own->batch.causal_offset = 0;
  }
  own->batch.with_rescale(own->rescale[0]);
  own->scratch.resize(static_cast<size_t>(own->plan.scratch_bytes(own->batch)));
  AttentionKernel kernel{.kernel = variant.kernel,
                         .target = std::string(own->plan.target()),
                         .mask = variant.mask,
                         .knees = variant.params != nullptr ? variant.params->knee_count : 0,
                         .weights = variant.weights == AttentionWeights::kWide ? "wide" : "uint8"};
  if (variant.kernel == "products") {
    if (own->plan.impl().target.multiply_keys_alone == nullptr) return {};
    kernel.knees = 0;
    kernel.weights.clear();
    kernel.run = [own] {
      internal::run_batch(own->plan.impl(), own->batch, own->scratch.data(), internal::Work::kProducts);
    };
  } else {
    kernel.run = [own] { (void)own->plan.run(own->batch, own->scratch); };
    kernel.verify = [own, variant, &data] { return verify(data, variant, *own); };
  }
  kernels.push_back(std::move(kernel));
  return {};
}

}  // namespace

double nats_per_unit(int64_t dimension) { return 1.0 / (400.0 * std::sqrt(static_cast<double>(dimension) / 64)); }

Status add_own_kernels(const AttentionData& data, std::string_view named, bool all_targets,
                       std::vector<AttentionKernel>& kernels) {
  const std::vector<Variant> variants = {{"hccs", "none", &kOneKnee, AttentionWeights::kUint8},
                                         {"hccs", "none", &kThreeKnees, AttentionWeights::kUint8},
                                         {"hccs", "none", &kThreeKnees, AttentionWeights::kWide},
                                         {"hccs", "causal", &kThreeKnees, AttentionWeights::kUint8},
                                         {"hccs", "cache", &kThreeKnees, AttentionWeights::kUint8},
                                         {"exact", "none", nullptr, AttentionWeights::kUint8},
                                         {"products", "none", &kThreeKnees, AttentionWeights::kUint8}};
  for (const Variant& variant : variants) HCCS_RETURN_IF_ERROR(add(data, variant, named, kernels));
  for (const std::string_view target : attention_targets()) {
    if (!all_targets || target == named) continue;
    HCCS_RETURN_IF_ERROR(add(data, variants[1], target, kernels));
    HCCS_RETURN_IF_ERROR(add(data, variants[2], target, kernels));
  }
  // Row softmax has no target that differs in products alone.
  const std::span<const std::string_view> rows = targets();
  const bool has_rows = std::find(rows.begin(), rows.end(), named) != rows.end();
  return add_softmax_of_sums(data, kThreeKnees, rescale_of(data.dimension), has_rows ? named : rows.front(), kernels);
}

}  // namespace hccs::bench
