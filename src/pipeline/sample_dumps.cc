// SPDX-License-Identifier: Apache-2.0
//
// Logits that another program dumped.
#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <regex>
#include <string_view>
#include <system_error>
#include <utility>

#include "contract/exceptions.h"
#include "hccs/calibrate_model.h"
#include "hccs/digest.h"
#include "hccs/file.h"
#include "hccs/npy.h"

namespace hccs {
namespace {

namespace fs = std::filesystem;

Status bad(const fs::path& path, const std::string& rule) {
  return {StatusCode::kBadData, fmt::format("{}: {}", path.string(), rule)};
}

std::string_view bytes(const NpyArray& array) {
  return {reinterpret_cast<const char*>(array.data.data()), array.data.size()};
}

// The files of a folder by (layer, head), and how many of each there are.
struct Dumps {
  std::map<std::pair<int64_t, int64_t>, fs::path> files;
  int64_t layers = 0;
  int64_t heads = 0;
};

Expected<Dumps> find_dumps(const fs::path& folder) {
  HCCS_RETURN_IF_ERROR(is_present(folder).status());
  std::error_code error;
  if (!fs::is_directory(folder, error)) {
    return Status(StatusCode::kIo, fmt::format("{}: not a folder of logit dumps", folder.string()));
  }
  static const std::regex kName(R"(layer(\d{1,4})_head(\d{1,4})\.npy)");
  Dumps dumps;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    std::smatch match;
    const std::string name = entry.path().filename().string();
    if (!std::regex_match(name, match, kName)) continue;
    const std::pair<int64_t, int64_t> place{std::stoll(match[1]), std::stoll(match[2])};
    if (!dumps.files.emplace(place, entry.path()).second) return bad(entry.path(), "a second file for the same head");
    dumps.layers = std::max(dumps.layers, place.first + 1);
    dumps.heads = std::max(dumps.heads, place.second + 1);
  }
  if (error) return Status(StatusCode::kIo, fmt::format("{}: {}", folder.string(), error.message()));
  if (dumps.files.empty()) return bad(folder, "no layer<L>_head<H>.npy in this folder");
  const int64_t needed = dumps.layers * dumps.heads;
  if (std::ssize(dumps.files) != needed) {
    return bad(folder, fmt::format("{} dumps, but {} layers x {} heads need {}", dumps.files.size(), dumps.layers,
                                   dumps.heads, needed));
  }
  return dumps;
}

// Adds the rows of one head's file to its sample, and the file to the digest. `longest`: the most positions that a row
// may have, 0 for any.
Status sample_dump(const fs::path& path, const fs::path& lengths_path, int64_t longest, RowSample& sample,
                   Digest& digest) {
  HCCS_ASSIGN_OR_RETURN(const NpyArray logits, read_npy(path));
  if (logits.type != NpyType::kFloat32 || logits.shape.size() != 2) {
    return bad(path, fmt::format("{} with {} dimensions, but logits are float32 [rows, n]", name(logits.type),
                                 logits.shape.size()));
  }
  HCCS_ASSIGN_OR_RETURN(const NpyArray lengths, read_npy(lengths_path));
  const int64_t rows = logits.shape[0];
  const int64_t n = logits.shape[1];
  if (lengths.type != NpyType::kInt32 || lengths.shape != std::vector<int64_t>{rows}) {
    return bad(lengths_path, fmt::format("lengths are int32 [rows], one for each of the {} rows of {}", rows,
                                         path.filename().string()));
  }
  for (int64_t r = 0; r < rows; ++r) {
    const int32_t length = lengths.as<int32_t>()[r];
    if (length < 1 || length > n) {
      return bad(lengths_path, fmt::format("row {} has length {}, but 1 <= length <= n = {}", r, length, n));
    }
    if (longest > 0 && length > longest) {
      return bad(lengths_path,
                 fmt::format("row {} has length {}, but the limits' row length is {}", r, length, longest));
    }
    HCCS_RETURN_IF_ERROR(sample.add(r, logits.as<float>().subspan(r * n, length)));
  }
  digest.add(path.filename().string());
  digest.add(bytes(logits));
  digest.add(bytes(lengths));
  return {};
}

}  // namespace

Expected<SampledModel> sample_dumps(const fs::path& folder, const CalibrateModelOptions& options) try {
  HCCS_ASSIGN_OR_RETURN(const Dumps dumps, find_dumps(folder));
  const int64_t longest = options.calibration.limits == Limits::kPaper ? options.calibration.length : 0;
  SampledModel sampled;
  sampled.heads.assign(dumps.files.size(), RowSample(options.rows, options.seed));
  Digest digest;
  int64_t done = 0;
  for (const auto& [place, path] : dumps.files) {
    fs::path lengths_path = folder / fmt::format("layer{}_head{}_lengths.npy", place.first, place.second);
    HCCS_ASSIGN_OR_RETURN(const bool own_lengths, is_present(lengths_path));
    if (!own_lengths) lengths_path = folder / "lengths.npy";
    RowSample& sample = sampled.heads[static_cast<size_t>(place.first * dumps.heads + place.second)];
    HCCS_RETURN_IF_ERROR(sample_dump(path, lengths_path, longest, sample, digest));
    if (options.read_progress && !options.read_progress(++done, std::ssize(dumps.files))) {
      return Status(StatusCode::kCancelled, "interrupted");
    }
  }
  sampled.model = {
      .name = folder_name(folder), .layers = dumps.layers, .heads = dumps.heads, .data_digest = digest.text()};
  if (sampled.model.name.empty()) sampled.model.name = "logits";
  return sampled;
} catch (...) {
  return internal::status_of_exception(folder.native());
}

}  // namespace hccs
