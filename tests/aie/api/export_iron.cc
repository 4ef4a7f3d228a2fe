// SPDX-License-Identifier: Apache-2.0
//
// export_iron KIND NPU FOLDER: writes a project for IRON, of the kernel KIND, as `hccs export --target iron` does.
#include <cstdio>
#include <filesystem>
#include <string>

#include "aie/export/attention_project.h"
#include "aie/export/softmax_project.h"
#include "aie/export/test_data.h"
#include "aie/export/write_project.h"

namespace {

using namespace aie_export;
using hccs::Expected;
using hccs::Status;

const hccs::HeadParams kThreeKnees(20000, {{100, 10}, {50, 30}, {3, 90}});
const hccs::HeadParams kOneKnee(300, {{4, 60}});

Expected<std::vector<ProjectFile>> attention(Device npu) {
  AttentionProject project;
  project.heads = {{0, kThreeKnees, .1}, {1, kOneKnee, .1}};
  project.head_dimension = 32;
  project.length = 45;
  project.rows = 11;
  project.device = npu;
  HCCS_RETURN_IF_ERROR(split_heads(0, project));
  draw_attention(3, 1, project);
  return project_files(project);
}

Expected<std::vector<ProjectFile>> softmax(Kernel kernel, Device npu) {
  const bool paper = kernel == Kernel::kPaperRows;
  SoftmaxProject project;
  project.heads = {{0, kOneKnee, .1}, {1, paper ? kOneKnee : kThreeKnees, .1}};
  project.length = paper ? 64 : 77;
  project.tile_rows = 12;
  project.device = npu;
  project.kernel = kernel;
  project.normalisation = paper ? hccs::Normalisation::kClb : hccs::Normalisation::kScaled;
  project.mask = paper ? hccs::MaskKind::kNone : hccs::MaskKind::kLength;
  HCCS_RETURN_IF_ERROR(split_heads(1, project));
  draw_logits(4, 1, project);
  draw_masks(1, project);
  return project_files(project);
}

Status write(const std::string& kind, const std::string& npu, const std::filesystem::path& folder) {
  const auto device = parse_device(npu);
  const auto kernel = parse_kernel(kind);
  if (!device || (kind != "attention" && !kernel)) return {hccs::StatusCode::kInvalidArgument, "KIND or NPU"};
  HCCS_ASSIGN_OR_RETURN(const std::vector<ProjectFile> files, kernel ? softmax(*kernel, *device) : attention(*device));
  return write_project(files, folder);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fputs("export_iron KIND NPU FOLDER\n", stderr);
    return 2;
  }
  const Status status = write(argv[1], argv[2], argv[3]);
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.message().c_str());
  return status.ok() ? 0 : 1;
}
