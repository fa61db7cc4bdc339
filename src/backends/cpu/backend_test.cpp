// The contract's table from outside: opening, refusing, memory, copies, and what a call allocates.
#include "backends/cpu/cpu_backend.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "base/allocation_counter_for_tests.h"

namespace fathom::cpu {
namespace {

const fathom_backend& table() {
  return *fathom_cpu_backend_entry(FATHOM_ABI_VERSION);
}

fathom_status open(const char* kernels, int threads, fathom_device** device, int index = 0) {
  const fathom_device_options options = {sizeof(options), index, threads, kernels, 0, 0, 1};
  return table().device_open(&options, device);
}

TEST(Backend, ServesItsOwnVersionOfTheContractOnly) {
  EXPECT_NE(fathom_cpu_backend_entry(FATHOM_ABI_VERSION), nullptr);
  EXPECT_EQ(fathom_cpu_backend_entry(FATHOM_ABI_VERSION + 1), nullptr);
  EXPECT_EQ(fathom_cpu_backend_entry(0), nullptr);
  EXPECT_STREQ(table().name, "cpu");
  for (int op = 0; op < FATHOM_OP_COUNT; ++op) EXPECT_NE(table().kernels[op], nullptr) << op;
}

TEST(Backend, RefusesOptionsItDoesNotHave) {
  fathom_device* device = nullptr;
  EXPECT_EQ(open("fastest", 1, &device), FATHOM_INVALID);
  EXPECT_NE(std::string(table().last_error()).find("native"), std::string::npos)
      << table().last_error();
  EXPECT_EQ(open("native", -1, &device), FATHOM_INVALID);
  EXPECT_EQ(open("native", 100000, &device), FATHOM_INVALID);
  EXPECT_EQ(open("native", 1, &device, 1), FATHOM_INVALID);
}

TEST(Backend, TellsOfItsDevice) {
  fathom_device* device = nullptr;
  ASSERT_EQ(open("reference", 1, &device), FATHOM_OK);
  fathom_device_info info = {};
  info.size = sizeof(info);
  ASSERT_EQ(table().device_info(device, &info), FATHOM_OK);
  EXPECT_NE(info.name[0], '\0');
  EXPECT_GT(info.memory_bytes, 0u);
  EXPECT_TRUE(info.capabilities & FATHOM_CAP_BATCH_INVARIANT);
  EXPECT_TRUE(info.capabilities & FATHOM_CAP_HOST_MEMORY);
  EXPECT_EQ(info.activation_dtype, FATHOM_F32);
  void* memory = nullptr;
  ASSERT_EQ(table().alloc(device, 1000, &memory), FATHOM_OK);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(memory) % info.alignment, 0u);
  table().free(device, memory);
  table().device_close(device);
}

TEST(Backend, RefusesArgumentsThatContradictThemselves) {
  fathom_device* device = nullptr;
  ASSERT_EQ(open("native", 1, &device), FATHOM_OK);
  float data[16] = {};
  const fathom_tensor x = {data, FATHOM_F32, 2, {2, 3, 1, 1}, {3, 1, 1, 1}};
  const fathom_weight weight = {data, nullptr, FATHOM_F32, 0, 0, 0, 2, 4};  // k is 4, x has 3
  const fathom_linear_args args = {sizeof(args), x, weight, x};
  EXPECT_NE(table().kernels[FATHOM_OP_LINEAR](device, nullptr, &args), FATHOM_OK);
  EXPECT_NE(std::string(table().last_error()), "");
  const int32_t beyond[] = {2};
  const fathom_tensor row = {data + 8, FATHOM_F32, 2, {1, 4, 1, 1}, {4, 1, 1, 1}};
  const fathom_embed_args embed = {sizeof(embed), beyond, 1, weight, row};
  EXPECT_EQ(table().kernels[FATHOM_OP_EMBED](device, nullptr, &embed), FATHOM_INVALID);
  table().device_close(device);
}

TEST(Backend, KernelCallsAllocateNothing) {
  fathom_device* device = nullptr;
  ASSERT_EQ(open("native", 2, &device), FATHOM_OK);
  constexpr int64_t kRows = 20;
  constexpr int64_t kSize = 96;
  std::vector<float> x(kRows * kSize, 0.5f), out(kRows * kSize), matrix(kSize * kSize, 0.01f);
  std::vector<float> cache(64 * kSize, 0.1f), q(kRows * kSize, 0.1f);
  const auto view = [](std::vector<float>& data) {
    return fathom_tensor{data.data(), FATHOM_F32, 2, {kRows, kSize, 1, 1}, {kSize, 1, 1, 1}};
  };
  const fathom_weight weight = {matrix.data(), nullptr, FATHOM_F32, 0, 0, 0, kSize, kSize};
  const fathom_linear_args linear = {sizeof(linear), view(x), weight, view(out)};

  const int32_t table_entries[] = {1, 0};
  const fathom_sequence sequence = {0, kRows, 30, table_entries, 2};
  fathom_mla_attention_args mla = {};
  mla.size = sizeof(mla);
  mla.shape = {2, 80, 32, 16, 16, 0.1f};
  mla.q = view(q);
  mla.wkv_b = {matrix.data(), nullptr, FATHOM_F32, 0, 0, 0, kSize, 80};
  mla.cache = {cache.data(), FATHOM_F32, 32, 2};
  mla.sequences = &sequence;
  mla.num_sequences = 1;
  mla.out = {out.data(), FATHOM_F32, 2, {kRows, 32, 1, 1}, {32, 1, 1, 1}};

  std::vector<int32_t> ids(kRows * 2, 0);
  std::vector<float> shares(kRows * 2, 0.5f);
  fathom_moe_experts_args experts = {};
  experts.size = sizeof(experts);
  experts.x = view(x);
  experts.expert_ids = ids.data();
  experts.expert_weights = shares.data();
  experts.top_k = 2;
  experts.num_experts = 1;
  experts.gate = experts.up = experts.down = &weight;
  experts.out = view(out);

  size_t mla_bytes = 0, decode_bytes = 0, moe_bytes = 0;
  ASSERT_EQ(table().workspace_bytes(device, FATHOM_OP_MLA_PREFILL, &mla, &mla_bytes), FATHOM_OK);
  ASSERT_EQ(table().workspace_bytes(device, FATHOM_OP_MLA_DECODE, &mla, &decode_bytes), FATHOM_OK);
  ASSERT_EQ(table().workspace_bytes(device, FATHOM_OP_MOE_EXPERTS, &experts, &moe_bytes),
            FATHOM_OK);
  std::vector<char> workspace(std::max({mla_bytes, decode_bytes, moe_bytes}) + 64);
  mla.workspace = experts.workspace = workspace.data();
  mla.workspace_bytes = experts.workspace_bytes = workspace.size();

  const auto run = [&](fathom_op op, const void* args) {
    return table().kernels[op](device, nullptr, args);
  };
  AllocationCounter allocations;
  const fathom_status statuses[] = {
      run(FATHOM_OP_LINEAR, &linear), run(FATHOM_OP_MLA_PREFILL, &mla),
      run(FATHOM_OP_MLA_DECODE, &mla), run(FATHOM_OP_MOE_EXPERTS, &experts)};
  const int64_t counted = allocations.stop();
  for (const auto status : statuses) EXPECT_EQ(status, FATHOM_OK) << table().last_error();
  EXPECT_EQ(counted, 0);
  table().device_close(device);
}

TEST(Backend, MeasuresTheLimitsOfNativeKernels) {
  fathom_device* device = nullptr;
  ASSERT_EQ(open("native", 2, &device), FATHOM_OK);
  fathom_limits limits = {};
  EXPECT_EQ(table().measure_limits(device, &limits), FATHOM_INVALID) << "no size was given";
  limits.size = sizeof(limits);
  ASSERT_EQ(table().measure_limits(device, &limits), FATHOM_OK) << table().last_error();
  EXPECT_GT(limits.read_bytes_per_s, 0);
  EXPECT_GT(limits.bf16_flops_per_s, 0);
  table().device_close(device);

  ASSERT_EQ(open("reference", 1, &device), FATHOM_OK);
  EXPECT_EQ(table().measure_limits(device, &limits), FATHOM_UNSUPPORTED);
  table().device_close(device);
}

}  // namespace
}  // namespace fathom::cpu
