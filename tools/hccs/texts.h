// SPDX-License-Identifier: Apache-2.0
//
// Texts as a subcommand's options name them, tokenised for a model.
#ifndef HCCS_TOOLS_TEXTS_H_
#define HCCS_TOOLS_TEXTS_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "hccs/calibrate_model.h"
#include "hccs/model_folder.h"
#include "hccs/status.h"
#include "hccs/tokenizer.h"

namespace hccs::tool {

// Says on stderr how many texts were truncated, if any were. Every command that truncates texts says it by this.
// `set`: which texts they are, may be empty.
void warn_of_truncation(const EncodedTexts& texts, std::string_view set = {});

// encode_texts() with that warning.
Expected<std::vector<Encoding>> tokenise(const ModelFolder& model, std::span<const std::string> texts,
                                         int64_t max_length);

// Threads to use when the user does not say: one a processor.
int default_threads();

}  // namespace hccs::tool

#endif  // HCCS_TOOLS_TEXTS_H_
