// SPDX-License-Identifier: Apache-2.0
//
// oneDNN's softmax over the last axis, inference, plain layout: for one row after the other no blocked layout is
// different. It reads int8 logits in units of 1 nat and has no attribute for another; its speed does not depend on it.
#include <omp.h>

#include <array>
#include <dnnl.hpp>

#include "softmax_kernel.h"

namespace hccs::bench {
namespace {

using Type = dnnl::memory::data_type;

constexpr double kIntegerTolerance = 1;   // half a unit of rounding, and oneDNN's own exponential
constexpr double kFloatTolerance = 2e-5;  // relative

template <Type kType>
struct Element;
template <>
struct Element<Type::s8> {
  using type = int8_t;
  static constexpr double kFullScale = 127;
};
template <>
struct Element<Type::u8> {
  using type = uint8_t;
  static constexpr double kFullScale = 255;
};
template <>
struct Element<Type::f32> {
  using type = float;
  static constexpr double kFullScale = 1;
};

template <Type kIn, Type kOut>
class OnednnKernel : public Kernel {
  using Out = typename Element<kOut>::type;
  static constexpr double kFullScale = Element<kOut>::kFullScale;

 public:
  OnednnKernel(const Data& data, const Shape& shape) : data_(data), shape_(shape) {
    const dnnl::memory::dims dims = {shape.rows(), shape.keys};
    const dnnl::memory::desc in(dims, kIn, dnnl::memory::format_tag::ab);
    const dnnl::memory::desc out(dims, kOut, dnnl::memory::format_tag::ab);
    dnnl::primitive_attr attributes;
    if (kFullScale != 1) attributes.set_output_scales(0, {static_cast<float>(kFullScale)});
    const dnnl::softmax_v2_forward::primitive_desc description(
        {dnnl::prop_kind::forward_inference, dnnl::algorithm::softmax_accurate, in, out, 1}, attributes, engine_);
    primitive_ = dnnl::softmax_v2_forward(description);
    target_ = description.impl_info_str();
    for (int64_t batch = 0; batch < shape.batches; ++batch) {
      const int64_t start = batch * shape.stride();
      const void* logits = kIn == Type::f32 ? static_cast<const void*>(data.f32.data() + start)
                                            : static_cast<const void*>(data.nats.data() + start);
      memories_.push_back({dnnl::memory(in, engine_, const_cast<void*>(logits)),
                           dnnl::memory(out, engine_, reinterpret_cast<Out*>(data.out.data()) + start)});
      // The C interface: the C++ one builds a map and a vector at each call.
      arguments_.push_back({dnnl_exec_arg_t{DNNL_ARG_SRC, memories_.back()[0].get()},
                            dnnl_exec_arg_t{DNNL_ARG_DST, memories_.back()[1].get()}});
    }
  }

  bool run(int64_t batch) override {
    return dnnl_primitive_execute(primitive_.get(), stream_.get(), 2, arguments_[batch].data()) == dnnl_success;
  }
  Status verify() const override {
    return verify_against_float<Out>(kIn == Type::f32 ? data_.s8 : data_.nats, data_, shape_,
                                     kIn == Type::f32 ? kStep : 1, kFullScale, kFullScale,
                                     kOut == Type::f32 ? kFloatTolerance : kIntegerTolerance);
  }
  std::string target() const override { return target_; }

 private:
  Data data_;
  Shape shape_;
  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream_{engine_};
  dnnl::primitive primitive_;
  std::string target_;
  std::vector<std::array<dnnl::memory, 2>> memories_;
  std::vector<std::array<dnnl_exec_arg_t, 2>> arguments_;
};

template <Type kIn, Type kOut>
Expected<std::unique_ptr<Kernel>> make(const Data& data, const Shape& shape) {
  try {
    return std::unique_ptr<Kernel>(std::make_unique<OnednnKernel<kIn, kOut>>(data, shape));
  } catch (const dnnl::error& error) {
    return Status(StatusCode::kUnsupported, std::string("oneDNN: ") + error.what());
  }
}

}  // namespace

void add_onednn_peers(std::vector<Peer>& peers) {
  omp_set_num_threads(1);
  peers.push_back({"onednn-s8", "int8", 2, make<Type::s8, Type::s8>});
  peers.push_back({"onednn-s8", "uint8", 2, make<Type::s8, Type::u8>});
  peers.push_back({"onednn-f32", "float", 8, make<Type::f32, Type::f32>});
}

}  // namespace hccs::bench
