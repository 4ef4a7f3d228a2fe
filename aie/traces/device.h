// SPDX-License-Identifier: Apache-2.0
//
// Kernels of both devices in one program. The sources beside this header other than traces.cc are compiled once for
// each device, __AIE_ARCH__ = 20 and 22, with the kernels' and the API's namespaces renamed (CMakeLists.txt), so that
// no function has two definitions; they define the functions below for their device. What they exchange with
// traces.cc is here, and is the same for all devices: rows one after another, whatever the kernel's layout.
#ifndef HCCS_AIE_TRACES_DEVICE_H_
#define HCCS_AIE_TRACES_DEVICE_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "aie/cycles/buffer.h"
#include "aie_host/observe.h"
#include "hccs/mask.h"
#include "hccs/params.h"
#include "hccs/reference.h"

namespace aie_traces {

// Each call: what goes in; the observer, which sees the kernel alone; what comes out. `error` is empty unless the host
// stopped the kernel or it left something other than 0 beside the rows.
struct SoftmaxCall {
  hccs::HeadParams head;
  hccs::Normalisation normalisation = hccs::Normalisation::kClb;
  hccs::OutputType output = hccs::OutputType::kUint8;
  unsigned rows = 0;
  unsigned n = 0;
  std::vector<std::int8_t> logits;  // [rows, n]
  hccs::BlockMask mask;
  aie_host::Observer* observer = nullptr;
  std::vector<std::int16_t> results = {};  // [rows, n]
  std::vector<aie_cycles::Buffer> buffers = {};
  std::string error = {};
};

struct AttentionCall {
  hccs::HeadParams head;
  unsigned rows = 0;
  unsigned n = 0;
  unsigned dimension = 0;            // of a head: 32 or 64
  std::vector<std::int8_t> q, k, v;  // [rows | n, dimension]
  std::vector<hccs::Rescale> rescales;
  hccs::BlockMask mask;
  aie_host::Observer* observer = nullptr;
  std::vector<std::int8_t> results = {};  // [rows, dimension]
  std::vector<aie_cycles::Buffer> buffers = {};
  std::string error = {};
};

struct ExpCall {
  enum class Exponential { kTables, kExp2, kBits } exponential = Exponential::kBits;
  unsigned rows = 0;
  unsigned n = 0;
  std::vector<float> logits;  // [rows, n], each a bf16
  aie_host::Observer* observer = nullptr;
  std::vector<float> results = {};  // [rows, n]
  double error_of_exponential = 0;  // as the kernel states it
  std::vector<aie_cycles::Buffer> buffers = {};
  std::string error = {};
};

template <int kArch>
void run_paper_rows(SoftmaxCall& call);
template <int kArch, unsigned kKnees>
void run_rows(SoftmaxCall& call);
template <int kArch, unsigned kKnees>
void run_tiles(SoftmaxCall& call);
template <int kArch>
void run_attention(AttentionCall& call);
template <int kArch>
void run_exp_bf16(ExpCall& call);

#define HCCS_DECLARE_DEVICE(arch)                 \
  template <>                                     \
  void run_paper_rows<arch>(SoftmaxCall & call);  \
  template <>                                     \
  void run_attention<arch>(AttentionCall & call); \
  template <>                                     \
  void run_exp_bf16<arch>(ExpCall & call);
#define HCCS_DECLARE_KNEES(arch, knees)           \
  template <>                                     \
  void run_rows<arch, knees>(SoftmaxCall & call); \
  template <>                                     \
  void run_tiles<arch, knees>(SoftmaxCall & call);
HCCS_DECLARE_DEVICE(20)
HCCS_DECLARE_DEVICE(22)
HCCS_DECLARE_KNEES(20, 1)
HCCS_DECLARE_KNEES(20, 2)
HCCS_DECLARE_KNEES(20, 3)
HCCS_DECLARE_KNEES(20, 4)
HCCS_DECLARE_KNEES(22, 1)
HCCS_DECLARE_KNEES(22, 2)
HCCS_DECLARE_KNEES(22, 3)
HCCS_DECLARE_KNEES(22, 4)
#undef HCCS_DECLARE_DEVICE
#undef HCCS_DECLARE_KNEES

}  // namespace aie_traces

#endif  // HCCS_AIE_TRACES_DEVICE_H_
