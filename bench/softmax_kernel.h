// SPDX-License-Identifier: Apache-2.0
//
// What `softmax_bench` times: kernels of several makers, all on the same logits.
#ifndef HCCS_BENCH_SOFTMAX_KERNEL_H_
#define HCCS_BENCH_SOFTMAX_KERNEL_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "hccs/status.h"

namespace hccs::bench {

// Real value of one int8 unit of a logit, where a kernel lets one say so.
inline constexpr double kStep = 0.1;

// Kinds of mask, as the results name them.
inline constexpr char kNoMask[] = "none";
inline constexpr char kHalf[] = "length n/2";
inline constexpr char kCausal[] = "causal n x n";
inline constexpr char kBits[] = "bits";

// Batches of the same shape, one after the other in memory. A kernel's call does one batch.
struct Shape {
  int64_t batches = 1;
  int64_t heads = 1;
  int64_t queries = 1;
  int64_t keys = 1;

  int64_t rows() const { return heads * queries; }  // of a batch
  int64_t elements() const { return rows() * keys; }
  // From a batch's first element to the next one's: batches start at cache lines.
  int64_t stride() const { return (elements() + 63) / 64 * 64; }
};

// The same logits in the types that kernels read, and where all of them write. Aligned to 64 bytes.
struct Data {
  std::span<const int8_t> s8;
  std::span<const int8_t> nats;  // round(s8 * kStep), for who takes a unit for 1 nat
  std::span<const uint8_t> u8;   // s8 + 128
  std::span<const float> f32;    // s8 * kStep
  std::span<const int32_t> s32;  // sums, about 200 of which are a unit of s8 (softmax_sums_kernel.h)
  std::span<const uint8_t> mask_bits;
  std::span<std::byte> out;
};

class Kernel {
 public:
  virtual ~Kernel() = default;
  virtual bool run(int64_t batch) = 0;
  // Compares what run() left in Data::out for every batch with a definition. The error says where they differ.
  virtual Status verify() const = 0;
  // Of the instruction set or the implementation, as its maker calls it.
  virtual std::string target() const = 0;
};

using MakeKernel = std::function<Expected<std::unique_ptr<Kernel>>(const Data&, const Shape&)>;

// A kernel of another maker, at its nearest to uint8 row softmax of int8 logits.
struct Peer {
  std::string kernel;     // as in the results: "onednn-s8"
  std::string output;     // "int8", "uint8", "float"
  int64_t element_bytes;  // in and out
  MakeKernel make;
};

// What no kernel that reads and writes every element can beat by much.
Expected<std::unique_ptr<Kernel>> make_copy(const Data& data, const Shape& shape);

// Each is built only where its library is.
void add_onednn_peers(std::vector<Peer>& peers);
void add_xnnpack_peers(std::vector<Peer>& peers);

// Are all of the peer's outputs, in every batch, within `tolerance` of full_scale * softmax(step * all_logits),
// computed in double and saturated at `most`? The tolerance is absolute for integers, and for floats relative.
template <class Out>
Status verify_against_float(std::span<const int8_t> all_logits, const Data& data, const Shape& shape, double step,
                            double full_scale, double most, double tolerance);

}  // namespace hccs::bench

#endif  // HCCS_BENCH_SOFTMAX_KERNEL_H_
