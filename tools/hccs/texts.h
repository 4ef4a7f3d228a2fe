// SPDX-License-Identifier: Apache-2.0
//
// Texts as a subcommand's options name them, tokenised for a model.
#ifndef HCCS_TOOLS_TEXTS_H_
#define HCCS_TOOLS_TEXTS_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "hccs/model_folder.h"
#include "hccs/status.h"
#include "hccs/tokenizer.h"

namespace hccs::tool {

// At most max_length tokens each (0: the model's positions). Says on stderr how many texts were truncated. Error:
// kInvalidArgument for a max_length out of 2..positions.
Expected<std::vector<Encoding>> tokenise(const ModelFolder& model, std::span<const std::string> texts,
                                         int64_t max_length);

// "xxh3-128:<32 hex digits>" over the texts and their number.
std::string digest_of(std::span<const std::string> texts);

// Threads to use when the user does not say: one a processor.
int default_threads();

}  // namespace hccs::tool

#endif  // HCCS_TOOLS_TEXTS_H_
