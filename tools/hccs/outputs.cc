// SPDX-License-Identifier: Apache-2.0
#include "outputs.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <string>
#include <system_error>

#include "hccs/file.h"

namespace hccs::tool {
namespace {

namespace fs = std::filesystem;

// Names of files that a model's folder or a folder of dumps is read from (docs/formats.md).
bool is_read_from_folders(const std::string& name) {
  constexpr std::array kNames = {
      "vocab.txt",    "tokenizer.json",         "added_tokens.json", "special_tokens_map.json",
      "modules.json", "activation_scales.json", "lengths.npy"};
  if (std::find(kNames.begin(), kNames.end(), name) != kNames.end()) return true;
  if (name.ends_with("config.json") || name == "config_sentence_transformers.json") return true;
  if (name.ends_with(".safetensors")) return true;
  return name.starts_with("layer") && name.ends_with(".npy");
}

// Whether `folder` is on the way to `path`.
bool contains(const fs::path& folder, const fs::path& path) {
  std::error_code error;
  const fs::path whole = fs::weakly_canonical(path, error);
  const fs::path begin = (fs::weakly_canonical(folder, error) / "").parent_path();  // without a "/" at its end
  return std::mismatch(begin.begin(), begin.end(), whole.begin(), whole.end()).first == begin.end();
}

Status invalid(std::string message) { return {StatusCode::kInvalidArgument, std::move(message)}; }

}  // namespace

bool same_file(const fs::path& a, const fs::path& b) {
  std::error_code error;
  if (fs::equivalent(a, b, error)) return true;
  return fs::absolute(a, error).lexically_normal() == fs::absolute(b, error).lexically_normal();
}

Status check_output(const fs::path& output, const Inputs& inputs) {
  if (output == "-")
    return invalid("-: results are written to files, not to standard output (./- is a file of that name)");
  for (const fs::path& file : inputs.files) {
    if (!file.empty() && file != "-" && same_file(file, output)) {
      return invalid(fmt::format("{}: the result would replace {}, which is read", output.string(), file.string()));
    }
  }
  for (const fs::path& folder : inputs.folders) {
    if (!folder.empty() && is_read_from_folders(output.filename().string()) && contains(folder, output)) {
      return invalid(fmt::format("{}: the result would be read as a part of {}; name another file", output.string(),
                                 folder.string()));
    }
  }
  return check_writable(output);
}

}  // namespace hccs::tool
