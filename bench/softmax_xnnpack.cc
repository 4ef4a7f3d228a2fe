// SPDX-License-Identifier: Apache-2.0
//
// XNNPACK's softmax operators, without a thread pool. It has none for int8; uint8 is the same work.
#include <xnnpack.h>

#include <type_traits>

#include "softmax_kernel.h"

namespace hccs::bench {
namespace {

constexpr double kIntegerTolerance = 1;   // half a unit of rounding, and the 32-bit table's
constexpr double kFloatTolerance = 2e-5;  // relative

template <class T>  // uint8_t, float
class XnnpackKernel : public Kernel {
 public:
  static Expected<std::unique_ptr<Kernel>> make(const Data& data, const Shape& shape) {
    auto kernel = std::make_unique<XnnpackKernel>();
    kernel->data_ = data;
    kernel->shape_ = shape;
    const auto keys = static_cast<size_t>(shape.keys);
    if (xnn_initialize(nullptr) != xnn_status_success ||
        (kInteger ? xnn_create_softmax_nc_qu8(keys, keys, keys, kStep, 0, 1.0F / 256, 0, &kernel->operator_)
                  : xnn_create_softmax_nc_f32(keys, keys, keys, 0, &kernel->operator_)) != xnn_status_success) {
      return Status(StatusCode::kUnsupported, "XNNPACK refuses to make a softmax operator");
    }
    return std::unique_ptr<Kernel>(std::move(kernel));
  }

  ~XnnpackKernel() override { xnn_delete_operator(operator_); }

  bool run(int64_t batch) override {
    const int64_t start = batch * shape_.stride();
    const auto rows = static_cast<size_t>(shape_.rows());
    T* out = reinterpret_cast<T*>(data_.out.data()) + start;
    xnn_status status;
    if constexpr (kInteger) {
      status = xnn_setup_softmax_nc_qu8(operator_, rows, data_.u8.data() + start, out, nullptr);
    } else {
      status = xnn_setup_softmax_nc_f32(operator_, rows, data_.f32.data() + start, out, nullptr);
    }
    return status == xnn_status_success && xnn_run_operator(operator_, nullptr) == xnn_status_success;
  }
  Status verify() const override {
    return kInteger ? verify_against_float<T>(data_.s8, data_, shape_, kStep, 256, 255, kIntegerTolerance)
                    : verify_against_float<T>(data_.s8, data_, shape_, kStep, 1, 1, kFloatTolerance);
  }
  std::string target() const override { return "its choice"; }

 private:
  static constexpr bool kInteger = std::is_integral_v<T>;
  Data data_;
  Shape shape_;
  xnn_operator_t operator_ = nullptr;
};

}  // namespace

void add_xnnpack_peers(std::vector<Peer>& peers) {
  peers.push_back({"xnnpack-qu8", "uint8", 2, XnnpackKernel<uint8_t>::make});
  peers.push_back({"xnnpack-f32", "float", 8, XnnpackKernel<float>::make});
}

}  // namespace hccs::bench
