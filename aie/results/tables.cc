// SPDX-License-Identifier: Apache-2.0
#include "aie/results/tables.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

namespace aie_results {

using aie_cycles::Array;
using aie_cycles::Device;
using aie_traces::Call;
using aie_traces::DrawnMask;
using aie_traces::Heads;
using aie_traces::kBitMask;
using aie_traces::kCausalMask;
using aie_traces::Kernel;
using aie_traces::kLengthMask;
using aie_traces::kNoMask;
using aie_traces::Mode;
using aie_traces::Output;

namespace {

// Of tables with a line for each length.
constexpr unsigned kFewerLengths[] = {32, 64, 128, 512};

using Line = std::vector<std::string>;
using Table = std::vector<Line>;  // the first line is the header

// Columns padded, so that an editor and a Markdown renderer both show a table.
std::string render(const Table& lines) {
  std::vector<std::size_t> width(lines.front().size());
  for (const Line& line : lines) {
    for (std::size_t i = 0; i < line.size(); ++i) width[i] = std::max(width[i], line[i].size());
  }
  std::string text;
  const auto add = [&](const Line& line) {
    for (std::size_t i = 0; i < line.size(); ++i) {
      text += i == 0 ? fmt::format("| {:<{}} |", line[i], width[i]) : fmt::format(" {:>{}} |", line[i], width[i]);
    }
    text += "\n";
  };
  add(lines.front());
  for (std::size_t i = 0; i < width.size(); ++i) {
    text += i == 0 ? "|" + std::string(width[i] + 2, '-') + "|" : std::string(width[i] + 1, '-') + ":|";
  }
  text += "\n";
  for (std::size_t i = 1; i < lines.size(); ++i) add(lines[i]);
  return text;
}

// A header with a column for each row length.
Line with_lengths(std::string first) {
  Line line{std::move(first)};
  for (const unsigned n : kRowLengths) line.push_back(fmt::format("{}{}", line.size() == 1 ? "n = " : "", n));
  return line;
}

std::string number(std::optional<double> x, int digits = 2) { return x ? fmt::format("{:.{}f}", *x, digits) : "-"; }

std::optional<double> difference(std::optional<double> a, std::optional<double> b) {
  return a && b ? std::optional<double>(*a - *b) : std::nullopt;
}
std::optional<double> ratio(std::optional<double> a, std::optional<double> b) {
  return a && b ? std::optional<double>(*a / *b) : std::nullopt;
}

// Cycles of a call as cycles per 64 elements.
double share(const Row& row, long cycles) {
  return static_cast<double>(cycles) * row.cycles_per_64 / static_cast<double>(row.cycles);
}

std::string busiest_slot(const Row& row) {
  const aie_cycles::Slot slot = row.breakdown.busiest;
  return std::string(slot == aie_cycles::Slot::kLoadA ? "loads" : name(slot));
}

// The paper's kernel at one of its published cells.
Call paper_call(const PublishedCell& cell, bool clb) {
  return {.kernel = Kernel::kPaperRows,
          .device = cell.device,
          .mode = clb ? Mode::kClb : Mode::kDiv,
          .output = clb ? Output::kUint8 : Output::kInt16,
          .n = cell.n};
}

}  // namespace

std::string published_table(const Results& results) {
  Table table{{"kernel", "n", "published G/s", "cycles per 64", "model", "error"}};
  for (const Device device : kDevices) {
    for (const bool clb : {true, false}) {
      for (const PublishedCell& cell : published()) {
        const Row* row = cell.device == device ? find(results.rows, paper_call(cell, clb)) : nullptr;
        if (row == nullptr) continue;
        table.push_back({fmt::format("{} {}", title(device), clb ? "clb, uint8" : "div, int16"), std::to_string(cell.n),
                         number(clb ? cell.clb : cell.div), number(row->published_cycles_per_64),
                         number(row->cycles_per_64), fmt::format("{:+.1f} %", row->error_percent().value_or(0))});
      }
    }
  }
  return render(table);
}

ModelErrors largest_errors(const Results& results) {
  ModelErrors errors;
  for (const PublishedCell& cell : published()) {
    for (const bool clb : {true, false}) {
      const Row* row = find(results.rows, paper_call(cell, clb));
      double& largest = clb ? errors.clb : errors.div;
      if (row != nullptr) largest = std::max(largest, std::abs(row->error_percent().value_or(0)));
    }
  }
  return errors;
}

std::string lengths_table(const Results& results) {
  Table table{with_lengths("clb, uint8, K = 1")};
  for (const Device device : kDevices) {
    Line paper{fmt::format("{} published", title(device))};
    for (const unsigned n : kRowLengths) {
      const auto& cells = published();
      const auto cell = std::find_if(cells.begin(), cells.end(),
                                     [&](const PublishedCell& c) { return c.device == device && c.n == n; });
      paper.push_back(cell == cells.end() ? "-" : number(64 * aie_cycles::kClockGhz / cell->clb));
    }
    table.push_back(std::move(paper));
    for (const Kernel kernel : {Kernel::kRows, Kernel::kTiles}) {
      const std::string label = fmt::format("{} `{}`", title(device), name(kernel));
      Line model{label};
      Line bound{label + " bound"};
      Line apart{label + " loads apart"};
      for (const unsigned n : kRowLengths) {
        const Row* row = find(results.rows, {.kernel = kernel, .device = device, .n = n});
        model.push_back(row == nullptr ? "-" : number(row->cycles_per_64));
        bound.push_back(row == nullptr
                            ? "-"
                            : fmt::format("{} {}", busiest_slot(*row), number(share(*row, row->breakdown.one_slot))));
        apart.push_back(row == nullptr ? "-" : "<= " + number(row->cycles_per_64 + row->paired_loads_per_64));
      }
      table.insert(table.end(), {std::move(model), std::move(bound), std::move(apart)});
    }
  }
  return render(table);
}

// ---- Variants ------------------------------------------------------------------------------------------------------

namespace {

std::string variants_table(const Results& results, Device device, Kernel kernel) {
  Table table{with_lengths(fmt::format("{} `{}`", title(device), name(kernel)))};
  const auto line = [&](std::string label, auto value) {
    Line cells{std::move(label)};
    for (const unsigned n : kRowLengths) cells.push_back(number(value(n)));
    table.push_back(std::move(cells));
  };
  const auto of = [&](unsigned n, Mode mode, unsigned knees = 1, DrawnMask mask = kNoMask,
                      Output output = Output::kUint8) {
    return cycles_per_64(
        results.rows,
        {.kernel = kernel, .device = device, .mode = mode, .output = output, .knees = knees, .mask = mask, .n = n});
  };
  line("clb", [&](unsigned n) { return of(n, Mode::kClb); });
  line("scaled", [&](unsigned n) { return of(n, Mode::kScaled); });
  line("scaled over clb", [&](unsigned n) { return ratio(of(n, Mode::kScaled), of(n, Mode::kClb)); });
  line("div", [&](unsigned n) { return of(n, Mode::kDiv); });
  line("clb, int16", [&](unsigned n) { return of(n, Mode::kClb, 1, kNoMask, Output::kInt16); });
  line("scaled, int16", [&](unsigned n) { return of(n, Mode::kScaled, 1, kNoMask, Output::kInt16); });
  for (const Mode mode : {Mode::kClb, Mode::kScaled}) {
    for (unsigned knees = 2; knees <= 4; ++knees) {
      line(fmt::format("{}: knee {} adds", name(mode), knees),
           [&](unsigned n) { return difference(of(n, mode, knees), of(n, mode, knees - 1)); });
    }
    for (const DrawnMask mask : {kLengthMask, kCausalMask, kBitMask}) {
      line(fmt::format("{}: mask {} adds", name(mode), name(mask)), [&](unsigned n) {
        const auto same_head = cycles_per_64(
            results.masked_heads, {.kernel = kernel, .device = device, .mode = mode, .n = n, .heads = Heads::kMasked});
        return difference(of(n, mode, 1, mask), same_head ? same_head : of(n, mode));
      });
    }
  }
  return render(table);
}

}  // namespace

std::string variants_tables(const Results& results) {
  std::string text;
  for (const Device device : kDevices) {
    for (const Kernel kernel : {Kernel::kRows, Kernel::kTiles}) {
      text += fmt::format("{}{}", text.empty() ? "" : "\n", variants_table(results, device, kernel));
    }
  }
  return text;
}

std::string recommended_table(const Results& results) {
  Table table{with_lengths("`rows`, K = 3, `scaled` to uint8, a valid length, a native head")};
  for (const Device device : kDevices) {
    Line cycles{fmt::format("{}, cycles per 64 elements", title(device))};
    Line core{fmt::format("{}, 10^9 elements a second of one tile", title(device))};
    Line fed{fmt::format("{}, with its feed", title(device))};
    for (const unsigned n : kRowLengths) {
      const Row* row = find(results.native, recommended_call(device, n));
      cycles.push_back(row == nullptr ? "-" : number(row->cycles_per_64));
      core.push_back(row == nullptr ? "-" : number(row->gelem_per_s));
      fed.push_back(row == nullptr ? "-" : fmt::format("{} {:.2f}", name(row->fed_binding), row->fed_gelem_per_s));
    }
    for (Line* line : {&cycles, &core, &fed}) table.push_back(std::move(*line));
  }
  return render(table);
}

std::string native_heads_table(const Results& results) {
  Table table{with_lengths("native heads, B = 4690, uint8")};
  for (const Device device : kDevices) {
    for (const Kernel kernel : {Kernel::kRows, Kernel::kTiles}) {
      for (const Mode mode : {Mode::kClb, Mode::kScaled}) {
        for (const unsigned knees : {1u, 3u}) {
          Line line{fmt::format("{} `{}` {}, K = {}", title(device), name(kernel), name(mode), knees)};
          for (const unsigned n : kRowLengths) {
            line.push_back(number(cycles_per_64(
                results.native,
                {.kernel = kernel, .device = device, .mode = mode, .knees = knees, .n = n, .heads = Heads::kNative})));
          }
          table.push_back(std::move(line));
        }
      }
    }
  }
  return render(table);
}

// ---- Bounds --------------------------------------------------------------------------------------------------------

namespace {

struct Variant {
  std::string_view title;
  Call call;
};

// Where the cycles of a call are; nothing if it is not among the results.
std::optional<Line> bounds_line(const Results& results, const Variant& variant, Device device, Kernel kernel,
                                unsigned n) {
  Call call = variant.call;
  call.kernel = kernel;
  call.device = device;
  call.n = n;
  const bool native = call.heads == Heads::kNative;
  const Row* row = find(native ? results.native : results.rows, call);
  if (row == nullptr) return std::nullopt;
  // A masked row is beside the same head without a mask, as in the tables of variants.
  const Call same_head{.kernel = kernel, .device = device, .n = n, .heads = native ? Heads::kNative : Heads::kMasked};
  const Row* clb =
      call.mask == kNoMask && !native ? nullptr : find(native ? results.native : results.masked_heads, same_head);
  if (clb == nullptr) clb = find(results.rows, {.kernel = kernel, .device = device, .n = n});
  const auto slots = [](const Row& r) { return share(r, r.breakdown.one_slot + r.breakdown.other_slots); };
  const auto beyond = clb == nullptr ? std::nullopt : std::optional<double>(slots(*row) - slots(*clb));
  const aie_cycles::Breakdown& b = row->breakdown;
  const auto cell = [&](long cycles) { return number(share(*row, cycles)); };
  return Line{fmt::format("{} `{}` {}", title(device), name(kernel), variant.title),
              std::to_string(n),
              number(row->cycles_per_64),
              cell(b.one_slot),
              busiest_slot(*row),
              cell(b.other_slots),
              number(beyond),
              cell(b.intervals),
              cell(b.latency),
              cell(row->cycles - b.one_slot - b.other_slots - b.intervals - b.latency)};
}

}  // namespace

std::string bounds_table(const Results& results) {
  const Call several{.mode = Mode::kScaled, .knees = 3, .heads = Heads::kNative};
  const Call several_of_length{.mode = Mode::kScaled, .knees = 3, .mask = kLengthMask, .heads = Heads::kNative};
  const Variant kVariants[] = {{"clb", {}},
                               {"scaled", {.mode = Mode::kScaled}},
                               {"clb, K = 2", {.knees = 2}},
                               {"clb, K = 3", {.knees = 3}},
                               {"clb, length", {.mask = kLengthMask}},
                               {"clb, causal", {.mask = kCausalMask}},
                               {"scaled, K = 3, native", several},
                               {"scaled, K = 3, native, length", several_of_length}};
  Table table{{"cycles per 64, uint8", "n", "model", "bound", "slot", "other slots", "beyond clb", "intervals",
               "latency", "call"}};
  for (const Device device : kDevices) {
    for (const Kernel kernel : {Kernel::kRows, Kernel::kTiles}) {
      for (const Variant& variant : kVariants) {
        for (const unsigned n : kFewerLengths) {
          if (auto line = bounds_line(results, variant, device, kernel, n)) table.push_back(std::move(*line));
        }
      }
    }
  }
  return render(table);
}

// ---- bf16 ----------------------------------------------------------------------------------------------------------

std::string speedups_table(const Results& results) {
  Table table{with_lengths("times as fast as our exp_bf16")};
  for (const Device device : kDevices) {
    for (const Kernel kernel : {Kernel::kPaperRows, Kernel::kRows, Kernel::kTiles}) {
      for (const Mode mode : {Mode::kClb, Mode::kScaled}) {
        if (kernel == Kernel::kPaperRows && mode == Mode::kScaled) continue;
        Line line{fmt::format("{} `{}` {}", title(device), name(kernel), name(mode))};
        for (const unsigned n : kRowLengths) {
          const auto slow = cycles_per_64(results.rows, exp_bf16_call(device, n, true));
          const auto fast = cycles_per_64(results.rows, {.kernel = kernel, .device = device, .mode = mode, .n = n});
          line.push_back(number(ratio(slow, fast), 1));
        }
        table.push_back(std::move(line));
      }
    }
  }
  return render(table);
}

std::string exp_bf16_table(const Results& results) {
  Table table{with_lengths("exp_bf16, cycles per 64")};
  table.front().insert(table.front().end(), {"published n = 32", "64", "128"});
  for (const Device device : kDevices) {
    for (const bool native : {true, false}) {
      Line line{fmt::format("{} {}", title(device), name(exp_bf16_call(device, 32, native).mode))};
      for (const unsigned n : kRowLengths) {
        line.push_back(number(cycles_per_64(results.rows, exp_bf16_call(device, n, native)), 1));
      }
      for (const PublishedCell& cell : published()) {
        if (cell.device == device) line.push_back(native ? number(64 * aie_cycles::kClockGhz / cell.bf16, 1) : "-");
      }
      table.push_back(std::move(line));
    }
  }
  return render(table);
}

// ---- Feed, array, attention ----------------------------------------------------------------------------------------

std::string feed_table(const Results& results) {
  Table table{
      {"clb, uint8, K = 1", "n", "core", "with feed", "binds", "two-load bundles per 64", "program bytes", "spills"}};
  for (const Device device : kDevices) {
    for (const Kernel kernel : {Kernel::kPaperRows, Kernel::kRows, Kernel::kTiles}) {
      for (const unsigned n : kFewerLengths) {
        const Row* row = find(results.rows, {.kernel = kernel, .device = device, .n = n});
        if (row == nullptr) continue;
        table.push_back({fmt::format("{} `{}`", title(device), name(kernel)), std::to_string(n),
                         number(row->gelem_per_s), number(row->fed_gelem_per_s), std::string(name(row->fed_binding)),
                         number(row->paired_loads_per_64), std::to_string(row->program_bytes),
                         std::to_string(row->spills)});
      }
    }
  }
  return render(table);
}

std::string many_tiles_list(const Results& results) {
  std::string text;
  for (const Device device : kDevices) {
    const Array& array = Array::of(device);
    const Row* row = find(results.rows, {.device = device, .n = kScaledLength});
    if (row == nullptr) continue;
    const unsigned from = aie_cycles::saturation(array, row->traffic, row->fed);
    const long elements = static_cast<long>(row->call.rows) * row->call.n;
    const aie_cycles::Scaling whole = aie_cycles::scale(array, array.tiles, elements, row->traffic, row->fed);
    text += fmt::format("- {} ({}, {} tiles, {:.0f} GB/s in, {:.0f} out): ", title(device), array.part, array.tiles,
                        array.in_gb(), array.out_gb());
    text += from == 0   ? "the interface does not bind; "
            : from == 1 ? "one PLIO already limits a single tile; "
                        : fmt::format("the interface binds from {} tiles on; ", from);
    text += fmt::format("{:.0f} Gelem/s with all tiles ({}).\n", whole.gelem_per_s, name(whole.binding));
  }
  return text;
}

std::string attention_table(const Results& results) {
  Table table{with_lengths("attention, head dimension 32")};
  for (const Device device : kDevices) {
    const auto line = [&](std::string_view label, const std::vector<Row>& rows, Call call) {
      Line cells{fmt::format("{} K = {}{}", title(device), call.knees, label)};
      call.kernel = Kernel::kAttention;
      call.device = device;
      call.mode = Mode::kDeferred;
      call.output = Output::kInt8;
      for (const unsigned n : kRowLengths) {
        call.n = n;
        cells.push_back(number(cycles_per_64(rows, call)));
      }
      table.push_back(std::move(cells));
    };
    for (unsigned knees = 1; knees <= 4; ++knees) {
      line("", results.rows, {.knees = knees});
      if (knees == 1) line(", causal", results.rows, {.knees = knees, .mask = kCausalMask});
    }
    line(", native head", results.native, {.knees = 4, .heads = Heads::kNative});
  }
  return render(table);
}

}  // namespace aie_results
