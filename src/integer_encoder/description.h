// SPDX-License-Identifier: Apache-2.0
#ifndef HCCS_SRC_INTEGER_ENCODER_DESCRIPTION_H_
#define HCCS_SRC_INTEGER_ENCODER_DESCRIPTION_H_

#include <filesystem>
#include <string>

#include "integer_encoder/model.h"

namespace hccs::internal {

// The "description" of an integer model's file: JSON with all that is no array, integers and texts alone.
std::string to_description(const IntegerModel& model);

// A model without arrays, the sizes of its products set, and the tokeniser's options. Errors: kBadData, with the field
// and the rule.
Expected<IntegerModel> read_description(const std::string& text, const std::filesystem::path& path,
                                        TokenizerOptions* options);

}  // namespace hccs::internal

#endif  // HCCS_SRC_INTEGER_ENCODER_DESCRIPTION_H_
