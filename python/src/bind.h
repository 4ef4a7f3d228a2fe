// SPDX-License-Identifier: Apache-2.0
//
// The parts of the module, and what they share.
#ifndef HCCS_PYTHON_BIND_H_
#define HCCS_PYTHON_BIND_H_

#include <nanobind/nanobind.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hccs/calibration.h"
#include "hccs/param_file.h"
#include "hccs/params.h"
#include "hccs/reference.h"

namespace hccs::python {

// hccs.Params: a parameter file, and where it was calibrated here what the fits said.
struct Params {
  ParamFile file;
  std::vector<HeadFit> fits;  // layers x heads, or empty
};

// The named value, or ValueError with what there is.
Normalisation normalisation_of(std::string_view name);
OutputType output_type_of(std::string_view name);

// B and knees of each head: a sequence of HeadParams or HeadEntry.
std::vector<HeadParams> head_params_of(nanobind::handle heads);

// What `div` and `clb` serve (hccs/deployability.h): the least of a file's heads.
int64_t longest_row(const ParamFile& file, Normalisation normalisation, OutputType output);

// A warning where that is shorter than the rows that the file was calibrated on. stack_level: as warnings.warn has it.
void warn_of_range(const ParamFile& file, Normalisation normalisation, OutputType output, int stack_level);

void bind_params(nanobind::module_& m);
void bind_softmax(nanobind::module_& m);
void bind_attention(nanobind::module_& m);
void bind_calibration(nanobind::module_& m);
void bind_encoder(nanobind::module_& m);
void bind_export(nanobind::module_& m);

}  // namespace hccs::python

#endif  // HCCS_PYTHON_BIND_H_
