// Graphs as a host uses them: what is recorded, when it runs, and what it finds then.
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "backends/cpu/discrete/device_memory.h"
#include "backends/cpu/discrete/discrete_backend.h"
#include "backends/cpu/testing/chip.h"

namespace fathom::cpu::discrete {
namespace {

using test::Chip;
using test::matrix;
using test::rows_weight;

class Graphs : public ::testing::Test {
 protected:
  ~Graphs() override {
    for (fathom_graph* graph : graphs_) chip.table.graph_destroy(chip.device, graph);
  }

  void begin() { ASSERT_EQ(chip.table.graph_begin(chip.device, chip.stream), FATHOM_OK); }
  fathom_status end(fathom_graph** graph) {
    return chip.table.graph_end(chip.device, chip.stream, graph);
  }
  fathom_graph* record(const std::function<void()>& queue) {
    begin();
    queue();
    fathom_graph* graph = nullptr;
    EXPECT_EQ(end(&graph), FATHOM_OK) << chip.error();
    graphs_.push_back(graph);
    return graph;
  }
  void launch(fathom_graph* graph) {
    ASSERT_EQ(chip.table.graph_launch(chip.device, chip.stream, graph), FATHOM_OK) << chip.error();
  }
  void copy_on_device(void* to, const void* from, size_t bytes) {
    ASSERT_EQ(chip.table.copy_on_device(chip.device, chip.stream, to, from, bytes), FATHOM_OK)
        << chip.error();
  }
  void embed(const int32_t* token, float* out) {
    const fathom_embed_args args = {sizeof(args), token, 1, rows_weight(embeddings_, 3, 2),
                                    matrix(out, 1, 2)};
    ASSERT_EQ(chip.run(FATHOM_OP_EMBED, &args), FATHOM_OK) << chip.error();
  }
  bool told(const std::string& part) { return chip.error().find(part) != std::string::npos; }

  Chip chip{fathom_cpu_discrete_backend_entry, "reference", 1};

 private:
  const float* embeddings_ = chip.upload(std::vector<float>{10, 11, 20, 21, 30, 31});
  std::vector<fathom_graph*> graphs_;
};

TEST_F(Graphs, RunOnlyWhenTheyAreLaunched) {
  const int32_t* token = chip.upload(std::vector<int32_t>{1});
  auto* out = chip.memory<float>(2);
  fathom_graph* graph = record([&] { embed(token, out); });
  EXPECT_EQ(chip.download(reinterpret_cast<uint32_t*>(out), 1)[0], kPoison);
  launch(graph);
  EXPECT_EQ(chip.download(out, 2), (std::vector<float>{20, 21}));
}

TEST_F(Graphs, ReadMemoryAsItIsAtEachLaunch) {
  auto* token = chip.memory<int32_t>(1);
  auto* row = chip.memory<float>(2);
  auto* out = chip.memory<float>(2);
  fathom_graph* graph = record([&] {
    embed(token, row);
    copy_on_device(out, row, 2 * sizeof(float));
  });
  for (const int32_t each : {2, 0, 1, 1, 2}) {
    chip.write(token, std::vector<int32_t>{each});
    launch(graph);
    const auto expected = static_cast<float>(10 * (each + 1));
    EXPECT_EQ(chip.download(out, 2), (std::vector<float>{expected, expected + 1}));
  }
}

// Launches and other work, more of both than the ring holds.
TEST_F(Graphs, RunInTheOrderOfTheirStream) {
  constexpr size_t kCount = 200;
  std::vector<int32_t> tokens;
  for (size_t i = 0; i < kCount; ++i) tokens.push_back(static_cast<int32_t>(i * 7 % 3));
  auto* token = chip.memory<int32_t>(1);
  auto* out = chip.memory<float>(2);
  auto* all = chip.memory<float>(2 * kCount);
  fathom_graph* graph = record([&] { embed(token, out); });
  std::vector<float> expected;
  for (size_t i = 0; i < kCount; ++i) {
    ASSERT_EQ(chip.table.copy_to_device(chip.device, chip.stream, token, &tokens[i], 4), FATHOM_OK);
    launch(graph);
    copy_on_device(all + 2 * i, out, 2 * sizeof(float));
    expected.push_back(static_cast<float>(10 * (tokens[i] + 1)));
    expected.push_back(expected.back() + 1);
  }
  EXPECT_EQ(chip.download(all, 2 * kCount), expected);
}

TEST_F(Graphs, HoldOperatorsAndCopiesOnTheDeviceAlone) {
  auto* memory = chip.memory<float>(2);
  float host[2] = {};
  fathom_event* event = nullptr;
  ASSERT_EQ(chip.table.event_create(chip.device, &event), FATHOM_OK);
  fathom_graph* other = record([] {});
  const auto refused = [&](const char* call, fathom_status status) {
    EXPECT_EQ(status, FATHOM_INVALID) << call;
    EXPECT_TRUE(told(std::string(call) + ": expected operators")) << chip.error();
  };
  const fathom_backend& table = chip.table;
  fathom_graph* graph = record([&] {
    refused("copy_to_device",
            table.copy_to_device(chip.device, chip.stream, memory, host, sizeof(host)));
    refused("copy_to_host",
            table.copy_to_host(chip.device, chip.stream, host, memory, sizeof(host)));
    refused("stream_synchronize", chip.synchronize());
    refused("event_record", table.event_record(chip.device, chip.stream, event));
    refused("event_wait", table.event_wait(chip.device, chip.stream, event));
    refused("graph_begin", table.graph_begin(chip.device, chip.stream));
    refused("graph_launch", table.graph_launch(chip.device, chip.stream, other));
    copy_on_device(memory + 1, memory, sizeof(float));
  });
  chip.write(memory, std::vector<float>{3});
  launch(graph);
  EXPECT_EQ(chip.download(memory, 2), (std::vector<float>{3, 3}));
  EXPECT_EQ(end(&graph), FATHOM_INVALID);
  EXPECT_TRUE(told("expected graph_begin()")) << chip.error();
  table.event_destroy(chip.device, event);
}

// What is wrong with arguments is told while they are recorded.
TEST_F(Graphs, CheckArgumentsWhenTheyAreRecorded) {
  auto* out = chip.memory<float>(2);
  float host[2] = {};
  record([&] {
    const fathom_add_args args = {sizeof(args), matrix(out, 1, 2), matrix(host, 1, 2)};
    EXPECT_EQ(chip.run(FATHOM_OP_ADD, &args), FATHOM_INVALID);
    EXPECT_TRUE(told("add: expected y in device memory")) << chip.error();
  });
}

TEST_F(Graphs, TellWhatFailsInALaunchAndDropWhatIsBehindIt) {
  auto* token = chip.upload(std::vector<int32_t>{7});
  auto* out = chip.upload(std::vector<float>{1, 2, 3, 4});
  fathom_graph* graph = record([&] {
    embed(token, out);
    copy_on_device(out + 2, out, 2 * sizeof(float));
  });
  launch(graph);
  EXPECT_EQ(chip.synchronize(), FATHOM_INVALID);
  EXPECT_TRUE(told("tokens[0] in [-1, 3), got 7")) << chip.error();
  EXPECT_EQ(chip.download(out, 4), (std::vector<float>{1, 2, 3, 4}));
  chip.write(token, std::vector<int32_t>{0});
  launch(graph);
  EXPECT_EQ(chip.download(out, 4), (std::vector<float>{10, 11, 10, 11}));
}

TEST_F(Graphs, EndBehindTheirWork) {
  const int32_t* token = chip.upload(std::vector<int32_t>{1});
  auto* out = chip.memory<float>(2);
  for (int i = 0; i < 50; ++i) {
    begin();
    embed(token, out);
    fathom_graph* graph = nullptr;
    ASSERT_EQ(end(&graph), FATHOM_OK);
    launch(graph);
    chip.table.graph_destroy(chip.device, graph);
  }
  EXPECT_EQ(chip.download(out, 2), (std::vector<float>{20, 21}));
}

// An expert that moves is a new address in the table: no launch looks at the old one again, which
// is gone by then.
TEST_F(Graphs, FindExpertsWhereTheTableSays) {
  const auto weights = [](float value) { return std::vector<float>(4, value); };
  float* up = chip.upload(weights(1));
  const auto expert = [&](const float* down) {
    return std::vector<fathom_expert>{{up, up, down, nullptr, nullptr, nullptr}};
  };
  void* first = nullptr;
  ASSERT_EQ(chip.table.alloc(chip.device, 4 * sizeof(float), &first), FATHOM_OK);
  chip.write(static_cast<float*>(first), weights(2));
  fathom_moe_experts_args args = {};
  args.size = sizeof(args);
  args.x = matrix(chip.upload(std::vector<float>{1, 1}), 1, 2);
  args.expert_ids = chip.upload(std::vector<int32_t>{0});
  args.expert_weights = chip.upload(std::vector<float>{1.0f});
  args.top_k = 1;
  args.num_experts = 1;
  auto* table = chip.upload(expert(static_cast<const float*>(first)));
  args.experts = table;
  args.gate = args.up = args.down = rows_weight(nullptr, 2, 2);
  auto* out = chip.memory<float>(2);
  args.out = matrix(out, 1, 2);
  chip.add_workspace(FATHOM_OP_MOE_EXPERTS, args);
  fathom_graph* graph =
      record([&] { EXPECT_EQ(chip.run(FATHOM_OP_MOE_EXPERTS, &args), FATHOM_OK); });
  launch(graph);
  const auto before = chip.download(out, 2);
  EXPECT_GT(before[0], 0);

  chip.write(table, expert(chip.upload(weights(2))));
  chip.table.free(chip.device, first);
  launch(graph);
  EXPECT_EQ(chip.download(out, 2), before) << "the same weights elsewhere";
  chip.write(table, expert(chip.upload(weights(4))));
  launch(graph);
  EXPECT_EQ(chip.download(out, 2), (std::vector<float>{2 * before[0], 2 * before[1]}));
}

}  // namespace
}  // namespace fathom::cpu::discrete
