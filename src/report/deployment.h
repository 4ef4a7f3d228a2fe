// SPDX-License-Identifier: Apache-2.0
//
// Where a parameter file can run, as an answer first and by rule and head where one asks.
#ifndef HCCS_SRC_REPORT_DEPLOYMENT_H_
#define HCCS_SRC_REPORT_DEPLOYMENT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "hccs/deployability.h"
#include "hccs/param_file.h"

namespace hccs {

// Whether one target takes the heads of a parameter file.
struct Deployment {
  std::string target;                            // "AI Engine"
  std::string key;                               // in JSON: "aie"
  std::vector<std::optional<BrokenRule>> heads;  // layers x heads, row-major; nothing: the target takes the head

  int64_t refused() const noexcept;
  bool takes_all() const noexcept { return refused() == 0; }
};

// CPU, AI Engine with full rows and with masks, and the paper's kernels, for rows of n positions, 1..65536.
std::vector<Deployment> deployments(const ParamFile& file, int64_t n);

// Which normalisations serve rows of n positions in every head: "any", or "scaled; rows may get 0 everywhere by div to
// int16 beyond n = 6, clb to int16 beyond n = 6".
std::string normalisation_answer(const ParamFile& file, int64_t n);

// The least longest_row() of a file's heads.
int64_t longest_row(const ParamFile& file, Normalisation normalisation, OutputType output);

// How many heads break a rule, most first.
struct Breach {
  std::string breach;  // "K > 1"
  int64_t heads = 0;
  int64_t first = 0;  // the first such head, in 0..layers x heads - 1
};
std::vector<Breach> breaches(const Deployment& deployment);

// "yes", or "no, K > 1 in 72 of 72 heads (layer 0, head 0: 3 knees, but K = 1)": the rules, with the first head that
// breaks each. `heads` of them are in a layer.
std::string answer(const Deployment& deployment, int64_t heads);

// A text for each refused head: "layer 0, head 0: not deployable (paper): 3 knees, but K = 1".
std::vector<std::string> reasons(const Deployment& deployment, int64_t heads);

}  // namespace hccs

#endif  // HCCS_SRC_REPORT_DEPLOYMENT_H_
