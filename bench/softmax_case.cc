// SPDX-License-Identifier: Apache-2.0
#include "softmax_case.h"

#include <benchmark/benchmark.h>
#include <fmt/core.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "hccs/softmax.h"
#include "softmax_plan_kernel.h"

namespace hccs::bench {
namespace {

using enum Normalisation;
using enum OutputType;

// Mid-sized heads: the cost does not depend on the values.
const HeadParams kOneKnee(4690, {{86, 40}});
const HeadParams kThreeKnees(4690, {{60, 21}, {34, 47}, {5, 100}});

constexpr double kNarrowStep = .1;  // the exact table is 0 from a distance of 111 on
constexpr double kWideStep = .04;   // and here all 256 entries are in use

// Of an input and an output element together.
int64_t element_bytes(OutputType output) { return output == kUint8 ? 2 : 3; }

// Batches of rows that fill the working set and that no call may exceed.
Shape rows_shape(const WorkingSet& set, int64_t bytes_an_element, int64_t n) {
  Shape shape{.keys = n};
  shape.queries = std::max<int64_t>(std::min(set.batch_elements, set.bytes / bytes_an_element) / n, 1);
  shape.batches = std::max<int64_t>(set.bytes / (shape.stride() * bytes_an_element), 1);
  return shape;
}

// Blocks of n x n: of short rows several a call, as attention has several heads. No batch if one block is too large.
Shape square_shape(const WorkingSet& set, int64_t bytes_an_element, int64_t n) {
  Shape shape{.heads = std::clamp<int64_t>(set.batch_elements / (n * n), 1, 4), .queries = n, .keys = n};
  shape.batches = set.bytes / (shape.stride() * bytes_an_element);
  return shape;
}

Case hccs_case(Normalisation mode, OutputType output, int knees, std::string_view target) {
  return {.kernel = "hccs",
          .target = std::string(target),
          .mode = std::string(name(mode)),
          .output = std::string(name(output)),
          .knees = knees,
          .mask = kNoMask};
}

MakeKernel make_hccs(Normalisation mode, OutputType output, int knees, const std::string& mask,
                     std::string_view target) {
  const HeadParams& params = knees == 1 ? kOneKnee : kThreeKnees;
  return output == kUint8 ? hccs_kernel<uint8_t>(params, mode, mask, target)
                          : hccs_kernel<int16_t>(params, mode, mask, target);
}

// Collects cases.
class CaseList {
 public:
  // One case of rows without a gap for each length.
  void add(const WorkingSet& set, Case what, int64_t bytes_an_element, const MakeKernel& make) {
    for (const int64_t n : kRowLengths) {
      what.n = n;
      add(set, what, rows_shape(set, bytes_an_element, n), make);
    }
  }

  void add_hccs(const WorkingSet& set, Normalisation mode, OutputType output, int knees, std::string_view target) {
    add(set, hccs_case(mode, output, knees, target), element_bytes(output),
        make_hccs(mode, output, knees, kNoMask, target));
  }

  void add_exact(const WorkingSet& set, double step, Normalisation mode, OutputType output, std::string_view target) {
    Case what = hccs_case(mode, output, 0, target);
    what.kernel = "exact-lut";
    what.step = step;
    add(set, what, element_bytes(output),
        output == kUint8 ? exact_kernel<uint8_t>(step, mode, target) : exact_kernel<int16_t>(step, mode, target));
  }

  // HCCS as it is mostly used, `scaled` to uint8 with one knee on the best target, in this shape and under this mask.
  void add_main(const WorkingSet& set, const Shape& shape, const std::string& mask, std::string full_of) {
    const std::string_view best = targets().front();
    Case what = hccs_case(kScaled, kUint8, 1, best);
    what.n = shape.keys;
    what.mask = mask;
    what.full_of = std::move(full_of);
    add(set, std::move(what), shape, make_hccs(kScaled, kUint8, 1, mask, best));
  }

  // Sums, `scaled`, K = 1: twelve heads and 49,152 sums a call whatever the length, so that a row of 64 is a block of
  // 64 x 64.
  void add_sums(const WorkingSet& set, Case what, OutputType output, const MakeKernel& make) {
    what.mode = name(kScaled);
    what.output = name(output);
    what.knees = 1;
    what.mask = kNoMask;
    for (const int64_t n : kRowLengths) {
      what.n = n;
      Shape shape{.heads = 12, .queries = std::max<int64_t>(4096 / n, 1), .keys = n};
      const int64_t bytes = shape.stride() * (4 + (output == kUint8 ? 1 : 2));
      shape.batches = std::max<int64_t>(set.bytes / bytes, 1);
      add(set, what, shape, make);
    }
  }

  std::vector<RunnableCase> take() { return std::move(cases_); }

 private:
  void add(const WorkingSet& set, Case what, const Shape& shape, const MakeKernel& make) {
    what.working_set = set.name;
    what.heads = shape.heads;
    what.queries = shape.queries;
    what.batches = shape.batches;
    cases_.push_back({.what = std::move(what), .shape = shape, .make = make});
  }

  std::vector<RunnableCase> cases_;
};

// The modes, outputs and numbers of knees of HCCS.
void add_modes(CaseList& list, const WorkingSet& l1) {
  for (const OutputType output : {kUint8, kInt16}) {
    for (const Normalisation mode : {kScaled, kClb, kDiv}) {
      for (const int knees : {1, 3}) list.add_hccs(l1, mode, output, knees, targets().front());
    }
  }
}

// Masks, and the full rows that they are compared with.
void add_masks(CaseList& list, std::span<const WorkingSet> sets) {
  const WorkingSet& l1 = sets.front();
  const int64_t bytes = element_bytes(kUint8);
  for (const std::string mask : {kHalf, kBits}) {
    for (const int64_t n : kRowLengths) list.add_main(l1, rows_shape(l1, bytes, n), mask, "");
  }
  for (const int64_t n : kRowLengths) {
    Shape half = rows_shape(l1, bytes, n);
    half.keys = n / 2;
    list.add_main(l1, half, kNoMask, kHalf);
  }
  for (const int64_t n : kRowLengths) {
    // In the smallest set that holds a block; a block that is larger than all is left out.
    const auto set = std::find_if(sets.begin(), sets.end(),
                                  [&](const WorkingSet& s) { return square_shape(s, bytes, n).batches > 0; });
    if (set == sets.end()) continue;
    const Shape shape = square_shape(*set, bytes, n);
    list.add_main(*set, shape, kCausal, "");
    list.add_main(*set, shape, kNoMask, kCausal);
  }
}

// The exact exponential as a table, on the best target.
void add_exact_tables(CaseList& list, const WorkingSet& l1) {
  const std::string_view best = targets().front();
  list.add_exact(l1, kNarrowStep, kScaled, kUint8, best);
  list.add_exact(l1, kWideStep, kScaled, kUint8, best);
  list.add_exact(l1, kNarrowStep, kClb, kUint8, best);
  list.add_exact(l1, kNarrowStep, kScaled, kInt16, best);
}

void add_other_targets(CaseList& list, const WorkingSet& l1) {
  for (const std::string_view target : targets().subspan(1)) {
    list.add_hccs(l1, kScaled, kUint8, 1, target);
    list.add_hccs(l1, kScaled, kUint8, 3, target);
    list.add_hccs(l1, kClb, kUint8, 1, target);
    list.add_hccs(l1, kScaled, kInt16, 1, target);
    list.add_exact(l1, kNarrowStep, kScaled, kUint8, target);
  }
}

// The peers and memcpy in each working set, and HCCS in those after the first.
void add_working_sets(CaseList& list, std::span<const WorkingSet> sets, std::span<const Peer> peers) {
  const std::string_view best = targets().front();
  for (const WorkingSet& set : sets) {
    if (&set != &sets.front()) {
      list.add_hccs(set, kScaled, kUint8, 1, best);
      list.add_hccs(set, kClb, kUint8, 1, best);
      list.add_hccs(set, kScaled, kInt16, 1, best);
      list.add_exact(set, kNarrowStep, kScaled, kUint8, best);
    }
    for (const Peer& peer : peers) {
      list.add(set, {.kernel = peer.kernel, .mode = "float", .output = peer.output, .mask = kNoMask},
               peer.element_bytes, peer.make);
    }
    list.add(set, {.kernel = "memcpy", .mode = "copy", .output = "int8", .mask = kNoMask}, 2, make_copy);
  }
}

// Sums, and int8 logits made of them first; on caches of the second level, as twelve heads of 64 x 64 sums are 192 KiB.
void add_sums(CaseList& list, const WorkingSet& l2, std::span<const Requantisation> requantisations) {
  const std::string_view best = targets().front();
  for (const std::string_view target : targets()) {
    list.add_sums(l2, {.kernel = kSoftmaxInt32, .target = std::string(target)}, kUint8,
                  sums_kernel<uint8_t>(kOneKnee, target));
  }
  list.add_sums(l2, {.kernel = kSoftmaxInt32, .target = std::string(best)}, kInt16,
                sums_kernel<int16_t>(kOneKnee, best));
  for (const Requantisation& requantisation : requantisations) {
    list.add_sums(l2, {.kernel = kRequantiseSoftmax, .target = requantisation.name}, kUint8,
                  requantising_kernel(requantisation, kOneKnee, best));
  }
}

}  // namespace

std::string benchmark_name(const Case& c) {
  return fmt::format("{}/{}/{}/{}/K{}/step{}/{}/{}/{}x{}x{}", c.kernel, c.target, c.mode, c.output, c.knees, c.step,
                     c.full_of.empty() ? c.mask : "full rows of " + c.full_of, c.working_set, c.heads, c.queries, c.n);
}

std::vector<WorkingSet> working_sets() {
  int64_t l1 = 32 << 10;
  int64_t l2 = 1 << 20;
  for (const auto& cache : benchmark::CPUInfo::Get().caches) {
    if (cache.level == 1 && cache.type != "Instruction") l1 = cache.size;
    if (cache.level == 2) l2 = cache.size;
  }
  return {{"L1", l1 * 2 / 3, 8 << 10}, {"L2", l2 / 2, 64 << 10}, {"beyond L2", l2 * 4, 64 << 10}};
}

std::vector<RunnableCase> all_cases(std::span<const WorkingSet> sets, std::span<const Peer> peers,
                                    std::span<const Requantisation> requantisations) {
  CaseList list;
  add_modes(list, sets.front());
  add_masks(list, sets);
  add_exact_tables(list, sets.front());
  add_other_targets(list, sets.front());
  add_working_sets(list, sets, peers);
  add_sums(list, sets[1], requantisations);
  return list.take();
}

}  // namespace hccs::bench
