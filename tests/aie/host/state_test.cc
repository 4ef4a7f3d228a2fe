// SPDX-License-Identifier: Apache-2.0
//
// The state that the halves of the host share: tiles, memory checks, stops, observation.
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "aie_host/memory.h"
#include "aie_host/observe.h"
#include "aie_host/stop.h"
#include "aie_host/tile.h"

namespace {

std::string message_of(auto&& action) {
  try {
    action();
  } catch (const aie_host::Error& error) {
    return error.what();
  }
  return "no stop";
}

// As AMD's compilers for a core define it; public kernels set their modes only where it is defined.
static_assert(__AIENGINE__ == 2);

// UG1603: a core starts with rounding floor (0) and saturation none (0).
TEST(Tile, StartsAtFloorAndNone) {
  const aie_host::Tile tile("t");
  EXPECT_EQ(tile.rounding, 0);
  EXPECT_EQ(tile.saturation, 0);
}

TEST(Tile, ScopesNestAndBelongToAThread) {
  aie_host::Tile& outside = aie_host::current_tile();
  aie_host::Tile a("a"), b("b");
  {
    const aie_host::TileScope in_a(a);
    EXPECT_EQ(&aie_host::current_tile(), &a);
    {
      const aie_host::TileScope in_b(b);
      EXPECT_EQ(&aie_host::current_tile(), &b);
    }
    EXPECT_EQ(&aie_host::current_tile(), &a);
    std::string other;
    std::thread([&other] { other = aie_host::current_tile().name; }).join();
    EXPECT_EQ(other, "default");
  }
  EXPECT_EQ(&aie_host::current_tile(), &outside);
}

TEST(Stop, NamesTileAndKernel) {
  aie_host::Tile tile("tile_3_1");
  const aie_host::TileScope scope(tile);
  {
    const aie_host::KernelScope kernel("softmax");
    EXPECT_EQ(message_of([] { aie_host::stop("rule"); }), "tile 'tile_3_1', kernel 'softmax': rule");
  }
  EXPECT_EQ(message_of([] { aie_host::stop("rule"); }), "tile 'tile_3_1', kernel '(none)': rule");
}

class Memory : public testing::Test {
 protected:
  alignas(64) std::array<std::uint8_t, 256> buffer_{};
  aie_host::Tile tile_{"t"};
  aie_host::TileScope scope_{tile_};
};

TEST_F(Memory, AlignmentIsCheckedWithoutRegions) {
  EXPECT_NO_THROW(aie_host::check_access(buffer_.data() + 32, 32, 32, false));
  const std::string message = message_of([&] { aie_host::check_access(buffer_.data() + 16, 32, 32, true); });
  EXPECT_NE(message.find("store of 32 bytes at " + aie_host::format_address(buffer_.data() + 16)), std::string::npos)
      << message;
  EXPECT_NE(message.find("not aligned to 32 bytes"), std::string::npos) << message;
}

TEST_F(Memory, RegionsBoundAccesses) {
  aie_host::add_region(tile_, buffer_.data(), 128, "in", false);
  aie_host::add_region(tile_, buffer_.data() + 128, 64, "out", true);
  EXPECT_NO_THROW(aie_host::check_access(buffer_.data() + 96, 32, 32, false));
  EXPECT_NO_THROW(aie_host::check_access(buffer_.data() + 128, 64, 32, true));
  const auto access = [&](std::size_t offset, std::size_t bytes, bool write) {
    return message_of([&] { aie_host::check_access(buffer_.data() + offset, bytes, 1, write); });
  };
  EXPECT_NE(access(96, 33, false).find("crosses an end of the buffer 'in'"), std::string::npos);
  EXPECT_NE(access(0, 1, true).find("read-only buffer 'in'"), std::string::npos);
  EXPECT_NE(access(192, 1, false).find("outside every buffer"), std::string::npos);
  aie_host::remove_region(tile_, buffer_.data() + 128);
  EXPECT_NE(access(128, 1, false).find("outside every buffer"), std::string::npos);
}

struct Recorder : aie_host::Observer {
  std::vector<std::string> events;
  void operation(const aie_host::Report& report) override { events.emplace_back(name(report.operation)); }
  void loop_begin(const char* site) override { events.push_back(std::string("begin ") + site); }
  void loop_iteration(const char* site) override { events.push_back(std::string("pass ") + site); }
  void loop_end(const char* site) override { events.push_back(std::string("end ") + site); }
};

TEST(Observer, SeesLoopsOnlyWhileSet) {
  Recorder recorder;
  const auto run = [] {
    const aie_host::Loop loop("rows");
    for (int i = 0; i < 2; ++i) loop.iteration();
  };
  run();
  EXPECT_TRUE(recorder.events.empty());
  {
    const aie_host::ObserverScope scope(&recorder);
    run();
  }
  run();
  EXPECT_EQ(recorder.events, (std::vector<std::string>{"begin rows", "pass rows", "pass rows", "end rows"}));
}

}  // namespace
