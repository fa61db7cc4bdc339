// The ranks that one rank of a model talks to, and what they say to each other in a step
// (docs/layouts.md, "What is sent"). A rank that is alone has no groups: nothing is called then.
#pragma once

#include <cstdint>
#include <memory>

#include "comm/group.h"
#include "models/deepseek_v3/sharding/parallel_layout.h"

namespace fathom::models::deepseek_v3 {

struct Ranks {
  // Of all ranks of a layout, which `world` consists of. Collective; `world` must outlive them.
  static Result<Ranks> join(comm::Group& world, const ParallelLayout& layout);

  bool alone() const { return world == nullptr; }
  comm::Tag tag(std::string_view name) const { return {step, name, {}}; }

  comm::Group* world = nullptr;         // null: alone
  std::unique_ptr<comm::Group> tensor;  // the ranks with the same tokens; null where tp = 1
  std::unique_ptr<comm::Group> data;    // by data index, each with this tensor index; null: dp = 1
  std::unique_ptr<comm::Group> pipeline;  // by stage, each with this place in it; null: pp = 1
  int64_t step = 0;                       // of the job, for tags
};

}  // namespace fathom::models::deepseek_v3
