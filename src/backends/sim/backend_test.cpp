// The simulated chip through its contract.
#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <memory>
#include <string>

#include "backends/sim/sim_backend.h"

namespace fathom::sim {
namespace {

class SimBackend : public ::testing::Test {
 protected:
  void open(const char* kernels) {
    const fathom_device_options options = {sizeof(options), 0, 0, kernels, 0, 0, 1};
    ASSERT_EQ(table.device_open(&options, &device), FATHOM_OK) << table.last_error();
    ASSERT_EQ(table.stream_create(device, &stream), FATHOM_OK);
    for (auto& event : events) ASSERT_EQ(table.event_create(device, &event), FATHOM_OK);
  }
  void TearDown() override {
    if (device == nullptr) return;
    for (auto& event : events) table.event_destroy(device, event);
    table.stream_destroy(device, stream);
    table.device_close(device);
  }

  // [rows, columns] in fresh memory of the chip.
  fathom_tensor matrix(int64_t rows, int64_t columns, fathom_dtype dtype = FATHOM_BF16) {
    const size_t bytes = static_cast<size_t>(rows * columns) * (dtype == FATHOM_BF16 ? 2 : 4);
    void* memory = nullptr;
    EXPECT_EQ(table.alloc(device, bytes, &memory), FATHOM_OK);
    return {memory, dtype, 2, {rows, columns, 1, 1}, {columns, 1, 1, 1}};
  }
  fathom_status linear(const fathom_tensor& x, const fathom_tensor& out) {
    const fathom_weight weight = {
        nullptr, nullptr, FATHOM_F8_E4M3, 128, 128, FATHOM_LAYOUT_ROWS, out.shape[1], x.shape[1]};
    const fathom_linear_args args = {sizeof(args), x, weight, out};
    return table.kernels[FATHOM_OP_LINEAR](device, stream, &args);
  }

  const fathom_backend& table = *fathom_sim_backend_entry(FATHOM_ABI_VERSION);
  fathom_device* device = nullptr;
  fathom_stream* stream = nullptr;
  std::array<fathom_event*, 2> events = {};
};

TEST_F(SimBackend, RefusesAnotherVersionAndUnknownCosts) {
  EXPECT_EQ(fathom_sim_backend_entry(FATHOM_ABI_VERSION + 1), nullptr);
  const fathom_device_options options = {sizeof(options), 0, 0, "speed=1", 0, 0, 1};
  EXPECT_EQ(table.device_open(&options, &device), FATHOM_INVALID);
  EXPECT_NE(std::string(table.last_error()).find("got speed"), std::string::npos);
}

TEST_F(SimBackend, TimePassesOnTheVirtualClockAsTheModelSays) {
  open("read=1,launch=10,clock=virtual");
  const auto x = matrix(4, 1024);
  const auto out = matrix(4, 2048);
  table.event_record(device, stream, events[0]);
  for (int i = 0; i < 3; ++i) ASSERT_EQ(linear(x, out), FATHOM_OK);
  table.event_record(device, stream, events[1]);
  table.stream_synchronize(device, stream);
  float milliseconds = 0;
  table.event_elapsed_ms(device, events[0], events[1], &milliseconds);
  const double bytes = 2048.0 * 1024 + 4 * 2 * (1024 + 2048);  // FP8 weights, BF16 activations
  EXPECT_NEAR(milliseconds, 3 * (0.01 + bytes / 1e6), 1e-4);
}

TEST_F(SimBackend, FillsAndSumsUpInTheTimeOfReading) {
  open("read=1,clock=virtual");
  const auto memory = matrix(1, 1000, FATHOM_F32);
  const auto sum = matrix(1, 2, FATHOM_F32);
  table.event_record(device, stream, events[0]);
  ASSERT_EQ(table.fill(device, stream, memory.data, 1, 4000), FATHOM_OK);
  ASSERT_EQ(table.checksum(device, stream, memory.data, 4000, static_cast<uint64_t*>(sum.data)),
            FATHOM_OK);
  table.event_record(device, stream, events[1]);
  ASSERT_EQ(table.event_synchronize(device, events[1]), FATHOM_OK);
  int32_t reached = 0;
  ASSERT_EQ(table.event_query(device, events[1], &reached), FATHOM_OK);
  EXPECT_EQ(reached, 1);
  EXPECT_EQ(*static_cast<uint64_t*>(sum.data), uint64_t{0x0101010101010101} * 500 * 500);
  float milliseconds = 0;
  table.event_elapsed_ms(device, events[0], events[1], &milliseconds);
  EXPECT_NEAR(milliseconds, 2 * 4000 / 1e6, 1e-6);
}

TEST_F(SimBackend, CallsReturnBeforeTheirTimeByTheWallClock) {
  constexpr std::chrono::milliseconds kLaunch(20);
  open("launch=20000");
  fathom_device_info info = {};
  ASSERT_EQ(table.device_info(device, &info), FATHOM_OK);
  EXPECT_TRUE(info.capabilities & FATHOM_CAP_ASYNCHRONOUS);
  const auto x = matrix(1, 8);
  const auto out = matrix(1, 8);
  const uint64_t state = 40;
  uint64_t copied = 0;
  ASSERT_EQ(table.copy_to_device(device, stream, x.data, &state, sizeof(state)), FATHOM_OK);
  const auto begin = std::chrono::steady_clock::now();
  table.event_record(device, stream, events[0]);
  ASSERT_EQ(linear(x, out), FATHOM_OK);
  ASSERT_EQ(table.copy_to_host(device, stream, &copied, out.data, sizeof(copied)), FATHOM_OK);
  table.event_record(device, stream, events[1]);
  int32_t reached = 1;
  ASSERT_EQ(table.event_query(device, events[1], &reached), FATHOM_OK);
  // A machine that stood still in between makes it no test, and no failure.
  if (std::chrono::steady_clock::now() - begin < kLaunch) {
    EXPECT_EQ(reached, 0);
    EXPECT_EQ(copied, 0u);
  }
  ASSERT_EQ(table.event_synchronize(device, events[1]), FATHOM_OK);
  EXPECT_EQ(copied, state);
  EXPECT_TRUE(std::chrono::steady_clock::now() - begin >= kLaunch);
  ASSERT_EQ(table.event_query(device, events[1], &reached), FATHOM_OK);
  EXPECT_EQ(reached, 1);
  float milliseconds = 0;
  table.event_elapsed_ms(device, events[0], events[1], &milliseconds);
  EXPECT_NEAR(milliseconds, kLaunch.count(), 1e-2);
}

TEST_F(SimBackend, WorkThatIsQueuedEarlyLeavesNoGap) {
  constexpr std::chrono::milliseconds kLaunch(20);
  open("launch=20000");
  const auto x = matrix(1, 8);
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_EQ(linear(x, x), FATHOM_OK);
  table.event_record(device, stream, events[0]);
  table.event_record(device, stream, events[1]);
  const bool early = std::chrono::steady_clock::now() - begin < kLaunch;
  ASSERT_EQ(linear(x, x), FATHOM_OK);
  float milliseconds = 1;
  table.event_elapsed_ms(device, events[0], events[1], &milliseconds);
  if (early) {
    EXPECT_EQ(milliseconds, 0);
  }
}

TEST_F(SimBackend, IsAsynchronousOnlyWhereWaitingTakesTime) {
  for (const char* costs : {"free", "launch=5,clock=virtual"}) {
    open(costs);
    fathom_device_info info = {};
    ASSERT_EQ(table.device_info(device, &info), FATHOM_OK);
    EXPECT_FALSE(info.capabilities & FATHOM_CAP_ASYNCHRONOUS) << costs;
    TearDown();
    device = nullptr;
  }
}

TEST_F(SimBackend, MemoryIsAddressSpaceUntilItIsWritten) {
  open("free");
  void* memory = nullptr;
  ASSERT_EQ(table.alloc(device, size_t{1} << 40, &memory), FATHOM_OK) << table.last_error();
  auto* bytes = static_cast<unsigned char*>(memory);
  EXPECT_EQ(bytes[size_t{1} << 39], 0);
  bytes[(size_t{1} << 40) - 1] = 1;
  table.free(device, memory);
}

TEST_F(SimBackend, RefusesRowsWithoutRoomForAState) {
  open("free");
  EXPECT_EQ(linear(matrix(1, 3), matrix(1, 8)), FATHOM_UNSUPPORTED);
  EXPECT_EQ(linear(matrix(1, 8), matrix(1, 3)), FATHOM_UNSUPPORTED);
}

TEST_F(SimBackend, PaddingRowsChooseNoExpertAndAreNotCounted) {
  open("free");
  constexpr int64_t kRows = 3, kExperts = 20;
  constexpr int32_t kTopK = 4;
  fathom_tensor logits = matrix(kRows, kExperts, FATHOM_F32);
  ASSERT_EQ(linear(matrix(kRows, 8), logits), FATHOM_OK);
  const int32_t rows = 2;
  std::array<int32_t, kRows* kTopK> ids = {};
  std::array<float, kRows* kTopK> weights = {};
  std::array<int64_t, kExperts> loads = {}, expected = {};
  const fathom_moe_gate_args args = {
      sizeof(args), logits,         nullptr, FATHOM_GATE_NOAUX_TC, kTopK, 1, 1, 1, 1.0f,
      ids.data(),   weights.data(), &rows,   loads.data()};
  ASSERT_EQ(table.kernels[FATHOM_OP_MOE_GATE](device, stream, &args), FATHOM_OK);
  ASSERT_EQ(table.stream_synchronize(device, stream), FATHOM_OK);
  for (size_t i = 0; i < ids.size(); ++i) {
    if (i < size_t{2} * kTopK) {
      ASSERT_GE(ids[i], 0);
      ++expected[static_cast<size_t>(ids[i])];
    } else {
      EXPECT_EQ(ids[i], -1);
      EXPECT_EQ(weights[i], 0);
    }
  }
  EXPECT_EQ(loads, expected);
}

}  // namespace
}  // namespace fathom::sim
