// SPDX-License-Identifier: Apache-2.0
//
// The integer kernels on what they are for: every head of a real model, calibrated, on its real attention logits, or
// its real q, k and v, tolerance 0. HCCS_MODEL names the model folder.
#include <cmath>
#include <cstdlib>
#include <iostream>
#include <map>
#include <memory>

#include "aie/kernels/paper_rows.h"
#include "aie/kernels/rows.h"
#include "aie/kernels/tiles.h"
#include "hccs/calibration.h"
#include "hccs/encoder.h"
#include "kernels/attention_case.h"
#include "kernels/softmax_block.h"
#include "tasks/wordnet.h"

namespace {

using namespace kernel_test;
using hccs_kernels::MaskKind;
using hccs_kernels::Normalisation;

constexpr size_t kTexts = 40;
constexpr unsigned kLongest = 64;  // tokens of a text; the row length of the paper's limits
constexpr unsigned kHeadDim = 32;
// A head meets one text in so many in each of a kernel's modes; all texts are met by some head.
constexpr size_t kTextStride = 40;

// What a head makes of a text.
struct HeadText {
  unsigned length = 0;
  std::vector<float> logits;   // [length, length]
  std::vector<float> q, k, v;  // [length, kHeadDim]
};

struct Head {
  std::vector<HeadText> texts;
  hccs::RowSample sample{int64_t{kTexts} * kLongest, 0};
};

struct Model {
  int64_t heads_per_layer = 0;
  std::vector<Head> heads;
};

hccs::Expected<Model> read_model(const std::filesystem::path& path) {
  HCCS_ASSIGN_OR_RETURN(const hccs::ModelFolder folder, hccs::open_model_folder(path));
  HCCS_ASSIGN_OR_RETURN(const hccs::BertEncoder encoder, hccs::BertEncoder::load(folder));
  HCCS_ASSIGN_OR_RETURN(const std::vector<hccs::LabelledText> glosses, hccs::read_wordnet_glosses());
  std::vector<hccs::Encoding> texts;
  for (size_t i = 0; i < kTexts; ++i) {
    texts.push_back(folder.tokenizer.encode(glosses[i * glosses.size() / kTexts].text, kLongest));
  }
  const int64_t heads = folder.config.heads;
  if (folder.config.head_dimension() != kHeadDim) {
    return hccs::Status(hccs::StatusCode::kUnsupported, "the test's kernels have head dimension 32");
  }
  Model model{heads, std::vector<Head>(static_cast<size_t>(folder.config.layers * heads))};
  for (Head& head : model.heads) head.texts.resize(kTexts);
  const auto sink = [&](const hccs::AttentionBlock& block) -> hccs::Status {
    HeadText& text = model.heads[block.layer * heads + block.head].texts[block.text];
    text.length = static_cast<unsigned>(block.length);
    text.logits.assign(block.logits, block.logits + block.length * block.length);
    for (int64_t i = 0; i < block.length; ++i) {
      const auto append = [&](std::vector<float>& to, const float* rows) {
        to.insert(to.end(), rows + i * block.row_stride, rows + i * block.row_stride + kHeadDim);
      };
      append(text.q, block.query);
      append(text.k, block.key);
      append(text.v, block.value);
    }
    return {};
  };
  HCCS_ASSIGN_OR_RETURN(const auto softmax, hccs::make_capturing_softmax(hccs::make_exact_softmax(), sink));
  HCCS_ASSIGN_OR_RETURN([[maybe_unused]] const std::vector<float> embeddings,
                        encoder.embed(texts, *softmax, hccs::EncodeOptions{}));
  uint64_t id = 0;
  for (Head& head : model.heads) {
    for (const HeadText& text : head.texts) {
      for (unsigned row = 0; row < text.length; ++row) {
        HCCS_RETURN_IF_ERROR(head.sample.add(id++, std::span(text.logits).subspan(row * text.length, text.length)));
      }
    }
  }
  return model;
}

class MinilmHeads : public testing::Test {
 protected:
  void SetUp() override {
    const char* given = std::getenv("HCCS_MODEL");
    const std::filesystem::path path = given != nullptr ? given : "build/demo/model";
    if (!std::filesystem::exists(path)) GTEST_SKIP() << "no model folder at " << path << " (set HCCS_MODEL)";
    if (!std::filesystem::exists(hccs::kWordnetNouns)) GTEST_SKIP() << "no WordNet at " << hccs::kWordnetNouns;
    if (model_.heads.empty()) {
      hccs::Expected<Model> model = read_model(path);
      ASSERT_TRUE(model.ok()) << model.status().message();
      model_ = *std::move(model);
    }
    ASSERT_FALSE(model_.heads.empty());
  }

  void TearDown() override {
    if (rows_ > 0) std::cout << rows_ << " rows of " << model_.heads.size() << " heads compared\n";
  }

  // For every head, calibrated with these limits, and some of its texts: run(fit, text, i), i counting. Every native
  // head must be one that the kernels serve under masks.
  template <typename Run>
  void for_each_text(int knees, hccs::Limits limits, Run run) {
    hccs::CalibrationOptions options;
    options.knees = knees;
    options.limits = limits;
    if (limits == hccs::Limits::kPaper) options.length = kLongest;
    std::vector<hccs::HeadFit>& fits = fits_[{knees, limits}];
    if (fits.empty()) {
      std::vector<hccs::RowSample> samples;
      for (const Head& head : model_.heads) samples.push_back(head.sample);
      auto found = hccs::calibrate(samples, model_.heads_per_layer, options);
      ASSERT_TRUE(found.ok()) << found.status().message();
      fits = *std::move(found);
    }
    unsigned i = 0;
    for (size_t h = 0; h < model_.heads.size(); ++h) {
      const hccs::HeadFit& fit = fits[h];
      ASSERT_EQ(fit.params.knee_count, knees);
      if (limits == hccs::Limits::kNative) {
        const hccs::Status served = hccs::check_aie(fit.params, kLongest, hccs::AieRows::kMasked);
        ASSERT_TRUE(served.ok()) << "head " << h << ": " << served.message();
      }
      for (size_t t = h % kTextStride; t < kTexts; t += kTextStride) {
        run(fit, model_.heads[h].texts[t], i++);
        ASSERT_FALSE(HasFailure()) << "head " << h << ", text " << t;
      }
    }
  }

  // For every head and some of its texts, as for_each_text(): run(params, length, rows of int8 logits, i).
  template <typename Run>
  void for_each_block(int knees, hccs::Limits limits, Run run) {
    for_each_text(knees, limits, [&](const hccs::HeadFit& fit, const HeadText& text, unsigned i) {
      std::vector<std::vector<int8_t>> rows(text.length, std::vector<int8_t>(text.length));
      for (unsigned r = 0; r < text.length; ++r) {
        hccs::quantise_logits(std::span(text.logits).subspan(r * text.length, text.length), fit.step, rows[r]);
      }
      run(fit.params, text.length, rows, i);
    });
  }

  void count(const Block& block) { rows_ += block.rows.size(); }

  // A kernel for rows with a valid length: at the text's own length, and in the longest, where the mask must hide what
  // would be the row's maximum.
  template <template <Normalisation, typename> typename Kernel>
  void expect_masked_kernel() {
    const auto with_knees = [&]<unsigned kKnees>(hccs::Limits limits) {
      for_each_block(kKnees, limits, [&](const hccs::HeadParams& params, unsigned length, auto& rows, unsigned i) {
        Block block{params, length, rows, static_cast<int32_t>(length)};
        // Under masks the paper's heads need a multiple, which is outside the paper's limits.
        const int32_t factor = (255 + params.offset) / params.offset;
        block.params.offset *= factor;
        for (hccs::Knee& knee : block.params.knees) knee.slope *= factor;
        ASSERT_TRUE(hccs::check_aie(block.params, block.n, hccs::AieRows::kMasked).ok());
        if (i % 2 == 1) {
          block.n = kLongest;
          for (auto& row : block.rows) row.resize(kLongest, int8_t{127});
        }
        expect_mode<Kernel<Normalisation::kDiv, uint8>, kKnees>(block, i);
        expect_mode<Kernel<Normalisation::kDiv, int16>, kKnees>(block, i);
        expect_mode<Kernel<Normalisation::kClb, uint8>, kKnees>(block, i);
        expect_mode<Kernel<Normalisation::kClb, int16>, kKnees>(block, i);
        expect_mode<Kernel<Normalisation::kScaled, uint8>, kKnees>(block, i);
        expect_mode<Kernel<Normalisation::kScaled, int16>, kKnees>(block, i);
      });
    };
    with_knees.template operator()<1>(hccs::Limits::kPaper);
    with_knees.template operator()<1>(hccs::Limits::kNative);
    with_knees.template operator()<2>(hccs::Limits::kNative);
    with_knees.template operator()<3>(hccs::Limits::kNative);
  }

  // attention on the head's q, rounded to int8 token by token, and its k and v, with one scale each; at the text's own
  // length, in the longest under a length mask, and causal.
  template <unsigned kKnees>
  void expect_attention(hccs::Limits limits) {
    for_each_text(kKnees, limits, [&](const hccs::HeadFit& fit, const HeadText& text, unsigned i) {
      AttentionCase c{fit.params, text.length, text.length, kHeadDim, kHeadDim, {}, {}, {}, {}};
      const double key_scale = append_int8(text.k, c.k);
      const double value_scale = append_int8(text.v, c.v);
      for (unsigned r = 0; r < text.length; ++r) {
        const double query_scale = append_int8(std::span(text.q).subspan(r * kHeadDim, kHeadDim), c.q);
        c.rescales.push_back(rescale(query_scale * key_scale / std::sqrt(kHeadDim) / fit.step));
      }
      if (i % 3 != 0) {
        c.valid_length = static_cast<int32_t>(text.length);
        c.n = kLongest;
        c.k.resize(kLongest * kHeadDim, 127);
        c.v.resize(kLongest * kHeadDim, -128);
      }
      c.causal = i % 3 == 2;
      expect_equals_contract(c, kernel_of<kKnees, kHeadDim, kHeadDim>(), i);
      rows_ += text.length;
      if (!c.causal) compare_with_float(text, expected_rows(c), value_scale);
    });
  }
  double squared_error() const { return error_ / power_; }

 private:
  // Appends values / scale, rounded, and returns the scale.
  static double append_int8(std::span<const float> values, std::vector<int8_t>& to) {
    float largest = 1e-30F;
    for (const float x : values) largest = std::max(largest, std::abs(x));
    const double scale = largest / 127.0;
    for (const float x : values) to.push_back(static_cast<int8_t>(std::lround(x / scale)));
    return scale;
  }

  static hccs::Rescale rescale(double factor) {
    int exponent = 0;
    auto multiplier = static_cast<int32_t>(std::lround(std::ldexp(std::frexp(factor, &exponent), 15)));
    if (multiplier == 1 << 15) {
      multiplier = 1 << 14;
      ++exponent;
    }
    return {multiplier, 15 - exponent};
  }

  // Adds to the squared error of o against the head's float attention.
  void compare_with_float(const HeadText& text, const std::vector<int8_t>& o, double scale) {
    for (unsigned r = 0; r < text.length; ++r) {
      const auto logits = std::span(text.logits).subspan(r * text.length, text.length);
      const float maximum = *std::max_element(logits.begin(), logits.end());
      std::vector<double> context(kHeadDim);
      double sum = 0;
      for (unsigned i = 0; i < text.length; ++i) {
        const double p = std::exp(logits[i] - maximum);
        sum += p;
        for (unsigned j = 0; j < kHeadDim; ++j) context[j] += p * text.v[i * kHeadDim + j];
      }
      for (unsigned j = 0; j < kHeadDim; ++j) {
        const double wanted = context[j] / sum;
        const double error = scale * o[r * kHeadDim + j] - wanted;
        error_ += error * error;
        power_ += wanted * wanted;
      }
    }
  }

  template <typename Kernel, unsigned kKnees>
  void expect_mode(const Block& block, unsigned mode) {
    const auto rows = static_cast<unsigned>(block.rows.size());
    expect_equals_contract<typename Kernel::Out>(
        block, Kernel::kNormalisation, Kernel::template layout<kKnees>(rows, block.n), mode,
        [&](const int8* x, typename Kernel::Out* p, const hccs_kernels::BlockMask& masks, int8* scratch) {
          Kernel::template run<kKnees>(x, p, rows, block.n, kernel_head(block.params), masks, scratch);
        });
    count(block);
  }

  // What all tests share.
  static inline Model model_;
  static inline std::map<std::pair<int, hccs::Limits>, std::vector<hccs::HeadFit>> fits_;
  size_t rows_ = 0;
  double error_ = 0, power_ = 0;
};

template <Normalisation kNormalisation_, typename Out_>
struct Rows {
  static constexpr Normalisation kNormalisation = kNormalisation_;
  using Out = Out_;
  template <unsigned kKnees>
  static Layout layout(unsigned rows, unsigned n) {
    return {[n](unsigned r, unsigned i) { return hccs_kernels::rows_index(r, i, n); },
            hccs_kernels::rows_elements(rows, n),
            hccs_kernels::rows_scratch_bytes(rows, n, kKnees, hccs_kernels::kArch)};
  }
  template <unsigned kKnees>
  static void run(const int8* x, Out* p, unsigned rows, unsigned n, const HccsHead& head,
                  const hccs_kernels::BlockMask& masks, int8* scratch) {
    hccs_kernels::softmax_rows<kNormalisation, Out, kKnees, MaskKind::kLength>(x, p, rows, n, head, masks, scratch);
  }
};

template <Normalisation kNormalisation_, typename Out_>
struct Tiles {
  static constexpr Normalisation kNormalisation = kNormalisation_;
  using Out = Out_;
  template <unsigned kKnees>
  static Layout layout(unsigned rows, unsigned n) {
    return {[n](unsigned r, unsigned i) { return hccs_kernels::tiles_index(r, i, n, hccs_kernels::kArch); },
            hccs_kernels::tiles_elements(rows, n, hccs_kernels::kArch), sizeof(hccs_kernels::TilesScratch<kKnees>)};
  }
  template <unsigned kKnees>
  static void run(const int8* x, Out* p, unsigned rows, unsigned n, const HccsHead& head,
                  const hccs_kernels::BlockMask& masks, int8* scratch) {
    hccs_kernels::softmax_tiles<kNormalisation, Out, kKnees, MaskKind::kLength>(
        x, p, rows, n, head, masks, *reinterpret_cast<hccs_kernels::TilesScratch<kKnees>*>(scratch));
  }
};

TEST_F(MinilmHeads, Rows) { expect_masked_kernel<Rows>(); }

TEST_F(MinilmHeads, Tiles) { expect_masked_kernel<Tiles>(); }

TEST_F(MinilmHeads, Attention) {
  expect_attention<1>(hccs::Limits::kPaper);
  expect_attention<1>(hccs::Limits::kNative);
  expect_attention<2>(hccs::Limits::kNative);
  expect_attention<3>(hccs::Limits::kNative);
  // That the case is the head's attention at all.
  EXPECT_LT(squared_error(), 0.05);
  std::cout << "relative squared error to float attention: " << squared_error() << '\n';
}

// paper_rows has no masks: its users fill a row up with -128, and what stands there takes part in the sum. The paper's
// heads are for rows of the longest length.
TEST_F(MinilmHeads, PaperRows) {
  const auto run = [&]<Normalisation kNormalisation, typename Out>(const Block& block, unsigned mode) {
    const unsigned n = block.n;
    const auto rows = static_cast<unsigned>(block.rows.size());
    const Layout layout{[n](unsigned r, unsigned i) { return r * n + i; }, rows * n, n * sizeof(int16)};
    expect_equals_contract<Out>(block, kNormalisation, layout, mode,
                                [&](const int8* x, Out* p, const hccs_kernels::BlockMask&, int8* scratch) {
                                  hccs_kernels::softmax_paper_rows<kNormalisation>(
                                      x, p, rows, n, kernel_head(block.params), reinterpret_cast<int16*>(scratch));
                                });
    count(block);
  };
  for (const hccs::Limits limits : {hccs::Limits::kPaper, hccs::Limits::kNative}) {
    for_each_block(1, limits, [&](const hccs::HeadParams& params, unsigned length, auto& rows, unsigned i) {
      Block block{params, limits == hccs::Limits::kPaper ? kLongest : (length + 31) / 32 * 32, rows};
      ASSERT_TRUE(hccs::check_aie(params, block.n, hccs::AieRows::kFull).ok());
      for (auto& row : block.rows) row.resize(block.n, int8_t{-128});
      run.template operator()<Normalisation::kDiv, uint8>(block, i);
      run.template operator()<Normalisation::kDiv, int16>(block, i);
      run.template operator()<Normalisation::kClb, uint8>(block, i);
      run.template operator()<Normalisation::kClb, int16>(block, i);
    });
  }
}

}  // namespace
