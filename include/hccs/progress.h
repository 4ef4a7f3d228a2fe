// SPDX-License-Identifier: Apache-2.0
#ifndef HCCS_PROGRESS_H_
#define HCCS_PROGRESS_H_

#include <cstdint>
#include <functional>

namespace hccs {

// Called by long operations with the units of work done so far and the total (both >= 0, done <=
// total), from one thread at a time. Return false to stop: the operation then returns
// StatusCode::kCancelled. An empty function means "no report".
using Progress = std::function<bool(int64_t done, int64_t total)>;

}  // namespace hccs

#endif  // HCCS_PROGRESS_H_
