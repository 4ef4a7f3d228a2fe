// SPDX-License-Identifier: Apache-2.0
//
// A model's attention logits as files, for other programs: as floats, which sample_dumps() reads, or as the int8 logits
// that a kernel gets.
#ifndef HCCS_DUMP_LOGITS_H_
#define HCCS_DUMP_LOGITS_H_

#include <filesystem>

#include "hccs/calibrate_model.h"
#include "hccs/param_file.h"
#include "hccs/status.h"

namespace hccs {

// Writes the sampled rows of each head into a new folder: layer<L>_head<H>.npy, float32 [rows, n], where n is the
// longest row of the head and shorter rows end with zeros, and layer<L>_head<H>_lengths.npy, int32 [rows]. The folder
// appears when it is complete. Errors: kInvalidArgument if the folder exists, or a head has no row; kIo.
Status write_logits(const SampledModel& sampled, const std::filesystem::path& folder);

// The same rows as int8 logits in units of each head's step (quantise_logits), where shorter rows end with -128, which
// is no mask: the lengths say what is valid. Where all heads of a layer have as many rows, all of one length, also
// layer<L>.npy, int8 [heads, rows, n]: what a graph of these heads gets. Errors: as write_logits(), and those of
// check_matches() for parameters of another model.
Status write_int8_logits(const SampledModel& sampled, const ParamFile& params, const std::filesystem::path& folder);

}  // namespace hccs

#endif  // HCCS_DUMP_LOGITS_H_
