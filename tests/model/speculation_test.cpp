// Speculation with the embedded model on the real kernels: the same tokens at any number of drafts,
// alone and in a batch.
#include <gtest/gtest.h>

#include <vector>

#include "chips.h"
#include "engine/testing/harness.h"
#include "models/deepseek_v3/model.h"
#include "models/deepseek_v3/weights/checkpoint_source.h"

namespace fathom {
namespace {

namespace dsv3 = models::deepseek_v3;

constexpr int64_t kAnswer = 48;

std::vector<engine::Request> requests() {
  std::vector<engine::Request> all;
  for (uint64_t seed = 1; seed <= 6; ++seed) {
    engine::Request request = engine::some_request(static_cast<int64_t>(20 * seed), kAnswer, seed);
    request.sampling.ignore_eos = true;
    if (seed % 2 == 0) request.sampling.temperature = 0;
    if (seed % 3 == 0) request.sampling.frequency_penalty = 0.5f;
    if (seed % 3 == 1) request.sampling.top_p = 0.9f;
    all.push_back(std::move(request));
  }
  return all;
}

struct Outcome {
  std::vector<std::vector<engine::TokenId>> answers;
  engine::EngineStats stats;
};

Outcome run(device::Device& device, int64_t drafts) {
  const auto directory = std::filesystem::path(FATHOM_MODELS) / "tiny";
  const auto config = dsv3::Config::load(directory / "config.json").value();
  const models::RunLimits limits = {.max_step_tokens = 256,
                                    .max_logit_rows = 32,
                                    .max_context = 256,
                                    .max_step_sequences = 8,
                                    .num_kv_blocks = 64,
                                    .kv_block_size = 32};
  auto checkpoint = dsv3::CheckpointSource::open(directory, config).value();
  auto model = dsv3::Model::load(checkpoint, config, device, limits, {}).value();
  const auto made = engine::make_engine(std::move(model), {.max_running = 8,
                                                           .prefill_chunk = 64,
                                                           .exact = true,
                                                           .speculate = drafts,
                                                           .speculate_always = true})
                        .value();
  Outcome result;
  const auto all = requests();
  std::vector<engine::Client> clients(all.size());
  for (size_t i = 0; i < all.size(); ++i) engine::submit(*made, all[i], clients[i]);
  for (const auto& client : clients) result.answers.push_back(client.wait().tokens);
  engine::Client alone;
  engine::submit(*made, all.front(), alone);
  result.answers.push_back(alone.wait().tokens);
  result.stats = made->stats();
  return result;
}

TEST(Speculation, ChangesNoTokenOfTheEmbeddedModel) {
  const auto device = open_chip(tested_chip());
  const Outcome plain = run(*device, 0);
  EXPECT_EQ(plain.answers.front(), plain.answers.back());
  for (const int64_t drafts : {1, 2, 3}) {
    const Outcome drafted = run(*device, drafts);
    EXPECT_EQ(drafted.answers, plain.answers);
    EXPECT_LT(drafted.stats.steps, plain.stats.steps);
    std::printf("%ld drafts: %lu of %lu right, %lu steps for %lu\n", static_cast<long>(drafts),
                drafted.stats.accepted_draft_tokens, drafted.stats.draft_tokens,
                drafted.stats.steps, plain.stats.steps);
  }
}

TEST(Speculation, NeitherDoesMemoryOfTheChipsOwn) {
  const auto cpu = open_chip(kCpu);
  const auto discrete = open_chip(kCpuDiscrete);
  for (const int64_t drafts : {0, 2}) {
    EXPECT_EQ(run(*discrete, drafts).answers, run(*cpu, drafts).answers) << drafts;
  }
}

}  // namespace
}  // namespace fathom
