// SPDX-License-Identifier: Apache-2.0
//
// Products of row-major float matrices by oneDNN.
#ifndef HCCS_SRC_QUANTISER_PRODUCTS_H_
#define HCCS_SRC_QUANTISER_PRODUCTS_H_

#include <cstdint>
#include <dnnl.hpp>

namespace hccs::internal {

// out[m, n] = a[m, k] * b[k, n]; strides are elements from row to row.
inline void multiply(int64_t m, int64_t n, int64_t k, const float* a, int64_t a_stride, const float* b,
                     int64_t b_stride, float* out, int64_t out_stride) {
  dnnl::error::wrap_c_api(dnnl_sgemm('N', 'N', m, n, k, 1.0F, a, a_stride, b, b_stride, 0.0F, out, out_stride),
                          "sgemm");
}

// out[m, n] = a[m, k] * b[n, k]^T.
inline void multiply_transposed(int64_t m, int64_t n, int64_t k, const float* a, int64_t a_stride, const float* b,
                                int64_t b_stride, float* out, int64_t out_stride) {
  dnnl::error::wrap_c_api(dnnl_sgemm('N', 'T', m, n, k, 1.0F, a, a_stride, b, b_stride, 0.0F, out, out_stride),
                          "sgemm");
}

// out[n, n] += a[rows, n]^T * a[rows, n].
inline void add_gram(int64_t rows, int64_t n, const float* a, float* out) {
  dnnl::error::wrap_c_api(dnnl_sgemm('T', 'N', n, n, rows, 1.0F, a, n, a, n, 1.0F, out, n), "sgemm");
}

// out[m, n] += a[rows, m]^T * b[rows, n].
inline void add_cross(int64_t rows, int64_t m, int64_t n, const float* a, const float* b, float* out) {
  dnnl::error::wrap_c_api(dnnl_sgemm('T', 'N', m, n, rows, 1.0F, a, m, b, n, 1.0F, out, n), "sgemm");
}

}  // namespace hccs::internal

#endif  // HCCS_SRC_QUANTISER_PRODUCTS_H_
