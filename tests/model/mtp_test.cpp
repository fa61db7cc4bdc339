// The MTP layer on the embedded model's own greedy output: its token must be the model's next one
// for 70% or more, or drafting by it would not pay.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>
#include <vector>

#include "chips.h"
#include "jinja/chat_template.h"
#include "models/deepseek_v3/model.h"
#include "models/deepseek_v3/weights/checkpoint_source.h"
#include "tokenizer/tokenizer.h"

namespace fathom {
namespace {

namespace fs = std::filesystem;
namespace dsv3 = models::deepseek_v3;
using nlohmann::ordered_json;

constexpr int64_t kContext = 512;
constexpr int32_t kBlockSize = 32;
constexpr int kEveryNth = 12;  // of the held-out problems, over all tasks

// One sequence in blocks 0, 1, 2, ... of the cache.
class GreedySequence {
 public:
  GreedySequence(dsv3::Model& model, int32_t eos) : model_(model), eos_(eos) {
    for (int32_t block = 0; block < kContext / kBlockSize; ++block) blocks_.push_back(block);
  }

  struct Count {
    int64_t drafted = 0;
    int64_t right = 0;
  };

  // Generates greedily from the prompt and compares what the MTP layer said of each token before
  // the model did.
  Count run(std::vector<int32_t> prompt) {
    Count count;
    int32_t next = best(model_.forward(batch(prompt, 0)));
    int32_t drafted = draft(prompt, 0, next);
    auto position = static_cast<int64_t>(prompt.size());
    while (next != eos_ && position + 1 < kContext) {
      const std::vector<int32_t> token = {next};
      next = best(model_.forward(batch(token, position)));
      ++count.drafted;
      count.right += drafted == next ? 1 : 0;
      drafted = draft(token, position, next);
      ++position;
    }
    return count;
  }

 private:
  models::StepBatch batch(const std::vector<int32_t>& tokens, int64_t context) {
    const auto count = static_cast<int64_t>(tokens.size());
    tokens_ = tokens;
    positions_.clear();
    slots_.clear();
    for (int64_t i = 0; i < count; ++i) {
      positions_.push_back(static_cast<int32_t>(context + i));
      slots_.push_back(context + i);
    }
    sequences_ = {{0, count, context, blocks_}};
    logit_rows_ = {static_cast<int32_t>(count - 1)};
    models::StepBatch step;
    step.tokens = tokens_;
    step.positions = positions_;
    step.slots = slots_;
    (context == 0 ? step.given : step.generated) = sequences_;
    step.logit_rows = logit_rows_;
    return step;
  }

  // The MTP layer's token after `next`, which follows the last of `tokens`.
  int32_t draft(const std::vector<int32_t>& tokens, int64_t context, int32_t next) {
    std::vector<int32_t> following(tokens.begin() + 1, tokens.end());
    following.push_back(next);
    std::vector<int32_t> rows(tokens.size());
    std::iota(rows.begin(), rows.end(), 0);
    return best(model_.draft(batch(following, context), rows));
  }

  static int32_t best(const Result<std::span<const float>>& logits) {
    const auto& row = logits.value();
    return static_cast<int32_t>(std::max_element(row.begin(), row.end()) - row.begin());
  }

  dsv3::Model& model_;
  int32_t eos_;
  std::vector<int32_t> blocks_, tokens_, positions_, logit_rows_;
  std::vector<int64_t> slots_;
  std::vector<models::SequenceRows> sequences_;
};

std::vector<int32_t> tokens_of(const ordered_json& problem, const tokenizer::Tokenizer& tokenizer,
                               const jinja::ChatTemplate& chat) {
  const ordered_json variables = {{"add_generation_prompt", true},
                                  {"thinking", problem["thinking"]}};
  const auto pieces = chat.render(problem["messages"], &problem["tools"], variables).value();
  std::vector<tokenizer::Tokenizer::Piece> views;
  for (const auto& piece : pieces) views.push_back({piece.text, piece.trusted});
  return tokenizer.encode_pieces(views);
}

TEST(Mtp, FollowsTheEmbeddedModel) {
  const fs::path directory = fs::path(FATHOM_MODELS) / "tiny";
  const auto config = dsv3::Config::load(directory / "config.json").value();
  const auto tokenizer =
      tokenizer::Tokenizer::load(directory / "tokenizer.json", directory / "tokenizer_config.json")
          .value();
  const auto source = jinja::ChatTemplate::load_source(directory).value();
  const auto chat =
      jinja::ChatTemplate::parse(source.text, source.bos_token, source.eos_token).value();
  const auto device = open_chip(tested_chip());
  const models::RunLimits limits = {.max_step_tokens = kContext,
                                    .max_logit_rows = 1,
                                    .max_context = kContext,
                                    .max_step_sequences = 1,
                                    .num_kv_blocks = kContext / kBlockSize,
                                    .kv_block_size = kBlockSize};
  auto checkpoint = dsv3::CheckpointSource::open(directory, config).value();
  auto model = dsv3::Model::load(checkpoint, config, *device, limits, {}).value();
  ASSERT_TRUE(model->can_draft());

  GreedySequence sequence(*model, config.eos_token_ids.front());
  GreedySequence::Count all;
  std::ifstream problems(directory / "heldout.jsonl");
  std::string line;
  for (int i = 0; std::getline(problems, line); ++i) {
    if (i % kEveryNth != 0) continue;
    const auto count = sequence.run(tokens_of(ordered_json::parse(line), tokenizer, chat));
    all.drafted += count.drafted;
    all.right += count.right;
  }
  ASSERT_GE(all.drafted, 2000);
  const double share = static_cast<double>(all.right) / static_cast<double>(all.drafted);
  std::printf("MTP: %.1f%% of %ld tokens\n", 100 * share, static_cast<long>(all.drafted));
  EXPECT_GE(share, 0.70);
}

}  // namespace
}  // namespace fathom
