// SPDX-License-Identifier: Apache-2.0
#ifndef HCCS_AIE_EXPORT_ATTENTION_MARKS_H_
#define HCCS_AIE_EXPORT_ATTENTION_MARKS_H_

#include "aie/export/attention_project.h"

namespace aie_export {

// Adds the values of the marks that say what a project of attention computes, whatever brings the data.
void add_attention_marks(const AttentionProject& project, Marks& marks);

}  // namespace aie_export

#endif  // HCCS_AIE_EXPORT_ATTENTION_MARKS_H_
