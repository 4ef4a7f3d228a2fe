// SPDX-License-Identifier: Apache-2.0
#ifndef HCCS_AIE_EXPORT_SOFTMAX_MARKS_H_
#define HCCS_AIE_EXPORT_SOFTMAX_MARKS_H_

#include "aie/export/softmax_project.h"

namespace aie_export {

// Adds the values of the marks that say what a project of row softmax computes, whatever brings the data: shape, heads,
// kernel, masks, and with CHECKS the compile-time checks of project.h. Errors: those of fill_template().
hccs::Status add_softmax_marks(const SoftmaxProject& project, Marks& marks);

}  // namespace aie_export

#endif  // HCCS_AIE_EXPORT_SOFTMAX_MARKS_H_
