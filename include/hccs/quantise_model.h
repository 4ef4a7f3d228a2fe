// SPDX-License-Identifier: Apache-2.0
//
// From a float model, texts and calibrated heads to an integer model (hccs/integer_encoder.h): every scale is found
// from the texts, never by hand. docs/integer-encoder.md says how.
#ifndef HCCS_QUANTISE_MODEL_H_
#define HCCS_QUANTISE_MODEL_H_

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "hccs/model_folder.h"
#include "hccs/param_file.h"
#include "hccs/progress.h"
#include "hccs/reference.h"
#include "hccs/status.h"
#include "hccs/tokenizer.h"

namespace hccs {

// How weights become integers: to the nearest, or so that the products on the texts change least (GPTQ).
enum class WeightRounding { kNearest, kGptq };

// What the parameter file's heads are. kFixed: the integer model has them. kStart: they are where the search for the
// integer model's begins, in which attention's output differs least from the float model's. kTrained: the integer model
// has them, and the weights were trained with them in place of the exponential; so it is made to come near that model.
enum class HeadUse { kFixed, kStart, kTrained };

struct QuantiseModelOptions {
  AttentionWeights attention_weights = AttentionWeights::kUint8;
  WeightRounding rounding = WeightRounding::kGptq;
  HeadUse heads = HeadUse::kFixed;  // kStart needs kGptq
  int64_t max_length = 0;           // tokens of a text; 0: as many as the folder says. Nothing to texts of tokens
  int64_t tokens = 16384;           // at most so many are looked at: whole texts, evenly spread over all
  int64_t report_texts = 0;         // compare so many texts layer by layer with the float model
  int threads = 1;                  // the result does not depend on it
  Progress observe_progress{};      // in texts
  Progress quantise_progress{};     // in layers
};

// The hidden states after the embeddings' norm (first) and after each layer: cosines of the integer model's tokens to
// the float model's.
struct LayerCosine {
  double mean = 1;
  double least = 1;
};

struct QuantisedModel {
  int64_t texts = 0;                  // that were looked at
  int64_t tokens = 0;                 // of them
  std::vector<LayerCosine> layers{};  // layers + 1, if report_texts > 0
};

// Writes the integer model, atomically; the same inputs give the same bytes. The classifier is quantised where the
// folder has one, and the sentence pipeline where it is a mean or the first token, normalised. Errors: those of
// encode_texts, check_matches and Safetensors::read_float; kInvalidArgument for no text; kUnsupported, by name and
// value, for another pipeline in a folder that is no classifier, more than 1024 hidden or 8192 inner channels; kBadData
// for weights or activations that are not finite; kCancelled; kIo; kOutOfMemory.
Expected<QuantisedModel> quantise_model(const ModelFolder& model, std::span<const std::string> texts,
                                        const ParamFile& params, const QuantiseModelOptions& options,
                                        const std::filesystem::path& output);
// The same from texts that are tokens already. More errors: kInvalidArgument, with the text's index, for an empty one,
// for more tokens than the model has positions and for ids outside the vocabulary.
Expected<QuantisedModel> quantise_model_on_tokens(const ModelFolder& model, std::span<const Encoding> texts,
                                                  const ParamFile& params, const QuantiseModelOptions& options,
                                                  const std::filesystem::path& output);

}  // namespace hccs

#endif  // HCCS_QUANTISE_MODEL_H_
