#include "models/deepseek_v3/expert_exchange.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <numeric>

namespace fathom::models::deepseek_v3 {
namespace {

constexpr int64_t kRowTail = 2;  // values behind a row's own: expert number, weight

float* row_of(const Tensor& tensor, int64_t row) {
  return static_cast<float*>(tensor.data) + row * tensor.stride[0];
}

int64_t sum(const std::vector<int64_t>& numbers) {
  return std::accumulate(numbers.begin(), numbers.end(), int64_t{0});
}

void bytes_of_rows(const std::vector<int64_t>& rows, int64_t values, std::vector<size_t>& bytes) {
  for (size_t i = 0; i < rows.size(); ++i) {
    bytes[i] = static_cast<size_t>(rows[i] * values) * sizeof(float);
  }
}

}  // namespace

ExchangeSizes::ExchangeSizes(const Config& config, const Share& share, int64_t rows)
    : visits(config.num_experts_per_tok + (share.layout.shared > 0 ? 1 : 0)),
      row(config.hidden_size + kRowTail) {
  const Layout& layout = share.layout;
  if (config.n_routed_experts == 0 || layout.stage_ranks() == 1) return;
  own = rows * visits;
  if (layout.dp == 1) return;
  const int64_t groups = layout.tp / layout.slices();
  const auto here = static_cast<int64_t>(share.own_experts().size());
  leaving = (rows + groups - 1) / groups * visits;
  arriving = (layout.dp - 1) * rows * std::min(visits, here);
}

ExpertExchange::ExpertExchange(const Config& config, const Share& share,
                               const ExchangeBuffers& buffers, int64_t layers)
    : top_k_(config.num_experts_per_tok),
      visits_(top_k_ + (share.layout.shared > 0 ? 1 : 0)),
      shared_(config.n_routed_experts),
      hidden_(config.hidden_size),
      groups_(share.layout.tp / share.layout.slices()),
      group_(share.place.expert % groups_),
      index_(share.place.expert),
      buffers_(buffers) {
  layers_.resize(static_cast<size_t>(layers));
  for (int64_t layer = 0; layer < layers; ++layer) place(layer, share.experts);
  leaving_.reserve(static_cast<size_t>(buffers.leaving.shape[0]));
  const auto ranks = static_cast<size_t>(share.layout.ep);
  to_.resize(ranks);
  from_.resize(ranks);
  next_.resize(ranks);
  count_bytes_.assign(ranks, sizeof(int64_t));
  to_bytes_.resize(ranks);
  from_bytes_.resize(ranks);
}

// Those of the own data index, where there are any, else all.
void ExpertExchange::place(int64_t layer, Placement placement) {
  auto& holders = layers_[static_cast<size_t>(layer)].holders;
  holders.assign(static_cast<size_t>(shared_) + 1, {});
  const auto is_near = [&](const Holder& holder) {
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
    std::erase_if(its, [&](const Holder& holder) { return !is_near(holder); });
  }
  layers_[static_cast<size_t>(layer)].placement = std::move(placement);
}

Result<ArrivedRows> ExpertExchange::dispatch(const Ranks& ranks, int64_t layer, const Tensor& x,
                                             const int32_t* expert_ids,
                                             const float* expert_weights) {
  route(at(layer), x.shape[0], expert_ids, expert_weights);
  if (!ranks.expert) return ArrivedRows{};
  FATHOM_TRY(exchange_counts(ranks));
  pack(x);
  const int64_t values = hidden_ + kRowTail;
  bytes_of_rows(to_, values, to_bytes_);
  bytes_of_rows(from_, values, from_bytes_);
  FATHOM_TRY(ranks.expert->all_to_all(ranks.tag("dispatch"), buffers_.leaving.data, to_bytes_,
                                      buffers_.arriving.data, from_bytes_));
  return unpack();
}

void ExpertExchange::route(const Layer& layer, int64_t rows, const int32_t* expert_ids,
                           const float* expert_weights) {
  leaving_.clear();
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t choice = 0; choice < top_k_; ++choice) {
      const int64_t at = row * top_k_ + choice;
      visit(layer, row, choice, expert_ids[at], expert_weights[at]);
    }
    if (visits_ > top_k_) visit(layer, row, top_k_, shared_, 1.0f);
  }
}

void ExpertExchange::visit(const Layer& layer, int64_t row, int64_t choice, int64_t expert,
                           float weight) {
  const auto& holders = layer.holders[static_cast<size_t>(expert)];
  const Holder& holder = holders[static_cast<size_t>(row) % holders.size()];
  const int64_t at = row * visits_ + choice;
  buffers_.own_ids[at] = holder.index == index_ ? holder.number : -1;
  buffers_.own_weights[at] = weight;
  const bool is_near = holder.index / groups_ == index_ / groups_;
  if (is_near || row % groups_ != group_) return;
  leaving_.push_back({holder.index, 0, row, holder.number, weight});
}

Status ExpertExchange::exchange_counts(const Ranks& ranks) {
  std::ranges::fill(to_, 0);
  for (const Visit& visit : leaving_) ++to_[static_cast<size_t>(visit.index)];
  FATHOM_TRY(ranks.expert->all_to_all(ranks.tag("dispatch_counts"), to_.data(), count_bytes_,
                                      from_.data(), count_bytes_));
  const bool fits = std::ranges::all_of(from_, [](int64_t rows) { return rows >= 0; }) &&
                    sum(from_) <= buffers_.arriving.shape[0];
  if (fits) return {};
  return Error{ErrorCode::kDataCorrupt,
               fmt::format("dispatch: expected at most {} rows from all ranks, got {}",
                           buffers_.arriving.shape[0], sum(from_))};
}

// Rows for one destination stand together, in the order of choices.
void ExpertExchange::pack(const Tensor& x) {
  std::exclusive_scan(to_.begin(), to_.end(), next_.begin(), int64_t{0});
  for (Visit& visit : leaving_) {
    visit.place = next_[static_cast<size_t>(visit.index)]++;
    float* row = row_of(buffers_.leaving, visit.place);
    std::memcpy(row, row_of(x, visit.row), static_cast<size_t>(hidden_) * sizeof(float));
    row[hidden_] = std::bit_cast<float>(visit.number);
    row[hidden_ + 1] = visit.weight;
  }
}

ArrivedRows ExpertExchange::unpack() {
  const int64_t rows = sum(from_);
  for (int64_t i = 0; i < rows; ++i) {
    const float* row = row_of(buffers_.arriving, i);
    buffers_.arrived_ids[i] = std::bit_cast<int32_t>(row[hidden_]);
    buffers_.arrived_weights[i] = row[hidden_ + 1];
  }
  return {.x = device::columns(device::rows(buffers_.arriving, 0, rows), 0, hidden_),
          .ids = buffers_.arrived_ids,
          .weights = buffers_.arrived_weights,
          .results = device::rows(buffers_.results, 0, rows)};
}

Status ExpertExchange::combine(const Ranks& ranks, const Tensor& out) {
  if (!ranks.expert) return {};
  bytes_of_rows(to_, hidden_, to_bytes_);
  bytes_of_rows(from_, hidden_, from_bytes_);
  FATHOM_TRY(ranks.expert->all_to_all(ranks.tag("combine"), buffers_.results.data, from_bytes_,
                                      buffers_.returned.data, to_bytes_));
  for (const Visit& visit : leaving_) {
    const float* result = row_of(buffers_.returned, visit.place);
    float* sum = row_of(out, visit.row);
    for (int64_t i = 0; i < hidden_; ++i) sum[i] += result[i];
  }
  return {};
}

}  // namespace fathom::models::deepseek_v3
