#include "models/deepseek_v3/ranks/rank_links.h"

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace fathom::models::deepseek_v3 {
namespace {

constexpr std::chrono::seconds kLongestMeeting(30);
// A step of many rows may take long; who is lost is found without it.
constexpr std::chrono::minutes kLongestStep(5);

// An id on its way from the first rank of a group, or that there is none.
struct SentId {
  fathom_comm_id id = {};
  int64_t is_there = 0;
};

comm::Tag start_tag(std::string_view name) {
  return {-1, name, {}};
}

// Every rank of the group makes the same calls, whatever fails on one.
Result<std::unique_ptr<ChipGroup>> link_group(device::Device& device, comm::Group& group) {
  SentId sent;
  Status made;
  if (group.rank() == 0) {
    const auto id = device::Communicator::make_id(device);
    if (id) sent = {*id, 1};
    if (!id) made = id.error();
  }
  FATHOM_TRY(group.broadcast(start_tag("comm_id"), 0, &sent, sizeof(sent)));
  if (!made) return made.error();
  if (sent.is_there == 0) {
    return Error{ErrorCode::kUnavailable, "comm_id: failed on the first rank of the group"};
  }
  FATHOM_ASSIGN(auto chips, device::Communicator::join(device, sent.id, group.rank(), group.size(),
                                                       kLongestMeeting));
  return on_the_stream(std::move(chips));
}

}  // namespace

Result<std::unique_ptr<RankLinks>> RankLinks::make(device::Device& device, const Ranks& ranks,
                                                   const Config& config,
                                                   const ParallelLayout& layout,
                                                   const RunLimits& limits) {
  auto links = std::unique_ptr<RankLinks>(new RankLinks(device, *ranks.world, layout.tp));
  FATHOM_ASSIGN(const bool have, links->all_ranks("collectives", device.collectives()));
  if (have) FATHOM_TRY(links->link_chips(ranks));
  const bool first = ranks.world->rank() == 0;
  if (links->on_stream_) {
    if (first) {
      log_info("chip {}: ranks exchange by collectives on the chip's stream",
               device.backend().name);
    }
    return links;
  }
  FATHOM_TRY(links->link_hosts(ranks, config, layout, limits));
  if (first && !device.host_memory()) {
    log_info("chip {}: the host cannot touch its memory: ranks exchange copies, {} MiB",
             device.backend().name, (links->staging_.bytes() >> 20) + 1);
  }
  return links;
}

RankLinks::~RankLinks() {
  abort();
}

// What the chips cannot do the hosts can.
Status RankLinks::link_chips(const Ranks& ranks) {
  Status linked;
  const auto link = [&](const std::unique_ptr<comm::Group>& group, std::unique_ptr<ChipGroup>& to) {
    if (!group) return;
    auto chips = link_group(device_, *group);
    if (chips) {
      to = std::move(*chips);
    } else if (linked) {
      linked = chips.error();
    }
  };
  link(ranks.tensor, tensor_);
  link(ranks.data, data_);
  link(ranks.pipeline, pipeline_);
  auto end = device_.create_event();
  if (end) end_ = std::move(*end);
  if (!end && linked) linked = end.error();
  if (!linked) log_warning("collectives on the chip's stream: {}", linked.error().message);
  FATHOM_ASSIGN(on_stream_, all_ranks("linked", linked.ok()));
  if (!on_stream_) abort();
  return {};
}

Status RankLinks::link_hosts(const Ranks& ranks, const Config& config, const ParallelLayout& layout,
                             const RunLimits& limits) {
  // Of one tensor of all rows at a time; of all data indices' where they exchange some; of logits
  // where the vocabulary is divided.
  const int64_t rows = limits.max_step_tokens;
  const int64_t widest = std::max({config.hidden_size, config.q_lora_rank, config.latent_dim()});
  const int64_t values = std::max(rows * widest, layout.dp * rows * config.hidden_size);
  const size_t width = device::dtype_size(device_.activation_dtype());
  const int64_t logits =
      layout.tp > 1 ? limits.max_logit_rows * part_of(config.vocab_size, 0, layout.tp).size() : 0;
  const size_t bytes =
      std::max(static_cast<size_t>(values) * width, static_cast<size_t>(logits) * sizeof(float));
  FATHOM_ASSIGN(staging_, RankStaging::make(device_, bytes, layout.dp > 1));
  const auto link = [&](const std::unique_ptr<comm::Group>& group) {
    return group ? through_the_host(*group, device_, staging_) : nullptr;
  };
  tensor_ = link(ranks.tensor);
  data_ = link(ranks.data);
  pipeline_ = link(ranks.pipeline);
  return {};
}

Result<bool> RankLinks::all_ranks(const char* what, bool here) const {
  float missing = here ? 0 : 1;
  FATHOM_TRY(world_.all_reduce(start_tag(what), FATHOM_F32, &missing, 1));
  return missing == 0;
}

void RankLinks::abort() {
  if (std::exchange(aborted_, true)) return;
  for (auto* group : {&tensor_, &data_, &pipeline_}) {
    if (*group) (*group)->abort();
  }
}

Status RankLinks::wait(const Ranks& ranks) {
  if (!on_stream_) return device_.synchronize();
  FATHOM_TRY(device_.record(end_));
  const comm::Tag tag = {ranks.step, "chip", kLongestStep};
  return world_.await(tag, [this] { return device_.reached(end_); });
}

Error RankLinks::fail(const Error& error) {
  if (!on_stream_) return error;
  abort();
  return world_.explain(error);
}

}  // namespace fathom::models::deepseek_v3
