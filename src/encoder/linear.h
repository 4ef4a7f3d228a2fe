// SPDX-License-Identifier: Apache-2.0
//
// A fully connected layer in float32 by oneDNN, its weights packed once into the layout that the machine prefers.
#ifndef HCCS_SRC_ENCODER_LINEAR_H_
#define HCCS_SRC_ENCODER_LINEAR_H_

#include <cstdint>
#include <dnnl.hpp>
#include <span>

namespace hccs::internal {

// A layer always works on blocks of so many rows: one compiled kernel serves every batch. 48 is a multiple of the rows
// that oneDNN's kernels take at a time (6 with AVX2, for one): with a remainder, the last rows of a block would be
// summed in another order, and a text's embedding would depend on its place in a batch.
inline constexpr int64_t kLinearBlockRows = 48;

enum class LinearOutput {
  kStore,  // out = x W^T + b
  kGelu,   // out = gelu(x W^T + b), the erf form
  kAdd,    // out += x W^T + b
};

class Linear {
 public:
  // weights: [out, in] row-major, bias: [out]; both are copied. Throws dnnl::error.
  Linear(const dnnl::engine& engine, int64_t in, int64_t out, std::span<const float> weights,
         std::span<const float> bias, LinearOutput output);

  // x: [rows, in], out: [rows, out], rows a multiple of kLinearBlockRows. Thread-safe, with a stream for each thread.
  // Throws dnnl::error.
  void run(const dnnl::stream& stream, int64_t rows, const float* x, float* out) const;

 private:
  int64_t in_;
  int64_t out_;
  dnnl::matmul::primitive_desc kernel_desc_;
  dnnl::matmul kernel_;
  dnnl::memory weights_;
  dnnl::memory bias_;
};

}  // namespace hccs::internal

#endif  // HCCS_SRC_ENCODER_LINEAR_H_
