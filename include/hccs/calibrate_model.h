// SPDX-License-Identifier: Apache-2.0
//
// The main job: a model and representative texts in, a parameter file out. Or, for models that BertEncoder does not
// read, dumped logits in. What the rows are fitted by is calibration.h.
//
//   auto model = hccs::open_model_folder("all-MiniLM-L6-v2");
//   auto calibrated = hccs::calibrate_model(*model, texts, {});
//   hccs::write_param_file("params.json", calibrated->params);
#ifndef HCCS_CALIBRATE_MODEL_H_
#define HCCS_CALIBRATE_MODEL_H_

#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "hccs/calibration.h"
#include "hccs/model_folder.h"
#include "hccs/param_file.h"
#include "hccs/progress.h"
#include "hccs/status.h"
#include "hccs/tokenizer.h"

namespace hccs {

struct CalibrateModelOptions {
  CalibrationOptions calibration{};
  uint64_t seed = 0;         // of the choice of rows
  int64_t rows = 4096;       // kept a head, >= 1
  int64_t max_length = 0;    // tokens of a text; 0: as many as the folder says (SentencePipeline::max_length)
  bool only_full = false;    // leave out texts of fewer than max_length tokens, so that all rows have as many positions
  int64_t first = 0;         // the number of the first text, or of the dumps' first row; >= 0 (hccs/row_file.h)
  Progress read_progress{};  // while logits are read: in texts, or in heads of a folder of dumps
};

// What a parameter file says of the model that it was made for, and of the data.
struct CalibratedModel {
  std::string name;
  int64_t layers = 0;
  int64_t heads = 0;           // a layer
  int64_t head_dimension = 0;  // 0: unknown
  std::string data_digest;
  std::string weights_digest;  // empty: unknown
};

// ---- Which rows -----------------------------------------------------------------------------------------------------

// Every text counts the same, whatever its length: it gives this many of its rows, or all if it is shorter.
inline constexpr int64_t kRowsPerText = 4;

// The queries of a text of `length` >= 1 tokens whose rows a head is calibrated on: min(kRowsPerText, length) of them,
// evenly spaced from a place that varies with the seed, the text and the head (its place among layers x heads).
// `text` counts all texts from 0; `heads` is layers x heads.
std::vector<int64_t> rows_to_sample(int64_t text, int64_t head, int64_t heads, int64_t length, uint64_t seed);

// The samples of all heads of a model, filled text by text. Any number of threads may add at once; the samples do not
// depend on the order.
class HeadSamples {
 public:
  // `rows` >= 1 are kept a head.
  HeadSamples(int64_t layers, int64_t heads, int64_t rows, uint64_t seed);

  // Adds rows_to_sample() of one text's logits in one head, [length, length] row-major. Errors: those of
  // RowSample::add().
  Status add(int64_t layer, int64_t head, int64_t text, int64_t length, const float* logits);

  // Layers x heads, row-major; for calibrate().
  std::span<const RowSample> samples() const noexcept { return samples_; }

 private:
  int64_t heads_;
  uint64_t seed_;
  std::vector<RowSample> samples_;
  std::unique_ptr<std::mutex[]> locks_;  // one a head
};

// ---- From a model, from dumps ---------------------------------------------------------------------------------------

struct EncodedTexts {
  std::vector<Encoding> encodings;
  int64_t count = 0;       // texts
  int64_t max_length = 0;  // tokens that a text was truncated to
  int64_t truncated = 0;   // texts that lost tokens
  int64_t longest = 0;     // tokens of the longest text before truncation
};

// What truncation to max_length did to encoded texts; without encodings.
EncodedTexts truncation_of(std::span<const Encoding> encodings, int64_t max_length);

// The texts, prepared as the folder's sentence pipeline says (default prompt, lower case), as the model's tokens, at
// most max_length each (0: what the folder says). For a classifier, a text with a tab is a pair of texts, which nothing
// prepares. Error: kInvalidArgument for a max_length outside 2..positions, or of 2 where there is a pair.
Expected<EncodedTexts> encode_texts(const ModelFolder& model, std::span<const std::string> texts, int64_t max_length);

// The data of a sample: texts, or rows of dumps, `count` of them from number `first` on.
struct SampledPart {
  int64_t first = 0;
  int64_t count = 0;
  std::vector<std::string> texts{};  // empty for dumps
  std::string digest{};              // of dumps
};

// Logits that calibration sees, and whose they are.
struct SampledModel {
  std::vector<RowSample> heads;  // layers x heads, row-major
  CalibratedModel model;
  EncodedTexts texts{};              // without encodings; what truncation did. Nothing for dumps.
  int64_t without_lengths = 0;       // heads of dumps that have no lengths: all positions of their rows are valid
  std::vector<SampledPart> parts{};  // what was sampled, in order
};

// Runs the float model over the texts and samples each head's logits. Under the paper's limits texts are truncated to
// their row length, too. Errors: kInvalidArgument for only_full without a text that long, or together with `first`;
// those of encode_texts(), BertEncoder::load() and run().
Expected<SampledModel> sample_model(const ModelFolder& model, std::span<const std::string> texts,
                                    const CalibrateModelOptions& options);

// Samples the rows of a folder of layer<L>_head<H>.npy, floats [rows, n] of 16, 32 or 64 bits. How many of a row's
// first positions are valid, each 1..n, is in layer<L>_head<H>_lengths.npy, otherwise in lengths.npy, integers [rows];
// without either all are. The model's name is the folder's. Errors: kIo; kBadData, naming file, value and rule, for a
// missing head, another type or shape, a length out of range (or above the row length of the paper's limits);
// kCancelled.
Expected<SampledModel> sample_dumps(const std::filesystem::path& folder, const CalibrateModelOptions& options);

// ---- To a parameter file --------------------------------------------------------------------------------------------

// The parameter file of fits that were made with these options; layers x heads fits, row-major.
ParamFile make_param_file(std::span<const HeadFit> fits, const CalibrateModelOptions& options,
                          const CalibratedModel& model);

struct ModelCalibration {
  ParamFile params;
  std::vector<HeadFit> fits;  // layers x heads, row-major
  EncodedTexts texts{};       // as in SampledModel
};

// Fits every head. Errors: those of calibrate(); kInvalidArgument for a row above the paper's n under its limits.
Expected<ModelCalibration> calibrate_samples(const SampledModel& sampled, const CalibrateModelOptions& options);

// sample_model(), then calibrate_samples().
Expected<ModelCalibration> calibrate_model(const ModelFolder& model, std::span<const std::string> texts,
                                           const CalibrateModelOptions& options);

}  // namespace hccs

#endif  // HCCS_CALIBRATE_MODEL_H_
