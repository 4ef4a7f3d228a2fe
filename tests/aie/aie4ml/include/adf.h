// SPDX-License-Identifier: Apache-2.0
//
// As much of ADF as aie4ml's softmax kernel names, for a call without a graph.
#ifndef HCCS_TESTS_AIE_AIE4ML_ADF_H_
#define HCCS_TESTS_AIE_AIE4ML_ADF_H_

#define REGISTER_FUNCTION(function) static_cast<void>(0)

namespace adf {

template <typename T>
class input_buffer {
 public:
  explicit input_buffer(const T* data) : data_(data) {}
  const T* data() const { return data_; }

 private:
  const T* data_;
};

template <typename T>
class output_buffer {
 public:
  explicit output_buffer(T* data) : data_(data) {}
  T* data() { return data_; }

 private:
  T* data_;
};

}  // namespace adf

#endif  // HCCS_TESTS_AIE_AIE4ML_ADF_H_
