// SPDX-License-Identifier: Apache-2.0
//
// Of ADF what the AIE API's headers for it name, and what our kernel classes are made with: enough to compile, not to
// run.
#ifndef HCCS_TESTS_AIE_API_ADF_H_
#define HCCS_TESTS_AIE_API_ADF_H_

template <typename T>
struct input_stream;
template <typename T>
struct output_stream;

namespace adf {
namespace addressing {
struct linear {};
}  // namespace addressing
inline constexpr unsigned inherited_margin = ~0u;
struct in {};
struct out {};

template <unsigned... kSizes>
struct extents {
  static constexpr bool inherited() { return false; }
};
template <typename Extents>
struct Config {
  using addressing_mode = addressing::linear;
  using dims_type = Extents;
  static constexpr unsigned _margin = 0;
};
template <typename T, typename Direction, typename Config>
struct io_buffer {
  T* data() const;
};
template <typename T, typename Extents>
using input_buffer = io_buffer<T, in, Config<Extents>>;
template <typename T, typename Extents>
using output_buffer = io_buffer<T, out, Config<Extents>>;

template <typename Function>
void register_function(Function) {}
template <typename Parameter>
void register_parameter(Parameter) {}
}  // namespace adf

#define REGISTER_FUNCTION(function) adf::register_function(&function)
#define REGISTER_PARAMETER(parameter)

#endif  // HCCS_TESTS_AIE_API_ADF_H_
