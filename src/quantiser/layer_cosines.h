// SPDX-License-Identifier: Apache-2.0
#ifndef HCCS_SRC_QUANTISER_LAYER_COSINES_H_
#define HCCS_SRC_QUANTISER_LAYER_COSINES_H_

#include <span>
#include <vector>

#include "hccs/quantise_model.h"
#include "integer_encoder/model.h"
#include "quantiser/float_bert.h"

namespace hccs::internal {

// The hidden states of the integer model's tokens beside those of the float model: after the embeddings' norm, then
// after each layer. Throws dnnl::error.
Expected<std::vector<LayerCosine>> layer_cosines(const FloatBert& source, const IntegerModel& model,
                                                 std::span<const Encoding> texts);

}  // namespace hccs::internal

#endif  // HCCS_SRC_QUANTISER_LAYER_COSINES_H_
