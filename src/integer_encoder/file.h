// SPDX-License-Identifier: Apache-2.0
//
// The file of an integer model: a safetensors file of integers, whose metadata holds a format, a version, the sizes and
// a digest of everything. docs/formats.md describes it.
#ifndef HCCS_SRC_INTEGER_ENCODER_FILE_H_
#define HCCS_SRC_INTEGER_ENCODER_FILE_H_

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "hccs/safetensors.h"
#include "hccs/status.h"
#include "integer_encoder/model.h"

namespace hccs::internal {

// Maps the file; the largest arrays are views of it. Errors: those of Safetensors::open; kBadData for another format,
// a wrong digest (an altered file), a missing or unknown array, a value out of range; kUnsupported for a version that
// is not known. Each message begins with the path.
Expected<IntegerModel> read_integer_model(const std::filesystem::path& path);

// The metadata of a file with this description and these arrays, in any order: format, version, description and digest.
std::map<std::string, std::string> integer_model_metadata(const std::string& description,
                                                          std::vector<TensorToWrite> arrays);

// Atomic. The same model gives the same bytes. Errors: kIo; what validate() says.
Status write_integer_model(const std::filesystem::path& path, const IntegerModel& model);

}  // namespace hccs::internal

#endif  // HCCS_SRC_INTEGER_ENCODER_FILE_H_
