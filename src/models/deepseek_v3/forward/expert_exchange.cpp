#include "models/deepseek_v3/forward/expert_exchange.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "models/deepseek_v3/forward/step.h"
#include "models/deepseek_v3/weights/expert_table.h"

namespace fathom::models::deepseek_v3 {

Result<ExpertExchange> ExpertExchange::make(device::Device& device, const Config& config,
                                            const RankShard& shard, const ExchangeBuffers& buffers,
                                            int64_t rows, int64_t layers, fathom_comm* chips) {
  ExpertExchange exchange(config, shard, buffers, layers);
  if (chips != nullptr) {
    FATHOM_TRY(exchange.dispatch_by(chips, device, config, shard, rows));
    return exchange;
  }
  if (exchange.way_ == ExpertWay::kRouted) {
    FATHOM_ASSIGN(exchange.routed_, RoutedExperts::make(device, config, shard, buffers, rows));
  }
  return exchange;
}

ExpertExchange::ExpertExchange(const Config& config, const RankShard& shard,
                               const ExchangeBuffers& buffers, int64_t layers)
    : way_(expert_way(shard.layout)),
      top_k_(config.num_experts_per_tok),
      shared_(config.n_routed_experts),
      hidden_(config.hidden_size),
      groups_(shard.layout.tp / shard.layout.slices()),
      index_(shard.place.expert),
      data_(static_cast<size_t>(shard.place.data)),
      buffers_(buffers) {
  layers_.resize(static_cast<size_t>(layers));
  for (int64_t layer = 0; layer < layers; ++layer) place(layer, shard.experts);
  const auto replicas = static_cast<size_t>(shard.layout.dp);
  rows_.resize(replicas);
  told_bytes_.assign(replicas, sizeof(Rows));
  bytes_.resize(replicas);
  elements_.resize(replicas);
}

bool ExpertExchange::can_dispatch(const device::Device& device, const Config& config,
                                  const RankShard& shard, int64_t rows) {
  const auto shape = dispatch_shape(config, shard, device.activation_dtype(), rows);
  const Tensor x = device::matrix(nullptr, device.activation_dtype(), rows, config.hidden_size);
  return shape && ops::can_exchange_rows(device, *shape, x);
}

Status ExpertExchange::dispatch_by(fathom_comm* chips, device::Device& device, const Config& config,
                                   const RankShard& shard, int64_t rows) {
  const auto shape = dispatch_shape(config, shard, device.activation_dtype(), rows);
  FATHOM_CHECK(shape.has_value(), "experts: expected a range of them on each data index");
  way_ = ExpertWay::kDispatched;
  dispatched_ = *shape;
  dispatched_.comm = chips;
  dispatched_.out = buffers_.rows;
  dispatched_.out_ids = buffers_.ids;
  dispatched_.out_weights = buffers_.weights;
  dispatched_.counts = buffers_.came;
  std::vector<int32_t> counts(static_cast<size_t>(rows) + 1);
  std::iota(counts.begin(), counts.end(), 0);
  FATHOM_TRY(device.copy_to_device(buffers_.row_counts, counts.data(),
                                   counts.size() * sizeof(counts.front())));
  return device.synchronize();  // `counts` end here
}

// A rank's rows go to those of its own data index, where there are any, else to all in turn.
void ExpertExchange::place(int64_t layer, Placement placement) {
  auto& holders = layers_[static_cast<size_t>(layer)].holders;
  holders.assign(static_cast<size_t>(shared_) + 1, {});
  const auto is_near = [&](const ExpertHolder& holder) {
    return holder.index / groups_ == index_ / groups_;
  };
  for (size_t index = 0; index < placement.size(); ++index) {
    const auto& here = placement[index];
    for (size_t number = 0; number < here.size(); ++number) {
      const int64_t expert = here[number] == kSharedExpert ? shared_ : here[number];
      holders[static_cast<size_t>(expert)].push_back(
          {static_cast<int64_t>(index), static_cast<int32_t>(number)});
    }
  }
  for (auto& its : holders) {
    if (std::ranges::none_of(its, is_near)) continue;
    std::erase_if(its, [&](const ExpertHolder& holder) { return !is_near(holder); });
  }
  layers_[static_cast<size_t>(layer)].placement = std::move(placement);
}

const char* ExpertExchange::way() const {
  switch (way_) {
    case ExpertWay::kOwn:
      return "each rank runs its own on all rows, and nothing is passed on";
    case ExpertWay::kGathered:
      return "rows of all replicas are gathered, results are scattered";
    case ExpertWay::kRouted:
      return "rows go where the host counts them to, all to all";
    case ExpertWay::kDispatched:
      return "the chips send rows to their experts and bring back results (moe_dispatch)";
  }
  return "";
}

ExpertExchanges ExpertExchange::exchanges() const {
  switch (way_) {
    case ExpertWay::kOwn:
      return {"own", runs_};
    case ExpertWay::kGathered:
      return {"gather", runs_};
    case ExpertWay::kRouted:
      return {"all_to_all", runs_};
    case ExpertWay::kDispatched:
      return {"operator", runs_};
  }
  return {};
}

Status ExpertExchange::begin_step(const Ranks& ranks, int64_t rows, int64_t rows_of_last_block) {
  in_last_block_ = false;
  if (way_ != ExpertWay::kGathered) return {};
  const Rows own = {rows, rows_of_last_block};
  return ranks.data->all_gather(ranks.tag("step_rows"), &own, rows_.data(), told_bytes_);
}

int64_t ExpertExchange::rows_of(size_t data) const {
  return in_last_block_ ? rows_[data].of_last_block : rows_[data].all;
}

std::span<const size_t> ExpertExchange::bytes_of_rows(size_t of_row) {
  for (size_t data = 0; data < rows_.size(); ++data) {
    bytes_[data] = static_cast<size_t>(rows_of(data)) * of_row;
  }
  return bytes_;
}

// Where each expert has one place, a rank's own are a range: the gate's numbers do for them.
ops::MoeExperts ExpertExchange::own_experts(const Step& step, const MoeWeights& weights) const {
  ops::MoeExperts experts = experts_of(weights);
  if (way_ == ExpertWay::kRouted) return experts;
  experts.first = at(step.layer).placement[static_cast<size_t>(index_)].front();
  return experts;
}

Status ExpertExchange::run(Step& step, const MoeWeights& weights, ops::Accumulate accumulate) {
  auto& at = step.at;
  const ops::MoeExperts experts = own_experts(step, weights);
  ++runs_;
  if (way_ == ExpertWay::kGathered) return run_gathered(step, experts, accumulate);
  if (way_ == ExpertWay::kDispatched) return run_dispatched(step, experts, accumulate);
  if (way_ == ExpertWay::kRouted) {
    return routed_->run(step, this->at(step.layer).holders, experts, accumulate);
  }
  return ops::moe_experts(step.ops, at.normed, at.expert_ids, at.expert_weights,
                          static_cast<int32_t>(top_k_), experts, accumulate, at.x);  // [T, H]
}

// Of the rows that other ranks send and that do not come, none has an expert here.
Status ExpertExchange::run_dispatched(Step& step, const ops::MoeExperts& experts,
                                      ops::Accumulate accumulate) {
  auto& at = step.at;
  ops::MoeExchange exchange = dispatched_;
  exchange.rows = buffers_.row_counts + at.normed.shape[0];
  exchange.expert_ids = at.expert_ids;
  exchange.expert_weights = at.expert_weights;
  FATHOM_TRY(ops::moe_dispatch(step.ops, exchange, at.normed));
  FATHOM_TRY(ops::moe_experts(step.ops, buffers_.rows, buffers_.ids, buffers_.weights,
                              static_cast<int32_t>(top_k_), experts, ops::Accumulate::kOverwrite,
                              buffers_.results));  // [dp * T, H]
  exchange.out = buffers_.results;
  return ops::moe_combine(step.ops, exchange, accumulate, at.x);  // [T, H]
}

Status ExpertExchange::run_gathered(Step& step, const ops::MoeExperts& experts,
                                    ops::Accumulate accumulate) {
  auto& at = step.at;
  ChipGroup& ranks = step.links->data();
  int64_t all = 0;
  int64_t before = 0;
  for (size_t data = 0; data < rows_.size(); ++data) {
    if (data == data_) before = all;
    all += rows_of(data);
    elements_[data] = rows_of(data) * hidden_;
  }
  if (all == 0) return {};
  const int64_t own = rows_of(data_);
  FATHOM_CHECK(at.normed.shape[0] == own, "experts: expected the rows that ranks were told of");
  const auto dtype = static_cast<fathom_dtype>(at.normed.dtype);
  const auto choices = static_cast<size_t>(top_k_);
  const comm::Tag dispatch = step.ranks.tag("dispatch");
  FATHOM_TRY(
      ranks.all_gather(dispatch, at.normed.data, buffers_.rows.data,
                       bytes_of_rows(static_cast<size_t>(hidden_) * device::dtype_size(dtype))));
  FATHOM_TRY(ranks.all_gather(dispatch, at.expert_ids, buffers_.ids,
                              bytes_of_rows(choices * sizeof(int32_t))));
  FATHOM_TRY(ranks.all_gather(dispatch, at.expert_weights, buffers_.weights,
                              bytes_of_rows(choices * sizeof(float))));
  const Tensor results = device::rows(buffers_.results, 0, all);
  FATHOM_TRY(ops::moe_experts(step.ops, device::rows(buffers_.rows, 0, all), buffers_.ids,
                              buffers_.weights, static_cast<int32_t>(top_k_), experts,
                              ops::Accumulate::kOverwrite, results));  // [T_all, H]
  const bool adds = accumulate == ops::Accumulate::kAdd;
  const Tensor sums = adds ? device::rows(results, before, own) : at.x;  // [T, H]
  FATHOM_TRY(
      ranks.reduce_scatter(step.ranks.tag("combine"), dtype, results.data, sums.data, elements_));
  return adds && own > 0 ? ops::add(step.ops, at.x, sums) : Status();
}

}  // namespace fathom::models::deepseek_v3
