// SPDX-License-Identifier: Apache-2.0
//
// Products with their epilogues, and the norms, in loops that compilers vectorise. All is exact: the widths are those
// of docs/integer-encoder.md. Included by targets' files inside a namespace, between the pragmas that choose the
// instruction set, after norm-inl.h; no header guard. It needs kId, multiply_rows() (blocks-inl.h has one), row_sums()
// and scale_row() (norm-inl.h has plain ones) and of Isa
//   Element, kOffset, kColumnsOffset   x, as kernels.h says
//   kRows                              that multiply_rows() takes at most
//   kLayout                            of weights
//   kFurtherRows                       as kernels.h says
//   kEndsBeside                        multiply_rows() takes steps of its last argument; false if not there
//   ProductScope                       what lives while products are computed

template <class I>
constexpr bool ends_beside() {
  if constexpr (requires { I::kEndsBeside; }) {
    return I::kEndsBeside;
  } else {
    return false;
  }
}
inline constexpr bool kEndsBeside = ends_beside<Isa>();

// The epilogue of a block's rows, a row at each step.
template <class Epilogue>
class Ending {
 public:
  static constexpr bool kIsWork = kEndsBeside;

  explicit Ending(const Epilogue& epilogue) : epilogue_(epilogue) {}
  void start(int64_t row, int64_t rows, int64_t column, const int32_t* sums) {
    row_ = row;
    left_ = rows;
    column_ = column;
    sums_ = sums;
  }
  HCCS_INLINE int64_t left() const { return left_; }
  HCCS_INLINE void step() {
    epilogue_.row(row_, column_, sums_);
    ++row_;
    --left_;
    sums_ += kPanel;
  }
  void finish() {
    while (left_ > 0) step();
  }

 private:
  const Epilogue& epilogue_;
  int64_t row_ = 0;
  int64_t left_ = 0;
  int64_t column_ = 0;
  const int32_t* sums_ = nullptr;
};

// Calls epilogue.row(row, column, sums of kPanel columns) for all rows and panels; where the kernel can, those of a
// block among the steps of the next one.
template <class Epilogue>
HCCS_INLINE void multiply(const Product& p, const Epilogue& epilogue) {
  alignas(64) int32_t sums[2][Isa::kRows * kPanel];
  const int64_t steps = Isa::kLayout.steps(p.linear.in);
  const int64_t blocks = (p.rows + Isa::kRows - 1) / Isa::kRows;
  [[maybe_unused]] const Isa::ProductScope scope;
  const std::byte* weights = p.linear.weights;
  Ending<Epilogue> ending(epilogue);
  int64_t block = 0;
  for (int64_t panel = 0; panel < p.linear.panels; ++panel, weights += Isa::kLayout.panel_bytes(p.linear.in)) {
    int64_t row = 0;
    for (int64_t left = blocks; left > 0; --left, ++block) {
      const int64_t count = (p.rows - row + left - 1) / left;
      int32_t* to = sums[kEndsBeside ? block % 2 : 0];
      multiply_rows(count, reinterpret_cast<const Element*>(p.x) + row * p.pitch, p.pitch, steps, weights, to, ending);
      ending.finish();
      ending.start(row, count, panel * kPanel, to);
      if (!kEndsBeside) ending.finish();
      row += count;
    }
  }
  ending.finish();
}

// a of the definition, of kPanel columns.
HCCS_INLINE void scale_sums(const ReadyLinear& linear, int64_t column, const int32_t* sums, int16_t* a) {
  const int32_t* bias = linear.bias + column;
  const int32_t* shift = linear.shift + column;
  for (int64_t j = 0; j < kPanel; ++j) {
    a[j] = static_cast<int16_t>(std::clamp((sums[j] + bias[j]) >> shift[j], kWordMin, kWordMax));
  }
}

// round(a * b / 2^15), as pmulhrsw and sqrdmulh compute it. Not for both -2^15.
HCCS_INLINE int16_t multiply_q15(int16_t a, int16_t b) { return static_cast<int16_t>((((a * b) >> 14) + 1) >> 1); }

struct ToInt8 {
  const ReadyLinear& linear;
  int8_t* out;
  int64_t pitch;

  HCCS_INLINE void row(int64_t row, int64_t column, const int32_t* sums) const {
    alignas(64) int16_t a[kPanel];
    scale_sums(linear, column, sums, a);
    const int16_t* multiplier = linear.multiplier + column;
    int8_t* to = out + row * pitch + column;
    for (int64_t j = 0; j < kPanel; ++j) {
      const auto high = static_cast<int16_t>((a[j] * multiplier[j]) >> 16);
      const auto rounded = static_cast<int16_t>((high + 32) >> 6);
      to[j] = static_cast<int8_t>(std::clamp<int16_t>(rounded, -127, 127));
    }
  }
};

inline constexpr int32_t kSumMax = (1 << 17) - 1;

struct ToResidual {
  const ReadyLinear& linear;
  const int16_t* skip;
  int64_t skip_pitch;
  int32_t skip_shift;
  int32_t* y;
  int64_t pitch;

  HCCS_INLINE void row(int64_t row, int64_t column, const int32_t* sums) const {
    const int32_t* bias = linear.bias + column;
    const int32_t* shift = linear.shift + column;
    const int16_t* multiplier = linear.multiplier + column;
    const int32_t* half = linear.out_half + column;
    const int32_t* out_shift = linear.out_shift + column;
    const int16_t* before = skip + row * skip_pitch + column;
    int32_t* to = y + row * pitch + column;
    for (int64_t j = 0; j < kPanel; ++j) {
      const int32_t a = std::clamp((sums[j] + bias[j]) >> shift[j], kWordMin, kWordMax);
      const int32_t product = (a * multiplier[j] + half[j]) >> out_shift[j];
      to[j] = std::clamp((before[j] << skip_shift) + product, -kSumMax, kSumMax);
    }
  }
};

// GELU's codes of kPanel columns, within -32767..32767.
HCCS_INLINE void gelu_codes(const GeluStep& gelu, const int16_t* a, const int16_t* multiplier, int16_t* codes) {
  const auto largest = static_cast<int16_t>((4 << gelu.fraction) - 1);
  const auto to_x = static_cast<int16_t>(1 << (13 - gelu.fraction));
  const auto from_r = static_cast<int16_t>(1 << (1 + gelu.fraction));  // 2^15 / 2^(14 - f)
  const std::array<int16_t, 4> c = kGeluCoefficients;
  const auto scale = static_cast<int16_t>(gelu.multiplier);
  const auto zero = static_cast<int16_t>(gelu.zero);
  const auto most = static_cast<int16_t>(kWordMax - zero);
  for (int64_t j = 0; j < kPanel; ++j) {
    // |h| <= 2^15 * (2^15 - 1) / 2^15.
    const int16_t h = multiply_q15(a[j], multiplier[j]);
    const int16_t magnitude = std::min(static_cast<int16_t>(h < 0 ? -h : h), largest);
    const auto x = static_cast<int16_t>(magnitude * to_x);
    auto p = static_cast<int16_t>(multiply_q15(x, c[3]) + c[2]);
    p = static_cast<int16_t>(multiply_q15(p, x) + c[1]);
    p = static_cast<int16_t>(multiply_q15(p, x) + c[0]);
    p = multiply_q15(p, p);
    p = multiply_q15(p, p);
    p = multiply_q15(p, p);
    const int16_t r = multiply_q15(multiply_q15(p, x), from_r);
    const auto value = static_cast<int16_t>(std::max<int16_t>(h, 0) - r);
    codes[j] = static_cast<int16_t>(std::min(multiply_q15(value, scale), most) + zero);
  }
}

struct ToColumns {
  const ReadyLinear& linear;
  const GeluStep& gelu;
  Element* columns;
  int64_t columns_pitch;
  int16_t* codes;
  int64_t codes_pitch;
  int64_t split;  // channels that have further columns

  HCCS_INLINE void row(int64_t row, int64_t column, const int32_t* sums) const {
    alignas(64) int16_t a[kPanel];
    alignas(64) int16_t code[kPanel];
    scale_sums(linear, column, sums, a);
    gelu_codes(gelu, a, linear.multiplier + column, code);
    Element* to = columns + row * columns_pitch + column;
    for (int64_t j = 0; j < kPanel; ++j) {
      to[j] = static_cast<Element>(std::clamp<int16_t>(code[j], 0, 255) + Isa::kColumnsOffset);
    }
    if (column < split) std::memcpy(codes + row * codes_pitch + column, code, sizeof(code));
  }
};

struct ToInt16 {
  const ReadyLinear& linear;
  int16_t* out;
  int64_t pitch;

  HCCS_INLINE void row(int64_t row, int64_t column, const int32_t* sums) const {
    alignas(64) int16_t a[kPanel];
    scale_sums(linear, column, sums, a);
    const int16_t* multiplier = linear.multiplier + column;
    int16_t* to = out + row * pitch + column;
    for (int64_t j = 0; j < kPanel; ++j) to[j] = multiply_q15(a[j], multiplier[j]);
  }
};

inline int64_t to_int8(const Product& product, int8_t* out, int64_t pitch) {
  multiply(product, ToInt8{product.linear, out, pitch});
  return kId;
}

inline void to_residual(const Product& product, const int16_t* skip, int64_t skip_pitch, int32_t skip_shift,
                        int32_t* y) {
  multiply(product, ToResidual{product.linear, skip, skip_pitch, skip_shift, y, product.linear.panels * kPanel});
}

inline void to_columns(const Product& product, const GeluStep& gelu, std::byte* to, int64_t pitch, int16_t* codes) {
  auto* columns = reinterpret_cast<Element*>(to);
  const int64_t split = gelu.splits.empty() ? 0 : gelu.splits.front();
  const int64_t codes_pitch = (split + kPanel - 1) / kPanel * kPanel;
  multiply(product, ToColumns{product.linear, gelu, columns, pitch, codes, codes_pitch, split});
  for (int64_t row = 0; row < product.rows && split > 0; ++row) {
    Element* further = columns + row * pitch + gelu.inner;
    const int16_t* code = codes + row * codes_pitch;
    int32_t carried = 0;
    for (const int32_t channels : gelu.splits) {
      carried += 255;
      for (int32_t c = 0; c < channels; ++c) {
        *further++ = static_cast<Element>(std::clamp(code[c] - carried, 0, 255) + Isa::kColumnsOffset);
      }
    }
  }
}

inline void to_int16(const Product& product, int16_t* out, int64_t pitch) {
  multiply(product, ToInt16{product.linear, out, pitch});
}

HCCS_INLINE RowScale scale_of_row(const NormStep& norm, const int32_t* y) {
  const int64_t n = norm.hidden;
  const RowSums sums = row_sums(y, n);
  const int64_t mean = rounded_divide(sums.sum, n);
  // Of y - mean: every term is below 2^46.
  const int64_t squares = sums.squares - 2 * mean * sums.sum + n * mean * mean;
  const ReciprocalRoot root = reciprocal_root(16 * squares / n + norm.epsilon);
  return {.mean = static_cast<int32_t>(mean),
          .multiplier = static_cast<int32_t>(root.multiplier),
          .half = 1 << (root.shift - 1),
          .shift = root.shift};
}

// A row's scale comes out of a chain of divisions: those of the next row are on their way while a row is scaled.
inline void normalise(const NormStep& norm, int64_t rows, int64_t pitch, const int32_t* y, std::byte* to,
                      int16_t* skip) {
  auto* x = reinterpret_cast<Element*>(to);
  RowScale next = scale_of_row(norm, y);
  for (int64_t r = 0; r < rows; ++r, y += pitch, x += pitch, skip += pitch) {
    const RowScale scale = next;
    if (r + 1 < rows) next = scale_of_row(norm, y + pitch);
    scale_row(norm, scale, y, x, skip);
  }
}

inline void embed(const NormStep& norm, const WordStep& word, int32_t* y, std::byte* x, int16_t* skip) {
  const int32_t half = word.shift == 0 ? 0 : 1 << (word.shift - 1);
  for (int64_t j = 0; j < norm.hidden; ++j) {
    const int32_t sum = ((word.word[j] * word.multiplier + half) >> word.shift) + word.place[j] * 4;
    y[j] = std::clamp(sum, -kSumMax, kSumMax);
  }
  scale_row(norm, scale_of_row(norm, y), y, reinterpret_cast<Element*>(x), skip);
}

inline void convert(const int8_t* from, int64_t count, std::byte* x) {
  auto* to = reinterpret_cast<Element*>(x);
  for (int64_t j = 0; j < count; ++j) to[j] = static_cast<Element>(from[j] + Isa::kOffset);
}

inline void add_rows(const int16_t* skip, int64_t pitch, int64_t rows, int64_t hidden, int32_t* sums) {
  for (int64_t r = 0; r < rows; ++r, skip += pitch) {
    for (int64_t j = 0; j < hidden; ++j) sums[j] += skip[j];
  }
}

// Made when this is compiled: at run time a function of this file may only be called where the CPU has its
// instructions.
consteval IntegerKernels make_kernels(std::string_view name) {
  return {.name = name,
          .id = kId,
          .element_bytes = sizeof(Element),
          .offset = Isa::kOffset,
          .columns_offset = Isa::kColumnsOffset,
          .layout = Isa::kLayout,
          .further_rows = Isa::kFurtherRows,
          .to_int8 = to_int8,
          .to_residual = to_residual,
          .to_columns = to_columns,
          .to_int16 = to_int16,
          .normalise = normalise,
          .embed = embed,
          .convert = convert,
          .add_rows = add_rows};
}
