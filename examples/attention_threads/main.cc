// SPDX-License-Identifier: Apache-2.0
//
// Attention on several threads, with an installed hccs: a plan says into how many pieces a batch is cut, and any thread
// runs any of them. Once with OpenMP, once with std::thread; both give the same bits as one thread.
#include <hccs/attention.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <thread>
#include <vector>

namespace {

using hccs::AttentionBatch;
using hccs::AttentionPlan;
using hccs::Status;

void check(const Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s\n", status.message().c_str());
  std::exit(1);
}

// Each thread has scratch of its own, allocated once.
void run_with_openmp(const AttentionPlan& plan, const AttentionBatch& batch) {
  const auto pieces = plan.pieces(batch);
  check(pieces.status());
  const auto bytes = static_cast<std::size_t>(plan.scratch_bytes(batch));
#pragma omp parallel
  {
    std::vector<std::byte> scratch(bytes);
#pragma omp for schedule(dynamic)
    for (std::int64_t i = 0; i < *pieces; ++i) check(plan.run_piece(batch, i, scratch));
  }
}

void run_with_threads(const AttentionPlan& plan, const AttentionBatch& batch, unsigned count) {
  const auto pieces = plan.pieces(batch);
  check(pieces.status());
  const auto bytes = static_cast<std::size_t>(plan.scratch_bytes(batch));
  std::atomic<std::int64_t> next = 0;
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < count; ++t) {
    threads.emplace_back([&] {
      std::vector<std::byte> scratch(bytes);
      for (std::int64_t i = next++; i < *pieces; i = next++) check(plan.run_piece(batch, i, scratch));
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace

int main() {
  const hccs::AttentionShape shape{.texts = 4,
                                   .query_heads = 8,
                                   .key_heads = 2,
                                   .queries = 200,
                                   .keys = 200,
                                   .head_dimension = 64,
                                   .value_dimension = 64};
  std::mt19937 random(1);
  const auto draw = [&](std::int64_t heads) {
    std::vector<std::int8_t> x(static_cast<std::size_t>(shape.texts * heads * 200 * 64));
    for (std::int8_t& y : x) y = static_cast<std::int8_t>(random() % 128) - 64;
    return x;
  };
  const std::vector<std::int8_t> q = draw(shape.query_heads);
  const std::vector<std::int8_t> k = draw(shape.key_heads);
  const std::vector<std::int8_t> v = draw(shape.key_heads);

  const std::vector<hccs::HeadParams> heads(8, {4690, {{86, 21}, {34, 47}, {14, 85}}});
  const auto plan = AttentionPlan::hccs(heads);
  check(plan.status());

  const hccs::Rescale rescale{24000, 26};
  const std::vector<std::int32_t> lengths = {200, 150, 77, 3};
  std::vector<std::int8_t> out[3];
  for (int i = 0; i < 3; ++i) {
    out[i].resize(q.size());
    AttentionBatch batch = AttentionBatch::dense(q.data(), k.data(), v.data(), out[i].data(), shape);
    batch.with_rescale(rescale).with_lengths(lengths).causal_offset = 0;
    if (i == 0) check(plan->run(batch));
    if (i == 1) run_with_openmp(*plan, batch);
    if (i == 2) run_with_threads(*plan, batch, 4);
  }
  const bool same = out[1] == out[0] && out[2] == out[0];
  std::printf("%s\n", same ? "the same bits on one thread, with OpenMP and with std::thread" : "the results differ");
  return same ? 0 : 1;
}
