// SPDX-License-Identifier: Apache-2.0
//
// The tables of docs/results/aie-throughput.md, as Markdown. What is not among the results is "-", or has no line.
#ifndef HCCS_AIE_RESULTS_TABLES_H_
#define HCCS_AIE_RESULTS_TABLES_H_

#include <string>

#include "aie/results/results.h"

namespace aie_results {

// The model beside the published cells of the paper's kernel, and its largest errors, in percent.
std::string published_table(const Results& results);
struct ModelErrors {
  double clb = 0;
  double div = 0;
};
ModelErrors largest_errors(const Results& results);

// The recommended calls: cycles, and throughput of one tile without and with its feed.
std::string recommended_table(const Results& results);

// `rows` and `tiles` by row length, with what is published, their bounds and what paired loads can cost.
std::string lengths_table(const Results& results);

// What modes, knees and masks cost: a table for each device and kernel.
std::string variants_tables(const Results& results);
std::string native_heads_table(const Results& results);

// Where the cycles are.
std::string bounds_table(const Results& results);

// Times as fast as exp_bf16; and its own cycles.
std::string speedups_table(const Results& results);
std::string exp_bf16_table(const Results& results);

// One tile with the DMA that feeds it; a list of what all tiles do together.
std::string feed_table(const Results& results);
std::string many_tiles_list(const Results& results);

std::string attention_table(const Results& results);

}  // namespace aie_results

#endif  // HCCS_AIE_RESULTS_TABLES_H_
