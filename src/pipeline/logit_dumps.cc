// SPDX-License-Identifier: Apache-2.0
#include "pipeline/logit_dumps.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <regex>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "hccs/file.h"
#include "hccs/npy.h"

namespace hccs::internal {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxNamed = 5;  // of the files that a message names

Status bad(const fs::path& path, const std::string& rule) {
  return {StatusCode::kBadData, fmt::format("{}: {}", path.string(), rule)};
}

template <class T>
std::string_view bytes(const std::vector<T>& elements) {
  return {reinterpret_cast<const char*>(elements.data()), elements.size() * sizeof(T)};
}

using Place = std::pair<int64_t, int64_t>;  // layer, head

std::string file_name(const Place& place) { return fmt::format("layer{}_head{}.npy", place.first, place.second); }

// Names the first heads that have no file.
Status missing(const fs::path& folder, const std::map<Place, fs::path>& files, int64_t layers, int64_t heads) {
  std::vector<std::string> names;
  for (int64_t i = 0; i < layers * heads && names.size() < kMaxNamed; ++i) {
    const Place place{i / heads, i % heads};
    if (!files.contains(place)) names.push_back(file_name(place));
  }
  const int64_t count = layers * heads - std::ssize(files);
  return bad(folder,
             fmt::format("{}{} missing: there are {} dumps, but {} layers x {} heads need {}", fmt::join(names, ", "),
                         count > std::ssize(names) ? fmt::format(" and {} more are", count - std::ssize(names))
                         : count > 1               ? " are"
                                                   : " is",
                         files.size(), layers, heads, layers * heads));
}

// What is in the folder instead of dumps.
Status no_dumps(const fs::path& folder, std::vector<std::string> others) {
  if (others.empty()) return bad(folder, "no layer<L>_head<H>.npy in this folder");
  std::sort(others.begin(), others.end());
  const bool more = others.size() > kMaxNamed;
  others.resize(std::min(others.size(), kMaxNamed));
  return bad(folder, fmt::format("no layer<L>_head<H>.npy in this folder, with L and H from 0; it has {}{}",
                                 fmt::join(others, ", "), more ? ", ..." : ""));
}

Expected<std::vector<int32_t>> read_lengths(const fs::path& path, const fs::path& logits, int64_t rows, int64_t n,
                                            int64_t longest) {
  HCCS_ASSIGN_OR_RETURN(const NpyArray array, read_npy(path));
  if (!is_integer(array.type) || array.shape != std::vector<int64_t>{rows}) {
    return bad(path, fmt::format("{} [{}], but lengths are integers [rows], one for each of the {} rows of {}",
                                 name(array.type), fmt::join(array.shape, ", "), rows, logits.filename().string()));
  }
  HCCS_ASSIGN_OR_RETURN(const std::vector<int64_t> values, to_int64(array));
  std::vector<int32_t> lengths;
  lengths.reserve(values.size());
  for (size_t r = 0; r < values.size(); ++r) {
    if (values[r] < 1 || values[r] > n) {
      return bad(path, fmt::format("row {} has length {}, but 1 <= length <= n = {}", r, values[r], n));
    }
    if (longest > 0 && values[r] > longest) {
      return bad(path, fmt::format("row {} has length {}, but the limits' row length is {}", r, values[r], longest));
    }
    lengths.push_back(static_cast<int32_t>(values[r]));
  }
  return lengths;
}

}  // namespace

Expected<DumpFolder> find_dumps(const fs::path& folder) {
  HCCS_RETURN_IF_ERROR(is_present(folder).status());
  std::error_code error;
  if (!fs::is_directory(folder, error)) {
    return Status(StatusCode::kIo, fmt::format("{}: not a folder of logit dumps", folder.string()));
  }
  static const std::regex kName(R"(layer(\d{1,4})_head(\d{1,4})\.npy)");
  std::map<Place, fs::path> files;
  std::vector<std::string> others;
  DumpFolder dumps;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    std::smatch match;
    const std::string name = entry.path().filename().string();
    if (!std::regex_match(name, match, kName)) {
      others.push_back(name);
      continue;
    }
    const Place place{std::stoll(match[1]), std::stoll(match[2])};
    const auto [existing, is_new] = files.emplace(place, entry.path());
    if (!is_new) {
      return bad(entry.path(), fmt::format("a second file for the head of {}", existing->second.filename().string()));
    }
    dumps.layers = std::max(dumps.layers, place.first + 1);
    dumps.heads = std::max(dumps.heads, place.second + 1);
  }
  if (error) return Status(StatusCode::kIo, fmt::format("{}: {}", folder.string(), error.message()));
  if (files.empty()) return no_dumps(folder, std::move(others));
  if (std::ssize(files) != dumps.layers * dumps.heads) return missing(folder, files, dumps.layers, dumps.heads);
  const fs::path shared = folder / "lengths.npy";
  HCCS_ASSIGN_OR_RETURN(const bool has_shared, is_present(shared));
  for (const auto& [place, path] : files) {
    fs::path own = folder / fmt::format("layer{}_head{}_lengths.npy", place.first, place.second);
    HCCS_ASSIGN_OR_RETURN(const bool has_own, is_present(own));
    dumps.files.push_back({path, has_own ? std::move(own) : has_shared ? shared : fs::path()});
  }
  return dumps;
}

Expected<Dump> read_dump(const DumpFolder::Head& files, int64_t longest, Digest& digest) {
  const fs::path& path = files.logits;
  HCCS_ASSIGN_OR_RETURN(const NpyArray array, read_npy(path));
  if (!is_float(array.type) || array.shape.size() != 2) {
    return bad(path, fmt::format("{} [{}] with {} dimensions, but logits are floats [rows, n]: float16, float32 or "
                                 "float64",
                                 name(array.type), fmt::join(array.shape, ", "), array.shape.size()));
  }
  const int64_t rows = array.shape[0];
  Dump dump{.n = array.shape[1]};
  HCCS_ASSIGN_OR_RETURN(dump.logits, to_float32(array));
  if (rows > 0 && dump.n == 0) return bad(path, fmt::format("{} rows of no position, but n >= 1", rows));
  if (!files.lengths.empty()) {
    HCCS_ASSIGN_OR_RETURN(dump.lengths, read_lengths(files.lengths, path, rows, dump.n, longest));
  } else if (longest > 0 && dump.n > longest) {
    return bad(path, fmt::format("rows of {} positions and no lengths.npy, but the limits' row length is {}", dump.n,
                                 longest));
  } else {
    dump.lengths.assign(static_cast<size_t>(rows), static_cast<int32_t>(dump.n));
  }
  digest.add(path.filename().string());
  digest.add(bytes(dump.logits));
  digest.add(bytes(dump.lengths));
  return dump;
}

}  // namespace hccs::internal
