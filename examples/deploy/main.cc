// SPDX-License-Identifier: Apache-2.0
//
// deploy PARAMS LAYER: from a parameter file to the probabilities of all heads of a layer. The logits would come from
// q . k of your model; here they are random.
#include <hccs/param_file.h>
#include <hccs/quantise.h>
#include <hccs/softmax.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <span>
#include <string>
#include <vector>

namespace {

hccs::Status run(const char* path, int64_t layer) {
  HCCS_ASSIGN_OR_RETURN(const hccs::ParamFile file, hccs::read_param_file(path));
  if (layer < 0 || layer >= file.layers) {
    return {hccs::StatusCode::kInvalidArgument,
            "layer " + std::to_string(layer) + ", but the file has " + std::to_string(file.layers)};
  }

  // Once: the plan of the layer's heads.
  std::vector<hccs::HeadParams> heads;
  for (int64_t h = 0; h < file.heads; ++h) heads.push_back(file.at(layer, h).params);
  HCCS_ASSIGN_OR_RETURN(const hccs::SoftmaxPlan plan,
                        hccs::SoftmaxPlan::hccs(heads, hccs::Normalisation::kScaled, hccs::OutputType::kUint8));

  // For each call: logits [heads, queries, keys] in units of the head's step. (An integer engine goes there from its
  // int32 accumulators by one factor a head: its scale of q times its scale of k, over sqrt(head dimension), over the
  // step.)
  const int64_t n = 16;
  std::mt19937 random(1);
  std::normal_distribution<float> normal(0.0F, 2.0F);
  std::vector<float> floats(static_cast<size_t>(n * n));
  std::vector<int8_t> logits(static_cast<size_t>(file.heads * n * n));
  for (int64_t h = 0; h < file.heads; ++h) {
    for (float& x : floats) x = normal(random);
    hccs::quantise_logits(floats, file.at(layer, h).step, std::span(logits).subspan(h * n * n, floats.size()));
  }
  std::vector<uint8_t> p(logits.size());
  auto batch =
      hccs::SoftmaxBatch<uint8_t>::dense(logits.data(), p.data(), {.heads = file.heads, .queries = n, .keys = n});
  batch.causal_offset = 0;  // query i sees keys 0..i; leave it out for an encoder
  HCCS_RETURN_IF_ERROR(plan.run(batch));

  std::printf("%s, layer %lld, head 0, last query, in 1/255:", file.model.c_str(), static_cast<long long>(layer));
  for (int64_t i = 0; i < n; ++i) std::printf(" %d", p[static_cast<size_t>((n - 1) * n + i)]);
  std::printf("\n");
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: deploy PARAMS LAYER\n");
    return 2;
  }
  const hccs::Status status = run(argv[1], std::atoll(argv[2]));
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.message().c_str());
  return status.ok() ? 0 : 1;
}
