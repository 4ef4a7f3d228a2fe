// SPDX-License-Identifier: Apache-2.0
//
// row_sums() and scale_row() of a target without intrinsics for them. Included after norm-inl.h; no header guard.

HCCS_INLINE RowSums row_sums(const int32_t* y, int64_t n) { return plain_row_sums(y, n); }

HCCS_INLINE void scale_row(const NormStep& norm, const RowScale& scale, const int32_t* y, Element* x, int16_t* skip) {
  plain_scale_row(norm, scale, 0, y, x, skip);
}
