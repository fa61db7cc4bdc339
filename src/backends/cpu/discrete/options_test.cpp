#include "backends/cpu/discrete/options.h"

#include <gtest/gtest.h>

#include <string>

#include "backends/cpu/discrete/discrete_backend.h"
#include "backends/cpu/testing/chip.h"

namespace fathom::cpu::discrete {
namespace {

using test::Chip;
using test::matrix;

TEST(DiscreteOptions, AreWhatTheChipIsWhereNothingIsSaid) {
  const Options options = Options::parse("").value();
  EXPECT_EQ(options.kernels, "native");
  EXPECT_EQ(options.without, 0u);
  EXPECT_EQ(options.kv_planes, 1);
  EXPECT_EQ(options.kv_block_size, 0);
  EXPECT_EQ(options.lose_at, 0u);
  EXPECT_EQ(Options::parse("reference").value().kernels, "reference");
}

TEST(DiscreteOptions, AreReadInAnyOrder) {
  const Options options =
      Options::parse("planes=2,avx2,without=graphs,block=32,kv=bf16,without=sample,delay=0,lose=9")
          .value();
  EXPECT_EQ(options.kernels, "avx2");
  EXPECT_EQ(options.kv_planes, 2);
  EXPECT_EQ(options.kv_block_size, 32);
  EXPECT_EQ(options.kv_dtype, FATHOM_BF16);
  EXPECT_EQ(options.most_delay_us, 0u);
  EXPECT_EQ(options.lose_at, 9u);
  EXPECT_FALSE(options.has(Part::kGraphs));
  EXPECT_FALSE(options.has_operator(FATHOM_OP_SAMPLE));
  EXPECT_TRUE(options.has_operator(FATHOM_OP_TAKE_TOKENS));
  EXPECT_EQ(options.capabilities_of(FATHOM_CAP_GRAPHS | FATHOM_CAP_COLLECTIVES),
            FATHOM_CAP_COLLECTIVES);
}

TEST(DiscreteOptions, SayWhatIsWrong) {
  for (const auto& [text, part] :
       {std::pair{"without=speed", "expected one of asynchronous, "},
        {"without=speed", "got speed"},
        {"planes=3", "planes: expected a whole number from 1 to 2, got 3"},
        {"block=15", "from 16 to 128, got 15"},
        {"block=32k", "got 32k"},
        {"kv=f16", "kv: expected f32 or bf16, got f16"},
        {"delay=-1", "got -1"},
        {"lose=0", "from 1 to"},
        {"lose=99999999999999999999", "got 99999999999999999999"},
        {"speed=1", "each as KEY=VALUE, got speed"},
        {"native,reference", "one kernel set, got native and reference"}}) {
    const auto options = Options::parse(text);
    ASSERT_FALSE(options.ok()) << text;
    EXPECT_NE(options.error().message.find(part), std::string::npos) << options.error().message;
  }
}

TEST(DiscreteOptions, ReachTheDevice) {
  const fathom_backend& table = *fathom_cpu_discrete_backend_entry(FATHOM_ABI_VERSION);
  fathom_device* device = nullptr;
  for (const auto& [text, part] :
       {std::pair{"fast", "expected kernels to be one of"}, {"planes=0", "kernels: planes"}}) {
    const fathom_device_options options = {sizeof(options), 0, 1, text, 0, 0, 1};
    EXPECT_EQ(table.device_open(&options, &device), FATHOM_INVALID);
    EXPECT_NE(std::string(table.last_error()).find(part), std::string::npos) << table.last_error();
  }
  fathom_device_info whole = {};
  whole.size = sizeof(whole);
  Chip plain(fathom_cpu_discrete_backend_entry, "reference");
  ASSERT_EQ(table.device_info(plain.device, &whole), FATHOM_OK);
  EXPECT_TRUE(whole.capabilities & FATHOM_CAP_ASYNCHRONOUS);
  EXPECT_EQ(whole.kv_dtype, FATHOM_F32);

  Chip other(fathom_cpu_discrete_backend_entry,
             "reference,planes=2,block=64,kv=bf16,without=asynchronous,without=graphs");
  fathom_device_info info = {};
  info.size = sizeof(info);
  ASSERT_EQ(table.device_info(other.device, &info), FATHOM_OK);
  EXPECT_FALSE(info.capabilities & (FATHOM_CAP_ASYNCHRONOUS | FATHOM_CAP_GRAPHS));
  EXPECT_EQ(info.kv_planes, 2);
  EXPECT_EQ(info.kv_block_sizes[0], 64);
  EXPECT_EQ(info.kv_dtype, FATHOM_BF16);
}

TEST(DiscreteOptions, AChipThatIsNotAsynchronousIsDoneWhenItReturns) {
  Chip chip(fathom_cpu_discrete_backend_entry, "reference,without=asynchronous");
  const std::vector<int32_t> values = {1, 2, 3};
  auto* memory = chip.upload(values);
  for (int i = 0; i < 50; ++i) {
    std::vector<int32_t> copied(3);
    ASSERT_EQ(chip.table.copy_to_host(chip.device, chip.stream, copied.data(), memory, 12),
              FATHOM_OK);
    ASSERT_EQ(copied, values);
  }
  // A failure is its own.
  const float* table = chip.upload(std::vector<float>(8, 1.0f));
  const fathom_embed_args embed = {sizeof(embed), memory + 1, 1, test::rows_weight(table, 2, 4),
                                   matrix(chip.memory<float>(4), 1, 4)};
  EXPECT_EQ(chip.run(FATHOM_OP_EMBED, &embed), FATHOM_INVALID);
  EXPECT_EQ(chip.synchronize(), FATHOM_OK);
}

TEST(DiscreteOptions, WithoutItsLayoutWeightsStayInRows) {
  Chip chip(fathom_cpu_discrete_backend_entry, "native,without=pack");
  const fathom_weight weight = {nullptr, nullptr, FATHOM_I8, 1, 32, FATHOM_LAYOUT_ROWS, 64, 64};
  size_t bytes = 1;
  EXPECT_EQ(chip.table.pack_bytes(chip.device, FATHOM_OP_LINEAR, &weight, &bytes), FATHOM_OK);
  EXPECT_EQ(bytes, 0u);
}

// What a chip that is lost answers, and that nobody waits for it.
class LostDevice : public ::testing::Test {
 protected:
  fathom_status copy() {
    return chip.table.copy_to_host(chip.device, chip.stream, &copied, memory, sizeof(copied));
  }

  Chip chip{fathom_cpu_discrete_backend_entry, "reference,lose=40"};
  float* memory = chip.memory<float>(1);
  float copied = 0;
};

TEST_F(LostDevice, EveryCallSaysSo) {
  const fathom_backend& table = chip.table;
  fathom_event* event = nullptr;
  ASSERT_EQ(table.event_create(chip.device, &event), FATHOM_OK);
  ASSERT_EQ(table.event_record(chip.device, chip.stream, event), FATHOM_OK);
  fathom_status status = FATHOM_OK;
  int copies = 0;
  while (status == FATHOM_OK && copies < 100) {
    status = copy();
    ++copies;
    if (status == FATHOM_OK) status = chip.synchronize();
  }
  EXPECT_EQ(copies, 39) << "the event was the first of 40 records";
  EXPECT_EQ(status, FATHOM_DEVICE_LOST);
  EXPECT_NE(chip.error().find("the chip is lost"), std::string::npos) << chip.error();
  fathom_device_info info = {};
  info.size = sizeof(info);
  void* got = nullptr;
  int32_t reached = 0;
  float milliseconds = 0;
  fathom_stream* stream = nullptr;
  size_t bytes = 0;
  const fathom_linear_args linear = {};
  const fathom_weight weight = {};
  uint64_t* sum = nullptr;
  const fathom_status statuses[] = {
      copy(),
      chip.synchronize(),
      table.device_info(chip.device, &info),
      table.alloc(chip.device, 1, &got),
      table.host_alloc(chip.device, 1, &got),
      table.stream_create(chip.device, &stream),
      table.event_record(chip.device, chip.stream, event),
      table.event_wait(chip.device, chip.stream, event),
      table.event_query(chip.device, event, &reached),
      table.event_synchronize(chip.device, event),
      table.event_elapsed_ms(chip.device, event, event, &milliseconds),
      table.fill(chip.device, chip.stream, memory, 0, 4),
      table.checksum(chip.device, chip.stream, memory, 4, sum),
      table.kernels[FATHOM_OP_LINEAR](chip.device, chip.stream, &linear),
      table.supports(chip.device, FATHOM_OP_LINEAR, &linear),
      table.workspace_bytes(chip.device, FATHOM_OP_LINEAR, &linear, &bytes),
      table.pack_bytes(chip.device, FATHOM_OP_LINEAR, &weight, &bytes),
  };
  for (size_t i = 0; i < std::size(statuses); ++i) EXPECT_EQ(statuses[i], FATHOM_DEVICE_LOST) << i;
  table.event_destroy(chip.device, event);
}

TEST_F(LostDevice, WhoeverWaitsForAnotherStreamIsTold) {
  const fathom_backend& table = chip.table;
  fathom_stream* other = nullptr;
  ASSERT_EQ(table.stream_create(chip.device, &other), FATHOM_OK);
  fathom_event* event = nullptr;
  ASSERT_EQ(table.event_create(chip.device, &event), FATHOM_OK);
  for (int i = 0; i < 39; ++i) ASSERT_EQ(copy(), FATHOM_OK);
  ASSERT_EQ(table.event_record(chip.device, chip.stream, event), FATHOM_OK);  // it is lost here
  fathom_status status = table.event_wait(chip.device, other, event);
  if (status == FATHOM_OK) status = table.stream_synchronize(chip.device, other);
  EXPECT_EQ(status, FATHOM_DEVICE_LOST);
  EXPECT_EQ(table.event_synchronize(chip.device, event), FATHOM_DEVICE_LOST);
  table.event_destroy(chip.device, event);
  table.stream_destroy(chip.device, other);
}

}  // namespace
}  // namespace fathom::cpu::discrete
