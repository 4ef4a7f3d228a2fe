// SPDX-License-Identifier: Apache-2.0
//
// A sentence encoder in integers from end to end: from token ids to an embedding or to a classifier's logits without a
// floating-point number, the same bits on every machine. docs/integer-encoder.md defines the arithmetic; hccs quantise
// makes the file.
//
//   auto encoder = hccs::IntegerEncoder::load("minilm.hccs");
//   auto embeddings = encoder->embed_texts(texts, {.threads = 4});
#ifndef HCCS_INTEGER_ENCODER_H_
#define HCCS_INTEGER_ENCODER_H_

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "hccs/progress.h"
#include "hccs/reference.h"
#include "hccs/status.h"
#include "hccs/tokenizer.h"

namespace hccs {

inline constexpr const char* kIntegerModelFormat = "hccs-integer-model";
inline constexpr int kIntegerModelVersion = 1;

// What an integer model says of itself.
struct IntegerModelInfo {
  std::string name;                // of the float model
  std::string weights_digest;      // of its weights
  std::string calibration_digest;  // of the texts that found the scales
  int64_t calibration_texts = 0;
  int64_t calibration_tokens = 0;
  int64_t layers = 0;
  int64_t hidden_size = 0;
  int64_t heads = 0;       // a layer
  int64_t inner_size = 0;  // of the feed-forward layers
  int64_t vocabulary_size = 0;
  int64_t max_positions = 0;
  int64_t max_length = 0;             // tokens that an embedded text is cut to
  int64_t classifier_max_length = 0;  // and a classified one
  int32_t knees = 0;                  // K of the heads
  AttentionWeights attention_weights = AttentionWeights::kUint8;
  std::vector<std::string> labels{};  // of the classifier; empty: there is none
};

// Whether a file begins as an integer model: for a program that takes either that or a folder. False for anything that
// cannot be read.
bool is_integer_model(const std::filesystem::path& path);

// Immutable; copies share the model. Any number of threads may use one object at a time.
class IntegerEncoder {
 public:
  struct Options {
    // >= 1. The result is the same for every number of threads. They share the texts, and where there are fewer texts
    // than threads, the tokens of each.
    int threads = 1;
    // The definition itself, in place of the loops that equal it: some hundred times slower, for tests.
    bool reference = false;
    Progress progress{};  // in texts
  };

  // Maps the file, which must not be shortened while the object lives; replacing it by rename is harmless. Errors: kIo;
  // kBadData for anything that is no integer model, and for an altered, truncated or damaged one; kUnsupported for a
  // version that is not known. `target` is the instruction set that all is computed with, a name out of
  // attention_targets() (hccs/attention.h); empty: the environment variable HCCS_TARGET, or else the best that this CPU
  // has. Results do not depend on it. kUnsupported if this build or this CPU lacks it. Beside the mapped file an object
  // takes the weights' size in memory, in the form that the target reads.
  static Expected<IntegerEncoder> load(const std::filesystem::path& path, std::string_view target = {});

  std::string_view target() const noexcept;

  const IntegerModelInfo& info() const noexcept;
  const WordPieceTokenizer& tokenizer() const noexcept;

  // A text as the model's tokens: the default prompt in front and lower case where the model was made so. At most
  // `max_length` tokens; 0: info().max_length.
  Encoding encode(std::string_view text, int64_t max_length = 0) const;

  // Embeddings of length 1 up to rounding, multiples of 2^-15: [texts, hidden_size] row-major, in the caller's order.
  // What a text gives depends on the text alone. Errors: kInvalidArgument for an empty text, more tokens than the model
  // has positions, an id outside the vocabulary (each with the text's index), or threads < 1; kCancelled; kIo if no
  // thread can be started; kOutOfMemory.
  Expected<std::vector<float>> embed(std::span<const Encoding> texts, const Options& options) const;
  Expected<std::vector<float>> embed_texts(std::span<const std::string> texts, const Options& options) const;
  // The same integers: an embedding's unit is 2^-15.
  Expected<std::vector<int16_t>> embed_integers(std::span<const Encoding> texts, const Options& options) const;

  // A classifier's logits, multiples of 2^-16: [texts, labels] row-major. Errors: those of embed(); kUnsupported where
  // the model is no classifier.
  Expected<std::vector<float>> classify(std::span<const Encoding> texts, const Options& options) const;

 private:
  struct Model;
  explicit IntegerEncoder(std::shared_ptr<const Model> model) : model_(std::move(model)) {}
  std::shared_ptr<const Model> model_;
};

}  // namespace hccs

#endif  // HCCS_INTEGER_ENCODER_H_
