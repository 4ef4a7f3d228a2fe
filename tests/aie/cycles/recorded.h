// SPDX-License-Identifier: Apache-2.0
#ifndef HCCS_TESTS_AIE_CYCLES_RECORDED_H_
#define HCCS_TESTS_AIE_CYCLES_RECORDED_H_

#include <aie_api/aie.hpp>
#include <array>
#include <string>
#include <vector>

#include "aie/cycles/lower.h"
#include "aie/cycles/trace.h"

namespace aie_cycles {

inline constexpr Device kDevice = __AIE_ARCH__ == 20   ? Device::kAieMl
                                  : __AIE_ARCH__ == 21 ? Device::kXdna2
                                                       : Device::kAieMlV2;
inline constexpr bool kIsV2 = kDevice != Device::kAieMl;

// Memory for snippets.
template <typename T>
struct Buffer {
  alignas(64) std::array<T, 4096> data{};
  T* at(unsigned index = 0) { return data.data() + index; }
};

template <typename F>
Block record(F snippet) {
  Recorder recorder;
  {
    const aie_host::ObserverScope scope(&recorder);
    snippet();
  }
  return recorder.take();
}

template <typename F>
void loop(const char* site, int passes, F body) {
  const aie_host::Loop marked(site);
  for (int pass = 0; pass < passes; ++pass) {
    marked.iteration();
    body(pass);
  }
}

// Names of a block's operations; loops in brackets with those of their first pass.
inline std::vector<std::string> names(const Block& block) {
  std::vector<std::string> result;
  for (const Item& item : block) {
    if (item.loop == nullptr) {
      result.emplace_back(name(item.step.operation));
      continue;
    }
    std::string inner = "[";
    for (const std::string& each : names(item.loop->passes[0])) inner += (inner == "[" ? "" : " ") + each;
    result.push_back(inner + "]");
  }
  return result;
}

}  // namespace aie_cycles

#endif  // HCCS_TESTS_AIE_CYCLES_RECORDED_H_
