// SPDX-License-Identifier: Apache-2.0
//
// What every encoder asks of its texts.
#ifndef HCCS_SRC_FORMATS_CHECK_ENCODINGS_H_
#define HCCS_SRC_FORMATS_CHECK_ENCODINGS_H_

#include <cstdint>
#include <span>

#include "hccs/status.h"
#include "hccs/tokenizer.h"

namespace hccs::internal {

// Ok if every text has 1..positions tokens, ids below `vocabulary_size`, and a second text that begins within it.
// Errors: kInvalidArgument with text, token, value and rule.
Status check_encodings(std::span<const Encoding> texts, int64_t positions, int64_t vocabulary_size);

}  // namespace hccs::internal

#endif  // HCCS_SRC_FORMATS_CHECK_ENCODINGS_H_
