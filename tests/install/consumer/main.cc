// SPDX-License-Identifier: Apache-2.0
// What a user of the installed library writes first; it links hccs::hccs alone. Leaves params.json where it runs.
#include <hccs/calibration.h>
#include <hccs/param_file.h>
#include <hccs/reference.h>
#include <hccs/softmax.h>

#include <array>
#include <cstdio>

namespace {

// A parameter file, written and read.
bool round_trip(const hccs::HeadParams& params) {
  hccs::ParamFile file;
  file.model = "made up";
  file.layers = file.heads = 1;
  file.sequence_length = 64;
  file.knees = params.knee_count;
  file.entries = {{.params = params, .step = 0.05}};
  if (!hccs::write_param_file("params.json", file).ok()) return false;
  const auto read = hccs::read_param_file("params.json");
  return read.ok() && read->at(0, 0).params == params && !hccs::read_param_file("no such file").ok();
}

}  // namespace

int main() {
  const hccs::HeadParams params(4690, {{86, 21}, {34, 47}, {14, 85}});
  const std::array<int8_t, 4> logits = {90, 70, 50, 0};
  std::array<uint8_t, 4> p{};
  const hccs::Status status = hccs::softmax_reference(params, hccs::Normalisation::kScaled, logits, {}, p);
  if (!status.ok()) {
    std::fprintf(stderr, "%s\n", status.message().c_str());
    return 1;
  }
  std::array<uint8_t, 4> fast{};
  const auto plan = hccs::SoftmaxPlan::hccs({&params, 1}, hccs::Normalisation::kScaled, hccs::OutputType::kUint8);
  if (!plan.ok() || !plan->run(hccs::SoftmaxBatch<uint8_t>::dense(logits.data(), fast.data(), {.keys = 4})).ok())
    return 1;
  if (fast != p) return 1;
  if (!round_trip(params)) return 1;
  hccs::RowSample sample(16, 0);
  const std::array<float, 3> row = {0.0F, 1.0F, 3.0F};
  if (!sample.add(0, row).ok() || !hccs::calibrate({&sample, 1}, 1, {.knees = 1}).ok()) return 1;
  std::printf("%d %d %d %d\n", p[0], p[1], p[2], p[3]);
  return p[0] > p[1] && p[1] > p[2] && p[2] > p[3] ? 0 : 1;
}
