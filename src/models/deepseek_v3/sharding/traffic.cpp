#include "models/deepseek_v3/sharding/traffic.h"

namespace fathom::models::deepseek_v3 {
namespace {

int64_t moe_layers(const Config& config, const Range& layers) {
  int64_t count = 0;
  for (int64_t layer = layers.begin; layer < layers.end; ++layer) {
    count += config.is_moe_layer(layer) ? 1 : 0;
  }
  return count;
}

// Values of a token that are scattered or gathered. Of each, a rank sends (tp - 1) / tp; an
// all-reduce does both.
double values_in_sums(const Config& config, double layers, bool first, bool ends, RowsInStep rows) {
  const auto hidden = static_cast<double>(config.hidden_size);
  const double embedding = first ? 1 : 0;
  if (rows == RowsInStep::kFew) return 2 * (2 * layers + embedding) * hidden;
  const auto low_rank = static_cast<double>(config.q_lora_rank + config.latent_dim());
  const double attention_in =
      config.q_lora_rank > 0 ? low_rank : hidden + static_cast<double>(config.latent_dim());
  const double whole = ends ? layers - 1 : layers;
  return layers * attention_in + whole * 3 * hidden + (embedding + 1) * hidden;
}

}  // namespace

Traffic& Traffic::operator+=(const Traffic& other) {
  sums += other.sums;
  dispatch += other.dispatch;
  combine += other.combine;
  pipeline += other.pipeline;
  logits += other.logits;
  return *this;
}

Traffic sent_by_rank(const ShardPlan& plan, int64_t rank, RowsInStep step) {
  const Config& config = plan.config();
  const ParallelLayout& layout = plan.layout();
  const RankPlace place = place_of(layout, rank);
  const Range& layers = plan.stages()[static_cast<size_t>(place.stage)];
  const bool first = place.stage == 0;
  const bool last = place.stage == layout.pp - 1;
  const auto hidden = static_cast<double>(config.hidden_size);
  const auto tp = static_cast<double>(layout.tp);
  const auto dp = static_cast<double>(layout.dp);

  Traffic sent;
  const bool ends = last && step == RowsInStep::kManyForLast;
  sent.sums = (tp - 1) / tp *
              values_in_sums(config, static_cast<double>(layers.size()), first, ends, step) *
              kSentActivationBytes;
  // Copies of a token's row that leave its data index, of which each rank sends its share: the
  // tokens are divided over the tp / slices() groups of ranks that have the same experts' parts.
  const int64_t visits = config.num_experts_per_tok + (layout.shared > 0 ? 1 : 0);
  const double share = static_cast<double>(layout.slices()) / tp;
  const Range whole = {layers.begin, layers.end - (ends ? 1 : 0)};
  const double rows =
      static_cast<double>(moe_layers(config, whole) * visits) * (dp - 1) / dp * share;
  sent.dispatch = rows * hidden * kDispatchedBytes;
  sent.combine = rows * hidden * kSentActivationBytes;
  if (!last) sent.pipeline = hidden * kSentActivationBytes;
  if (last && place.tensor > 0) {
    const Range tokens = part_of(config.vocab_size, place.tensor, layout.tp);
    sent.logits = static_cast<double>(tokens.size()) * sizeof(float);
  }
  return sent;
}

Traffic sent_for_token(const ShardPlan& plan, RowsInStep rows) {
  const ParallelLayout& layout = plan.layout();
  Traffic sum;
  for (int64_t stage = 0; stage < layout.pp; ++stage) {
    for (int64_t tensor = 0; tensor < layout.tp; ++tensor) {
      sum += sent_by_rank(plan, stage * layout.stage_ranks() + tensor, rows);
    }
  }
  return sum;
}

}  // namespace fathom::models::deepseek_v3
