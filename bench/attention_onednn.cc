// SPDX-License-Identifier: Apache-2.0
//
// Attention as three primitives of oneDNN: matmul, softmax over rows, matmul. int8: int8 logits of 1 nat a unit, since
// its softmax takes no other step, uint8 probabilities and int8 output.
#include <fmt/core.h>
#include <omp.h>

#include <algorithm>
#include <cmath>
#include <dnnl.hpp>

#include "attention_kernel.h"

namespace hccs::bench {
namespace {

using Type = dnnl::memory::data_type;

struct Pipeline {
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
  dnnl::primitive first, softmax, second;
  dnnl::memory q, k, v, logits, probabilities, out;
  std::string target;

  void run() {
    first.execute(stream, {{DNNL_ARG_SRC, q}, {DNNL_ARG_WEIGHTS, k}, {DNNL_ARG_DST, logits}});
    softmax.execute(stream, {{DNNL_ARG_SRC, logits}, {DNNL_ARG_DST, probabilities}});
    second.execute(stream, {{DNNL_ARG_SRC, probabilities}, {DNNL_ARG_WEIGHTS, v}, {DNNL_ARG_DST, out}});
    stream.wait();
  }
};

dnnl::primitive_attr scaled_by(double scale) {
  dnnl::primitive_attr attributes;
  if (scale != 1) attributes.set_output_scales(0, {static_cast<float>(scale)});
  return attributes;
}

// `from` int8 in a memory of another type, by oneDNN's own conversion.
dnnl::memory converted(Pipeline& p, const std::vector<int8_t>& from, const dnnl::memory::desc& to) {
  const auto dims = to.dims();
  dnnl::memory::desc plain(
      dims, Type::s8,
      to.data.format_desc.blocking.strides[0] == 1 ? dnnl::memory::dims{1, dims[0]} : dnnl::memory::dims{dims[1], 1});
  dnnl::memory source(plain, p.engine, const_cast<int8_t*>(from.data()));
  dnnl::memory target(to, p.engine);
  dnnl::reorder(source, target).execute(p.stream, source, target);
  p.stream.wait();
  return target;
}

std::shared_ptr<Pipeline> make(const AttentionData& data, Type in, Type logit, Type probability) {
  auto p = std::make_shared<Pipeline>();
  const int64_t m = data.queries;
  const int64_t n = data.keys;
  const int64_t d = data.dimension;
  const bool integer = in == Type::s8;
  const auto rows = [](int64_t a, int64_t b, Type type) {
    return dnnl::memory::desc({a, b}, type, dnnl::memory::dims{b, 1});
  };
  const dnnl::memory::desc keys({d, n}, in, dnnl::memory::dims{1, d});
  const dnnl::matmul::primitive_desc first({rows(m, d, in), keys, rows(m, n, logit)}, scaled_by(nats_per_unit(d)),
                                           p->engine);
  const dnnl::softmax_v2_forward::primitive_desc softmax(
      {dnnl::prop_kind::forward_inference, dnnl::algorithm::softmax_accurate, rows(m, n, logit),
       rows(m, n, probability), 1},
      scaled_by(integer ? 255 : 1), p->engine);
  const dnnl::matmul::primitive_desc second({rows(m, n, probability), rows(n, d, in), rows(m, d, in)},
                                            scaled_by(integer ? 1 / 255.0 : 1), p->engine);
  p->first = dnnl::matmul(first);
  p->softmax = dnnl::softmax_v2_forward(softmax);
  p->second = dnnl::matmul(second);
  p->target = first.impl_info_str();
  p->q = converted(*p, data.q, rows(m, d, in));
  p->k = converted(*p, data.k, keys);
  p->v = converted(*p, data.v, rows(n, d, in));
  p->logits = dnnl::memory(rows(m, n, logit), p->engine);
  p->probabilities = dnnl::memory(rows(m, n, probability), p->engine);
  p->out = dnnl::memory(rows(m, d, in), p->engine);
  return p;
}

// Against a softmax in double of the same logits, on some rows: within 2 units, or 8 for bfloat16, whose logits
// have 8 bits too.
Status verify(const AttentionData& data, Pipeline& p, Type type, const std::string& name) {
  const int64_t d = data.dimension;
  dnnl::memory out(dnnl::memory::desc({data.queries, d}, Type::f32, dnnl::memory::dims{d, 1}), p.engine);
  dnnl::reorder(p.out, out).execute(p.stream, p.out, out);
  p.stream.wait();
  const auto* got = static_cast<const float*>(out.get_data_handle());
  for (int64_t r = 0; r < data.queries; r += std::max<int64_t>(1, data.queries / 8)) {
    std::vector<double> weight(static_cast<size_t>(data.keys));
    double maximum = -1e300;
    for (int64_t i = 0; i < data.keys; ++i) {
      int64_t sum = 0;
      for (int64_t j = 0; j < d; ++j) sum += data.q[r * d + j] * data.k[i * d + j];
      const double logit = static_cast<double>(sum) * nats_per_unit(d);
      weight[i] = type == Type::s8 ? std::clamp(std::nearbyint(logit), -128.0, 127.0) : logit;
      maximum = std::max(maximum, weight[i]);
    }
    double total = 0;
    for (double& w : weight) total += w = std::exp(w - maximum);
    for (double& w : weight) w = type == Type::s8 ? std::nearbyint(255 * w / total) / 255 : w / total;
    for (int64_t j = 0; j < d; ++j) {
      double expected = 0;
      for (int64_t i = 0; i < data.keys; ++i) expected += weight[i] * data.v[i * d + j];
      if (!(std::abs(got[r * d + j] - expected) <= (type == Type::bf16 ? 8 : 2))) {
        return {StatusCode::kMismatch, fmt::format("{}, d {}, n {}: row {}, column {} is {}, but a softmax in double "
                                                   "gives {}",
                                                   name, d, data.keys, r, j, got[r * d + j], expected)};
      }
    }
  }
  return {};
}

}  // namespace

void hold_onednn_to_avx2() { dnnl::set_max_cpu_isa(dnnl::cpu_isa::avx2); }

Status add_onednn_attention(const AttentionData& data, std::vector<AttentionKernel>& kernels) {
  omp_set_num_threads(1);
  struct Kind {
    std::string name;
    Type in, logit, probability;
  };
  for (const Kind& kind :
       {Kind{"onednn-s8", Type::s8, Type::s8, Type::u8}, Kind{"onednn-bf16", Type::bf16, Type::bf16, Type::bf16},
        Kind{"onednn-f32", Type::f32, Type::f32, Type::f32}}) {
    try {
      auto p = make(data, kind.in, kind.logit, kind.probability);
      kernels.push_back({.kernel = kind.name,
                         .target = p->target,
                         .run = [p] { p->run(); },
                         .verify = [p, kind, &data] { return verify(data, *p, kind.in, kind.name); }});
    } catch (const dnnl::error& error) {
      if (error.status == dnnl_unimplemented) continue;  // bfloat16, on older processors
      return {StatusCode::kUnsupported, fmt::format("oneDNN, {}: {}", kind.name, error.what())};
    }
  }
  return {};
}

}  // namespace hccs::bench
