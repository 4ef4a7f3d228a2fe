// SPDX-License-Identifier: Apache-2.0
#ifndef HCCS_SRC_QUANTISER_MAKE_LAYERS_H_
#define HCCS_SRC_QUANTISER_MAKE_LAYERS_H_

#include <span>

#include "hccs/quantise_model.h"
#include "integer_encoder/model.h"
#include "quantiser/float_bert.h"
#include "quantiser/make_layer.h"
#include "quantiser/statistics.h"

namespace hccs::internal {

// Makes the model's layers, whose norms are made, in their order, and the classifier where the source has one. With
// GPTQ each product is made for the inputs that the integer model gives it on the texts, so that it takes back what the
// parts before it have lost, as far as these inputs show it. Returns what the weights are stored in. Errors:
// kCancelled; those of AttentionPlan::hccs. Throws dnnl::error.
Expected<Storage> make_layers(const FloatBert& source, const Statistics& statistics, const ParamFile& params,
                              const QuantiseModelOptions& options, std::span<const Encoding> texts,
                              const std::vector<std::string>& labels, IntegerModel* model);

}  // namespace hccs::internal

#endif  // HCCS_SRC_QUANTISER_MAKE_LAYERS_H_
