// SPDX-License-Identifier: Apache-2.0
//
// ADF on the host: graphs of AI Engine kernels run here as their data allow, one kernel at a time and always in the
// same order. The names, and what they mean, are those of UG1603 (AI Engine-ML Kernel and Graph Programming Guide,
// 2025.2). Not here: packet switching, GMIO and external buffers, circular buffers, complex types.
//
// In reading order:
//   adf/graph.h          graph: init, run, update, read, wait, end
//   adf/kernel.h         kernel: create, create_object, REGISTER_FUNCTION; how arguments become ports
//   adf/ports.h          port, connect, attributes of ports
//   adf/buffers.h        input_buffer, output_buffer and their asynchronous forms
//   adf/streams.h        streams and cascades
//   adf/rtp.h            run-time parameters
//   adf/plio.h           PLIOs and their text files
//   adf/shared_buffer.h  buffers in memory tiles
//   adf/tiling.h         tiling parameters
//   adf/location.h       location constraints
//   adf/rates.h          multirate analysis
//   adf/scheduler.h      which kernel runs when; deadlocks
//   adf/task.h           a kernel's thread of control
#ifndef ADF_H_
#define ADF_H_

#include "adf/graph.h"
#include "adf/kernel.h"
#include "adf/plio.h"
#include "adf/shared_buffer.h"
// Kernels that include adf.h and aie_api/aie.hpp use vectors on streams and cascades without more.
#include <aie_api/aie_adf.hpp>

// Graph code writes adf::port<input> and adf::runtime<ratio> without `using namespace adf`.
using adf::inout;
using adf::input;
using adf::output;
using adf::ratio;

#endif  // ADF_H_
