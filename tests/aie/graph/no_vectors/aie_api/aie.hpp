// SPDX-License-Identifier: Apache-2.0
//
// In the place of the AIE API's header where graphs are compiled: there the real one only declares its vector types.
#error "a graph must not need the AIE API"
