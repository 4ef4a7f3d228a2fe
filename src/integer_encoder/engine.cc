// SPDX-License-Identifier: Apache-2.0
#include "integer_encoder/engine.h"

#include <algorithm>
#include <atomic>
#include <barrier>
#include <cstring>
#include <mutex>
#include <thread>
#include <vector>

#include "contract/exceptions.h"
#include "integer_encoder/ready_model.h"

namespace hccs::internal {
namespace {

// Rows that go through the feed-forward layers together: few enough that what lies between two products stays in the
// second cache, enough that loading the weights costs little.
constexpr int64_t kChunk = 96;  // a multiple of every target's tile
// A thread that has fewer rows than that waits for the others longer than it works.
constexpr int64_t kRowsPerThread = 8;
constexpr int64_t kCacheLine = 64;  // bytes
// Memory of more bytes than that is not kept for the next call.
constexpr int64_t kKeptBytes = int64_t{4} << 20;

int64_t whole_panels(int64_t columns) { return (columns + kPanel - 1) / kPanel * kPanel; }

int64_t most_columns(const IntegerModel& model) {
  int64_t columns = model.inner;
  for (const IntLayer& layer : model.layers) columns = std::max(columns, layer.output.in);
  return columns;
}

int64_t most_splits(const IntegerModel& model) {
  int64_t channels = 0;
  for (const IntLayer& layer : model.layers) {
    if (!layer.gelu.splits.empty()) channels = std::max<int64_t>(channels, layer.gelu.splits.front());
  }
  return channels;
}

AttentionShape attention_shape(const IntegerModel& model, int64_t queries, int64_t tokens) {
  return {.texts = 1,
          .query_heads = model.heads,
          .key_heads = model.heads,
          .queries = queries,
          .keys = tokens,
          .head_dimension = model.head_dimension(),
          .value_dimension = model.head_dimension()};
}

// What one thread works in.
struct ThreadWork {
  std::byte* context_x = nullptr;  // [chunk]: the context as the kernels have it
  std::byte* columns = nullptr;    // [chunk]: GELU's
  int16_t* codes = nullptr;        // [chunk]: of the channels that have further columns
  int32_t* y = nullptr;            // [chunk]
  std::byte* scratch = nullptr;    // attention's
};

// What some texts are computed in; rows are their tokens, one text after the other. All pitches are whole panels, so
// that a kernel may write one.
struct Work {
  int64_t rows = 0;
  int64_t chunk = 0;  // rows at once
  int64_t longest = 0;
  int64_t width = 0;          // pitch of x, context and skip
  int64_t wide = 0;           // of query_key_value
  int64_t columns_width = 0;  // of columns

  std::byte* x = nullptr;              // [rows]: the last norm's int8 output, as the kernels have it
  int16_t* skip = nullptr;             // [rows]
  int8_t* query_key_value = nullptr;   // [rows]: of all heads q, then k, then v
  int8_t* context = nullptr;           // [rows]
  std::vector<ThreadWork> of_threads;  // one a thread
  int64_t scratch_bytes = 0;

  AlignedBytes memory;

  Work(const IntegerModel& model, const ReadyModel& ready, int64_t all_rows, int64_t longest_text, int64_t threads)
      : rows(all_rows), chunk(std::min(all_rows, kChunk)), longest(longest_text) {
    const int64_t element = ready.kernels->element_bytes;
    width = whole_panels(model.hidden);
    wide = whole_panels(3 * model.hidden);
    columns_width = whole_panels(most_columns(model));
    for (const ReadyLayer& layer : ready.layers) {
      if (!layer.attention) continue;
      scratch_bytes =
          std::max(scratch_bytes, layer.attention->scratch_bytes(attention_shape(model, longest, longest), longest));
    }
    int64_t bytes = 0;
    const auto reserve = [&](int64_t size) {
      const int64_t at = bytes;
      bytes += (size + 63) / 64 * 64;
      return at;
    };
    const int64_t further = ready.kernels->further_rows;
    const int64_t at_x = reserve((rows + further) * width * element);
    const int64_t at_skip = reserve(rows * width * 2);
    const int64_t at_query = reserve(rows * wide);
    const int64_t at_context = reserve(rows * width);
    const int64_t at_threads = bytes;
    const int64_t at_context_x = reserve((chunk + further) * width * element);
    const int64_t at_columns = reserve((chunk + further) * columns_width * element);
    const int64_t at_codes = reserve(chunk * whole_panels(most_splits(model)) * 2);
    const int64_t at_y = reserve(chunk * width * 4);
    const int64_t at_scratch = reserve(scratch_bytes);
    const int64_t a_thread = bytes - at_threads;
    memory = AlignedBytes(at_threads + threads * a_thread);
    // What kernels read beside a row's elements meets weights of 0.
    std::memset(memory.data(), 0, static_cast<size_t>(memory.size()));
    x = memory.data() + at_x;
    skip = reinterpret_cast<int16_t*>(memory.data() + at_skip);
    query_key_value = reinterpret_cast<int8_t*>(memory.data() + at_query);
    context = reinterpret_cast<int8_t*>(memory.data() + at_context);
    for (int64_t t = 0; t < threads; ++t) {
      std::byte* begin = memory.data() + t * a_thread;
      of_threads.push_back({.context_x = begin + at_context_x,
                            .columns = begin + at_columns,
                            .codes = reinterpret_cast<int16_t*>(begin + at_codes),
                            .y = reinterpret_cast<int32_t*>(begin + at_y),
                            .scratch = begin + at_scratch});
    }
  }
};

// The threads that compute some texts together. Each has its share of the rows; only attention reads those of others.
class Team {
 public:
  explicit Team(int64_t size) : size_(size), barrier_(size) {}

  int64_t size() const noexcept { return size_; }
  // Returns when all have come so far.
  void meet() {
    if (size_ > 1) barrier_.arrive_and_wait();
  }
  // Of a member that comes no more.
  void leave() { barrier_.arrive_and_drop(); }

  // run(member) in a thread each, the last one in this; the first error.
  template <class Run>
  Status work(const Run& run) {
    if (size_ == 1) return run(0);
    std::vector<Status> outcomes(static_cast<size_t>(size_));
    const auto member = [&](int64_t m) noexcept {
      try {
        outcomes[static_cast<size_t>(m)] = run(m);
      } catch (...) {
        outcomes[static_cast<size_t>(m)] = status_of_exception("integer encoder");
      }
      leave();
    };
    enum Order { kWait, kGo, kGoHome };
    std::atomic<int> order = kWait;
    const auto tell = [&](Order now) {
      order = now;
      order.notify_all();
    };
    std::vector<std::jthread> threads;
    try {
      for (int64_t m = 1; m < size_; ++m) {
        threads.emplace_back([&, m] {
          order.wait(kWait);
          if (order == kGo) member(m);
        });
      }
    } catch (...) {  // not all of them can be started
      tell(kGoHome);
      throw;
    }
    tell(kGo);
    member(0);
    threads.clear();
    const auto failed = std::find_if(outcomes.begin(), outcomes.end(), [](const Status& s) { return !s.ok(); });
    return failed == outcomes.end() ? Status() : std::move(*failed);
  }

 private:
  int64_t size_;
  std::barrier<> barrier_;
};

// Whose hidden states are asked for: of all tokens, or of each text's first one, which is all that a classifier reads.
enum class Wanted { kAll, kFirst };

// Attention of one head by the definition, for heads that are larger than plans take; for the first `asking` tokens.
Status attend_by_reference(const IntegerModel& model, const IntLayer& layer, size_t head, int64_t first, int64_t asking,
                           int64_t tokens, const Work& work) {
  const int64_t dimension = model.head_dimension();
  const auto gather = [&](int64_t part) {
    std::vector<int8_t> rows;
    rows.reserve(static_cast<size_t>(tokens * dimension));
    for (int64_t t = first; t < first + tokens; ++t) {
      const int8_t* row =
          work.query_key_value + t * work.wide + part * model.hidden + static_cast<int64_t>(head) * dimension;
      rows.insert(rows.end(), row, row + dimension);
    }
    return rows;
  };
  const std::vector<int8_t> queries = gather(0);
  const std::vector<int8_t> keys = gather(1);
  const std::vector<int8_t> values = gather(2);
  const auto d = static_cast<size_t>(dimension);
  for (int64_t t = 0; t < asking; ++t) {
    int8_t* out = work.context + (first + t) * work.width + static_cast<int64_t>(head) * dimension;
    HCCS_RETURN_IF_ERROR(attention_reference(layer.heads[head], layer.rescale[head],
                                             std::span(queries).subspan(static_cast<size_t>(t) * d, d), keys, values,
                                             {}, {out, d}, model.weights));
  }
  return {};
}

}  // namespace

struct Engine::Impl {
  Impl(const IntegerModel& m, std::unique_ptr<const ReadyModel> r)
      : model(m), ready(std::move(r)), kernels(*ready->kernels) {}

  std::unique_ptr<Work> take_work(int64_t rows, int64_t longest, int64_t threads) {
    {
      const std::lock_guard lock(mutex);
      const auto fits = [&](const auto& work) {
        return work->rows >= rows && work->longest >= longest && std::ssize(work->of_threads) >= threads;
      };
      const auto found = std::find_if(kept.begin(), kept.end(), fits);
      if (found != kept.end()) {
        std::unique_ptr<Work> work = std::move(*found);
        kept.erase(found);
        return work;
      }
      // Another size is asked for: what is too small now makes room.
      if (!kept.empty()) kept.pop_back();
    }
    return std::make_unique<Work>(model, *ready, rows, longest, threads);
  }

  void give_back(std::unique_ptr<Work> work) {
    if (work->memory.size() > kKeptBytes) return;
    const std::lock_guard lock(mutex);
    kept.push_back(std::move(work));
  }

  Product product(const ReadyLinear& linear, const std::byte* x, int64_t pitch, int64_t rows) const {
    return {.linear = linear, .x = x, .pitch = pitch, .rows = rows};
  }
  std::byte* x_row(const Work& work, int64_t row) const { return work.x + row * work.width * kernels.element_bytes; }

  void embed_tokens(std::span<const TextTokens> texts, int64_t begin, int64_t end, const Work& work,
                    const ThreadWork& own) const;
  Status attend(size_t layer, std::span<const TextTokens> texts, Wanted wanted, const Work& work, const Team& team,
                int64_t member) const;
  Status attend_text(size_t layer, int64_t first, int64_t queries, int64_t tokens, const Work& work, const Team& team,
                     int64_t member) const;
  void gather_first(std::span<const TextTokens> texts, const Work& work) const;
  void feed_forward(size_t layer, int64_t first, int64_t rows, const Work& work, const ThreadWork& own) const;
  Status run(std::span<const TextTokens> texts, Wanted wanted, const Work& work, Team& team, int64_t member,
             const HiddenSink& sink) const;
  std::vector<int16_t> hidden_of(int64_t rows, const Work& work) const;
  std::vector<int8_t> int8_of(int64_t rows, const Work& work) const;

  // Calls finish(text's index, its first row that is wanted, work) for each text.
  template <class Finish>
  Status for_each(std::span<const TextTokens> texts, Wanted wanted, int64_t threads, const Finish& finish) {
    int64_t rows = 0;
    int64_t longest = 0;
    for (const TextTokens& text : texts) {
      rows += std::ssize(text.ids);
      longest = std::max<int64_t>(longest, std::ssize(text.ids));
    }
    if (rows == 0) return {};
    Team team(std::clamp<int64_t>(rows / kRowsPerThread, 1, threads));
    std::unique_ptr<Work> work = take_work(rows, longest, team.size());
    HCCS_RETURN_IF_ERROR(team.work([&](int64_t member) { return run(texts, wanted, *work, team, member, {}); }));
    int64_t row = 0;
    for (size_t t = 0; t < texts.size(); ++t) {
      finish(t, row, *work);
      row += wanted == Wanted::kAll ? std::ssize(texts[t].ids) : 1;
    }
    give_back(std::move(work));
    return {};
  }

  const IntegerModel& model;
  std::unique_ptr<const ReadyModel> ready;
  const IntegerKernels& kernels;
  std::mutex mutex;
  std::vector<std::unique_ptr<Work>> kept;  // that no call uses
};

void Engine::Impl::embed_tokens(std::span<const TextTokens> texts, int64_t begin, int64_t end, const Work& work,
                                const ThreadWork& own) const {
  const int64_t hidden = model.hidden;
  int64_t row = 0;
  for (const TextTokens& text : texts) {
    for (int64_t p = 0; p < std::ssize(text.ids); ++p, ++row) {
      if (row < begin || row >= end) continue;
      // Rows of words lie anywhere in the file.
      if (p + 1 < std::ssize(text.ids)) {
        const int8_t* next = model.words.data() + text.ids[static_cast<size_t>(p + 1)] * hidden;
        for (int64_t j = 0; j < hidden; j += kCacheLine) __builtin_prefetch(next + j);
      }
      const int64_t type = model.types > 1 && p >= text.second_begin ? 1 : 0;
      const int64_t id = text.ids[static_cast<size_t>(p)];
      const WordStep word{.word = model.words.data() + id * hidden,
                          .place = model.position_rows.data() + (type * model.positions + p) * hidden,
                          .multiplier = model.word_multipliers[static_cast<size_t>(id)],
                          .shift = model.word_shift};
      kernels.embed(ready->embedding_norm, word, own.y, x_row(work, row), work.skip + row * work.width);
    }
  }
}

Status Engine::Impl::attend_text(size_t layer, int64_t first, int64_t queries, int64_t tokens, const Work& work,
                                 const Team& team, int64_t member) const {
  const IntLayer& from = model.layers[layer];
  const ReadyLayer& to = ready->layers[layer];
  if (!to.attention) {
    for (auto head = static_cast<size_t>(member); head < from.heads.size(); head += static_cast<size_t>(team.size())) {
      HCCS_RETURN_IF_ERROR(attend_by_reference(model, from, head, first, queries, tokens, work));
    }
    return {};
  }
  int8_t* rows = work.query_key_value + first * work.wide;
  const int64_t dimension = model.head_dimension();
  AttentionBatch batch;
  batch.shape = attention_shape(model, queries, tokens);
  batch.queries = {rows, 0, dimension, work.wide};
  batch.keys = {rows + model.hidden, 0, dimension, work.wide};
  batch.values = {rows + 2 * model.hidden, 0, dimension, work.wide};
  batch.out = {work.context + first * work.width, 0, dimension, work.width};
  batch.with_rescales(from.rescale);
  const std::span scratch(work.of_threads[static_cast<size_t>(member)].scratch,
                          static_cast<size_t>(work.scratch_bytes));
  if (team.size() == 1) return to.attention->run(batch, scratch);
  HCCS_ASSIGN_OR_RETURN(const int64_t pieces, to.attention->pieces(batch));
  for (int64_t piece = member; piece < pieces; piece += team.size()) {
    HCCS_RETURN_IF_ERROR(to.attention->run_piece(batch, piece, scratch));
  }
  return {};
}

Status Engine::Impl::attend(size_t layer, std::span<const TextTokens> texts, Wanted wanted, const Work& work,
                            const Team& team, int64_t member) const {
  int64_t row = 0;
  for (const TextTokens& text : texts) {
    const auto tokens = std::ssize(text.ids);
    HCCS_RETURN_IF_ERROR(attend_text(layer, row, wanted == Wanted::kAll ? tokens : 1, tokens, work, team, member));
    row += tokens;
  }
  return {};
}

// Moves what feed_forward() reads of each text's first token to rows 0, 1, ... The first text's is there.
void Engine::Impl::gather_first(std::span<const TextTokens> texts, const Work& work) const {
  int64_t from = std::ssize(texts.front().ids);
  for (size_t t = 1; t < texts.size(); ++t) {
    const auto to = static_cast<int64_t>(t);
    if (from > to) {
      std::copy_n(work.context + from * work.width, work.width, work.context + to * work.width);
      std::copy_n(work.skip + from * work.width, work.width, work.skip + to * work.width);
    }
    from += std::ssize(texts[t].ids);
  }
}

void Engine::Impl::feed_forward(size_t layer, int64_t first, int64_t rows, const Work& work,
                                const ThreadWork& own) const {
  const IntLayer& from = model.layers[layer];
  const ReadyLayer& to = ready->layers[layer];
  const auto normalise = [&](const NormStep& norm) {
    kernels.normalise(norm, rows, work.width, own.y, x_row(work, first), work.skip + first * work.width);
  };
  const int16_t* skip = work.skip + first * work.width;
  kernels.convert(work.context + first * work.width, rows * work.width, own.context_x);
  kernels.to_residual(product(to.attention_output, own.context_x, work.width, rows), skip, work.width,
                      from.attention_skip, own.y);
  normalise(to.attention_norm);
  kernels.to_columns(product(to.intermediate, x_row(work, first), work.width, rows), to.gelu, own.columns,
                     work.columns_width, own.codes);
  kernels.to_residual(product(to.output, own.columns, work.columns_width, rows), skip, work.width, from.output_skip,
                      own.y);
  normalise(to.output_norm);
}

// A member's part: its share of the rows, and of attention's pieces.
Status Engine::Impl::run(std::span<const TextTokens> texts, Wanted wanted, const Work& work, Team& team, int64_t member,
                         const HiddenSink& sink) const {
  int64_t rows = 0;
  for (const TextTokens& text : texts) rows += std::ssize(text.ids);
  const ThreadWork& own = work.of_threads[static_cast<size_t>(member)];
  // In whole tiles: what a kernel reads beside its rows is never what another thread writes.
  const int64_t tile = kernels.further_rows + 1;
  const auto share_end = [&](int64_t m) {
    const int64_t tiles = (rows + tile - 1) / tile;
    return std::min(rows, tiles * m / team.size() * tile);
  };
  const auto by_chunks = [&](const auto& step) {
    const int64_t end = share_end(member + 1);
    for (int64_t row = share_end(member); row < end; row += work.chunk) step(row, std::min(work.chunk, end - row));
  };
  embed_tokens(texts, share_end(member), share_end(member + 1), work, own);
  if (sink) sink(0, hidden_of(rows, work));
  for (size_t l = 0; l < model.layers.size(); ++l) {
    by_chunks([&](int64_t row, int64_t count) {
      kernels.to_int8(product(ready->layers[l].query_key_value, x_row(work, row), work.width, count),
                      work.query_key_value + row * work.wide, work.wide);
    });
    team.meet();
    const bool gathers = wanted == Wanted::kFirst && l + 1 == model.layers.size();
    HCCS_RETURN_IF_ERROR(attend(l, texts, gathers ? Wanted::kFirst : Wanted::kAll, work, team, member));
    team.meet();
    if (gathers) {
      if (member == 0) gather_first(texts, work);
      team.meet();
      rows = std::ssize(texts);
    }
    by_chunks([&](int64_t row, int64_t count) { feed_forward(l, row, count, work, own); });
    if (sink) sink(static_cast<int64_t>(l) + 1, hidden_of(rows, work));
  }
  return {};
}

std::vector<int16_t> Engine::Impl::hidden_of(int64_t rows, const Work& work) const {
  std::vector<int16_t> out;
  out.reserve(static_cast<size_t>(rows * model.hidden));
  for (int64_t r = 0; r < rows; ++r) {
    const int16_t* row = work.skip + r * work.width;
    out.insert(out.end(), row, row + model.hidden);
  }
  return out;
}

std::vector<int8_t> Engine::Impl::int8_of(int64_t rows, const Work& work) const {
  std::vector<int8_t> out;
  out.reserve(static_cast<size_t>(rows * model.hidden));
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t j = 0; j < model.hidden; ++j) {
      // An element is its low byte, but for the offset.
      const auto low = static_cast<uint8_t>(x_row(work, r)[j * kernels.element_bytes]);
      out.push_back(static_cast<int8_t>(low - kernels.offset));
    }
  }
  return out;
}

Engine::Engine(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
Engine::~Engine() = default;

Expected<std::unique_ptr<const Engine>> Engine::make(const IntegerModel& model, std::string_view target) {
  HCCS_ASSIGN_OR_RETURN(std::unique_ptr<const ReadyModel> ready, make_ready(model, target));
  return std::unique_ptr<const Engine>(new Engine(std::make_unique<Impl>(model, std::move(ready))));
}

std::string_view Engine::target() const noexcept { return impl_->kernels.name; }

Expected<HiddenStates> Engine::forward(std::span<const int32_t> ids, int64_t second_begin,
                                       const HiddenSink& sink) const {
  const TextTokens text{.ids = ids, .second_begin = second_begin};
  std::unique_ptr<Work> work = impl_->take_work(std::ssize(ids), std::ssize(ids), 1);
  Team alone(1);
  HCCS_RETURN_IF_ERROR(impl_->run({&text, 1}, Wanted::kAll, *work, alone, 0, sink));
  HiddenStates states{.skip = impl_->hidden_of(std::ssize(ids), *work), .int8 = impl_->int8_of(std::ssize(ids), *work)};
  impl_->give_back(std::move(work));
  return states;
}

Status Engine::embed(std::span<const TextTokens> texts, int threads, int16_t* out) const {
  const IntegerModel& model = impl_->model;
  std::vector<int32_t> sums(static_cast<size_t>(model.hidden));
  const bool mean = model.pooling == IntPooling::kMean;
  const Wanted wanted = mean ? Wanted::kAll : Wanted::kFirst;
  return impl_->for_each(texts, wanted, threads, [&](size_t t, int64_t row, const Work& work) {
    const auto tokens = std::ssize(texts[t].ids);
    const int64_t skipped = mean ? std::min(model.prompt_tokens, tokens - 1) : 0;
    std::fill(sums.begin(), sums.end(), 0);
    impl_->kernels.add_rows(work.skip + (row + skipped) * work.width, work.width, mean ? tokens - skipped : 1,
                            model.hidden, sums.data());
    reference_unit_vector(sums, out + static_cast<int64_t>(t) * model.hidden);
  });
}

Status Engine::classify(std::span<const TextTokens> texts, int threads, int32_t* out) const {
  const IntegerModel& model = impl_->model;
  const ReadyLinear& pooler = *impl_->ready->pooler;
  std::vector<int16_t> pooled(static_cast<size_t>(whole_panels(model.hidden)));
  return impl_->for_each(texts, Wanted::kFirst, threads, [&](size_t t, int64_t row, const Work& work) {
    impl_->kernels.to_int16(impl_->product(pooler, impl_->x_row(work, row), work.width, 1), pooled.data(),
                            std::ssize(pooled));
    const std::vector<int32_t> logits =
        reference_logits_of_pooled(model, std::span(pooled).first(static_cast<size_t>(model.hidden)));
    std::copy(logits.begin(), logits.end(), out + static_cast<int64_t>(t * logits.size()));
  });
}

}  // namespace hccs::internal
