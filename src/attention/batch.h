// SPDX-License-Identifier: Apache-2.0
#ifndef HCCS_SRC_ATTENTION_BATCH_H_
#define HCCS_SRC_ATTENTION_BATCH_H_

#include "attention/plan.h"

namespace hccs::internal {

// Positions of the longest text.
int64_t longest_text(const AttentionBatch& batch) noexcept;

// Ok, or what AttentionPlan::pieces() documents.
Status check_batch(const AttentionPlan::Impl& plan, const AttentionBatch& batch);

}  // namespace hccs::internal

#endif  // HCCS_SRC_ATTENTION_BATCH_H_
