// What a host may not count on, and what this chip notices.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "backends/cpu/discrete/device_memory.h"
#include "backends/cpu/discrete/discrete_backend.h"
#include "backends/cpu/testing/chip.h"
#include "device/device.h"

namespace fathom::cpu::discrete {
namespace {

using test::Chip;
using test::matrix;
using test::rows_weight;

class Discrete : public ::testing::Test {
 protected:
  fathom_status to_device(void* to, const void* host, size_t bytes) {
    return chip.table.copy_to_device(chip.device, chip.stream, to, host, bytes);
  }
  fathom_status to_host(void* host, const void* from, size_t bytes) {
    return chip.table.copy_to_host(chip.device, chip.stream, host, from, bytes);
  }
  bool told(const std::string& part) { return chip.error().find(part) != std::string::npos; }
  // Fails when it runs.
  fathom_status embed_a_bad_token(float* out) {
    const fathom_embed_args args = {sizeof(args), bad_token_, 1, rows_weight(table_, 2, 4),
                                    matrix(out, 1, 4)};
    return chip.run(FATHOM_OP_EMBED, &args);
  }

  Chip chip{fathom_cpu_discrete_backend_entry, "reference", 1};

 private:
  const int32_t* bad_token_ = chip.upload(std::vector<int32_t>{7});
  const float* table_ = chip.upload(std::vector<float>(8, 1.0f));
};

TEST_F(Discrete, TheHostCannotTouchDeviceMemory) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  volatile float* memory = chip.memory<float>(4);
  EXPECT_DEATH((void)*memory, "");
  EXPECT_DEATH(*memory = 1, "");
}

TEST_F(Discrete, FreshMemoryIsPoison) {
  for (const size_t count : {1, 1000, 3000000}) {
    const auto values = chip.download(chip.memory<uint32_t>(count), count);
    EXPECT_EQ(static_cast<size_t>(std::count(values.begin(), values.end(), kPoison)), count);
  }
  EXPECT_TRUE(std::isnan(chip.download(chip.memory<float>(1), 1)[0]));
}

TEST_F(Discrete, RefusesCopiesOutsideOfAllocations) {
  auto* memory = chip.memory<char>(100);
  char host[200] = {};
  EXPECT_EQ(to_device(memory + 60, host, 40), FATHOM_OK);
  EXPECT_EQ(to_device(memory + 60, host, 41), FATHOM_INVALID);
  EXPECT_TRUE(told("copy_to_device: expected where to copy to of 41 bytes")) << chip.error();
  EXPECT_EQ(to_host(host, memory - 1, 1), FATHOM_INVALID);
  EXPECT_EQ(to_host(host, memory + 100, 1), FATHOM_INVALID);
  EXPECT_EQ(to_host(memory, memory, 1), FATHOM_INVALID);
  EXPECT_TRUE(told("in host memory")) << chip.error();
  EXPECT_EQ(to_device(host, host + 100, 1), FATHOM_INVALID);
  EXPECT_TRUE(told("in device memory")) << chip.error();
  EXPECT_EQ(to_device(nullptr, host, 1), FATHOM_INVALID);
  EXPECT_EQ(chip.table.copy_on_device(chip.device, chip.stream, memory, host, 1), FATHOM_INVALID);
  EXPECT_EQ(chip.synchronize(), FATHOM_OK);
}

TEST_F(Discrete, SaysThatThereIsNoRoom) {
  void* memory = nullptr;
  EXPECT_EQ(chip.table.alloc(chip.device, size_t{1} << 62, &memory), FATHOM_NO_MEMORY);
  EXPECT_TRUE(told("no room")) << chip.error();
}

TEST_F(Discrete, RefusesFreedMemory) {
  void* memory = nullptr;
  float host = 0;
  ASSERT_EQ(chip.table.alloc(chip.device, sizeof(host), &memory), FATHOM_OK);
  ASSERT_EQ(to_device(memory, &host, sizeof(host)), FATHOM_OK);
  ASSERT_EQ(chip.synchronize(), FATHOM_OK);
  chip.table.free(chip.device, memory);
  EXPECT_EQ(to_host(&host, memory, sizeof(host)), FATHOM_INVALID);
  EXPECT_TRUE(told("which was freed")) << chip.error();
  void* next = nullptr;
  ASSERT_EQ(chip.table.alloc(chip.device, sizeof(host), &next), FATHOM_OK);
  EXPECT_NE(next, memory) << "an address is handed out once";
  chip.table.free(chip.device, next);
}

// Only a queue that runs behind the host sees that its memory is gone.
TEST_F(Discrete, NoticesMemoryThatIsFreedBeforeTheWorkRuns) {
  int noticed = 0;
  for (int i = 0; i < 200; ++i) {
    void* memory = nullptr;
    float host = 0;
    ASSERT_EQ(chip.table.alloc(chip.device, sizeof(host), &memory), FATHOM_OK);
    ASSERT_EQ(to_host(&host, memory, sizeof(host)), FATHOM_OK);
    chip.table.free(chip.device, memory);
    if (chip.synchronize() == FATHOM_OK) continue;
    ++noticed;
    EXPECT_TRUE(told("which was freed")) << chip.error();
  }
  EXPECT_GT(noticed, 0);
}

TEST_F(Discrete, RefusesTensorsOutsideOfAllocations) {
  auto* memory = chip.memory<float>(16);
  float host[16] = {};
  const auto linear = [&](float* x, const float* weight, float* out) {
    const fathom_linear_args args = {sizeof(args), matrix(x, 2, 2), rows_weight(weight, 2, 2),
                                     matrix(out, 2, 2)};
    return chip.run(FATHOM_OP_LINEAR, &args);
  };
  EXPECT_EQ(linear(memory, memory + 4, memory + 12), FATHOM_OK);
  EXPECT_EQ(linear(memory, memory + 4, memory + 13), FATHOM_INVALID);
  EXPECT_TRUE(told("linear: expected out of 16 bytes")) << chip.error();
  EXPECT_EQ(linear(host, memory, memory + 4), FATHOM_INVALID);
  EXPECT_TRUE(told("linear: expected x in device memory")) << chip.error();
  EXPECT_EQ(linear(memory, host, memory + 4), FATHOM_INVALID);
  EXPECT_EQ(linear(memory, nullptr, memory + 4), FATHOM_INVALID);
  EXPECT_EQ(chip.synchronize(), FATHOM_OK);
}

TEST_F(Discrete, RefusesExpertsOutsideOfAllocations) {
  const float* weight = chip.upload(std::vector<float>(4, 1.0f));
  float host[4] = {};
  const auto run = [&](const fathom_expert& expert) {
    fathom_moe_experts_args args = {};
    args.size = sizeof(args);
    args.x = matrix(chip.upload(std::vector<float>(2, 1.0f)), 1, 2);
    args.expert_ids = chip.upload(std::vector<int32_t>{0});
    args.expert_weights = chip.upload(std::vector<float>{1.0f});
    args.top_k = 1;
    args.num_experts = 1;
    args.experts = chip.upload(std::vector<fathom_expert>{expert});
    args.gate = args.up = args.down = rows_weight(nullptr, 2, 2);
    args.out = matrix(chip.memory<float>(2), 1, 2);
    chip.add_workspace(FATHOM_OP_MOE_EXPERTS, args);
    EXPECT_EQ(chip.run(FATHOM_OP_MOE_EXPERTS, &args), FATHOM_OK) << chip.error();
    return chip.synchronize();
  };
  EXPECT_EQ(run({weight, weight, weight, nullptr, nullptr, nullptr}), FATHOM_OK) << chip.error();
  EXPECT_EQ(run({weight, weight, weight + 1, nullptr, nullptr, nullptr}), FATHOM_INVALID);
  EXPECT_TRUE(told("an expert's down of 16 bytes")) << chip.error();
  EXPECT_EQ(run({host, weight, weight, nullptr, nullptr, nullptr}), FATHOM_INVALID);
  EXPECT_EQ(run({weight, nullptr, weight, nullptr, nullptr, nullptr}), FATHOM_INVALID);
}

TEST_F(Discrete, TellsOfAFailureOnceAndDropsWhatIsBehindIt) {
  auto* out = chip.memory<float>(4);
  for (int i = 0; i < 20; ++i) {
    float copied = -1;
    ASSERT_EQ(embed_a_bad_token(out), FATHOM_OK) << "it is queued";
    const fathom_status behind = to_host(&copied, out, sizeof(copied));
    const fathom_status at_the_end = chip.synchronize();
    // Whichever came first after the work had run.
    EXPECT_EQ(behind == FATHOM_INVALID, at_the_end == FATHOM_OK);
    EXPECT_TRUE(told("tokens[0] in [-1, 2), got 7")) << chip.error();
    EXPECT_EQ(copied, -1);
    EXPECT_EQ(chip.synchronize(), FATHOM_OK) << "it was told of already";
    EXPECT_EQ(to_host(&copied, out, sizeof(copied)), FATHOM_OK);
    EXPECT_EQ(chip.synchronize(), FATHOM_OK);
    EXPECT_TRUE(std::isnan(copied));
  }
}

TEST_F(Discrete, TellsOfAFailureBeforeItIsAskedTo) {
  constexpr int kMoreThanTheRingHolds = 300;
  auto* out = chip.memory<float>(4);
  float copied = 0;
  ASSERT_EQ(embed_a_bad_token(out), FATHOM_OK);
  fathom_status status = FATHOM_OK;
  for (int i = 0; i < kMoreThanTheRingHolds && status == FATHOM_OK; ++i) {
    status = to_host(&copied, out, sizeof(copied));
  }
  EXPECT_EQ(status, FATHOM_INVALID);
  EXPECT_EQ(chip.synchronize(), FATHOM_OK);
}

// More than the ring holds at once.
TEST_F(Discrete, AStreamRunsInItsOrder) {
  constexpr size_t kCount = 1000;
  std::vector<int32_t> values;
  for (size_t i = 0; i < kCount; ++i) values.push_back(static_cast<int32_t>(i));
  auto* one = chip.memory<int32_t>(1);
  auto* all = chip.memory<int32_t>(kCount);
  for (size_t i = 0; i < kCount; ++i) {
    ASSERT_EQ(to_device(one, &values[i], sizeof(*one)), FATHOM_OK);
    ASSERT_EQ(chip.table.copy_on_device(chip.device, chip.stream, all + i, one, sizeof(*one)),
              FATHOM_OK);
  }
  EXPECT_EQ(chip.download(all, kCount), values);
}

class Streams : public Discrete {
 protected:
  void SetUp() override {
    ASSERT_EQ(chip.table.stream_create(chip.device, &other), FATHOM_OK);
    for (auto& event : events) ASSERT_EQ(chip.table.event_create(chip.device, &event), FATHOM_OK);
  }
  void TearDown() override {
    for (auto& event : events) chip.table.event_destroy(chip.device, event);
    chip.table.stream_destroy(chip.device, other);
  }
  void record(fathom_stream* stream, fathom_event* event) {
    ASSERT_EQ(chip.table.event_record(chip.device, stream, event), FATHOM_OK);
  }
  void wait(fathom_stream* stream, fathom_event* event) {
    ASSERT_EQ(chip.table.event_wait(chip.device, stream, event), FATHOM_OK);
  }

  fathom_stream* other = nullptr;
  fathom_event* events[2] = {};
};

TEST_F(Streams, WaitForEventsOfEachOther) {
  constexpr size_t kCount = 300;
  std::vector<int32_t> values;
  for (size_t i = 0; i < kCount; ++i) values.push_back(static_cast<int32_t>(i));
  auto* one = chip.memory<int32_t>(1);
  auto* all = chip.memory<int32_t>(kCount);
  for (size_t i = 0; i < kCount; ++i) {
    wait(chip.stream, events[1]);  // never recorded at first
    ASSERT_EQ(to_device(one, &values[i], sizeof(*one)), FATHOM_OK);
    record(chip.stream, events[0]);
    wait(other, events[0]);
    ASSERT_EQ(chip.table.copy_on_device(chip.device, other, all + i, one, sizeof(*one)), FATHOM_OK);
    record(other, events[1]);
  }
  wait(chip.stream, events[1]);
  EXPECT_EQ(chip.download(all, kCount), values);
}

TEST_F(Streams, AnEventBehindAFailureIsReached) {
  auto* out = chip.memory<float>(4);
  for (int i = 0; i < 20; ++i) {
    ASSERT_EQ(embed_a_bad_token(out), FATHOM_OK);
    const fathom_status recorded = chip.table.event_record(chip.device, chip.stream, events[0]);
    wait(other, events[0]);
    EXPECT_EQ(chip.table.stream_synchronize(chip.device, other), FATHOM_OK);
    EXPECT_EQ(recorded == FATHOM_OK, chip.synchronize() == FATHOM_INVALID);
  }
}

// Whoever waits for an event learns of what failed before it, and of nothing that failed behind it.
TEST_F(Streams, AnEventTellsWhatFailedBeforeIt) {
  auto* out = chip.memory<float>(4);
  for (int i = 0; i < 20; ++i) {
    record(chip.stream, events[0]);
    ASSERT_EQ(embed_a_bad_token(out), FATHOM_OK);
    const fathom_status recorded = chip.table.event_record(chip.device, chip.stream, events[1]);
    EXPECT_EQ(chip.table.event_synchronize(chip.device, events[0]), FATHOM_OK);
    if (recorded == FATHOM_OK) {
      EXPECT_EQ(chip.table.event_synchronize(chip.device, events[1]), FATHOM_INVALID);
      EXPECT_TRUE(told("tokens[0] in [-1, 2), got 7")) << chip.error();
    }
    EXPECT_EQ(chip.synchronize(), FATHOM_OK) << "it was told of already";
  }
}

TEST_F(Discrete, FillsAndSumsUpDeviceMemoryOnly) {
  auto* memory = chip.memory<char>(100);
  auto* sum = chip.memory<uint64_t>(1);
  const auto checksum = [&](const void* from, size_t bytes, uint64_t* to) {
    return chip.table.checksum(chip.device, chip.stream, from, bytes, to);
  };
  char host[8] = {};
  uint64_t host_sum = 0;
  EXPECT_EQ(chip.table.fill(chip.device, chip.stream, memory, 1, 101), FATHOM_INVALID);
  EXPECT_TRUE(told("fill: expected what to fill of 101 bytes")) << chip.error();
  EXPECT_EQ(chip.table.fill(chip.device, chip.stream, host, 1, 8), FATHOM_INVALID);
  EXPECT_EQ(checksum(memory, 101, sum), FATHOM_INVALID);
  EXPECT_EQ(checksum(memory + 4, 8, sum), FATHOM_INVALID);
  EXPECT_TRUE(told("aligned to 8 bytes")) << chip.error();
  EXPECT_EQ(checksum(host, 8, sum), FATHOM_INVALID);
  EXPECT_EQ(checksum(memory, 8, &host_sum), FATHOM_INVALID);
  EXPECT_TRUE(told("checksum: expected its sum in device memory")) << chip.error();
  EXPECT_EQ(chip.synchronize(), FATHOM_OK);
}

TEST_F(Streams, EventsTellTheTimeBetweenThem) {
  float milliseconds = -1;
  EXPECT_EQ(chip.table.event_elapsed_ms(chip.device, events[0], events[1], &milliseconds),
            FATHOM_INVALID);
  record(chip.stream, events[0]);
  wait(other, events[0]);
  record(other, events[1]);
  ASSERT_EQ(chip.table.event_elapsed_ms(chip.device, events[0], events[1], &milliseconds),
            FATHOM_OK);
  EXPECT_GE(milliseconds, 0);
}

TEST_F(Streams, AStreamEndsWhatIsQueuedBeforeItIsDestroyed) {
  const int32_t value = 5;
  auto* memory = chip.memory<int32_t>(1);
  for (int i = 0; i < 20; ++i) {
    fathom_stream* stream = nullptr;
    ASSERT_EQ(chip.table.stream_create(chip.device, &stream), FATHOM_OK);
    ASSERT_EQ(chip.table.copy_to_device(chip.device, stream, memory, &value, sizeof(value)),
              FATHOM_OK);
    chip.table.stream_destroy(chip.device, stream);
  }
  EXPECT_EQ(chip.download(memory, 1)[0], value);
}

// What hosts use the table by.
TEST(DiscreteDevice, CopiesByPinnedMemoryAndCountsWhatTheHostGets) {
  const fathom_backend& table = *fathom_cpu_discrete_backend_entry(FATHOM_ABI_VERSION);
  auto device = device::Device::open(table, {.threads = 1, .kernels = "reference"}).value();
  EXPECT_FALSE(device->host_memory());
  device::HostBuffer none = device->alloc_host(0).value();
  EXPECT_NE(none.data(), nullptr);
  device::HostBuffer host = device->alloc_host(64).value();
  none = std::move(host);
  EXPECT_EQ(none.size(), 64u);
  const device::Buffer memory = device->alloc(64).value();
  std::memset(none.data(), 7, 64);
  ASSERT_TRUE(device->copy_to_device(memory.data(), none.data(), 64).ok());
  ASSERT_TRUE(device->synchronize().ok());
  std::memset(none.data(), 0, 64);
  ASSERT_TRUE(device->copy_to_host(none.data(), memory.data(), 64).ok());
  ASSERT_TRUE(device->synchronize().ok());
  EXPECT_EQ(static_cast<const char*>(none.data())[63], 7);
  EXPECT_EQ(device->copied_to_host(), 64u);
  EXPECT_FALSE(device->map_host(none.data(), 64).ok());
}

TEST(DiscreteDevice, EventsAndChecksums) {
  const fathom_backend& table = *fathom_cpu_discrete_backend_entry(FATHOM_ABI_VERSION);
  auto device = device::Device::open(table, {.threads = 1, .kernels = "reference"}).value();
  EXPECT_TRUE(device->asynchronous());
  device::Event begin = device->create_event().value();
  device::Event end = device->create_event().value();
  EXPECT_TRUE(device->reached(begin).value());
  const device::Buffer memory = device->alloc(24).value();
  const device::Buffer sum = device->alloc(8).value();
  uint64_t got = 0;
  ASSERT_TRUE(device->record(begin).ok());
  ASSERT_TRUE(device->fill(memory.data(), 1, 24).ok());
  ASSERT_TRUE(device->checksum(memory.data(), 24, static_cast<uint64_t*>(sum.data())).ok());
  ASSERT_TRUE(device->copy_to_host(&got, sum.data(), sizeof(got)).ok());
  ASSERT_TRUE(device->record(end).ok());
  ASSERT_TRUE(device->wait_for(end).ok());
  EXPECT_EQ(got, uint64_t{0x0101010101010101} * (1 + 3 + 5));
  EXPECT_TRUE(device->reached(begin).value());
  EXPECT_GE(device->elapsed_ms(begin, end).value(), 0);
  begin = std::move(end);
  EXPECT_TRUE(device->reached(begin).value());
}

}  // namespace
}  // namespace fathom::cpu::discrete
