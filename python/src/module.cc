// SPDX-License-Identifier: Apache-2.0
#include <nanobind/nanobind.h>

#include "arrays.h"
#include "bind.h"
#include "hccs/version.h"
#include "status.h"

NB_MODULE(_core, m) {
  namespace nb = nanobind;
  hccs::python::import_numpy();
  m.doc() = "The compiled part of hccs.";
  // Programs hold plans to their end (operators of PyTorch do), which is no leak that their users should read of.
  nb::set_leak_warnings(false);
  m.attr("__version__") = hccs::kVersion;
  const nb::exception<hccs::python::Cancelled> cancelled(m, "Cancelled");
  hccs::python::bind_params(m);
  hccs::python::bind_softmax(m);
  hccs::python::bind_attention(m);
  hccs::python::bind_calibration(m);
  hccs::python::bind_encoder(m);
  hccs::python::bind_export(m);
}
