// SPDX-License-Identifier: Apache-2.0
//
// Row softmax in plain C++, for CPUs without a kernel of their own. (Not Highway's EMU128: GCC before 12.3 compiles it
// wrongly, GCC bug 106322.)
#include <algorithm>
#include <type_traits>

#include "softmax/plan.h"
#include "softmax/row_factors.h"
#include "softmax/visible_row.h"

namespace hccs::softmax {
namespace {

bool is_valid(const VisibleRow& row, int64_t i) {
  return row.bits == nullptr || ((row.bits[i / 8] >> (i % 8)) & 1) != 0;
}

template <Form kForm>
int32_t normalise(const RowFactors& f, uint32_t prescaled) {
  const uint32_t product = prescaled * f.multiplier;
  if constexpr (kForm == Form::kRound8) {
    return static_cast<int32_t>(std::min<uint32_t>(255, ((product >> 16) + f.rounding) >> f.shift));
  } else if constexpr (kForm == Form::kProduct16) {
    return static_cast<int32_t>(std::min<uint32_t>(32767, product));
  } else {
    return static_cast<int32_t>(((product >> (f.shift - 1)) + 1) >> 1);
  }
}

template <Form kForm>
void run_form(const Plan& plan, const Rows& rows) {
  using Out = std::conditional_t<kForm == Form::kRound8, uint8_t, int16_t>;
  for (int64_t h = 0; h < rows.heads; ++h) {
    const PreparedHead& head = plan.heads[static_cast<size_t>(rows.first_head + h)];
    for (int64_t q = 0; q < rows.queries; ++q) {
      const VisibleRow row = visible_row<Out>(rows, h, q);
      int32_t maximum = -128;
      for (int64_t i = 0; i < row.length; ++i) {
        if (is_valid(row, i)) maximum = std::max<int32_t>(maximum, row.logits[i]);
      }
      int64_t sum = 0;
      for (int64_t i = 0; i < row.length; ++i) {
        if (is_valid(row, i)) sum += head.offset - head.deficit[static_cast<size_t>(maximum - row.logits[i])];
      }
      const RowFactors factors =
          row_factors<kForm>(plan.normalisation, head, static_cast<int32_t>(std::max<int64_t>(sum, head.offset)));
      auto* out = static_cast<Out*>(row.out);
      for (int64_t i = 0; i < row.length; ++i) {
        const auto p = is_valid(row, i)
                           ? normalise<kForm>(factors, head.prescaled[static_cast<size_t>(maximum - row.logits[i])])
                           : 0;
        out[i] = static_cast<Out>(p);
      }
      std::fill(out + row.length, out + rows.keys, Out{0});
    }
  }
}

}  // namespace

void run_rows_portable(const Plan& plan, const Rows& rows) {
  switch (plan.form) {
    case Form::kRound8:
      return run_form<Form::kRound8>(plan, rows);
    case Form::kProduct16:
      return run_form<Form::kProduct16>(plan, rows);
    case Form::kRound16:
      return run_form<Form::kRound16>(plan, rows);
  }
}

}  // namespace hccs::softmax
