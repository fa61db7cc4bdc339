#include "models/deepseek_v3/expert_exchange.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <numeric>
#include <utility>

namespace fathom::models::deepseek_v3 {
namespace {

constexpr int64_t kRowTail = 2;  // values behind a row's own: expert number, weight

size_t bytes_of(int64_t rows, int64_t values) {
  return static_cast<size_t>(rows * values) * sizeof(float);
}

int64_t sum(const std::vector<int64_t>& numbers) {
  return std::accumulate(numbers.begin(), numbers.end(), int64_t{0});
}

void bytes_of_rows(const std::vector<int64_t>& rows, int64_t values, std::vector<size_t>& bytes) {
  for (size_t i = 0; i < rows.size(); ++i) {
    bytes[i] = bytes_of(rows[i], values);
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

Result<ExpertExchange::HostSide> ExpertExchange::HostSide::make(device::Device& device,
                                                                const ExchangeSizes& sizes,
                                                                int64_t rows, int64_t hidden) {
  HostSide host;
  const auto numbers = [](int64_t count) { return bytes_of(count, 1); };
  FATHOM_ASSIGN(host.own_ids, Staging::make(device, numbers(sizes.own)));
  FATHOM_ASSIGN(host.own_weights, Staging::make(device, numbers(sizes.own)));
  if (sizes.arriving == 0) return host;
  FATHOM_ASSIGN(host.arriving, Staging::make(device, bytes_of(sizes.arriving, sizes.row)));
  FATHOM_ASSIGN(host.arrived_ids, Staging::make(device, numbers(sizes.arriving)));
  FATHOM_ASSIGN(host.arrived_weights, Staging::make(device, numbers(sizes.arriving)));
  FATHOM_ASSIGN(host.results, Staging::make(device, bytes_of(sizes.arriving, hidden)));
  FATHOM_ASSIGN(host.rows, Staging::make(device, bytes_of(rows, hidden)));
  host.leaving.values = sizes.row;
  FATHOM_ASSIGN(host.leaving.memory, device.alloc_host(bytes_of(sizes.leaving, sizes.row)));
  host.returned.values = hidden;
  FATHOM_ASSIGN(host.returned.memory, device.alloc_host(bytes_of(sizes.leaving, hidden)));
  return host;
}

Result<ExpertExchange> ExpertExchange::make(device::Device& device, const Config& config,
                                            const Share& share, const ExchangeBuffers& buffers,
                                            int64_t rows, int64_t layers) {
  const ExchangeSizes sizes(config, share, rows);
  FATHOM_ASSIGN(HostSide host, HostSide::make(device, sizes, rows, config.hidden_size));
  ExpertExchange exchange(device, config, share, buffers, std::move(host), layers);
  exchange.leaving_.reserve(static_cast<size_t>(sizes.leaving));
  return exchange;
}

ExpertExchange::ExpertExchange(device::Device& device, const Config& config, const Share& share,
                               const ExchangeBuffers& buffers, HostSide host, int64_t layers)
    : device_(&device),
      top_k_(config.num_experts_per_tok),
      visits_(top_k_ + (share.layout.shared > 0 ? 1 : 0)),
      shared_(config.n_routed_experts),
      hidden_(config.hidden_size),
      groups_(share.layout.tp / share.layout.slices()),
      group_(share.place.expert % groups_),
      index_(share.place.expert),
      buffers_(buffers),
      host_(std::move(host)) {
  layers_.resize(static_cast<size_t>(layers));
  for (int64_t layer = 0; layer < layers; ++layer) place(layer, share.experts);
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
  FATHOM_TRY(route(at(layer), x.shape[0], expert_ids, expert_weights));
  if (!ranks.expert) return ArrivedRows{};
  FATHOM_TRY(exchange_counts(ranks));
  FATHOM_TRY(pack(x));
  const int64_t values = hidden_ + kRowTail;
  bytes_of_rows(to_, values, to_bytes_);
  bytes_of_rows(from_, values, from_bytes_);
  FATHOM_TRY(ranks.expert->all_to_all(ranks.tag("dispatch"), host_.leaving.row(0), to_bytes_,
                                      host_.arriving.host(buffers_.arriving.data), from_bytes_));
  return unpack();
}

Status ExpertExchange::route(const Layer& layer, int64_t rows, const int32_t* expert_ids,
                             const float* expert_weights) {
  leaving_.clear();
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t choice = 0; choice < top_k_; ++choice) {
      const int64_t at = row * top_k_ + choice;
      visit(layer, row, choice, expert_ids[at], expert_weights[at]);
    }
    if (visits_ > top_k_) visit(layer, row, top_k_, shared_, 1.0f);
  }
  FATHOM_TRY(host_.own_ids.put(buffers_.own_ids, bytes_of(rows, visits_)));
  return host_.own_weights.put(buffers_.own_weights, bytes_of(rows, visits_));
}

void ExpertExchange::visit(const Layer& layer, int64_t row, int64_t choice, int64_t expert,
                           float weight) {
  const auto& holders = layer.holders[static_cast<size_t>(expert)];
  const Holder& holder = holders[static_cast<size_t>(row) % holders.size()];
  const int64_t at = row * visits_ + choice;
  host_.own_ids.host(buffers_.own_ids)[at] = holder.index == index_ ? holder.number : -1;
  host_.own_weights.host(buffers_.own_weights)[at] = weight;
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

float* ExpertExchange::host_rows(const Tensor& x) const {
  FATHOM_CHECK(x.stride[0] == hidden_, "experts: expected dense rows");
  return host_.rows.host(static_cast<float*>(x.data));
}

// Rows for one destination stand together, in the order of choices.
Status ExpertExchange::pack(const Tensor& x) {
  if (leaving_.empty()) return {};
  const float* rows = host_rows(x);
  FATHOM_TRY(host_.rows.fetch(x.data, bytes_of(x.shape[0], hidden_)));
  FATHOM_TRY(device_->synchronize());
  std::exclusive_scan(to_.begin(), to_.end(), next_.begin(), int64_t{0});
  for (Visit& visit : leaving_) {
    visit.place = next_[static_cast<size_t>(visit.index)]++;
    float* row = host_.leaving.row(visit.place);
    std::copy_n(rows + visit.row * hidden_, hidden_, row);
    row[hidden_] = std::bit_cast<float>(visit.number);
    row[hidden_ + 1] = visit.weight;
  }
  return {};
}

Result<ArrivedRows> ExpertExchange::unpack() {
  const int64_t rows = sum(from_);
  const int64_t values = hidden_ + kRowTail;
  const auto* arrived = host_.arriving.host(static_cast<float*>(buffers_.arriving.data));
  auto* ids = host_.arrived_ids.host(buffers_.arrived_ids);
  auto* weights = host_.arrived_weights.host(buffers_.arrived_weights);
  for (int64_t i = 0; i < rows; ++i) {
    const float* row = arrived + i * values;
    ids[i] = std::bit_cast<int32_t>(row[hidden_]);
    weights[i] = row[hidden_ + 1];
  }
  FATHOM_TRY(host_.arriving.put(buffers_.arriving.data, bytes_of(rows, values)));
  FATHOM_TRY(host_.arrived_ids.put(buffers_.arrived_ids, bytes_of(rows, 1)));
  FATHOM_TRY(host_.arrived_weights.put(buffers_.arrived_weights, bytes_of(rows, 1)));
  return ArrivedRows{.x = device::columns(device::rows(buffers_.arriving, 0, rows), 0, hidden_),
                     .ids = buffers_.arrived_ids,
                     .weights = buffers_.arrived_weights,
                     .results = device::rows(buffers_.results, 0, rows)};
}

Status ExpertExchange::combine(const Ranks& ranks, const Tensor& out) {
  if (!ranks.expert) return {};
  bytes_of_rows(to_, hidden_, to_bytes_);
  bytes_of_rows(from_, hidden_, from_bytes_);
  const size_t out_bytes = leaving_.empty() ? 0 : bytes_of(out.shape[0], hidden_);
  FATHOM_TRY(host_.results.fetch(buffers_.results.data, bytes_of(sum(from_), hidden_)));
  FATHOM_TRY(host_.rows.fetch(out.data, out_bytes));
  FATHOM_TRY(device_->synchronize());
  FATHOM_TRY(ranks.expert->all_to_all(ranks.tag("combine"),
                                      host_.results.host(buffers_.results.data), from_bytes_,
                                      host_.returned.row(0), to_bytes_));
  if (leaving_.empty()) return {};
  add_returned(host_rows(out));
  return host_.rows.put(out.data, out_bytes);
}

void ExpertExchange::add_returned(float* out) const {
  for (const Visit& visit : leaving_) {
    const float* result = host_.returned.row(visit.place);
    float* sum = out + visit.row * hidden_;
    for (int64_t i = 0; i < hidden_; ++i) sum[i] += result[i];
  }
}

size_t ExpertExchange::staging_bytes() const {
  size_t bytes = host_.rows.bytes();
  for (const Staging* each : {&host_.own_ids, &host_.own_weights, &host_.arriving,
                              &host_.arrived_ids, &host_.arrived_weights, &host_.results}) {
    bytes += each->bytes();
  }
  return bytes;
}

}  // namespace fathom::models::deepseek_v3
