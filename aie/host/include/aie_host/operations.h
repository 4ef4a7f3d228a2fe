// SPDX-License-Identifier: Apache-2.0
//
// The operations of the AIE API that an observer sees (see observe.h), and what is known of each: operations.def.
#ifndef AIE_HOST_OPERATIONS_H_
#define AIE_HOST_OPERATIONS_H_

#include <cstddef>
#include <cstdint>

namespace aie_host {

enum class Operation : std::uint8_t {
#define HCCS_OPERATION(enumerator, name, kind, operands, result) enumerator,
#include "aie_host/operations.def"
#undef HCCS_OPERATION
};

enum class OperationKind : std::uint8_t {
  kLoad,
  kStore,
  kStream,
  kMode,
  kArithmetic,
  kComparison,
  kMask,
  kRearrangement,
  kConversion,
  kProduct,
  kReduction,
  kElementary,
  kScalar,
};

struct OperationInfo {
  Operation operation;
  OperationKind kind;
  const char* name;  // of the API call
  const char* operands;
  const char* result;
};

// By operation.
inline constexpr OperationInfo kOperations[] = {
#define HCCS_OPERATION(enumerator, name, kind, operands, result) \
  {Operation::enumerator, OperationKind::kind, name, operands, result},
#include "aie_host/operations.def"
#undef HCCS_OPERATION
};
inline constexpr std::size_t kOperationCount = sizeof kOperations / sizeof kOperations[0];

constexpr const OperationInfo& info(Operation operation) { return kOperations[static_cast<std::size_t>(operation)]; }
constexpr const char* name(Operation operation) { return info(operation).name; }
constexpr OperationKind kind(Operation operation) { return info(operation).kind; }

}  // namespace aie_host

#endif  // AIE_HOST_OPERATIONS_H_
