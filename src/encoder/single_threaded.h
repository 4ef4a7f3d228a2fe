// SPDX-License-Identifier: Apache-2.0
#ifndef HCCS_SRC_ENCODER_SINGLE_THREADED_H_
#define HCCS_SRC_ENCODER_SINGLE_THREADED_H_

#include <omp.h>

namespace hccs::internal {

// While it lives, oneDNN plans for and runs on the calling thread alone: parallelism is over batches of texts, and
// kernels that do not depend on the number of cores make results that do not.
class SingleThreaded {
 public:
  SingleThreaded() : before_(omp_get_max_threads()) { omp_set_num_threads(1); }
  ~SingleThreaded() { omp_set_num_threads(before_); }
  SingleThreaded(const SingleThreaded&) = delete;
  SingleThreaded& operator=(const SingleThreaded&) = delete;

 private:
  int before_;
};

}  // namespace hccs::internal

#endif  // HCCS_SRC_ENCODER_SINGLE_THREADED_H_
