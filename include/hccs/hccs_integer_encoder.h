// SPDX-License-Identifier: Apache-2.0
//
// The integer encoder (hccs/integer_encoder.h) for programs in C99, in the manner of hccs/hccs.h: from texts, or their
// token ids, to embeddings or a classifier's logits. Part of hccs::integer_encoder, not of the core library.
//
//   hccs_status status;
//   hccs_integer_encoder* encoder = NULL;
//   if (hccs_integer_encoder_load("minilm.hccs", NULL, &encoder, &status) != HCCS_OK) ...
//   const char* texts[] = {"a text", "another"};
//   float* embeddings = malloc(2 * hccs_integer_encoder_hidden_size(encoder) * sizeof(float));
//   if (hccs_integer_encoder_embed(encoder, texts, 2, 1, embeddings, &status) != HCCS_OK) ...
//   hccs_integer_encoder_free(encoder);
#ifndef HCCS_HCCS_INTEGER_ENCODER_H_
#define HCCS_HCCS_INTEGER_ENCODER_H_

#include "hccs/hccs.h"

#ifdef __cplusplus
extern "C" {
#endif

// Does not change: any number of threads may use one at once.
typedef struct hccs_integer_encoder hccs_integer_encoder;

// `target`: a name out of hccs_attention_target_name(); NULL: the environment variable HCCS_TARGET, or else the best
// that this CPU has. Results do not depend on it. Errors: HCCS_IO, HCCS_BAD_DATA for anything that is no whole and
// unaltered integer model, HCCS_UNSUPPORTED for another version or a target that is not there.
HCCS_API hccs_code hccs_integer_encoder_load(const char* path, const char* target, hccs_integer_encoder** encoder,
                                             hccs_status* status);
HCCS_API void hccs_integer_encoder_free(hccs_integer_encoder* encoder);

// Strings live as long as the encoder.
HCCS_API const char* hccs_integer_encoder_model(const hccs_integer_encoder* encoder);  // the float model's name
HCCS_API const char* hccs_integer_encoder_target(const hccs_integer_encoder* encoder);
HCCS_API int64_t hccs_integer_encoder_hidden_size(const hccs_integer_encoder* encoder);
HCCS_API int64_t hccs_integer_encoder_max_positions(const hccs_integer_encoder* encoder);
HCCS_API int64_t hccs_integer_encoder_vocabulary_size(const hccs_integer_encoder* encoder);
HCCS_API int64_t hccs_integer_encoder_label_count(const hccs_integer_encoder* encoder);  // 0: no classifier
// NULL unless 0 <= index < label_count.
HCCS_API const char* hccs_integer_encoder_label(const hccs_integer_encoder* encoder, int64_t index);

// `count` texts, UTF-8 that ends with a 0 byte, truncated to the model's maximum length. out: [count, hidden size],
// each row of length 1 up to rounding. threads >= 1; the result does not depend on it. Errors: HCCS_INVALID_ARGUMENT,
// HCCS_OUT_OF_MEMORY, HCCS_IO if no thread can be started.
HCCS_API hccs_code hccs_integer_encoder_embed(const hccs_integer_encoder* encoder, const char* const* texts,
                                              int64_t count, int32_t threads, float* out, hccs_status* status);

// The same from token ids, those of text t being ids[starts[t]] up to ids[starts[t + 1]]; starts has count + 1
// elements, which rise. All tokens have type 0. out: [count, hidden size] in units of 2^-15.
HCCS_API hccs_code hccs_integer_encoder_embed_ids(const hccs_integer_encoder* encoder, const int32_t* ids,
                                                  const int64_t* starts, int64_t count, int32_t threads, int16_t* out,
                                                  hccs_status* status);

// A classifier's logits of texts or, where `seconds` is not NULL, of pairs: [count, labels]. Errors: those of embed;
// HCCS_UNSUPPORTED where the model is no classifier.
HCCS_API hccs_code hccs_integer_encoder_classify(const hccs_integer_encoder* encoder, const char* const* texts,
                                                 const char* const* seconds, int64_t count, int32_t threads,
                                                 float* logits, hccs_status* status);

#ifdef __cplusplus
}
#endif

#endif  // HCCS_HCCS_INTEGER_ENCODER_H_
