// SPDX-License-Identifier: Apache-2.0
//
// The instruction sets that a part of the library has kernels for: which were compiled, which run on this CPU, and
// which one a plan takes.
#ifndef HCCS_SRC_CONTRACT_TARGET_LIST_H_
#define HCCS_SRC_CONTRACT_TARGET_LIST_H_

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <cstdlib>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "hccs/status.h"

namespace hccs::internal {

// `Target` has a `name`, a string literal.
template <class Target>
class TargetList {
 public:
  // Better targets first; the last one runs everywhere.
  void add(Target target, bool runs_here) {
    compiled_names_.push_back(target.name);
    if (!runs_here) return;
    available_names_.push_back(target.name);
    available_.push_back(std::move(target));
  }

  // Compiled in and supported by this CPU, best first.
  std::span<const Target> available() const noexcept { return available_; }
  std::span<const std::string_view> available_names() const noexcept { return available_names_; }
  // Of all targets that this build has, also those that the CPU lacks.
  std::span<const std::string_view> compiled_names() const noexcept { return compiled_names_; }

  // The available target of this name; without one that which the environment variable HCCS_TARGET names, else the
  // best. Errors: kUnsupported, with the names that there are; `owners` is what has them ("this build and CPU have").
  Expected<const Target*> choose(std::string_view name, std::string_view owners) const {
    if (!name.empty()) return find(name, "target", owners);
    const char* override_name = std::getenv("HCCS_TARGET");
    if (override_name != nullptr && *override_name != '\0') return find(override_name, "HCCS_TARGET", owners);
    return &available_.front();
  }

 private:
  Expected<const Target*> find(std::string_view name, std::string_view who, std::string_view owners) const {
    for (const Target& target : available_) {
      if (target.name == name) return &target;
    }
    return Status(StatusCode::kUnsupported,
                  fmt::format("{} '{}', but {} {}", who, name, owners, fmt::join(available_names_, ", ")));
  }

  std::vector<Target> available_;
  std::vector<std::string_view> available_names_;
  std::vector<std::string_view> compiled_names_;
};

}  // namespace hccs::internal

#endif  // HCCS_SRC_CONTRACT_TARGET_LIST_H_
