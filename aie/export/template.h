// SPDX-License-Identifier: Apache-2.0
//
// Texts with marks. A mark is @NAME@, NAME of capital letters and underscores, and stands for a value; any other @
// stands for itself.
#ifndef HCCS_AIE_EXPORT_TEMPLATE_H_
#define HCCS_AIE_EXPORT_TEMPLATE_H_

#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "hccs/status.h"

namespace aie_export {

// What stands for each mark. Values are taken as they are: marks in them are not filled.
using Marks = std::map<std::string, std::string, std::less<>>;

// kInvalidArgument for a mark that has no value. Marks may have more values than the text uses.
hccs::Expected<std::string> fill(std::string_view text, const Marks& marks);

// The file templates/NAME.in, filled. Also kInvalidArgument if there is no such file.
hccs::Expected<std::string> fill_template(std::string_view name, const Marks& marks);

}  // namespace aie_export

#endif  // HCCS_AIE_EXPORT_TEMPLATE_H_
