// SPDX-License-Identifier: Apache-2.0
#include "training/output_folder.h"

#include <fmt/core.h>

#include <system_error>

#include "hccs/file.h"
#include "hccs/safetensors.h"

namespace hccs::training {
namespace {

namespace fs = std::filesystem;

constexpr const char* kCandidate = "candidate";
constexpr const char* kStartFile = "start.json";
constexpr const char* kWeightsFile = "model.safetensors";

Status invalid(std::string message) { return {StatusCode::kInvalidArgument, std::move(message)}; }

Status refused(const fs::path& path, std::string_view what, const std::error_code& error) {
  return {StatusCode::kIo, fmt::format("{}: cannot {}: {}", path.string(), what, error.message())};
}

}  // namespace

Expected<OutputFolder> OutputFolder::open(const fs::path& path, bool resume) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) return refused(path, "make the folder", error);
  HCCS_RETURN_IF_ERROR(check_writable(path / kReportFile));
  HCCS_ASSIGN_OR_RETURN(const bool finished, is_present(path / kReportFile));
  if (finished) {
    return invalid(
        fmt::format("{}: holds a finished run ({}); remove it or name another folder", path.string(), kReportFile));
  }
  std::string name = folder_name(path);
  OutputFolder folder(path, name.empty() ? "model" : std::move(name));
  HCCS_ASSIGN_OR_RETURN(const bool resumable, is_present(folder.checkpoint()));
  if (resumable) {
    if (resume) return folder;
    return invalid(fmt::format("{}: holds an unfinished run ({}): resume it, or remove the folder", path.string(),
                               kCheckpointFile));
  }
  HCCS_ASSIGN_OR_RETURN(const bool begun, is_present(folder.candidate()));
  if (begun) return folder;
  for (const char* file : {kWeightsFile, kParamsFile, kIntegerFile}) {
    HCCS_ASSIGN_OR_RETURN(const bool there, is_present(path / file));
    if (there) {
      return invalid(
          fmt::format("{}: holds a model ({}), which would be lost; name another folder", path.string(), file));
    }
  }
  return folder;
}

fs::path OutputFolder::start_params() const { return path_ / kStartFile; }

fs::path OutputFolder::candidate() const { return path_ / kCandidate; }

bool OutputFolder::has_checkpoint() const {
  const Expected<bool> there = is_present(checkpoint());
  return there.ok() && *there;
}

Status OutputFolder::begin(const Weights& weights, std::span<const ModelFile> files, int64_t max_length) const {
  std::error_code error;
  // A run that was ended early left the candidate's files here too.
  for (auto it = fs::recursive_directory_iterator(candidate(), error); !error && it != fs::end(it);
       it.increment(error)) {
    if (!it->is_directory()) fs::remove(path_ / it->path().lexically_relative(candidate()), error);
    if (error) return refused(it->path(), "remove", error);
  }
  // The candidate goes last: as long as it is there, the folder is known as that of a run.
  for (const char* file : {kWeightsFile, kParamsFile, kIntegerFile, kStartFile, kActivationScalesFile, kCandidate}) {
    fs::remove_all(path_ / file, error);
    if (error) return refused(path_ / file, "remove", error);
  }
  for (const fs::path& folder : {candidate(), path_}) {
    fs::create_directories(folder, error);
    HCCS_RETURN_IF_ERROR(write_model_files(folder, weights, name_, files, max_length));
  }
  return {};
}

Status OutputFolder::write_scales(const ActivationScales& scales) const {
  const std::string text = to_json(scales);
  for (const fs::path& folder : {path_, candidate()}) {
    HCCS_RETURN_IF_ERROR(write_file_atomically(folder / kActivationScalesFile, {text}));
  }
  return {};
}

Status OutputFolder::write_candidate(const Weights& weights, bool int8) const {
  return write_weights(candidate() / kWeightsFile, weights, int8);
}

Status OutputFolder::copy_candidate(const fs::path& weights_file) const {
  std::error_code error;
  const fs::path copy = candidate() / kWeightsFile;
  fs::copy_file(weights_file, copy, fs::copy_options::overwrite_existing, error);
  if (error) return refused(copy, "write", error);
  return {};
}

Status OutputFolder::adopt_candidate() const {
  const fs::path best = path_ / kWeightsFile;
  std::error_code error;
  fs::rename(candidate() / kWeightsFile, best, error);
  if (error) return refused(best, "replace", error);
  return {};
}

Expected<std::string> OutputFolder::weights_digest() const {
  HCCS_ASSIGN_OR_RETURN(const Safetensors weights, Safetensors::open(path_ / kWeightsFile));
  return weights.digest();
}

Status OutputFolder::finish(const std::string& report) const {
  std::error_code ignored;
  HCCS_RETURN_IF_ERROR(write_file_atomically(path_ / kReportFile, {report}));
  fs::remove_all(candidate(), ignored);
  fs::remove(checkpoint(), ignored);
  fs::remove(start_params(), ignored);
  return {};
}

}  // namespace hccs::training
