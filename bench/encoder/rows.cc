// SPDX-License-Identifier: Apache-2.0
//
// Times of a sentence encoder on one core, for bench/encoder_cpu.py: a JSON object a line,
//   {"n": tokens of a text, "batch": texts at once, "ms": a batch's least time, "tokens_per_s": ...}
//
//   integer_encoder_rows hccs-int8 MODEL.hccs JOB...      the integer encoder; HCCS_TARGET names the target
//   integer_encoder_rows hccs-float FOLDER JOB...         the float encoder, exact softmax
//   integer_encoder_rows products MODEL.hccs JOB...       its matrix products alone, in oneDNN's int8, weights packed
//   integer_encoder_rows own-products MODEL.hccs JOB...   the same by the integer encoder's kernels, which requantise
//                                                         the sums to int8
//   integer_encoder_rows load MODEL.hccs                  {"load_ms": ..., "kib": resident memory that is no file's}
//
// and, for the quality of engines,
//   integer_encoder_rows glosses FOLDER                   the WordNet task: lines "reference|test LABEL IDS"
//   integer_encoder_rows embed MODEL IDS OUT              embeddings of the texts, a line of ids each: float32
//
// MODEL of embed is a file of integers or a folder.
//
// A JOB is THREADS:BATCH:N, texts of N tokens each, or THREADS:BATCH:@FILE, the texts whose token ids are the lines of
// a file.
#include <fmt/core.h>
#include <fmt/format.h>
#include <omp.h>

#include <algorithm>
#include <charconv>
#include <ctime>
#include <dnnl.hpp>
#include <exception>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <vector>

#include "hccs/encoder.h"
#include "hccs/integer_encoder.h"
#include "integer_encoder/file.h"
#include "integer_encoder/ready_model.h"
#include "tasks/wordnet.h"

namespace {

using hccs::Encoding;
using Type = dnnl::memory::data_type;

struct Job {
  int threads = 1;
  size_t batch = 1;
  int64_t n = 0;  // 0: of a file
  std::vector<Encoding> texts;

  int64_t tokens() const {
    int64_t count = 0;
    for (const Encoding& text : texts) count += std::ssize(text.ids);
    return count;
  }
};

// A text of n tokens. Which ones makes no difference to any engine's time.
Encoding text_of(int64_t n, uint32_t seed) {
  Encoding text;
  text.ids.push_back(101);
  for (int64_t i = 2; i < n; ++i)
    text.ids.push_back(static_cast<int32_t>(1000 + (seed = seed * 1664525 + 1013904223) % 20000));
  if (n > 1) text.ids.push_back(102);
  return text;
}

std::vector<Encoding> read_ids(const std::string& path) {
  std::vector<Encoding> texts;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    std::istringstream ids(line);
    Encoding& encoding = texts.emplace_back();
    for (int32_t id = 0; ids >> id;) encoding.ids.push_back(id);
  }
  return texts;
}

hccs::Expected<Job> read_job(const std::string& text) {
  std::istringstream in(text);
  Job job;
  char colon = 0;
  in >> job.threads >> colon >> job.batch >> colon;
  std::string rest;
  in >> rest;
  if (job.threads < 1 || job.batch < 1 || rest.empty()) {
    return hccs::Status(hccs::StatusCode::kInvalidArgument, fmt::format("job '{}' is no THREADS:BATCH:TEXTS", text));
  }
  if (rest[0] != '@') {
    job.n = std::stoll(rest);
    for (size_t t = 0; t < job.batch; ++t) job.texts.push_back(text_of(job.n, static_cast<uint32_t>(t)));
    return job;
  }
  job.texts = read_ids(rest.substr(1));
  if (job.texts.empty()) return hccs::Status(hccs::StatusCode::kBadData, fmt::format("{}: no texts", rest.substr(1)));
  return job;
}

// Seconds: of one thread the processor's, which on a busy machine too are those of the work alone; of several what
// passes.
double now(int threads) {
  timespec time{};
  clock_gettime(threads == 1 ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// The least time of `run`, in milliseconds, of as many as take half a second, and seven at least.
double least_time(int threads, const std::function<void()>& run) {
  run();
  double least = 1e300;
  double all = 0;
  for (int i = 0; i < 7 || all < 500; ++i) {
    const double begin = now(threads);
    run();
    const double ms = 1000 * (now(threads) - begin);
    least = std::min(least, ms);
    all += ms;
  }
  return least;
}

// Each call gets one batch of the job's texts.
void report(const Job& job, const std::function<void(std::span<const Encoding>)>& run) {
  const double ms = least_time(job.threads, [&] {
    for (size_t t = 0; t < job.texts.size(); t += job.batch) {
      run(std::span(job.texts).subspan(t, std::min(job.batch, job.texts.size() - t)));
    }
  });
  fmt::print("{{\"threads\": {}, \"batch\": {}, \"n\": {}, \"ms\": {:.5f}, \"tokens_per_s\": {:.1f}}}\n", job.threads,
             job.batch, job.n, ms, static_cast<double>(job.tokens()) / ms * 1000);
  std::fflush(stdout);
}

[[noreturn]] void fail(const std::string& message) {
  std::fputs((message + "\n").c_str(), stderr);
  std::exit(1);
}

// The shape of a product and how often a model has it.
struct Shape {
  int64_t in;
  int64_t out;
};

// uint8 by int8 products without anything after them but the store of 32-bit sums, the layers' weights in turn.
class Products {
 public:
  Products(std::span<const Shape> shapes, int64_t rows) {
    for (const Shape& shape : shapes) {
      const dnnl::memory::desc source({rows, shape.in}, Type::u8, dnnl::memory::format_tag::ab);
      const dnnl::memory::desc any({shape.in, shape.out}, Type::s8, dnnl::memory::format_tag::any);
      const dnnl::memory::desc result({rows, shape.out}, Type::s32, dnnl::memory::format_tag::ab);
      const dnnl::matmul::primitive_desc description({source, any, result}, engine_);
      Product& product = products_.emplace_back();
      product.primitive = dnnl::matmul(description);
      product.source = memory(source, 1);
      product.weights = memory(description.weights_desc(), 3);
      product.result = dnnl::memory(result, engine_);
    }
  }

  void run() {
    for (const Product& p : products_) {
      p.primitive.execute(stream_, {{DNNL_ARG_SRC, p.source}, {DNNL_ARG_WEIGHTS, p.weights}, {DNNL_ARG_DST, p.result}});
    }
    stream_.wait();
  }

 private:
  struct Product {
    dnnl::primitive primitive;
    dnnl::memory source, weights, result;
  };

  dnnl::memory memory(const dnnl::memory::desc& desc, int value) {
    dnnl::memory m(desc, engine_);
    std::fill_n(static_cast<int8_t*>(m.get_data_handle()), desc.get_size(), static_cast<int8_t>(value));
    return m;
  }

  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream_{engine_};
  std::vector<Product> products_;
};

void time_products(const std::string& path, std::span<const Job> jobs) {
  const auto model = hccs::internal::read_integer_model(path);
  if (!model.ok()) fail(model.status().message());
  std::vector<Shape> shapes;
  for (const auto& layer : model->layers) {
    for (const auto* linear : {&layer.query_key_value, &layer.attention_output, &layer.intermediate, &layer.output}) {
      shapes.push_back({linear->in, linear->out});
    }
  }
  for (const Job& job : jobs) {
    if (job.n == 0) continue;  // a stream's products are of as many shapes as it has lengths
    omp_set_num_threads(job.threads);
    Products products(shapes, job.n * static_cast<int64_t>(job.batch));
    report(job, [&](std::span<const Encoding>) { products.run(); });
  }
}

void time_own_products(const std::string& path, std::span<const Job> jobs) {
  const auto model = hccs::internal::read_integer_model(path);
  if (!model.ok()) fail(model.status().message());
  const auto ready = hccs::internal::make_ready(*model, {});
  if (!ready.ok()) fail(ready.status().message());
  const hccs::internal::IntegerKernels& kernels = *(*ready)->kernels;
  constexpr int64_t kPitch = hccs::internal::kMaxInner;
  for (const Job& job : jobs) {
    if (job.n == 0 || job.threads > 1) continue;
    const int64_t rows = job.n * static_cast<int64_t>(job.batch);
    const std::vector<std::byte> x(static_cast<size_t>((rows + kernels.further_rows) * kPitch * kernels.element_bytes));
    std::vector<int8_t> out(static_cast<size_t>(rows * kPitch));
    report(job, [&](std::span<const Encoding>) {
      for (const auto& layer : (*ready)->layers) {
        for (const auto* linear :
             {&layer.query_key_value, &layer.attention_output, &layer.intermediate, &layer.output}) {
          kernels.to_int8({.linear = *linear, .x = x.data(), .pitch = linear->in, .rows = rows}, out.data(),
                          linear->panels * hccs::internal::kPanel);
        }
      }
    });
  }
}

void time_int8(const std::string& path, std::span<const Job> jobs) {
  const auto encoder = hccs::IntegerEncoder::load(path);
  if (!encoder.ok()) fail(encoder.status().message());
  fmt::print("{{\"target\": \"{}\"}}\n", encoder->target());
  for (const Job& job : jobs) {
    report(job, [&](std::span<const Encoding> texts) {
      const auto out = encoder->embed(texts, {.threads = job.threads});
      if (!out.ok()) fail(out.status().message());
    });
  }
}

void time_float(const std::string& folder, std::span<const Job> jobs) {
  const auto model = hccs::open_model_folder(folder);
  if (!model.ok()) fail(model.status().message());
  const auto encoder = hccs::BertEncoder::load(*model);
  if (!encoder.ok()) fail(encoder.status().message());
  const auto softmax = hccs::make_exact_softmax();
  for (const Job& job : jobs) {
    report(job, [&](std::span<const Encoding> texts) {
      const auto out = encoder->embed(texts, *softmax, {.threads = job.threads});
      if (!out.ok()) fail(out.status().message());
    });
  }
}

hccs::Status print_glosses(const std::string& folder) {
  HCCS_ASSIGN_OR_RETURN(const hccs::ModelFolder model, hccs::open_model_folder(folder));
  HCCS_ASSIGN_OR_RETURN(const auto glosses, hccs::read_wordnet_glosses());
  HCCS_ASSIGN_OR_RETURN(const hccs::WordnetTask task, hccs::make_wordnet_task(glosses, hccs::kWordnetTaskSeed));
  const auto print = [&](const char* part, const std::vector<hccs::LabelledText>& texts) {
    for (const hccs::LabelledText& text : texts) {
      const Encoding encoding = model.tokenizer.encode(text.text, model.config.max_positions);
      fmt::print("{} {} {}\n", part, text.label, fmt::join(encoding.ids, " "));
    }
  };
  print("calibration", task.calibration);
  print("reference", task.reference);
  print("test", task.test);
  return {};
}

hccs::Status write_embeddings(const std::string& path, const std::string& ids, const std::string& out) {
  const std::vector<Encoding> texts = read_ids(ids);
  std::vector<float> embeddings;
  if (hccs::is_integer_model(path)) {
    HCCS_ASSIGN_OR_RETURN(const hccs::IntegerEncoder encoder, hccs::IntegerEncoder::load(path));
    HCCS_ASSIGN_OR_RETURN(embeddings, encoder.embed(texts, {}));
  } else {
    HCCS_ASSIGN_OR_RETURN(const hccs::ModelFolder model, hccs::open_model_folder(path));
    HCCS_ASSIGN_OR_RETURN(const hccs::BertEncoder encoder, hccs::BertEncoder::load(model));
    HCCS_ASSIGN_OR_RETURN(embeddings, encoder.embed(texts, *hccs::make_exact_softmax(), {}));
  }
  std::ofstream file(out, std::ios::binary);
  file.write(reinterpret_cast<const char*>(embeddings.data()),
             static_cast<std::streamsize>(embeddings.size() * sizeof(float)));
  return file ? hccs::Status() : hccs::Status(hccs::StatusCode::kIo, out + ": cannot be written");
}

// Resident memory that no file holds, in KiB.
int64_t anonymous_kib() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("RssAnon:")) return std::stoll(line.substr(8));
  }
  return 0;
}

void time_load(const std::string& path) {
  const int64_t before = anonymous_kib();
  const auto kept = hccs::IntegerEncoder::load(path);
  if (!kept.ok()) fail(kept.status().message());
  const Encoding text = text_of(128, 1);
  if (const auto out = kept->embed({&text, 1}, {}); !out.ok()) fail(out.status().message());
  const int64_t kib = anonymous_kib() - before;
  const double ms = least_time(1, [&] {
    if (const auto encoder = hccs::IntegerEncoder::load(path); !encoder.ok()) fail(encoder.status().message());
  });
  fmt::print("{{\"target\": \"{}\", \"load_ms\": {:.2f}, \"kib\": {}}}\n", kept->target(), ms, kib);
}

}  // namespace

int main(int count, char** arguments) try {
  if (count < 3)
    fail("integer_encoder_rows hccs-int8|hccs-float|products|own-products|load MODEL [THREADS:BATCH:TEXTS ...]");
  const std::string engine = arguments[1];
  const std::string model = arguments[2];
  if (engine == "glosses" || (engine == "embed" && count == 5)) {
    const hccs::Status status =
        engine == "glosses" ? print_glosses(model) : write_embeddings(model, arguments[3], arguments[4]);
    if (!status.ok()) fail(status.message());
    return 0;
  }
  std::vector<Job> jobs;
  for (int i = 3; i < count; ++i) {
    auto job = read_job(arguments[i]);
    if (!job.ok()) fail(job.status().message());
    jobs.push_back(*std::move(job));
  }
  if (engine == "hccs-int8") {
    time_int8(model, jobs);
  } else if (engine == "hccs-float") {
    time_float(model, jobs);
  } else if (engine == "products") {
    time_products(model, jobs);
  } else if (engine == "own-products") {
    time_own_products(model, jobs);
  } else if (engine == "load") {
    time_load(model);
  } else {
    fail(fmt::format("engine '{}' is not known", engine));
  }
  return 0;
} catch (const std::exception& error) {
  std::fputs(error.what(), stderr);
  return 1;
}
