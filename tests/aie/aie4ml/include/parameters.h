// SPDX-License-Identifier: Apache-2.0
//
// The header that an aie4ml project has: its kernels get their configuration from cycles.cc.
