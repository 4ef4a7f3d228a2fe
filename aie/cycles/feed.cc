// SPDX-License-Identifier: Apache-2.0
#include "aie/cycles/feed.h"

#include <algorithm>
#include <array>
#include <set>

namespace aie_cycles {
namespace {

unsigned used(unsigned wanted, unsigned there) { return std::clamp(wanted, 1u, there); }

// Bytes of an access of the core, and of the DMA.
unsigned core_access(Device device) { return Machine::of(device).load_bytes(); }
unsigned dma_access(Device device) { return device == Device::kAieMlV2 ? 32 : 16; }

double units(long bytes, unsigned unit) {
  const long whole = (bytes + unit - 1) / unit;
  return static_cast<double>(whole);
}

}  // namespace

TileFeed TileFeed::of(Device device) {
  // AM020, AM027: two channels each way, streams of 32 and of 64 bits. No manual of XDNA 2 is public: it is taken to
  // have the streams of XDNA 1, which is AIE-ML. A lock takes an acquisition and a release of some cycles each
  // (semaphore access in E2..E5); the transfer cannot begin before.
  return {device == Device::kAieMlV2 ? 8.0 : 4.0, 2, 2, 10};
}

std::string_view name(Bind bind) {
  constexpr std::array<std::string_view, 5> kNames{"core", "feed in", "feed out", "interface in", "interface out"};
  return kNames[static_cast<unsigned>(bind)];
}

BlockTime block_time(double core_cycles, const BlockTraffic& traffic, Device device) {
  const TileFeed feed = TileFeed::of(device);
  const auto transfer = [&](long bytes, unsigned channels) {
    return bytes == 0 ? 0.0 : static_cast<double>(bytes) / (channels * feed.channel_bytes) + feed.lock_cycles;
  };
  const double in = transfer(traffic.bytes_in, used(traffic.channels_in, feed.channels_in));
  const double out = transfer(traffic.bytes_out, used(traffic.channels_out, feed.channels_out));
  BlockTime time{core_cycles, Bind::kCore};
  if (in > time.cycles) time = {in, Bind::kFeedIn};
  if (out > time.cycles) time = {out, Bind::kFeedOut};
  return time;
}

Accesses count_accesses(const Block& call, std::span<const Buffer> buffers, Device device) {
  Accesses accesses;
  for (const Item& item : call) {
    if (item.loop != nullptr) {
      for (const Block& pass : item.loop->passes) {
        const Accesses inside = count_accesses(pass, buffers, device);
        accesses.in += inside.in;
        accesses.out += inside.out;
        accesses.scratch += inside.scratch;
      }
      continue;
    }
    const Step& step = item.step;
    if (!step.is_memory()) continue;
    const long count = (step.bytes + core_access(device) - 1) / core_access(device);
    for (const Buffer& buffer : buffers) {
      if (step.address < buffer.begin || step.address >= buffer.end) continue;
      (buffer.use == BufferUse::kIn    ? accesses.in
       : buffer.use == BufferUse::kOut ? accesses.out
                                       : accesses.scratch) += count;
      break;
    }
  }
  return accesses;
}

double expected_conflicts(const Accesses& accesses, const BlockTraffic& traffic, double core_cycles,
                          const BankPlacement& placement, Device device) {
  if (core_cycles <= 0) return 0;
  struct Stream {
    double accesses;
    int bank;
    bool of_core;
  };
  double conflicts = 0;
  for (const int mine : {0, 1}) {  // the buffer of each pair that the core works on
    const Stream streams[] = {{static_cast<double>(accesses.in), placement.in[mine], true},
                              {static_cast<double>(accesses.out), placement.out[mine], true},
                              {static_cast<double>(accesses.scratch), placement.scratch, true},
                              {units(traffic.bytes_in, dma_access(device)), placement.in[1 - mine], false},
                              {units(traffic.bytes_out, dma_access(device)), placement.out[1 - mine], false}};
    for (const Stream* a = streams; a != std::end(streams); ++a) {
      for (const Stream* b = a + 1; b != std::end(streams); ++b) {
        if (a->bank == b->bank && (a->of_core || b->of_core)) conflicts += a->accesses * b->accesses / core_cycles / 2;
      }
    }
  }
  return conflicts;
}

long paired_loads(const CallCost& cost) {
  long pairs = 0;
  for (const Piece& piece : cost.pieces) {
    const Schedule& schedule = piece.schedule;
    std::set<int> a;
    std::set<int> b;
    for (const Placement& placement : schedule.placements) {
      const int cycle = schedule.interval == 0 ? placement.cycle : placement.cycle % schedule.interval;
      if (placement.slot == Slot::kLoadA) a.insert(cycle);
      if (placement.slot == Slot::kLoadB) b.insert(cycle);
    }
    pairs += piece.passes * std::count_if(a.begin(), a.end(), [&](int cycle) { return b.contains(cycle); });
  }
  return pairs;
}

const Array& Array::of(Device device) {
  // Data sheets DS957 and DS958: 1120 GB/s into the VE2802's array at 500 MHz are 35 columns; 880 and 600 GB/s beyond
  // the interface. Nothing is published for the VEK385's part: all of its 36 columns are assumed to have an interface.
  static const Array kVe2802{"VE2802", Device::kAieMl, 304, 35, 880, 600};
  static const Array kVek385{"VEK385", Device::kAieMlV2, 144, 36, 0, 0};
  static const Array kNpu2{"XDNA 2", Device::kXdna2, 32, 0, 0, 0};
  return device == Device::kAieMl ? kVe2802 : device == Device::kAieMlV2 ? kVek385 : kNpu2;
}

double Array::in_gb(double pl_ghz) const {
  const double plio = interface_columns * 4 * 16 * pl_ghz;
  return array_in_gb > 0 ? std::min(plio, array_in_gb) : plio;
}

double Array::out_gb(double pl_ghz) const {
  const double plio = interface_columns * 3 * 16 * pl_ghz;
  return array_out_gb > 0 ? std::min(plio, array_out_gb) : plio;
}

Scaling scale(const Array& array, unsigned tiles, long elements, const BlockTraffic& traffic, const BlockTime& time,
              double pl_ghz) {
  // 10^9 blocks a second.
  double blocks = tiles * kClockGhz / time.cycles;
  Scaling scaling{tiles, 0, time.binding};
  const TileFeed feed = TileFeed::of(array.device);
  const auto limit = [&](double gb, unsigned channels, long bytes, Bind bind) {
    const double carried = std::min(gb, tiles * channels * 16 * pl_ghz);
    if (bytes == 0 || carried / static_cast<double>(bytes) >= blocks) return;
    blocks = carried / static_cast<double>(bytes);
    scaling.binding = bind;
  };
  limit(array.in_gb(pl_ghz), used(traffic.channels_in, feed.channels_in), traffic.bytes_in, Bind::kInterfaceIn);
  limit(array.out_gb(pl_ghz), used(traffic.channels_out, feed.channels_out), traffic.bytes_out, Bind::kInterfaceOut);
  scaling.gelem_per_s = blocks * static_cast<double>(elements);
  return scaling;
}

unsigned saturation(const Array& array, const BlockTraffic& traffic, const BlockTime& time, double pl_ghz) {
  for (unsigned tiles = 1; tiles <= array.tiles; ++tiles) {
    if (scale(array, tiles, 1, traffic, time, pl_ghz).binding != time.binding) return tiles;
  }
  return 0;
}

}  // namespace aie_cycles
