// The contract's tables of this folder from outside: opening, refusing, memory, copies, streams and
// what a call allocates.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "backends/cpu/cpu_backend.h"
#include "backends/cpu/discrete/discrete_backend.h"
#include "backends/cpu/testing/chip.h"
#include "base/testing/allocation_counter.h"

namespace fathom::cpu {
namespace {

using test::Chip;
using test::matrix;
using test::rows_weight;

class Backend : public ::testing::TestWithParam<fathom_backend_entry_fn> {
 protected:
  const fathom_backend& table() const { return *GetParam()(FATHOM_ABI_VERSION); }
  fathom_status open(const char* kernels, int threads, int index = 0) {
    const fathom_device_options options = {sizeof(options), index, threads, kernels, 0, 0, 1};
    fathom_device* device = nullptr;
    return table().device_open(&options, &device);
  }
};

TEST_P(Backend, ServesItsOwnVersionOfTheContractOnly) {
  EXPECT_NE(GetParam()(FATHOM_ABI_VERSION), nullptr);
  EXPECT_EQ(GetParam()(FATHOM_ABI_VERSION + 1), nullptr);
  EXPECT_EQ(GetParam()(0), nullptr);
  for (int op = 0; op < FATHOM_OP_SAMPLE; ++op) EXPECT_NE(table().kernels[op], nullptr) << op;
}

TEST_P(Backend, RefusesOptionsItDoesNotHave) {
  EXPECT_EQ(open("fastest", 1), FATHOM_INVALID);
  const std::string error = table().last_error();
  EXPECT_NE(error.find("native"), std::string::npos) << error;
  EXPECT_NE(error.find(std::string("open ") + table().name), std::string::npos) << error;
  EXPECT_EQ(open("native", -1), FATHOM_INVALID);
  EXPECT_EQ(open("native", 100000), FATHOM_INVALID);
  EXPECT_EQ(open("native", 1, 1), FATHOM_INVALID);
}

TEST_P(Backend, TellsOfItsDevice) {
  Chip chip(GetParam(), "reference", 1);
  fathom_device_info info = {};
  EXPECT_EQ(table().device_info(chip.device, &info), FATHOM_INVALID) << "no size was given";
  info.size = sizeof(info);
  ASSERT_EQ(table().device_info(chip.device, &info), FATHOM_OK);
  EXPECT_NE(info.name[0], '\0');
  EXPECT_GT(info.memory_bytes, 0u);
  EXPECT_TRUE(info.capabilities & FATHOM_CAP_BATCH_INVARIANT);
  const bool host_memory = (info.capabilities & FATHOM_CAP_HOST_MEMORY) != 0;
  EXPECT_EQ(host_memory, std::string(table().name) == "cpu");
  EXPECT_EQ(host_memory, table().map_host != nullptr);
  EXPECT_EQ(info.activation_dtype, FATHOM_F32);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(chip.memory<char>(1000)) % info.alignment, 0u);
  void* host = nullptr;
  ASSERT_EQ(table().host_alloc(chip.device, 1000, &host), FATHOM_OK);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(host) % info.alignment, 0u);
  std::memset(host, 1, 1000);
  table().host_free(chip.device, host);
}

TEST_P(Backend, CopiesThereAndBack) {
  Chip chip(GetParam());
  std::vector<int32_t> values;
  for (int32_t i = 0; i < 5000; ++i) values.push_back(i * i);
  const int32_t* first = chip.upload(values);
  auto* second = chip.memory<int32_t>(values.size());
  ASSERT_EQ(table().copy_on_device(chip.device, chip.stream, second, first + 1,
                                   (values.size() - 1) * sizeof(int32_t)),
            FATHOM_OK);
  const std::vector<int32_t> copied = chip.download(second, values.size() - 1);
  EXPECT_TRUE(std::equal(copied.begin(), copied.end(), values.begin() + 1));
  EXPECT_EQ(table().copy_to_host(chip.device, chip.stream, nullptr, nullptr, 0), FATHOM_OK);
}

TEST_P(Backend, EventsAreReachedBehindWhatWasQueuedBefore) {
  Chip chip(GetParam());
  fathom_event* event = nullptr;
  ASSERT_EQ(table().event_create(chip.device, &event), FATHOM_OK);
  int32_t reached = -1;
  EXPECT_EQ(table().event_query(chip.device, event, &reached), FATHOM_OK);
  EXPECT_EQ(reached, 1) << "nobody waits for one that was never recorded";
  EXPECT_EQ(table().event_synchronize(chip.device, event), FATHOM_OK);
  const int32_t value = 7;
  auto* memory = chip.memory<int32_t>(1);
  for (const bool asks : {false, true}) {
    int32_t copied = 0;
    ASSERT_EQ(table().copy_to_device(chip.device, chip.stream, memory, &value, sizeof(value)),
              FATHOM_OK);
    ASSERT_EQ(table().copy_to_host(chip.device, chip.stream, &copied, memory, sizeof(copied)),
              FATHOM_OK);
    ASSERT_EQ(table().event_record(chip.device, chip.stream, event), FATHOM_OK);
    if (asks) {
      do {
        ASSERT_EQ(table().event_query(chip.device, event, &reached), FATHOM_OK);
      } while (reached == 0);
    } else {
      ASSERT_EQ(table().event_synchronize(chip.device, event), FATHOM_OK);
    }
    EXPECT_EQ(copied, value);
  }
  table().event_destroy(chip.device, event);
}

TEST_P(Backend, FillsARangeAndNothingElse) {
  Chip chip(GetParam());
  auto* memory = chip.upload(std::vector<uint8_t>(5000, 1));
  ASSERT_EQ(table().fill(chip.device, chip.stream, memory + 3, 0xab, 4000), FATHOM_OK);
  ASSERT_EQ(table().fill(chip.device, chip.stream, memory, 0, 0), FATHOM_OK);
  std::vector<uint8_t> wanted(5000, 1);
  std::fill_n(wanted.begin() + 3, 4000, uint8_t{0xab});
  EXPECT_EQ(chip.download(memory, wanted.size()), wanted);
}

// As the contract writes it down.
uint64_t plain_checksum(const std::vector<uint8_t>& bytes) {
  uint64_t sum = 0;
  for (size_t i = 0; i < bytes.size(); ++i) {
    sum += (2 * (i / 8) + 1) * (uint64_t{bytes[i]} << (i % 8 * 8));
  }
  return sum;
}

TEST_P(Backend, SumsUpRangesOfAnyLength) {
  Chip chip(GetParam());
  auto* sum = chip.memory<uint64_t>(1);
  for (const size_t count : {0, 1, 7, 8, 9, 4099, (3 << 20) + 5}) {
    std::vector<uint8_t> bytes(count + 1);
    for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(i * i / 3 + 1);
    const auto* memory = chip.upload(bytes);
    bytes.resize(count);
    ASSERT_EQ(table().checksum(chip.device, chip.stream, memory, count, sum), FATHOM_OK);
    EXPECT_EQ(chip.download(sum, 1)[0], plain_checksum(bytes)) << count;
  }
}

TEST_P(Backend, RefusesArgumentsThatContradictThemselves) {
  Chip chip(GetParam());
  auto* data = chip.memory<float>(16);
  const fathom_tensor x = matrix(data, 2, 3);
  const fathom_linear_args linear = {sizeof(linear), x, rows_weight(data, 2, 4), x};
  EXPECT_EQ(chip.run(FATHOM_OP_LINEAR, &linear), FATHOM_INVALID) << "k is 4, x has 3";
  EXPECT_NE(chip.error(), "");
  EXPECT_EQ(chip.synchronize(), FATHOM_OK) << "it was not queued";
}

// At once, or when the work has run.
fathom_status status_of(Chip& chip, fathom_op op, const void* args) {
  const fathom_status queued = chip.run(op, args);
  return queued != FATHOM_OK ? queued : chip.synchronize();
}

TEST_P(Backend, RefusesTokensThatTheTableLacks) {
  Chip chip(GetParam());
  const float* table_data = chip.upload(std::vector<float>(8, 1.0f));
  auto* out = chip.memory<float>(4);
  for (const auto& [token, wanted] :
       {std::pair{1, FATHOM_OK}, {-1, FATHOM_OK}, {2, FATHOM_INVALID}, {-2, FATHOM_INVALID}}) {
    const fathom_embed_args embed = {sizeof(embed), chip.upload(std::vector<int32_t>{token}), 1,
                                     rows_weight(table_data, 2, 4), matrix(out, 1, 4)};
    EXPECT_EQ(status_of(chip, FATHOM_OP_EMBED, &embed), wanted) << token;
    if (wanted != FATHOM_OK) {
      EXPECT_NE(chip.error().find("tokens[0]"), std::string::npos) << chip.error();
    }
  }
}

// Attention over a cache of two blocks of four positions, and what may be wrong about its
// sequences.
class Attention : public Backend {
 protected:
  struct Case {
    fathom_sequence sequence = {0, 2, 3, 0};
    int32_t count = 1;
    std::vector<int32_t> blocks = {1, 0};
    fathom_sequences capacities = {nullptr, nullptr, nullptr, 2, 2, 5, 2};
  };

  fathom_status attend(const Case& c) {
    Chip chip(GetParam(), "reference", 1);
    fathom_mla_attention_args args = {};
    args.size = sizeof(args);
    args.shape = {1, 4, 2, 2, 2, 1.0f};
    args.q = matrix(chip.upload(std::vector<float>(8, 0.5f)), 2, 4);
    args.wkv_b = rows_weight(chip.upload(std::vector<float>(16, 0.5f)), 4, 4);
    args.cache = {chip.upload(std::vector<float>(48, 0.5f)), FATHOM_F32, 4, 2, nullptr};
    args.sequences = c.capacities;
    args.sequences.sequences = chip.upload(std::vector<fathom_sequence>{c.sequence, {}});
    args.sequences.count = chip.upload(std::vector<int32_t>{c.count});
    args.sequences.blocks = chip.upload(c.blocks);
    args.out = matrix(chip.memory<float>(4), 2, 2);
    for (const fathom_op op : {FATHOM_OP_MLA_PREFILL, FATHOM_OP_MLA_DECODE}) {
      chip.add_workspace(op, args);
      const fathom_status status = status_of(chip, op, &args);
      if (status != FATHOM_OK) return status;
    }
    return FATHOM_OK;
  }
};

TEST_P(Attention, TakesWhatTheSequencesSayWhenItRuns) {
  EXPECT_EQ(attend({}), FATHOM_OK);
  Case none;
  none.count = 0;
  EXPECT_EQ(attend(none), FATHOM_OK);
}

TEST_P(Attention, RefusesSequencesBeyondTheirCapacities) {
  std::vector<Case> cases(10);
  cases[0].count = 3;
  cases[1].count = -1;
  cases[2].sequence.query_begin = 1;
  cases[3].sequence.query_count = -1;
  cases[4].sequence.context = 4;
  cases[5].sequence.context = -1;
  cases[6].sequence.block_begin = 1;
  cases[7].sequence.block_begin = -1;
  cases[8].blocks[1] = 2;
  cases[9].capacities.max_queries = 1;
  for (size_t i = 0; i < cases.size(); ++i) EXPECT_EQ(attend(cases[i]), FATHOM_INVALID) << i;
}

TEST_P(Backend, KernelCallsAllocateNothing) {
  Chip chip(GetParam());
  constexpr int64_t kRows = 20;
  constexpr int64_t kSize = 96;
  const auto floats = [&](int64_t count, float value) {
    return chip.upload(std::vector<float>(static_cast<size_t>(count), value));
  };
  float* out = floats(kRows * kSize, 0);
  const float* weights = floats(kSize * kSize, 0.01f);
  const fathom_tensor x = matrix(floats(kRows * kSize, 0.5f), kRows, kSize);
  const fathom_linear_args linear = {sizeof(linear), x, rows_weight(weights, kSize, kSize),
                                     matrix(out, kRows, kSize)};

  fathom_mla_attention_args mla = {};
  mla.size = sizeof(mla);
  mla.shape = {2, 80, 32, 16, 16, 0.1f};
  mla.q = matrix(floats(kRows * kSize, 0.1f), kRows, kSize);
  mla.wkv_b = rows_weight(weights, kSize, 80);
  mla.cache = {floats(64 * kSize, 0.1f), FATHOM_F32, 32, 2, nullptr};
  mla.sequences = {chip.upload(std::vector<fathom_sequence>{{0, kRows, 30, 0}}),
                   chip.upload(std::vector<int32_t>{1}),
                   chip.upload(std::vector<int32_t>{1, 0}),
                   1,
                   kRows,
                   64,
                   2};
  mla.out = matrix(out, kRows, 32);
  fathom_mla_attention_args decode = mla;
  chip.add_workspace(FATHOM_OP_MLA_PREFILL, mla);
  chip.add_workspace(FATHOM_OP_MLA_DECODE, decode);

  fathom_moe_experts_args experts = {};
  experts.size = sizeof(experts);
  experts.x = x;
  experts.expert_ids = chip.upload(std::vector<int32_t>(kRows * 2, 0));
  experts.expert_weights = floats(kRows * 2, 0.5f);
  experts.top_k = 2;
  experts.num_experts = 1;
  experts.experts = chip.upload(
      std::vector<fathom_expert>{{weights, weights, weights, nullptr, nullptr, nullptr}});
  experts.gate = experts.up = experts.down = rows_weight(nullptr, kSize, kSize);
  experts.out = matrix(out, kRows, kSize);
  chip.add_workspace(FATHOM_OP_MOE_EXPERTS, experts);
  std::vector<float> results(kRows * kSize);

  AllocationCounter allocations;
  const fathom_status statuses[] = {chip.run(FATHOM_OP_LINEAR, &linear),
                                    chip.run(FATHOM_OP_MLA_PREFILL, &mla),
                                    chip.run(FATHOM_OP_MLA_DECODE, &decode),
                                    chip.run(FATHOM_OP_MOE_EXPERTS, &experts),
                                    table().copy_to_host(chip.device, chip.stream, results.data(),
                                                         out, results.size() * sizeof(float)),
                                    chip.synchronize()};
  const int64_t counted = allocations.stop();
  for (const auto status : statuses) EXPECT_EQ(status, FATHOM_OK) << chip.error();
  EXPECT_EQ(counted, 0);
}

TEST_P(Backend, MeasuresTheLimitsOfNativeKernels) {
  Chip chip(GetParam());
  fathom_limits limits = {};
  EXPECT_EQ(table().measure_limits(chip.device, &limits), FATHOM_INVALID) << "no size was given";
  limits.size = sizeof(limits);
  ASSERT_EQ(table().measure_limits(chip.device, &limits), FATHOM_OK) << chip.error();
  EXPECT_GT(limits.read_bytes_per_s, 0);
  EXPECT_GT(limits.bf16_flops_per_s, 0);
  EXPECT_GT(limits.fp8_flops_per_s, 0);
  EXPECT_GT(limits.f32_flops_per_s, 0);
  EXPECT_EQ(limits.int4_ops_per_s, limits.int8_ops_per_s);
  EXPECT_GT(limits.write_bytes_per_s, 0);
  EXPECT_GT(limits.to_device_bytes_per_s, 0);
  EXPECT_GT(limits.to_host_bytes_per_s, 0);
  EXPECT_GT(limits.launch_s, 0);

  Chip reference(GetParam(), "reference", 1);
  EXPECT_EQ(table().measure_limits(reference.device, &limits), FATHOM_UNSUPPORTED);
}

TEST_P(Backend, TestsItself) {
  for (const char* kernels : {"native", "reference"}) {
    Chip chip(GetParam(), kernels);
    int32_t tests = 0;
    while (const char* name = table().self_test_name(chip.device, tests)) {
      EXPECT_EQ(table().self_test(chip.device, name), FATHOM_OK) << name << ": " << chip.error();
      ++tests;
    }
    EXPECT_EQ(tests, 3);
    EXPECT_EQ(table().self_test(chip.device, "luck"), FATHOM_INVALID);
    EXPECT_EQ(table().self_test(chip.device, nullptr), FATHOM_INVALID);
  }
}

std::string chip_name(const ::testing::TestParamInfo<fathom_backend_entry_fn>& info) {
  return std::string(info.param(FATHOM_ABI_VERSION)->name) == "cpu" ? "Cpu" : "CpuDiscrete";
}
const auto kChips = ::testing::Values(fathom_cpu_backend_entry, fathom_cpu_discrete_backend_entry);
INSTANTIATE_TEST_SUITE_P(Chips, Backend, kChips, chip_name);
INSTANTIATE_TEST_SUITE_P(Chips, Attention, kChips, chip_name);

}  // namespace
}  // namespace fathom::cpu
