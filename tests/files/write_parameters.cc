// SPDX-License-Identifier: Apache-2.0
//
// write_parameters FOLDER: params.json, and two headers of it for param_header_test, all_heads.h and two_heads.h.
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <limits>

#include "hccs/file.h"
#include "hccs/param_file.h"
#include "hccs/param_header.h"

namespace {

hccs::ParamFile parameters() {
  hccs::ParamFile file;
  file.model = "*/ \"quoted\" // ??/\\\n#error \xE2\x80\xAE";  // whatever it is, it stays in a comment
  file.layers = 2;
  file.heads = 3;
  file.sequence_length = 64;
  file.knees = 4;
  const auto add = [&](const hccs::HeadParams& params, double step) {
    file.entries.push_back({.params = params, .step = step});
  };
  add({32767, {{127, 1}, {127, 2}, {127, 126}, {126, 127}}}, std::numeric_limits<double>::denorm_min());
  add({1, {{0, 1}}}, std::numeric_limits<double>::max());
  add({4690, {{86, 21}, {34, 47}, {14, 85}}}, 0.1);
  add({300, {{4, 60}}}, 1);
  add({4843, {{78, 34}, {24, 83}}}, 0.03354446157563166);
  add({255, {{2, 127}}}, 1e22);
  return file;
}

hccs::Status write(const std::filesystem::path& folder) {
  const hccs::ParamFile file = parameters();
  HCCS_RETURN_IF_ERROR(hccs::write_param_file(folder / "params.json", file));
  HCCS_ASSIGN_OR_RETURN(const std::string all, hccs::param_header(file));
  HCCS_RETURN_IF_ERROR(hccs::write_file_atomically(folder / "all_heads.h", {all}));
  HCCS_ASSIGN_OR_RETURN(const std::string two,
                        hccs::param_header(file, {.name = "Layer1", .layer = 1, .heads = {2, 0}}));
  return hccs::write_file_atomically(folder / "two_heads.h", {two});
}

}  // namespace

int main(int argc, char** argv) {
  const hccs::Status status =
      argc == 2 ? write(argv[1]) : hccs::Status(hccs::StatusCode::kInvalidArgument, "no folder");
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.message().c_str());
  return status.ok() ? 0 : 1;
}
