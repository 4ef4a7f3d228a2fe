// SPDX-License-Identifier: Apache-2.0
//
// What may not be done: two threads run pieces with the same scratch. ThreadSanitizer has to say so, or it would not
// see a mistake of the library's either.
#include <cstdio>
#include <thread>
#include <vector>

#include "hccs/attention.h"

int main() {
  const hccs::AttentionShape shape{.texts = 2, .queries = 64, .keys = 64, .head_dimension = 64, .value_dimension = 64};
  const std::vector<int8_t> elements(2 * 64 * 64, 1);
  std::vector<int8_t> out(elements.size());
  const hccs::HeadParams head(4690, {{60, 60}});
  const auto plan = hccs::AttentionPlan::hccs({&head, 1});
  if (!plan.ok()) {
    std::fprintf(stderr, "%s\n", plan.status().message().c_str());
    return 2;
  }
  auto batch = hccs::AttentionBatch::dense(elements.data(), elements.data(), elements.data(), out.data(), shape);
  const hccs::Rescale rescale{24000, 26};
  batch.with_rescale(rescale);
  std::vector<std::byte> scratch(static_cast<size_t>(plan->scratch_bytes(batch)));
  std::thread other([&] { (void)plan->run_piece(batch, 1, scratch); });
  (void)plan->run_piece(batch, 0, scratch);
  other.join();
  return 0;
}
