// SPDX-License-Identifier: Apache-2.0
//
// Around the core: what brings a tile its data and takes it away, its memory's banks, and what many tiles share. The
// throughput of a graph is the least of core, feed and array interface. Rates per cycle are of the array's clock.
// Sources: docs/cycle-model.md.
#ifndef HCCS_AIE_CYCLES_FEED_H_
#define HCCS_AIE_CYCLES_FEED_H_

#include <cstdint>
#include <span>
#include <string_view>

#include "aie/cycles/buffer.h"
#include "aie/cycles/cost.h"

namespace aie_cycles {

inline constexpr double kClockGhz = 1.25;  // of the array: speed grade -2M, and what the paper's table fits

// ---- One tile ------------------------------------------------------------------------------------------------------

struct TileFeed {
  double channel_bytes;  // a cycle, of a DMA channel and of the stream behind it: 4, on AIE-ML v2 8
  unsigned channels_in;
  unsigned channels_out;
  int lock_cycles;  // to change the buffers of a pair: release of one lock and acquisition of the next
  static TileFeed of(Device device);
};

// What goes in and comes out with each call of a kernel, and through how many channels (more than a tile has count as
// all that it has).
struct BlockTraffic {
  long bytes_in = 0;
  long bytes_out = 0;
  unsigned channels_in = 1;
  unsigned channels_out = 1;
};

enum class Bind : std::uint8_t { kCore, kFeedIn, kFeedOut, kInterfaceIn, kInterfaceOut };
std::string_view name(Bind bind);  // "core", "feed in", "feed out", "interface in", "interface out"

struct BlockTime {
  double cycles = 0;
  Bind binding = Bind::kCore;
};

// Of one block in a long row of them. Buffers are double: while the kernel works on a block, the next one comes in and
// the one before goes out, so the slowest of the three counts. The locks come on top of the transfers; the core's are
// part of the cost of its call (ControlCosts::call).
BlockTime block_time(double core_cycles, const BlockTraffic& traffic, Device device);

// ---- The banks of its memory ---------------------------------------------------------------------------------------

// How often a call accesses its buffers, in units of a vector load or store.
struct Accesses {
  long in = 0;
  long out = 0;
  long scratch = 0;
};
Accesses count_accesses(const Block& call, std::span<const Buffer> buffers, Device device);

// Banks of 16 KiB: 0..3 of the neighbour's memory, 4..7 of the tile's own. A bank serves one access a cycle.
struct BankPlacement {
  int in[2] = {0, 3};   // the two buffers of a pair
  int out[2] = {4, 7};  // for the graphs: inputs in the neighbour's memory, as aie4ml places them
  int scratch = 5;
};

// Cycles that a call is expected to wait for banks because two of its buffers share one; 0 if none do, as in the
// default BankPlacement. Two streams of a and b accesses in c cycles that are spread evenly and independently meet a *
// b / c times, and each time the core waits for one cycle: the assumption. The DMA is a stream too, of accesses of 16
// bytes (AIE-ML v2: 32) to that buffer of a pair on which the core does not work.
double expected_conflicts(const Accesses& accesses, const BlockTraffic& traffic, double core_cycles,
                          const BankPlacement& placement, Device device);

// Bundles of a call with two loads. Where both are from one bank, as from one buffer, the second waits for a cycle: the
// most that the model can be short by. A compiler that knows the buffers' banks does not pair such loads.
long paired_loads(const CallCost& cost);

// ---- Many tiles ----------------------------------------------------------------------------------------------------

inline constexpr double kPlGhz = kClockGhz / 4;  // of the programmable logic: what v++ sets; at most kClockGhz / 2

// An array and its interface to the programmable logic: in each column four PLIOs of 128 bits in and three out, whose
// sum is limited by the array's side too.
struct Array {
  std::string_view part;
  Device device;
  unsigned tiles;
  unsigned interface_columns;
  double array_in_gb;   // GB/s from the interface into the array; 0: not known, no limit
  double array_out_gb;  // GB/s from the array to the interface; 0: likewise
  // The VE2802 of the VEK280, the VEK385's part. XDNA 2 has no programmable logic: 0 columns, and in_gb() is 0.
  static const Array& of(Device device);

  // GB/s that the interface carries.
  double in_gb(double pl_ghz = kPlGhz) const;
  double out_gb(double pl_ghz = kPlGhz) const;
};

struct Scaling {
  unsigned tiles = 0;
  double gelem_per_s = 0;
  Bind binding = Bind::kCore;
};

// `tiles` tiles that take block after block of `elements` elements, each in `time` if the interface lets it. All data
// comes from and goes to the programmable logic, for each channel of a tile through at most a PLIO of its own.
Scaling scale(const Array& array, unsigned tiles, long elements, const BlockTraffic& traffic, const BlockTime& time,
              double pl_ghz = kPlGhz);
// The fewest tiles for which the interface binds; 0: not even the whole array.
unsigned saturation(const Array& array, const BlockTraffic& traffic, const BlockTime& time, double pl_ghz = kPlGhz);

}  // namespace aie_cycles

#endif  // HCCS_AIE_CYCLES_FEED_H_
