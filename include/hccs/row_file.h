// SPDX-License-Identifier: Apache-2.0
//
// Sampled logits as a file, so that what many processes or machines saw of one model becomes one calibration. Each
// takes its part of the texts, or of the rows of dumps, and says where its part begins (CalibrateModelOptions::first):
//
//   options.first = 1000;  // another process has the texts 0..999
//   auto sampled = hccs::sample_model(*model, my_texts, options);
//   hccs::write_rows("part1.rows", *sampled);
//
// and one merges the files: the parameters are those of a run on all texts, byte for byte.
//
//   const std::vector<std::filesystem::path> files = {"part0.rows", "part1.rows"};
//   auto merged = hccs::read_and_merge_rows(files);
//   options.seed = merged->heads.front().seed();
//   auto calibrated = hccs::calibrate_samples(*merged, options);
//
// The file is a safetensors file; docs/formats.md describes it.
#ifndef HCCS_ROW_FILE_H_
#define HCCS_ROW_FILE_H_

#include <filesystem>
#include <span>
#include <vector>

#include "hccs/calibrate_model.h"
#include "hccs/status.h"

namespace hccs {

inline constexpr int kRowFileVersion = 1;

// Writes what was sampled, the texts among it. Atomic. The same samples give the same bytes. Errors: kInvalidArgument
// if the heads are not layers x heads, at least one, of one capacity and seed; kIo; kOutOfMemory.
Status write_rows(const std::filesystem::path& path, const SampledModel& sampled);

// Errors: kIo; kUnsupported for a version that is not known; kBadData, naming the file, the tensor or the field, the
// value and the rule.
Expected<SampledModel> read_rows(const std::filesystem::path& path);

// One sample of several of one model, in any order. The data's digest is that of all texts in their order; of dumps in
// several parts, the digest of the parts' digests; where a part does not say what it has seen, of the kept rows.
// Errors, naming the sample by its place, from 0, or its file: kMismatch for other weights (or, where these are
// unknown, another name), layers, heads or head dimension, another seed or number of rows kept, texts cut at another
// length, or parts that have a number in common; kInvalidArgument if there is no sample, or two heads kept rows of one
// id; kOutOfMemory.
Expected<SampledModel> merge_rows(std::span<const SampledModel> parts);

// Reads and merges. Errors: those of both.
Expected<SampledModel> read_and_merge_rows(std::span<const std::filesystem::path> paths);

}  // namespace hccs

#endif  // HCCS_ROW_FILE_H_
