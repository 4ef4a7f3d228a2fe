// SPDX-License-Identifier: Apache-2.0
//
// The BERT encoder in float32, with attention's softmax behind an interface: exact, int8 logits then exact, or HCCS. A
// folder with activation scales (a model trained for integers throughout) has its activations rounded to their int8
// grids on the way; its weights are on theirs already.
#ifndef HCCS_ENCODER_H_
#define HCCS_ENCODER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "hccs/model_folder.h"
#include "hccs/param_file.h"
#include "hccs/progress.h"
#include "hccs/reference.h"
#include "hccs/status.h"

namespace hccs {

// The attention logits of one text in one head: q . k / sqrt(head dimension). Padding never appears.
struct AttentionBlock {
  int64_t layer = 0;
  int64_t head = 0;
  int64_t text = 0;               // index in the caller's list
  int64_t length = 0;             // tokens: the block has `length` rows (queries) of `length` logits (keys)
  const float* logits = nullptr;  // [length, length], row-major
  // The queries and keys that the logits are products of, and the values: [length, head dimension], rows `row_stride`
  // floats apart.
  const float* query = nullptr;
  const float* key = nullptr;
  const float* value = nullptr;
  int64_t row_stride = 0;
};

// What turns logits into probabilities. Implementations are stateless or synchronised: the encoder calls one object
// from several threads.
class AttentionSoftmax {
 public:
  virtual ~AttentionSoftmax() = default;
  // Writes the block's probabilities, [length, length] row-major; may alias block.logits. An error ends the encoder's
  // run, which returns it. Errors of those below: kMismatch for a block of a head that they have no entry for;
  // kOutOfMemory.
  virtual Status apply(const AttentionBlock& block, float* probabilities) const = 0;
};

// x = scale * clamp(round_half_to_even(x / scale), -127, 127): an activation on its int8 grid. scale > 0.
void round_to_int8_grid(float scale, std::span<float> x) noexcept;

// The column of the greatest value, the first of equals, in each row of [rows, classes] logits, classes >= 1.
std::vector<int32_t> predicted_classes(std::span<const float> logits, int64_t classes);

// The exact softmax: exp in float32, with the row's maximum subtracted.
std::unique_ptr<AttentionSoftmax> make_exact_softmax();

// Logits rounded to int8 at each head's step (quantise_logits), then exact. steps: layers x heads, row-major. Errors:
// kInvalidArgument for heads < 1, for steps that are no positive multiple of the heads, and for a step that is not
// positive and finite, with the head's name; kOutOfMemory.
Expected<std::unique_ptr<AttentionSoftmax>> make_int8_exact_softmax(std::span<const double> steps, int64_t heads);

// Logits rounded to int8 at each head's step, then the contract's row softmax: p / T, whatever its row sums to. Reads
// the layers, heads and entries of `params`. Errors: kInvalidArgument for entries that are not layers x heads, a step
// that is not positive and finite, or invalid parameters, with the head's name; those of SoftmaxPlan::hccs.
Expected<std::unique_ptr<AttentionSoftmax>> make_hccs_softmax(const ParamFile& params, Normalisation normalisation,
                                                              OutputType output);

// Sees a block, from several threads. An error ends the run.
using AttentionSink = std::function<Status(const AttentionBlock&)>;

// Shows every block to `sink`, then applies `inner`. Errors: kInvalidArgument for an empty sink or inner;
// kOutOfMemory.
Expected<std::unique_ptr<AttentionSoftmax>> make_capturing_softmax(std::unique_ptr<AttentionSoftmax> inner,
                                                                   AttentionSink sink);

struct EncodeOptions {
  int threads = 1;      // >= 1. The result is the same for every number of threads.
  Progress progress{};  // in texts
};

class BertEncoder {
 public:
  // Reads and packs the weights, those of the classifier and of the sentence pipeline's Dense modules too where the
  // folder has them. Errors: those of Safetensors::read_float; kUnsupported for what oneDNN refuses; kOutOfMemory.
  static Expected<BertEncoder> load(const ModelFolder& folder);

  // Runs the encoder for what `softmax` sees; there is no other result. Texts are sorted by length and batched, without
  // padding: what a text gives depends, to the bit, on the text alone. Errors: kInvalidArgument for an empty text, more
  // tokens than the model has positions, or an id outside the vocabulary (with the text's index); kBadData for a result
  // that is not finite (weights that are not, or overflow; with the text's index); kCancelled; kIo if no thread can be
  // started; kUnsupported for what oneDNN refuses; kOutOfMemory; whatever the softmax says. An exception of the softmax
  // or of the progress callback is kInvalidArgument, with its message.
  Status run(std::span<const Encoding> texts, const AttentionSoftmax& softmax, const EncodeOptions& options) const;

  // Sentence embeddings by the folder's sentence pipeline (by default the mean of the last layer over the text's
  // tokens), in the end L2-normalised. Returns [texts, embedding_size()] float32, row-major, in the caller's order.
  // Errors: those of run(); that of the pipeline, where it gives no embeddings.
  Expected<std::vector<float>> embed(std::span<const Encoding> texts, const AttentionSoftmax& softmax,
                                     const EncodeOptions& options) const;

  // A classifier's logits, [texts, classes] float32, row-major: classifier(tanh(pooler(first token of the last
  // layer))), as Hugging Face's BertForSequenceClassification computes them. Errors: those of run(); why the folder is
  // no classifier of texts (ModelFolder::classifier).
  Expected<std::vector<float>> classify(std::span<const Encoding> texts, const AttentionSoftmax& softmax,
                                        const EncodeOptions& options) const;

  const BertConfig& config() const noexcept;
  int64_t classes() const noexcept;         // 0: no classifier of texts
  int64_t embedding_size() const noexcept;  // components of an embedding

 private:
  struct Model;
  // One row a text of what is asked for.
  enum class Output { kNothing, kEmbedding, kLogits };
  Expected<std::vector<float>> run(std::span<const Encoding> texts, const AttentionSoftmax& softmax,
                                   const EncodeOptions& options, Output output) const;
  explicit BertEncoder(std::shared_ptr<const Model> model) : model_(std::move(model)) {}
  std::shared_ptr<const Model> model_;
};

}  // namespace hccs

#endif  // HCCS_ENCODER_H_
