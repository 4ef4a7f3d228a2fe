// SPDX-License-Identifier: Apache-2.0
#include "encoder/linear.h"

#include <algorithm>

namespace hccs::internal {
namespace {

using dnnl::memory;

memory::desc float_matrix(int64_t rows, int64_t columns, memory::format_tag layout) {
  return {{rows, columns}, memory::data_type::f32, layout};
}

// oneDNN takes inputs as void*.
void* as_handle(const float* data) { return const_cast<float*>(data); }

dnnl::matmul::primitive_desc describe(const dnnl::engine& engine, int64_t in, int64_t out, LinearOutput output) {
  dnnl::post_ops epilogue;
  if (output == LinearOutput::kGelu) epilogue.append_eltwise(1.0F, dnnl::algorithm::eltwise_gelu_erf, 0.0F, 0.0F);
  if (output == LinearOutput::kAdd) epilogue.append_sum(1.0F);
  dnnl::primitive_attr attributes;
  attributes.set_post_ops(epilogue);
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);  // the library's own is not for several threads
  using Layout = memory::format_tag;
  return {{float_matrix(kLinearBlockRows, in, Layout::ab), float_matrix(in, out, Layout::any),
           float_matrix(1, out, Layout::ab), float_matrix(kLinearBlockRows, out, Layout::ab)},
          attributes,
          engine};
}

}  // namespace

Linear::Linear(const dnnl::engine& engine, int64_t in, int64_t out, std::span<const float> weights,
               std::span<const float> bias, LinearOutput output)
    : in_(in),
      out_(out),
      kernel_desc_(describe(engine, in, out, output)),
      kernel_(kernel_desc_),
      weights_(kernel_desc_.weights_desc(), engine),
      bias_(kernel_desc_.bias_desc(), engine) {
  dnnl::stream stream(engine);
  memory plain(float_matrix(in, out, memory::format_tag::ba), engine, as_handle(weights.data()));
  dnnl::reorder(plain, weights_).execute(stream, plain, weights_);
  stream.wait();
  std::copy(bias.begin(), bias.end(), static_cast<float*>(bias_.get_data_handle()));
}

void Linear::run(const dnnl::stream& stream, int64_t rows, const float* x, float* out) const {
  const dnnl::engine engine = stream.get_engine();
  memory source(kernel_desc_.src_desc(), engine, as_handle(x));
  memory destination(kernel_desc_.dst_desc(), engine, out);
  const memory scratchpad(kernel_desc_.scratchpad_desc(), engine);
  for (int64_t row = 0; row < rows; row += kLinearBlockRows) {
    source.set_data_handle(as_handle(x + row * in_), stream);
    destination.set_data_handle(out + row * out_, stream);
    kernel_.execute(stream, {{DNNL_ARG_SRC, source},
                             {DNNL_ARG_WEIGHTS, weights_},
                             {DNNL_ARG_BIAS, bias_},
                             {DNNL_ARG_DST, destination},
                             {DNNL_ARG_SCRATCHPAD, scratchpad}});
  }
}

}  // namespace hccs::internal
