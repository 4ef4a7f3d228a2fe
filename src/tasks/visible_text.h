// SPDX-License-Identifier: Apache-2.0
#ifndef HCCS_TASKS_VISIBLE_TEXT_H_
#define HCCS_TASKS_VISIBLE_TEXT_H_

#include <string>
#include <string_view>

namespace hccs::internal {

// What a reader sees of `text`: without blanks at its ends and without characters that are not to be seen, letters and
// their marks composed (Unicode's NFC). Texts that look the same have the same.
std::string visible_text(std::string_view text);

// `text` in a form that does not tell upper from lower case (Unicode's simple case folding).
std::string folded_case(std::string_view text);

}  // namespace hccs::internal

#endif  // HCCS_TASKS_VISIBLE_TEXT_H_
