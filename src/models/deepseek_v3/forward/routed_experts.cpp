#include "models/deepseek_v3/forward/routed_experts.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "models/deepseek_v3/forward/rank_exchange.h"

namespace fathom::models::deepseek_v3 {
namespace {

constexpr int64_t kNoRow = -1;

int64_t sum_of(const std::vector<int64_t>& numbers) {
  return std::accumulate(numbers.begin(), numbers.end(), int64_t{0});
}

void fill_bytes(const std::vector<int64_t>& rows, size_t of_row, std::vector<size_t>& bytes) {
  std::ranges::transform(rows, bytes.begin(),
                         [&](int64_t count) { return static_cast<size_t>(count) * of_row; });
}

}  // namespace

Result<RoutedExperts> RoutedExperts::make(device::Device& device, const Config& config,
                                          const RankShard& shard, const ExchangeBuffers& buffers,
                                          int64_t rows) {
  const ExchangeSizes sizes(config, shard, rows);
  HostSide host;
  const auto numbers = [&](int64_t count) {
    return Staging::make(device, static_cast<size_t>(count) * sizeof(int32_t));
  };
  FATHOM_ASSIGN(host.chosen_ids, numbers(rows * config.num_experts_per_tok));
  FATHOM_ASSIGN(host.chosen_weights, numbers(rows * config.num_experts_per_tok));
  FATHOM_ASSIGN(host.ids, numbers(sizes.wishes));
  FATHOM_ASSIGN(host.weights, numbers(sizes.wishes));
  FATHOM_ASSIGN(host.picks, numbers(sizes.leaving));
  FATHOM_ASSIGN(host.places, numbers(sizes.stops * rows));
  RoutedExperts routed(config, shard, buffers, std::move(host));
  routed.found_.reserve(static_cast<size_t>(rows * sizes.visits));
  routed.leaving_ids_.resize(static_cast<size_t>(sizes.leaving * sizes.visits));
  routed.leaving_weights_.resize(routed.leaving_ids_.size());
  return routed;
}

RoutedExperts::RoutedExperts(const Config& config, const RankShard& shard,
                             const ExchangeBuffers& buffers, HostSide host)
    : top_k_(config.num_experts_per_tok),
      visits_(top_k_ + (shard.layout.shared > 0 ? 1 : 0)),
      shared_(config.n_routed_experts),
      groups_(shard.layout.tp / shard.layout.slices()),
      group_(shard.place.expert % groups_),
      buffers_(buffers),
      host_(std::move(host)) {
  const auto replicas = static_cast<size_t>(shard.layout.dp);
  for (auto* list : {&to_, &from_, &next_, &last_row_, &written_}) list->resize(replicas);
  count_bytes_.assign(replicas, sizeof(int64_t));
  to_bytes_.resize(replicas);
  from_bytes_.resize(replicas);
}

Status RoutedExperts::run(Step& step, const ExpertHolders& holders, const ops::MoeExperts& experts,
                          ops::Accumulate accumulate) {
  FATHOM_TRY(fetch_choices(step));
  find_visits(step, holders);
  if (!step.ranks.data) return run_here(step, experts, accumulate);
  const int64_t leaving = lay_out(step.at.normed.shape[0]);
  FATHOM_TRY(exchange_wishes(step));
  FATHOM_TRY(send_rows(step, leaving));
  FATHOM_TRY(run_arrived(step, experts));
  FATHOM_TRY(pass_rows(step, "combine", buffers_.results, from_, buffers_.returned, to_));
  return add_returned(step, leaving, accumulate);
}

Status RoutedExperts::fetch_choices(Step& step) {
  const auto& at = step.at;
  const auto choices = static_cast<size_t>(at.normed.shape[0] * top_k_);
  FATHOM_TRY(host_.chosen_ids.fetch(at.expert_ids, choices * sizeof(int32_t)));
  FATHOM_TRY(host_.chosen_weights.fetch(at.expert_weights, choices * sizeof(float)));
  return step.links->wait(step.ranks);
}

void RoutedExperts::find_visits(const Step& step, const ExpertHolders& holders) {
  const int32_t* ids = host_.chosen_ids.host(step.at.expert_ids);
  const float* weights = host_.chosen_weights.host(step.at.expert_weights);
  found_.clear();
  for (int64_t row = 0; row < step.at.normed.shape[0]; ++row) {
    for (int64_t choice = 0; choice < top_k_; ++choice) {
      const int64_t at = row * top_k_ + choice;
      visit(holders, {0, row, choice, 0, weights[at]}, ids[at]);
    }
    if (visits_ > top_k_) visit(holders, {0, row, top_k_, 0, 1.0f}, shared_);
  }
}

// Ranks of another group of the data index find the others.
void RoutedExperts::visit(const ExpertHolders& holders, const Visit& wish, int64_t expert) {
  // A simulated chip chooses no experts: its numbers may be any.
  if (expert < 0 || expert > shared_) return;
  const auto& its = holders[static_cast<size_t>(expert)];
  const ExpertHolder& holder = its[static_cast<size_t>(wish.row) % its.size()];
  if (holder.index % groups_ != group_) return;
  found_.push_back(wish);
  found_.back().data = holder.index / groups_;
  found_.back().number = holder.number;
}

Status RoutedExperts::run_here(Step& step, const ops::MoeExperts& experts,
                               ops::Accumulate accumulate) {
  auto& at = step.at;
  const int64_t rows = at.normed.shape[0];
  const auto bytes = static_cast<size_t>(rows * visits_) * sizeof(int32_t);
  int32_t* ids = host_.ids.host(buffers_.ids);
  float* weights = host_.weights.host(buffers_.weights);
  std::fill_n(ids, rows * visits_, -1);
  std::fill_n(weights, rows * visits_, 0.0f);
  for (const Visit& found : found_) {
    ids[found.row * visits_ + found.choice] = found.number;
    weights[found.row * visits_ + found.choice] = found.weight;
  }
  FATHOM_TRY(host_.ids.put(buffers_.ids, bytes));
  FATHOM_TRY(host_.weights.put(buffers_.weights, bytes));
  return ops::moe_experts(step.ops, at.normed, buffers_.ids, buffers_.weights,
                          static_cast<int32_t>(visits_), experts, accumulate, at.x);  // [T, H]
}

// Gives each row that leaves its place, and each of its results; how many rows leave.
int64_t RoutedExperts::lay_out(int64_t rows) {
  count_rows();
  std::exclusive_scan(to_.begin(), to_.end(), next_.begin(), int64_t{0});
  const int64_t leaving = sum_of(to_);
  std::fill_n(leaving_ids_.begin(), leaving * visits_, -1);
  std::fill_n(leaving_weights_.begin(), leaving * visits_, 0.0f);
  std::fill_n(host_.places.host(buffers_.places), buffers_.leaving.shape[0], -1);
  std::ranges::fill(last_row_, kNoRow);
  stops_ = 1;
  for (size_t i = 0; i < found_.size(); ++i) {
    place_visit(found_[i]);
    const bool ends_row = i + 1 == found_.size() || found_[i + 1].row != found_[i].row;
    if (ends_row) place_results(found_[i].row, rows);
  }
  return leaving;
}

void RoutedExperts::count_rows() {
  std::ranges::fill(to_, 0);
  std::ranges::fill(last_row_, kNoRow);
  for (const Visit& found : found_) {
    const auto data = static_cast<size_t>(found.data);
    if (std::exchange(last_row_[data], found.row) != found.row) ++to_[data];
  }
}

void RoutedExperts::place_visit(const Visit& found) {
  const auto data = static_cast<size_t>(found.data);
  if (std::exchange(last_row_[data], found.row) != found.row) {
    host_.picks.host(buffers_.picks)[next_[data]] = static_cast<int32_t>(found.row);
    ++next_[data];
    written_[data] = 0;
  }
  const auto at = static_cast<size_t>((next_[data] - 1) * visits_ + written_[data]++);
  leaving_ids_[at] = found.number;
  leaving_weights_[at] = found.weight;
}

// In the order of data indices, in which they are added up.
void RoutedExperts::place_results(int64_t row, int64_t rows) {
  int32_t* places = host_.places.host(buffers_.places);
  int64_t stop = 0;
  for (size_t data = 0; data < last_row_.size(); ++data) {
    if (last_row_[data] != row) continue;
    places[stop * rows + row] = static_cast<int32_t>(next_[data] - 1);
    ++stop;
  }
  stops_ = std::max(stops_, stop);
}

// How many rows come, and which experts they want.
Status RoutedExperts::exchange_wishes(Step& step) {
  comm::Group& hosts = *step.ranks.data;
  FATHOM_TRY(hosts.all_to_all(step.ranks.tag("dispatch_counts"), to_.data(), count_bytes_,
                              from_.data(), count_bytes_));
  const bool fits = std::ranges::all_of(from_, [](int64_t rows) { return rows >= 0; }) &&
                    sum_of(from_) <= buffers_.rows.shape[0];
  if (!fits) {
    return Error{ErrorCode::kDataCorrupt,
                 fmt::format("dispatch: expected at most {} rows from all ranks, got {}",
                             buffers_.rows.shape[0], sum_of(from_))};
  }
  const auto of_row = static_cast<size_t>(visits_) * sizeof(int32_t);
  fill_bytes(to_, of_row, to_bytes_);
  fill_bytes(from_, of_row, from_bytes_);
  FATHOM_TRY(hosts.all_to_all(step.ranks.tag("dispatch_ids"), leaving_ids_.data(), to_bytes_,
                              host_.ids.host(buffers_.ids), from_bytes_));
  FATHOM_TRY(hosts.all_to_all(step.ranks.tag("dispatch_weights"), leaving_weights_.data(),
                              to_bytes_, host_.weights.host(buffers_.weights), from_bytes_));
  const auto bytes = static_cast<size_t>(sum_of(from_)) * of_row;
  FATHOM_TRY(host_.ids.put(buffers_.ids, bytes));
  return host_.weights.put(buffers_.weights, bytes);
}

Status RoutedExperts::send_rows(Step& step, int64_t leaving) {
  const int64_t rows = step.at.normed.shape[0];
  FATHOM_TRY(host_.picks.put(buffers_.picks, static_cast<size_t>(leaving) * sizeof(int32_t)));
  FATHOM_TRY(
      host_.places.put(buffers_.places, static_cast<size_t>(stops_ * rows) * sizeof(int32_t)));
  if (leaving > 0) {
    FATHOM_TRY(ops::embed(step.ops, buffers_.picks, as_table(step.at.normed),
                          device::rows(buffers_.leaving, 0, leaving)));
  }
  return pass_rows(step, "dispatch", buffers_.leaving, to_, buffers_.rows, from_);
}

Status RoutedExperts::pass_rows(Step& step, const char* name, const Tensor& from,
                                const std::vector<int64_t>& from_rows, const Tensor& to,
                                const std::vector<int64_t>& to_rows) {
  const size_t of_row = static_cast<size_t>(from.shape[1]) *
                        device::dtype_size(static_cast<fathom_dtype>(from.dtype));
  fill_bytes(from_rows, of_row, to_bytes_);
  fill_bytes(to_rows, of_row, from_bytes_);
  return step.links->data().all_to_all(step.ranks.tag(name), from.data, to_bytes_, to.data,
                                       from_bytes_);
}

Status RoutedExperts::run_arrived(Step& step, const ops::MoeExperts& experts) {
  const int64_t rows = sum_of(from_);
  if (rows == 0) return {};
  return ops::moe_experts(step.ops, device::rows(buffers_.rows, 0, rows), buffers_.ids,
                          buffers_.weights, static_cast<int32_t>(visits_), experts,
                          ops::Accumulate::kOverwrite, device::rows(buffers_.results, 0, rows));
}

// Each row's results, of which those that went to fewer data indices have none.
Status RoutedExperts::add_returned(Step& step, int64_t leaving, ops::Accumulate accumulate) {
  const int64_t rows = step.at.normed.shape[0];
  if (rows == 0) return {};
  const bool adds = accumulate == ops::Accumulate::kAdd;
  if (adds && leaving == 0) return {};
  const Tensor sum = adds ? device::rows(buffers_.sum, 0, rows) : step.at.x;
  const Tensor picked = device::rows(buffers_.picked, 0, rows);
  const Weight returned =
      as_table(device::rows(buffers_.returned, 0, std::max<int64_t>(leaving, 1)));
  for (int64_t stop = 0; stop < stops_; ++stop) {
    const Tensor& out = stop == 0 ? sum : picked;
    FATHOM_TRY(ops::embed(step.ops, buffers_.places + stop * rows, returned, out));  // [T, H]
    if (stop > 0) FATHOM_TRY(ops::add(step.ops, sum, picked));
  }
  return adds ? ops::add(step.ops, step.at.x, sum) : Status();
}

}  // namespace fathom::models::deepseek_v3
