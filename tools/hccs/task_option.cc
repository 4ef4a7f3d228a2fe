// SPDX-License-Identifier: Apache-2.0
#include "task_option.h"

#include <cstdlib>

namespace hccs::tool {

void TaskOption::add_folders(CLI::App& app) {
  app.add_option("--data", data, "folder with sst2/, snli/, mnli/ and bert_vocab/ (default: $HCCS_DATA/data)");
  app.add_option("--wordnet", wordnet, "WordNet's data.noun")->capture_default_str();
}

std::filesystem::path TaskOption::data_folder() const {
  if (!data.empty()) return data;
  const char* root = std::getenv("HCCS_DATA");
  return std::filesystem::path(root == nullptr || *root == '\0' ? "../shared" : root) / "data";
}

}  // namespace hccs::tool
