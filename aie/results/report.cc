// SPDX-License-Identifier: Apache-2.0
#include "aie/results/report.h"

#include <fmt/core.h>

#include "aie/results/tables.h"
#include "aie_throughput_page.h"  // made by the build of docs/results/aie-throughput.md.in

namespace aie_results {

std::string markdown(const Results& results) {
  constexpr double kTutorialCycles = 8083;  // a row of AMD's tutorial, as the page says
  const double tutorial_cycles = results.tutorial ? static_cast<double>(results.tutorial->cycles) : 0;
  const ModelErrors errors = largest_errors(results);
  return fmt::format(fmt::runtime(kThroughputPage), fmt::arg("largest_clb_error", errors.clb),
                     fmt::arg("largest_div_error", errors.div), fmt::arg("published", published_table(results)),
                     fmt::arg("recommended", recommended_table(results)), fmt::arg("lengths", lengths_table(results)),
                     fmt::arg("variants", variants_tables(results)),
                     fmt::arg("native_heads", native_heads_table(results)), fmt::arg("bounds", bounds_table(results)),
                     fmt::arg("speedups", speedups_table(results)), fmt::arg("exp_bf16", exp_bf16_table(results)),
                     fmt::arg("tutorial_cycles", tutorial_cycles),
                     fmt::arg("tutorial_percent", 100 * tutorial_cycles / kTutorialCycles - 100),
                     fmt::arg("feed", feed_table(results)), fmt::arg("many_tiles", many_tiles_list(results)),
                     fmt::arg("many_tiles_length", kScaledLength), fmt::arg("attention", attention_table(results)));
}

}  // namespace aie_results
