// SPDX-License-Identifier: Apache-2.0
//
// The encoder on tiny random BERTs that the test writes itself, against plain loops in double.
#include "hccs/encoder.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <omp.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <mutex>
#include <numeric>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <tuple>

#include "hccs/quantise.h"
#include "tiny_bert.h"

namespace hccs {
namespace {

// ---- Embeddings -----------------------------------------------------------------------------

TEST_F(EncoderTest, EqualsPlainLoopsForAnySizes) {
  struct Case {
    BertConfig config;
    const char* prefix;
    const char* dtype;
  };
  const Case cases[] = {{make_config(24, 3, 40), "", "F32"},
                        {make_config(24, 3, 40), "", "F16"},
                        {make_config(21, 3, 37), "bert.", "F32"},
                        {make_config(8, 1, 5, 3), "", "F32"},
                        {make_config(70, 2, 130, 1, 100), "", "F16"}};
  uint64_t seed = 71;
  for (const Case& c : cases) {
    SCOPED_TRACE(fmt::format("hidden {}, heads {}, {}, seed {}", c.config.hidden_size, c.config.heads, c.dtype, seed));
    const TinyBert model = make_tiny_bert(c.config, c.prefix, seed);
    std::vector<int64_t> lengths = random_lengths(60, c.config.max_positions, seed);
    lengths.insert(lengths.end(), {1, 2, c.config.max_positions});
    const std::vector<Encoding> texts = make_texts(c.config, lengths, seed);
    const auto embeddings = load(model, c.dtype).embed(texts, *make_exact_softmax(), {.threads = 2});
    ASSERT_TRUE(embeddings.ok()) << embeddings.status().message();
    expect_near_reference(model, texts, *embeddings);
    ++seed;
  }
}

TEST_F(EncoderTest, OneTextMayBeLongerThanABatch) {
  const BertConfig config = make_config(12, 2, 16, 1, 1100);
  const TinyBert model = make_tiny_bert(config, "", 5);
  const std::vector<Encoding> texts =
      make_texts(config, std::vector<int64_t>{3, 1100, 47, 48, 49, 479, 480, 481, 1}, 6);
  const auto embeddings = load(model).embed(texts, *make_exact_softmax(), {});
  ASSERT_TRUE(embeddings.ok()) << embeddings.status().message();
  expect_near_reference(model, texts, *embeddings);
}

TEST_F(EncoderTest, NoTextsGiveNoEmbeddings) {
  const auto embeddings = load(make_tiny_bert(make_config(8, 2, 8), "", 1)).embed({}, *make_exact_softmax(), {});
  ASSERT_TRUE(embeddings.ok()) << embeddings.status().message();
  EXPECT_TRUE(embeddings->empty());
}

TEST_F(EncoderTest, SameBitsForAnyThreadsOrderAndCompany) {
  const BertConfig config = make_config(24, 3, 40);
  const BertEncoder encoder = load(make_tiny_bert(config, "", 11));
  const std::vector<Encoding> texts = make_texts(config, random_lengths(300, 40, 12), 13);
  const auto softmax = make_exact_softmax();
  const auto embed = [&](std::span<const Encoding> some, int threads) {
    const auto embeddings = encoder.embed(some, *softmax, {.threads = threads});
    return embeddings.ok() ? *embeddings : std::vector<float>();
  };
  const std::vector<float> expected = embed(texts, 1);
  ASSERT_EQ(expected.size(), texts.size() * 24);
  for (const int threads : {2, 3, 8, 100}) EXPECT_EQ(embed(texts, threads), expected) << threads << " threads";

  std::vector<size_t> order(texts.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::shuffle(order.begin(), order.end(), std::mt19937_64(14));
  std::vector<Encoding> shuffled;
  for (const size_t t : order) shuffled.push_back(texts[t]);
  const std::vector<float> result = embed(shuffled, 2);
  ASSERT_EQ(result.size(), expected.size());
  for (size_t i = 0; i < order.size(); ++i) {
    ASSERT_TRUE(std::equal(result.begin() + i * 24, result.begin() + (i + 1) * 24, expected.begin() + order[i] * 24))
        << "text " << order[i] << " at place " << i << ", shuffled with seed 14";
  }
  for (size_t t = 0; t < texts.size(); t += 37) {
    const std::vector<float> alone = embed(std::span(texts).subspan(t, 1), 1);
    ASSERT_TRUE(std::equal(alone.begin(), alone.end(), expected.begin() + t * 24)) << "text " << t << " alone";
  }
}

TEST_F(EncoderTest, LeavesTheCallersOpenMpAlone) {
  const BertConfig config = make_config(8, 2, 8);
  const int before = omp_get_max_threads();
  omp_set_num_threads(before + 2);
  const BertEncoder encoder = load(make_tiny_bert(config, "", 1));
  EXPECT_EQ(omp_get_max_threads(), before + 2);
  EXPECT_TRUE(encoder.embed(make_texts(config, std::vector<int64_t>{3, 4}, 1), *make_exact_softmax(), {}).ok());
  EXPECT_EQ(omp_get_max_threads(), before + 2);
  omp_set_num_threads(before);
}

// ---- The softmax interface ------------------------------------------------------------------

TEST_F(EncoderTest, CaptureSeesEveryBlockOnceWithItsLogits) {
  const BertConfig config = make_config(21, 3, 20);
  const TinyBert model = make_tiny_bert(config, "", 21);
  const std::vector<Encoding> texts = make_texts(config, random_lengths(80, 40, 22), 23);
  std::mutex mutex;
  std::map<std::tuple<int64_t, int64_t, int64_t>, std::vector<float>> blocks;  // text, layer, head
  int64_t calls = 0;
  const auto capture = make_capturing_softmax(make_exact_softmax(), [&](const AttentionBlock& block) -> Status {
    const std::lock_guard lock(mutex);
    ++calls;
    blocks[{block.text, block.layer, block.head}].assign(block.logits, block.logits + block.length * block.length);
    const int64_t dimension = config.hidden_size / config.heads;
    for (int64_t i = 0; i < block.length; ++i) {
      for (int64_t j = 0; j < block.length; ++j) {
        const float* query = block.query + i * block.row_stride;
        const double product = std::inner_product(query, query + dimension, block.key + j * block.row_stride, 0.0);
        EXPECT_NEAR(product / std::sqrt(dimension), block.logits[i * block.length + j], 1e-4);
      }
    }
    EXPECT_EQ(block.value - block.key, block.key - block.query);
    return {};
  });
  ASSERT_TRUE(capture.ok()) << capture.status().message();
  const BertEncoder encoder = load(model);
  const auto embeddings = encoder.embed(texts, **capture, {.threads = 2});
  ASSERT_TRUE(embeddings.ok()) << embeddings.status().message();
  EXPECT_EQ(*embeddings, *encoder.embed(texts, *make_exact_softmax(), {}));
  ASSERT_EQ(calls, std::ssize(texts) * 2 * 3);
  ASSERT_EQ(std::ssize(blocks), calls);
  for (size_t t = 0; t < texts.size(); ++t) {
    std::vector<Matrix> expected;
    reference(model, texts[t].ids, exact, &expected);
    for (int64_t layer = 0; layer < 2; ++layer) {
      for (int64_t head = 0; head < 3; ++head) {
        const auto found = blocks.find({static_cast<int64_t>(t), layer, head});
        ASSERT_NE(found, blocks.end());
        const Matrix& wanted = expected[layer * 3 + head];
        ASSERT_EQ(found->second.size(), wanted.size());
        for (size_t i = 0; i < wanted.size(); ++i) ASSERT_NEAR(found->second[i], wanted[i], 1e-4);
      }
    }
  }
}

// Depends on layer and head, and on no logit.
void recency(int64_t layer, int64_t head, Matrix& row) {
  double sum = 0;
  for (size_t i = 0; i < row.size(); ++i) sum += row[i] = 1.0 + static_cast<double>(i * (1 + layer + 2 * head));
  for (double& v : row) v /= sum;
}

TEST_F(EncoderTest, UsesTheProbabilitiesItIsGiven) {
  class Recency final : public AttentionSoftmax {
    Status apply(const AttentionBlock& block, float* probabilities) const override {
      Matrix row(block.length);
      recency(block.layer, block.head, row);
      for (int64_t q = 0; q < block.length; ++q) std::copy(row.begin(), row.end(), probabilities + q * block.length);
      return {};
    }
  };
  const BertConfig config = make_config(24, 3, 40);
  const TinyBert model = make_tiny_bert(config, "", 31);
  const std::vector<Encoding> texts = make_texts(config, random_lengths(50, 40, 32), 33);
  const auto embeddings = load(model).embed(texts, Recency(), {.threads = 2});
  ASSERT_TRUE(embeddings.ok()) << embeddings.status().message();
  expect_near_reference(model, texts, *embeddings, recency);
}

struct LogitBlocks {
  std::vector<AttentionBlock> blocks;
  std::vector<std::vector<float>> logits;
};

// Random blocks for every head of 2 layers of 3 heads: small, large and saturating logits, ties, constants.
LogitBlocks random_blocks(uint64_t seed) {
  LogitBlocks result;
  std::mt19937_64 random(seed);
  for (int64_t i = 0; i < 240; ++i) {
    const auto length = static_cast<int64_t>(1 + random() % 70);
    std::normal_distribution<float> normal(0.0F, std::array{0.0F, 0.5F, 4.0F, 60.0F}[i % 4]);
    std::vector<float> logits(length * length);
    for (float& v : logits) v = normal(random);
    for (size_t j = 1; j < logits.size(); j += 5) logits[j] = logits[j - 1];
    result.logits.push_back(std::move(logits));
    result.blocks.push_back({i / 3 % 2, i % 3, i, length, result.logits.back().data()});
  }
  return result;
}

// Applies `softmax` beside the logits and in place, which must agree.
std::vector<float> apply_twice(const AttentionSoftmax& softmax, const AttentionBlock& block) {
  std::vector<float> beside(block.length * block.length);
  EXPECT_TRUE(softmax.apply(block, beside.data()).ok());
  std::vector<float> in_place(block.logits, block.logits + beside.size());
  AttentionBlock aliased = block;
  aliased.logits = in_place.data();
  EXPECT_TRUE(softmax.apply(aliased, in_place.data()).ok());
  EXPECT_EQ(beside, in_place);
  return beside;
}

const std::vector<double> kSteps = {0.02, 0.05, 0.1, 0.3, 0.5, 1.5};  // 2 layers x 3 heads

TEST(AttentionSoftmaxTest, ExactEqualsDouble) {
  const LogitBlocks data = random_blocks(41);
  const auto softmax = make_exact_softmax();
  for (const AttentionBlock& block : data.blocks) {
    const std::vector<float> p = apply_twice(*softmax, block);
    for (int64_t q = 0; q < block.length; ++q) {
      Matrix row(block.logits + q * block.length, block.logits + (q + 1) * block.length);
      exact(0, 0, row);
      for (int64_t i = 0; i < block.length; ++i)
        ASSERT_NEAR(p[q * block.length + i], row[i], 1e-6) << "block " << block.text;
    }
  }
}

TEST(AttentionSoftmaxTest, Int8ExactIsQuantisationThenExact) {
  const LogitBlocks data = random_blocks(42);
  const auto softmax = make_int8_exact_softmax(kSteps, 3);
  ASSERT_TRUE(softmax.ok()) << softmax.status().message();
  for (const AttentionBlock& block : data.blocks) {
    const std::vector<float> p = apply_twice(**softmax, block);
    const double step = kSteps[block.layer * 3 + block.head];
    std::vector<int8_t> x(block.length);
    for (int64_t q = 0; q < block.length; ++q) {
      quantise_logits(std::span(block.logits + q * block.length, x.size()), step, x);
      Matrix row(x.begin(), x.end());
      for (double& v : row) v *= step;
      exact(0, 0, row);
      for (int64_t i = 0; i < block.length; ++i) {
        ASSERT_NEAR(p[q * block.length + i], row[i], 2e-6) << "block " << block.text << ", row " << q;
      }
    }
  }
}

ParamFile make_params() {
  const std::vector<HeadParams> heads = {{300, {{2, 100}}},
                                         {32767, {{127, 90}, {60, 127}}},
                                         {1000, {{20, 10}, {8, 40}, {2, 100}}},
                                         {700, {{3, 5}, {5, 30}, {2, 60}, {1, 127}}},
                                         {1, {{0, 1}}},
                                         {255, {{5, 51}}}};
  ParamFile params;
  params.layers = 2;
  params.heads = 3;
  for (size_t i = 0; i < heads.size(); ++i) {
    params.entries.push_back({.params = heads[i], .step = kSteps[i]});
    EXPECT_TRUE(validate(heads[i]).ok()) << validate(heads[i]).message();
  }
  return params;
}

template <class Out>
void expect_hccs_equals_reference(Normalisation normalisation, OutputType output, float full_scale) {
  const LogitBlocks data = random_blocks(43);
  const ParamFile params = make_params();
  const auto softmax = make_hccs_softmax(params, normalisation, output);
  ASSERT_TRUE(softmax.ok()) << softmax.status().message();
  for (const AttentionBlock& block : data.blocks) {
    const std::vector<float> p = apply_twice(**softmax, block);
    const HeadEntry& head = params.at(block.layer, block.head);
    std::vector<int8_t> x(block.length);
    std::vector<Out> expected(block.length);
    for (int64_t q = 0; q < block.length; ++q) {
      quantise_logits(std::span(block.logits + q * block.length, x.size()), head.step, x);
      ASSERT_TRUE(softmax_reference(head.params, normalisation, x, {}, std::span(expected)).ok());
      for (int64_t i = 0; i < block.length; ++i) {
        ASSERT_EQ(p[q * block.length + i], static_cast<float>(expected[i]) / full_scale)
            << name(normalisation) << " " << name(output) << ", block " << block.text << ", row " << q << ", " << i;
      }
    }
  }
}

TEST(AttentionSoftmaxTest, HccsEqualsTheReference) {
  for (const Normalisation mode : {Normalisation::kDiv, Normalisation::kClb, Normalisation::kScaled}) {
    expect_hccs_equals_reference<uint8_t>(mode, OutputType::kUint8, 255.0F);
    expect_hccs_equals_reference<int16_t>(mode, OutputType::kInt16, 32767.0F);
  }
}

// ---- Progress and errors --------------------------------------------------------------------

TEST_F(EncoderTest, ReportsEveryTextFromOneThreadAtATime) {
  const BertConfig config = make_config(8, 2, 8);
  const std::vector<Encoding> texts = make_texts(config, random_lengths(500, 40, 52), 53);
  std::atomic<int> inside = 0;
  std::vector<int64_t> reports;
  const auto progress = [&](int64_t done, int64_t total) {
    EXPECT_EQ(++inside, 1);
    EXPECT_EQ(total, 500);
    reports.push_back(done);
    --inside;
    return true;
  };
  const BertEncoder encoder = load(make_tiny_bert(config, "", 51));
  ASSERT_TRUE(encoder.embed(texts, *make_exact_softmax(), {.threads = 3, .progress = progress}).ok());
  ASSERT_GT(reports.size(), 3);
  EXPECT_TRUE(std::is_sorted(reports.begin(), reports.end(), std::less_equal<>()));
  EXPECT_EQ(reports.back(), 500);
}

TEST_F(EncoderTest, ProgressCanCancel) {
  const BertConfig config = make_config(8, 2, 8);
  const std::vector<Encoding> texts = make_texts(config, std::vector<int64_t>(2000, 20), 55);
  const BertEncoder encoder = load(make_tiny_bert(config, "", 54));
  for (const int threads : {1, 3}) {
    int calls = 0;
    const auto cancel = [&](int64_t, int64_t) { return ++calls < 3; };
    const auto result = encoder.embed(texts, *make_exact_softmax(), {.threads = threads, .progress = cancel});
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.status().code(), StatusCode::kCancelled) << result.status().message();
    EXPECT_EQ(calls, 3) << "no report after the one that cancelled";
  }
}

TEST_F(EncoderTest, RefusesBadTextsByIndexAndValue) {
  const BertConfig config = make_config(8, 2, 8);
  const BertEncoder encoder = load(make_tiny_bert(config, "", 61));
  struct Case {
    std::vector<int32_t> ids;
    std::vector<const char*> words;
  };
  const std::vector<Case> cases = {{{}, {"text 2", "no tokens"}},
                                   {std::vector<int32_t>(41, 5), {"text 2", "41 tokens", "40 positions"}},
                                   {{5, -1}, {"text 2", "token 1", "-1"}},
                                   {{50}, {"text 2", "token 0", "50"}}};
  for (const Case& c : cases) {
    std::vector<Encoding> texts = make_texts(config, std::vector<int64_t>{3, 40, 1, 7}, 62);
    texts[2].ids = c.ids;
    const auto result = encoder.embed(texts, *make_exact_softmax(), {});
    ASSERT_FALSE(result.ok()) << c.words[1];
    EXPECT_EQ(result.status().code(), StatusCode::kInvalidArgument);
    for (const char* word : c.words) {
      EXPECT_NE(result.status().message().find(word), std::string::npos)
          << result.status().message() << " lacks " << word;
    }
  }
  for (const int threads : {0, -3}) {
    const auto result = encoder.embed({}, *make_exact_softmax(), {.threads = threads});
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.status().code(), StatusCode::kInvalidArgument);
    EXPECT_NE(result.status().message().find(std::to_string(threads)), std::string::npos) << result.status().message();
  }
}

// What a softmax says ends the run, whole: code and message.
TEST_F(EncoderTest, TheErrorOfASoftmaxIsTheRunsError) {
  const BertConfig config = make_config(9, 3, 8);
  const BertEncoder encoder = load(make_tiny_bert(config, "", 63));
  const std::vector<Encoding> texts = make_texts(config, std::vector<int64_t>(100, 20), 64);
  ParamFile one_layer = make_params();
  one_layer.layers = 1;
  one_layer.entries.resize(3);
  ParamFile two_heads = make_params();
  two_heads.layers = 3;
  two_heads.heads = 2;
  struct Case {
    StatusCode code;
    const char* words;
    Expected<std::unique_ptr<AttentionSoftmax>> softmax;
  };
  std::vector<Case> cases;
  cases.push_back({StatusCode::kMismatch, "layer 1, head 0: the softmax has 3 entries, 3 a layer",
                   make_hccs_softmax(one_layer, Normalisation::kScaled, OutputType::kUint8)});
  cases.push_back({StatusCode::kMismatch, "layer 0, head 2: the softmax has 6 entries, 2 a layer",
                   make_hccs_softmax(two_heads, Normalisation::kScaled, OutputType::kUint8)});
  cases.push_back({StatusCode::kMismatch, "layer 1, head 0: the softmax has 3 entries, 3 a layer",
                   make_int8_exact_softmax(std::span(kSteps).first(3), 3)});
  const auto capture = [](AttentionSink sink) { return make_capturing_softmax(make_exact_softmax(), std::move(sink)); };
  cases.push_back({StatusCode::kIo, "the disk is full",
                   capture([](const AttentionBlock&) { return Status(StatusCode::kIo, "the disk is full"); })});
  cases.push_back({StatusCode::kInvalidArgument, "attention sink: the sink is full",
                   capture([](const AttentionBlock&) -> Status { throw std::runtime_error("the sink is full"); })});
  cases.push_back({StatusCode::kOutOfMemory, "attention sink: out of memory",
                   capture([](const AttentionBlock&) -> Status { throw std::bad_alloc(); })});
  cases.push_back({StatusCode::kInvalidArgument, "attention sink: an exception of a type that is none of std",
                   capture([](const AttentionBlock&) -> Status { throw 7; })});
  for (const Case& c : cases) {
    ASSERT_TRUE(c.softmax.ok()) << c.softmax.status().message();
    const auto result = encoder.embed(texts, **c.softmax, {.threads = 2});
    ASSERT_FALSE(result.ok()) << c.words;
    EXPECT_EQ(result.status().code(), c.code) << c.words;
    EXPECT_EQ(result.status().message(), c.words);
  }
}

// A caller's own class, or its progress callback.
TEST_F(EncoderTest, AnExceptionOfTheCallersIsAnError) {
  class Throws final : public AttentionSoftmax {
    Status apply(const AttentionBlock&, float*) const override { throw std::runtime_error("no such head"); }
  };
  const BertConfig config = make_config(8, 2, 8);
  const BertEncoder encoder = load(make_tiny_bert(config, "", 65));
  const std::vector<Encoding> texts = make_texts(config, std::vector<int64_t>(100, 20), 66);
  const auto expect_error = [&](const Status& status, StatusCode code, const std::string& message) {
    EXPECT_EQ(status.code(), code);
    EXPECT_EQ(status.message(), message);
  };
  for (const int threads : {1, 3}) {
    const auto with = [&](Progress progress) {
      return encoder.embed(texts, *make_exact_softmax(), {.threads = threads, .progress = std::move(progress)})
          .status();
    };
    expect_error(encoder.embed(texts, Throws(), {.threads = threads}).status(), StatusCode::kInvalidArgument,
                 "encoder: no such head");
    expect_error(with([](int64_t, int64_t) -> bool { throw std::logic_error("no window"); }),
                 StatusCode::kInvalidArgument, "encoder: no window");
    expect_error(with([](int64_t, int64_t) -> bool { throw std::bad_alloc(); }), StatusCode::kOutOfMemory,
                 "encoder: out of memory");
    expect_error(with([](int64_t, int64_t) -> bool {
                   throw std::system_error(std::make_error_code(std::errc::no_space_on_device));
                 }),
                 StatusCode::kIo, "encoder: No space left on device");
  }
}

TEST(AttentionSoftmaxTest, FactoriesRefuseWhatCannotRun) {
  const auto refused = [](const Expected<std::unique_ptr<AttentionSoftmax>>& softmax, const std::string& message) {
    EXPECT_EQ(softmax.status().code(), StatusCode::kInvalidArgument);
    EXPECT_EQ(softmax.status().message(), message);
  };
  refused(make_int8_exact_softmax({}, 3), "0 steps are not a positive multiple of 3 heads a layer");
  refused(make_int8_exact_softmax(kSteps, 0), "6 steps are not a positive multiple of 0 heads a layer");
  refused(make_int8_exact_softmax(std::span(kSteps).first(5), 3),
          "5 steps are not a positive multiple of 3 heads a layer");
  const auto with_step = [](double step) {
    std::vector<double> steps = kSteps;
    steps[4] = step;
    return make_int8_exact_softmax(steps, 3);
  };
  refused(with_step(0), "layer 1, head 1: step 0, but a logit step is positive and finite");
  refused(with_step(-0.1), "layer 1, head 1: step -0.1, but a logit step is positive and finite");
  refused(with_step(INFINITY), "layer 1, head 1: step inf, but a logit step is positive and finite");
  refused(with_step(NAN), "layer 1, head 1: step nan, but a logit step is positive and finite");

  const auto hccs = [](const std::function<void(ParamFile&)>& change) {
    ParamFile params = make_params();
    change(params);
    return make_hccs_softmax(params, Normalisation::kScaled, OutputType::kInt16);
  };
  refused(hccs([](ParamFile& p) { p.entries.pop_back(); }), "5 entries, but 2 layers of 3 heads");
  refused(hccs([](ParamFile& p) { p.entries.clear(); }), "0 entries, but 2 layers of 3 heads");
  refused(hccs([](ParamFile& p) { p.heads = 2; }), "6 entries, but 2 layers of 2 heads");
  refused(hccs([](ParamFile& p) { p.heads = 0; }), "6 entries, but 2 layers of 0 heads");
  refused(hccs([](ParamFile& p) { p.layers = -2; }), "6 entries, but -2 layers of 3 heads");
  refused(hccs([](ParamFile& p) { p.entries[5].step = NAN; }),
          "layer 1, head 2: step nan, but a logit step is positive and finite");
  const auto invalid = hccs([](ParamFile& p) { p.entries[4].params.offset = 0; });
  EXPECT_EQ(invalid.status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(invalid.status().message().find("layer 1, head 1: offset B = 0"), 0) << invalid.status().message();

  const AttentionSink sink = [](const AttentionBlock&) { return Status(); };
  refused(make_capturing_softmax(nullptr, sink), "a capturing softmax needs a sink and a softmax to apply");
  refused(make_capturing_softmax(make_exact_softmax(), {}), "a capturing softmax needs a sink and a softmax to apply");
}

TEST_F(EncoderTest, LoadReportsATensorThatIsNotThere) {
  const TinyBert model = make_tiny_bert(make_config(8, 2, 8), "", 65);
  load(model);
  Expected<ModelFolder> folder = open_model_folder(folder_);
  ASSERT_TRUE(folder.ok()) << folder.status().message();
  folder->config.layers = 3;  // the file has 2
  const auto result = BertEncoder::load(*folder);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.status().code(), StatusCode::kBadData);
  EXPECT_NE(result.status().message().find("encoder.layer.2."), std::string::npos) << result.status().message();
}

}  // namespace
}  // namespace hccs
