/* SPDX-License-Identifier: Apache-2.0 */
#include "hccs/hccs_integer_encoder.h"

/* The header is C99, and includes what it needs. */
const char* hccs_test_label(const hccs_integer_encoder* encoder);
const char* hccs_test_label(const hccs_integer_encoder* encoder) { return hccs_integer_encoder_label(encoder, 0); }
