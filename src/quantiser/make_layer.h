// SPDX-License-Identifier: Apache-2.0
//
// The parts of an integer model, from the float model and the statistics of the texts.
#ifndef HCCS_SRC_QUANTISER_MAKE_LAYER_H_
#define HCCS_SRC_QUANTISER_MAKE_LAYER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "hccs/quantise_model.h"
#include "integer_encoder/model.h"
#include "quantiser/float_bert.h"
#include "quantiser/product_errors.h"
#include "quantiser/requantise.h"
#include "quantiser/statistics.h"

namespace hccs::internal {

// At most so many further columns carry the outliers after GELU.
inline constexpr int64_t kSplitColumns = 64;

using Storage = std::vector<std::shared_ptr<const void>>;

// The parts of a layer in their order. Each gets what is known of the errors of its inputs, or null (make_product), and
// adds what its weights are stored in. The layer's norms are not looked at.

// q, k and v, and the heads; returns what follows of the context's scales.
ProductInput make_query_key_value(const FloatBert& source, const Statistics& statistics, const ParamFile& params,
                                  const ProductErrors* errors, int threads, int64_t index, IntLayer* layer,
                                  Storage* storage);

void make_attention_output(const FloatBert& source, const Statistics& statistics, const ProductInput& context,
                           const ProductErrors* errors, int threads, int64_t index, IntLayer* layer, Storage* storage);

// Which inner channels come first since further columns carry them, and what one column holds.
struct Splits {
  std::vector<int64_t> order;   // of all inner channels
  std::vector<int32_t> levels;  // IntGelu::splits
  double range = 0;             // from the least value to the greatest that a column holds
};
Splits find_splits(const ChannelStatistics& activated);

// The layer's inner channels in that order, as the integer model has them.
FloatLinear ordered_intermediate(const FloatLayer& layer, const Splits& splits);
FloatLinear ordered_output(const FloatLayer& layer, const Splits& splits);

// `intermediate` is ordered. Returns what a code of GELU is worth.
double make_intermediate(const FloatLinear& intermediate, const Splits& splits, const Statistics& statistics,
                         const ProductErrors* errors, int threads, int64_t index, IntLayer* layer, Storage* storage);

// `output` is ordered.
void make_output(const FloatLinear& output, double code, const Statistics& statistics, const ProductErrors* errors,
                 int threads, int64_t index, IntLayer* layer, Storage* storage);

// Words and positions; returns what the words are stored in.
std::shared_ptr<const void> set_embeddings(const FloatBert& source, const Statistics& statistics, IntegerModel* model);

// All norms, and the shifts of the residuals. The model has its layers.
void set_norms(const FloatBert& source, const Statistics& statistics, IntegerModel* model);

// Pooler and classifier.
Storage set_classifier(const FloatBert& source, const Statistics& statistics, const ProductErrors* errors, int threads,
                       const std::vector<std::string>& labels, IntegerModel* model);

}  // namespace hccs::internal

#endif  // HCCS_SRC_QUANTISER_MAKE_LAYER_H_
