// SPDX-License-Identifier: Apache-2.0
//
// What a sample was taken of.
#ifndef HCCS_PIPELINE_SAMPLED_PARTS_H_
#define HCCS_PIPELINE_SAMPLED_PARTS_H_

#include <cstdint>
#include <span>
#include <string>

#include "hccs/calibrate_model.h"
#include "hccs/status.h"

namespace hccs::internal {

// Numbers of texts times the longest row fit 64 bits.
inline constexpr int64_t kMostNumbers = int64_t{1} << 46;

// Ok, or kInvalidArgument for a first number that is negative or too large.
Status check_first(int64_t first);

std::string digest_of_texts(std::span<const std::string> texts);

// Of the data of a sample, as its parts tell it; where there are none, of the kept rows, head by head.
std::string digest_of_data(const SampledModel& sampled);

}  // namespace hccs::internal

#endif  // HCCS_PIPELINE_SAMPLED_PARTS_H_
