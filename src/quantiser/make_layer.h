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
#include "quantiser/statistics.h"

namespace hccs::internal {

// At most so many further columns carry the outliers after GELU.
inline constexpr int64_t kSplitColumns = 64;

using Storage = std::vector<std::shared_ptr<const void>>;

struct MadeLayer {
  IntLayer layer;  // without norms
  Storage storage;
};

// Everything of a layer but its norms.
MadeLayer make_layer(const FloatBert& source, const Statistics& statistics, const ParamFile& params,
                     const QuantiseModelOptions& options, int64_t index);

// Words and positions; returns what the words are stored in.
std::shared_ptr<const void> set_embeddings(const FloatBert& source, const Statistics& statistics, IntegerModel* model);

// All norms, and the shifts of the residuals.
void set_norms(const FloatBert& source, const Statistics& statistics, const QuantiseModelOptions& options,
               IntegerModel* model);

// Pooler and classifier.
Storage set_classifier(const FloatBert& source, const Statistics& statistics, const QuantiseModelOptions& options,
                       const std::vector<std::string>& labels, IntegerModel* model);

}  // namespace hccs::internal

#endif  // HCCS_SRC_QUANTISER_MAKE_LAYER_H_
