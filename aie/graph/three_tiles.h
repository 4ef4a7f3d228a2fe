// SPDX-License-Identifier: Apache-2.0
//
// One head on three tiles: matrix product, softmax, matrix product, with micro tiles throughout, so that no layout
// changes between them. The probabilities are in memory; kernels/attention.h is the form in which they never are.
#ifndef HCCS_AIE_GRAPH_THREE_TILES_H_
#define HCCS_AIE_GRAPH_THREE_TILES_H_

#include <adf.h>

#include <string>
#include <vector>

namespace hccs_kernels {

// The products, whose definitions are in kernels/products.h. Only the source file of the kernels includes that: it
// needs the AIE API, which the compiler of graphs has not.
template <unsigned kRows, unsigned kN, unsigned kHeadDim, int kShift>
void logits_of_head(adf::input_buffer<int8, adf::extents<kRows * kHeadDim>>& q,
                    adf::input_buffer<int8, adf::extents<kN * kHeadDim>>& k,
                    adf::output_buffer<int8, adf::extents<kRows * kN>>& logits);
template <unsigned kRows, unsigned kN, unsigned kValueDim>
void values_of_head(adf::input_buffer<uint8, adf::extents<kRows * kN>>& p,
                    adf::input_buffer<int8, adf::extents<kN * kValueDim>>& v,
                    adf::output_buffer<int8, adf::extents<kRows * kValueDim>>& o);

}  // namespace hccs_kernels

namespace hccs_graphs {

// `Softmax`: HeadSoftmax of a TilesKernel without masks, uint8, with the same kRows and kN. Layouts:
// kernels/products.h.
template <class Softmax, unsigned kRows, unsigned kN, unsigned kHeadDim, unsigned kValueDim, int kShift>
class ThreeTiles : public adf::graph {
 public:
  adf::input_port q, k, v;
  adf::output_port o;

  explicit ThreeTiles(const std::vector<int16>& head, const std::string& softmax_file = "softmax.cc",
                      const std::string& products_file = "products.cc") {
    logits_ = adf::kernel::create(hccs_kernels::logits_of_head<kRows, kN, kHeadDim, kShift>);
    softmax_ = adf::kernel::create_object<Softmax>(head);
    values_ = adf::kernel::create(hccs_kernels::values_of_head<kRows, kN, kValueDim>);
    adf::source(logits_) = products_file;
    adf::source(softmax_) = softmax_file;
    adf::source(values_) = products_file;
    adf::runtime<adf::ratio>(logits_) = 0.9;
    adf::runtime<adf::ratio>(softmax_) = 0.9;
    adf::runtime<adf::ratio>(values_) = 0.9;
    adf::connect(q, logits_.in[0]);
    adf::connect(k, logits_.in[1]);
    adf::connect(logits_.out[0], softmax_.in[0]);
    adf::connect(softmax_.out[0], values_.in[0]);
    adf::connect(v, values_.in[1]);
    adf::connect(values_.out[0], o);
  }

 private:
  adf::kernel logits_, softmax_, values_;
};

}  // namespace hccs_graphs

#endif  // HCCS_AIE_GRAPH_THREE_TILES_H_
