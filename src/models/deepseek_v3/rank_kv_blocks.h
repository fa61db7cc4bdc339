// KV blocks of a model over several ranks: rank 0 gathers and scatters their layers. The ranks of
// each stage have the layers of theirs. A latent is not divided by heads, so the first rank of a
// replica reads for all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "comm/group.h"
#include "models/deepseek_v3/model.h"
#include "models/deepseek_v3/step/step_message.h"

namespace fathom::models::deepseek_v3 {

// On rank 0.
class RankKvBlocks {
 public:
  // Both outlive it.
  RankKvBlocks(Model& own, comm::Group& world) : own_(own), world_(world) {}

  // With the layers of all stages.
  KvBlockFormat format() const;
  // The other ranks are in follow_blocks() with the same step and list.
  Status gather(int64_t step, const BlockList& list, std::span<std::byte> out);
  Status scatter(int64_t step, const BlockList& list, std::span<const std::byte> in);

 private:
  Model& own_;
  comm::Group& world_;
  std::vector<std::byte> layers_;  // of one stage
};

// What every other rank does then.
Status follow_blocks(Model& own, comm::Group& world, int64_t step, StepKind kind,
                     const BlockList& list);

}  // namespace fathom::models::deepseek_v3
