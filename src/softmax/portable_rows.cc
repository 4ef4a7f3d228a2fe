// SPDX-License-Identifier: Apache-2.0
//
// Row softmax in plain C++, for CPUs without a kernel of their own. (Not Highway's EMU128: GCC before 12.3 compiles it
// wrongly, GCC bug 106322.)
#include <algorithm>
#include <limits>

#include "softmax/head_rows.h"
#include "softmax/plan.h"
#include "softmax/row_factors.h"

namespace hccs::internal {
namespace {

// Writes a row of sums as logits below 0.
template <class Valid>
void measure(const int32_t* sums, Rescale rescale, int64_t length, const Valid& valid, int8_t* logits) {
  int32_t maximum = std::numeric_limits<int32_t>::min();
  for (int64_t i = 0; i < length; ++i) {
    if (valid(i)) maximum = std::max(maximum, sums[i]);
  }
  for (int64_t i = 0; i < length; ++i) {
    if (valid(i)) logits[i] = static_cast<int8_t>(-sum_distance(rescale, int64_t{maximum} - sums[i]));
  }
}

template <Form kForm, MaskKind kMask>
void run_head(const Plan& plan, const Rows& all_rows, int64_t h) {
  const PreparedHead& head = plan.heads[static_cast<size_t>(all_rows.first_head + h)];
  const HeadRows<kMask, Output<kForm>> rows(all_rows, h);
  for (int64_t q = 0; q < all_rows.queries; ++q) {
    const int8_t* logits = rows.logits(q);
    int32_t length = 0;
    rows.lengths(q, 1, &length);
    const auto valid = [bits = rows.bits(q)](int64_t i) {
      return kMask != MaskKind::kBits || ((bits[i / 8] >> (i % 8)) & 1) != 0;
    };
    if (rows.sums() != nullptr) measure(rows.sums()->row(q), rows.sums()->rescale(q), length, valid, rows.room(q));
    int32_t maximum = -128;
    for (int64_t i = 0; i < length; ++i) {
      if (valid(i)) maximum = std::max<int32_t>(maximum, logits[i]);
    }
    int64_t sum = 0;
    for (int64_t i = 0; i < length; ++i) {
      if (valid(i)) sum += head.offset - head.deficit[static_cast<size_t>(maximum - logits[i])];
    }
    // A row without a valid position may have any sum.
    const RowFactors factors =
        row_factors<kForm>(plan.normalisation, head, static_cast<int32_t>(std::max<int64_t>(sum, head.offset)));
    auto* out = rows.out(q);
    for (int64_t i = 0; i < length; ++i) {
      const int32_t p =
          valid(i) ? normalised<kForm>(factors, head.prescaled[static_cast<size_t>(maximum - logits[i])]) : 0;
      out[i] = static_cast<Output<kForm>>(p);
    }
    std::fill(out + length, out + rows.keys(), Output<kForm>{0});
  }
}

}  // namespace

int64_t run_rows_portable(const Plan& plan, const Rows& rows) {
  visit_form_and_mask(plan, rows, [&]<Form kForm, MaskKind kMask>() {
    for (int64_t h = 0; h < rows.heads; ++h) run_head<kForm, kMask>(plan, rows, h);
  });
  return kPortableId;
}

}  // namespace hccs::internal
