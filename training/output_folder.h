// SPDX-License-Identifier: Apache-2.0
//
// The folder that a run writes: its names, and what may lie in it before.
#ifndef HCCS_TRAINING_OUTPUT_FOLDER_H_
#define HCCS_TRAINING_OUTPUT_FOLDER_H_

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <utility>

#include "hccs/model_folder.h"
#include "hccs/status.h"
#include "training/weights.h"

namespace hccs::training {

inline constexpr const char* kCheckpointFile = "checkpoint.safetensors";
inline constexpr const char* kParamsFile = "params.json";
inline constexpr const char* kReportFile = "training.json";
inline constexpr const char* kIntegerFile = "model.hccs";

class OutputFolder {
 public:
  // Makes the folder if there is none. Errors: kIo; kInvalidArgument for a folder that holds a finished run, an
  // unfinished run that is not to be resumed, or weights and parameters that no unfinished run left: those are
  // somebody's model, perhaps the one to start from.
  static Expected<OutputFolder> open(const std::filesystem::path& path, bool resume);

  const std::string& name() const noexcept { return name_; }  // never empty
  const std::filesystem::path& path() const noexcept { return path_; }
  std::filesystem::path checkpoint() const { return path_ / kCheckpointFile; }
  std::filesystem::path params() const { return path_ / kParamsFile; }
  std::filesystem::path start_params() const;  // those that the run began with
  std::filesystem::path scales() const { return path_ / kActivationScalesFile; }
  std::filesystem::path integers() const { return path_ / kIntegerFile; }
  std::filesystem::path candidate() const;  // a model folder: what is to be measured next
  bool has_checkpoint() const;

  // Removes what a run left that was ended before its first checkpoint, which would be read with what this one writes;
  // then writes the files beside the weights, for this folder and the candidate. Errors: kIo.
  Status begin(const Weights& weights, std::span<const ModelFile> files, int64_t max_length) const;
  Status write_scales(const ActivationScales& scales) const;
  Status write_candidate(const Weights& weights, bool int8) const;
  // Instead of that: the weights of another folder as they are, byte for byte. Errors: kIo.
  Status copy_candidate(const std::filesystem::path& weights_file) const;
  // The candidate's weights become the folder's. Errors: kIo.
  Status adopt_candidate() const;
  // Of the folder's weights. Errors: those of Safetensors::open.
  Expected<std::string> weights_digest() const;
  // Writes the report; then what only an unfinished run needs is removed.
  Status finish(const std::string& report) const;

 private:
  OutputFolder(std::filesystem::path path, std::string name) : path_(std::move(path)), name_(std::move(name)) {}

  std::filesystem::path path_;
  std::string name_;
};

}  // namespace hccs::training

#endif  // HCCS_TRAINING_OUTPUT_FOLDER_H_
