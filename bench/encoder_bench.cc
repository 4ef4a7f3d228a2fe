// SPDX-License-Identifier: Apache-2.0
//
// The float encoder on WordNet glosses, tokens a second; the argument is the number of threads. HCCS_MODEL names the
// model folder (default build/demo/model).
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <vector>

#include "hccs/encoder.h"
#include "tasks/wordnet.h"

namespace {

constexpr size_t kTexts = 1000;

struct Input {
  hccs::BertEncoder encoder;
  std::vector<hccs::Encoding> texts;
  int64_t tokens = 0;
};

hccs::Expected<Input> load() {
  const char* folder = std::getenv("HCCS_MODEL");
  HCCS_ASSIGN_OR_RETURN(const hccs::ModelFolder model,
                        hccs::open_model_folder(folder != nullptr ? folder : "build/demo/model"));
  HCCS_ASSIGN_OR_RETURN(hccs::BertEncoder encoder, hccs::BertEncoder::load(model));
  HCCS_ASSIGN_OR_RETURN(const std::vector<hccs::LabelledText> glosses, hccs::read_wordnet_glosses());
  Input input{std::move(encoder), {}};
  const size_t stride = std::max<size_t>(glosses.size() / kTexts, 1);
  for (size_t i = 0; i < glosses.size() && input.texts.size() < kTexts; i += stride) {
    input.texts.push_back(model.tokenizer.encode(glosses[i].text, model.config.max_positions));
    input.tokens += std::ssize(input.texts.back().ids);
  }
  return input;
}

// A mid-sized K = 3 head everywhere: the cost does not depend on the values.
hccs::ParamFile plain_params(const hccs::BertConfig& config) {
  hccs::ParamFile params;
  params.layers = config.layers;
  params.heads = config.heads;
  params.entries.assign(static_cast<size_t>(config.layers * config.heads),
                        {.params = {1000, {{20, 10}, {8, 40}, {2, 100}}}, .step = 0.1});
  return params;
}

using Softmax = hccs::Expected<std::unique_ptr<hccs::AttentionSoftmax>>;
using MakeSoftmax = Softmax (*)(const hccs::BertConfig& config);

void BM_embed(benchmark::State& state, MakeSoftmax make_softmax) {
  static const hccs::Expected<Input> input = load();
  if (!input.ok()) {
    state.SkipWithError(input.status().message().c_str());
    return;
  }
  const Softmax softmax = make_softmax(input->encoder.config());
  if (!softmax.ok()) {
    state.SkipWithError(softmax.status().message().c_str());
    return;
  }
  for (auto _ : state) {
    const auto embeddings =
        input->encoder.embed(input->texts, **softmax, {.threads = static_cast<int>(state.range(0))});
    if (!embeddings.ok()) state.SkipWithError(embeddings.status().message().c_str());
  }
  state.counters["tokens/s"] =
      benchmark::Counter(static_cast<double>(input->tokens), benchmark::Counter::kIsIterationInvariantRate);
  state.counters["tokens/text"] = static_cast<double>(input->tokens) / static_cast<double>(input->texts.size());
}

BENCHMARK_CAPTURE(BM_embed, exact, [](const hccs::BertConfig&) { return Softmax(hccs::make_exact_softmax()); })
    ->Arg(1)
    ->Arg(2)
    ->MeasureProcessCPUTime()
    ->MeasureProcessCPUTime()
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_embed, int8_exact,
                  [](const hccs::BertConfig& config) {
                    return hccs::make_int8_exact_softmax(
                        std::vector<double>(static_cast<size_t>(config.layers * config.heads), 0.1), config.heads);
                  })
    ->Arg(1)
    ->MeasureProcessCPUTime()
    ->MeasureProcessCPUTime()
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(BM_embed, hccs_scaled_uint8,
                  [](const hccs::BertConfig& config) {
                    return hccs::make_hccs_softmax(plain_params(config), hccs::Normalisation::kScaled,
                                                   hccs::OutputType::kUint8);
                  })
    ->Arg(1)
    ->MeasureProcessCPUTime()
    ->MeasureProcessCPUTime()
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
