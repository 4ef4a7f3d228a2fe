// SPDX-License-Identifier: Apache-2.0
//
// The integers of an encoder: what an integer model's file holds, in memory. What is computed with them is defined in
// docs/integer-encoder.md; the limits below are what its width proofs need, and validate() checks them.
#ifndef HCCS_SRC_INTEGER_ENCODER_MODEL_H_
#define HCCS_SRC_INTEGER_ENCODER_MODEL_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "hccs/params.h"
#include "hccs/reference.h"
#include "hccs/status.h"
#include "hccs/tokenizer.h"

namespace hccs::internal {

inline constexpr int64_t kMaxHidden = 1024;
inline constexpr int64_t kMaxInner = 8192;         // inputs of a product
inline constexpr int32_t kMaxBias = 1 << 29;       // of a product
inline constexpr int32_t kMaxNormBias = 1 << 29;   // of a norm's output
inline constexpr int32_t kMaxSum = (1 << 17) - 1;  // y, what a norm sees
inline constexpr int64_t kMaxEpsilon = int64_t{1} << 38;
inline constexpr int kMaxSkipShift = 2;
inline constexpr int kInt8Shift = 22;   // of the multiplication that gives q, k, v
inline constexpr int kGeluShift = 15;   // of the multiplication that gives GELU's argument
inline constexpr int kTanhSteps = 256;  // of tanh's table to one unit
inline constexpr int kTanhSize = 8 * kTanhSteps;
inline constexpr int kLogitFraction = 16;  // a classifier's logits have the unit 2^-16

// out[j] = round(clamp16(round((sum_i w[j][i] * x[i] + bias[j]) / 2^shift[j])) * multiplier[j] / 2^r), where r is the
// same for all outputs, or out_shift[j].
struct IntLinear {
  int64_t in = 0;
  int64_t out = 0;
  std::span<const int8_t> weights;      // [out, in], -127..127
  std::vector<int32_t> bias;            // [out], |.| <= kMaxBias
  std::vector<uint8_t> shift;           // [out], 0..24
  std::vector<int16_t> multiplier;      // [out], 2^14..2^15 - 1
  std::vector<uint8_t> out_shift = {};  // [out], 0..30; of products that are added to a residual, otherwise empty
};

// One output of a norm: clamp(round((z * scale[j] + bias[j]) / 2^shift)).
struct IntAffine {
  std::vector<int16_t> scale;  // [hidden], -32767..32767
  std::vector<int32_t> bias;   // [hidden], |.| <= kMaxNormBias
  int32_t shift = 0;           // 1..24
};

struct IntNorm {
  int64_t epsilon = 16;  // 16..kMaxEpsilon: 16 times what is added to the variance
  IntAffine int8;        // for the next product, clamped to -127..127
  IntAffine skip;        // for the next residual, clamped to -32767..32767
};

struct IntGelu {
  int32_t fraction = 0;         // f, 4..13: the argument's unit is 2^-f
  int32_t multiplier = 0;       // 1..32767: 2^-15 * multiplier codes a unit
  int32_t zero = 0;             // 0..255: the code of 0
  std::vector<int32_t> splits;  // of level k = 1, 2, ...: the first so many channels have a further column; descending
};

struct IntLayer {
  IntLinear query_key_value;  // q, k, v after one another, heads within; int8
  std::vector<HeadParams> heads;
  std::vector<Rescale> rescale;  // of each head
  IntLinear attention_output;
  int32_t attention_skip = 0;  // 0..kMaxSkipShift: the residual's shift
  IntNorm attention_norm;
  IntLinear intermediate;  // int16, unit 2^-f
  IntGelu gelu;
  IntLinear output;  // its inputs: inner channels, then the columns of the splits, level by level
  int32_t output_skip = 0;
  IntNorm output_norm;
};

enum class IntPooling { kFirst, kMean };

struct IntClassifier {
  IntLinear pooler;  // multiplied with shift kGeluShift, the unit 1 / kTanhSteps
  IntLinear logits;  // out_shift; the unit 2^-kLogitFraction; its products are not clamped to 16 bits
  std::vector<std::string> labels;
};

// Where a model comes from, for people and for checks; nothing is computed with it.
struct IntOrigin {
  std::string name;
  std::string weights_digest;      // of the float model's weights
  std::string calibration_digest;  // of the texts
  int64_t calibration_texts = 0;
  int64_t calibration_tokens = 0;
  int32_t knees = 0;
};

struct IntegerModel {
  IntOrigin origin;
  int64_t hidden = 0;
  int64_t heads = 0;
  int64_t inner = 0;
  int64_t vocabulary = 0;
  int64_t positions = 0;
  int64_t types = 0;  // 1 or 2
  AttentionWeights weights = AttentionWeights::kUint8;

  std::span<const int8_t> words;          // [vocabulary, hidden]
  std::vector<int16_t> word_multipliers;  // [vocabulary], 0..32767
  int32_t word_shift = 0;                 // 0..24
  std::vector<int16_t> position_rows;     // [types, positions, hidden], on four times the sum's grid
  IntNorm embedding_norm;
  std::vector<IntLayer> layers;

  IntPooling pooling = IntPooling::kMean;
  std::optional<IntClassifier> classifier;

  // From text to ids.
  std::optional<WordPieceTokenizer> tokenizer;
  int64_t max_length = 0;             // of an embedded text, in tokens
  int64_t classifier_max_length = 0;  // of a classified one
  std::string prompt;
  int64_t prompt_tokens = 0;  // that the mean leaves out
  bool lower_case = false;

  std::shared_ptr<const void> storage;  // what the spans view

  int64_t head_dimension() const { return hidden / heads; }
};

// Ok, or kBadData with the part, the value and the rule, for the sizes alone: then the arrays' shapes are sound.
Status check_sizes(const IntegerModel& model);

// The same for everything that the width proofs and the array accesses of an engine rely on. The arrays have the sizes
// that the model says.
Status validate(const IntegerModel& model);

}  // namespace hccs::internal

#endif  // HCCS_SRC_INTEGER_ENCODER_MODEL_H_
