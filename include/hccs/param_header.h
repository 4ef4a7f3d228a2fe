// SPDX-License-Identifier: Apache-2.0
//
// Parameters as the text of a C header, for programs that read no files.
#ifndef HCCS_PARAM_HEADER_H_
#define HCCS_PARAM_HEADER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "hccs/export.h"
#include "hccs/param_file.h"
#include "hccs/status.h"

namespace HCCS_API hccs {

struct ParamHeaderOptions {
  std::string name = "hccs_params";  // what every name in the header begins with: a letter, then letters, digits, _
  std::optional<int64_t> layer;      // none: all
  std::vector<int64_t> heads;        // of each layer, each once; empty: all
};

// A header that C99 and C++14 read alone, with a table of the heads, layer by layer: layer, head, B, K, S, D and step,
// each exactly as in the file. docs/formats.md describes it.
// Errors: kInvalidArgument for an invalid file, a name that is none, or a layer or head that the file lacks.
Expected<std::string> param_header(const ParamFile& file, const ParamHeaderOptions& options = {});

}  // namespace hccs

#endif  // HCCS_PARAM_HEADER_H_
