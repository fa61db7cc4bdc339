// Bytes that ranks send each other for a token of the main model (drafts excepted), whatever the
// kernels. docs/layouts.md draws where in a block they are sent.
//
//   sums         over tp: behind the embedding, and in each layer behind o_proj and behind the MLP
//                (which adds up the routed experts too). Each is an all-reduce, of which a ring
//                sends 2 (tp - 1) / tp H values a rank. In long steps it is a reduce-scatter, half
//                of that: each rank goes on with its part of the rows (rank_exchange.h,
//                own_rows()), and what comes of them is gathered, (tp - 1) / tp of its values a
//                rank: q_a and kv_a (H instead where queries have no q_a), the normed row that goes
//                to the MLP, and behind the last layer H. Rows whose output nobody wants end in the
//                last layer, where q_a, kv_a and H are gathered (logit_rows.h).
//   dispatch     a token's row to each of its experts that is not among the ranks of its own data
//                index, which have it: (dp - 1) / dp of them where routing is even. H values.
//   combine      their results, back. H values.
//                Both are of chips that dispatch rows; exchange_buffers.h has what others do.
//   pipeline     a token's row from each rank of a stage to its next in the next one. H values.
//   logits       each rank's part of the vocabulary to the first of its tensor group.
//
// H values are bf16, but for dispatch, where they are 8-bit; logits are F32. Scales are not
// counted.
#pragma once

#include <cstdint>

#include "models/deepseek_v3/sharding/shard.h"

namespace fathom::models::deepseek_v3 {

struct Traffic {
  double sums = 0;
  double dispatch = 0;
  double combine = 0;
  double pipeline = 0;
  double logits = 0;

  double total() const { return sums + dispatch + combine + pipeline + logits; }
  Traffic& operator+=(const Traffic& other);
  bool operator==(const Traffic&) const = default;
};

constexpr int64_t kSentActivationBytes = 2;
constexpr int64_t kDispatchedBytes = 1;

// Of a step with few rows, such as one a sequence, with logits for each; or with many, of which
// only the last one's output is wanted, or all, for the MTP layer.
enum class RowsInStep { kFew, kManyForLast, kManyForAll };

// What one rank sends for each token of its data index; also what it receives.
Traffic sent_by_rank(const ShardPlan& plan, int64_t rank, RowsInStep rows = RowsInStep::kFew);
// What all ranks send for one token.
Traffic sent_for_token(const ShardPlan& plan, RowsInStep rows = RowsInStep::kFew);

}  // namespace fathom::models::deepseek_v3
