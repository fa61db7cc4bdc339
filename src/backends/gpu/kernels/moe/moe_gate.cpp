#include "backends/gpu/kernels/dense_args.h"
#include "backends/gpu/kernels/kernels.h"
#include "backends/gpu/kernels/ranked.h"
#include "backends/gpu/kernels/rows.h"
#include "backends/gpu/words.h"

namespace fathom::gpu {
inline namespace FATHOM_GPU_DIALECT {
namespace {

constexpr int kMostGateExperts = 1024;

struct GateCall {
  Rows<const float> logits;
  int experts;
  Global<const float> bias;
  int kind;
  int top_k;
  int num_groups;
  int top_groups;
  bool normalizes;
  float scale;
  Global<int32_t> ids;
  Global<float> weights;
  Global<const int32_t> rows;
  Global<int64_t> loads;
};

struct GateMemory {
  Shared<float> scores;
  Shared<float> choice;
  Shared<uint64_t> ranks;   // of experts that may be chosen, 0 of others
  Shared<uint64_t> groups;  // likewise

  GPU_DEVICE explicit GateMemory(int experts)
      : scores(shared<float>(0)),
        choice(scores + experts),
        ranks(shared<uint64_t>((2 * experts * 4 + 7) / 8 * 8)),
        groups(ranks + experts) {}
};

int gate_shared_bytes(int experts, int groups) {
  return (2 * experts * 4 + 7) / 8 * 8 + (experts + groups) * 8;
}

GPU_DEVICE void score_sigmoid(const GateCall& call, const GateMemory& memory,
                              Global<const float> logits) {
  for (int e = lane(); e < call.experts; e += kWarp) {
    const float score = 1.0f / (1.0f + exp(-load(logits, e)));
    store(memory.scores, e, score);
    store(memory.choice, e, call.bias.is_null() ? score : score + load(call.bias, e));
  }
}

GPU_DEVICE void score_softmax(const GateCall& call, const GateMemory& memory,
                              Global<const float> logits) {
  float greatest = float_of(0xff800000);
  for (int e = lane(); e < call.experts; e += kWarp) {
    const float logit = load(logits, e);
    greatest = logit > greatest ? logit : greatest;
  }
  greatest = warp_max(greatest);
  float sum = 0;
  for (int e = lane(); e < call.experts; e += kWarp) sum += exp(load(logits, e) - greatest);
  sum = warp_sum(sum);
  for (int e = lane(); e < call.experts; e += kWarp) {
    const float score = exp(load(logits, e) - greatest) / sum;
    store(memory.scores, e, score);
    store(memory.choice, e, score);
  }
}

// The best of `count` ranks, which is then 0; -1 where none is left. All lanes get it. Each lane
// reads and writes its own ranks alone: those whose index is its number modulo the warp's width.
GPU_DEVICE int take_best(Shared<uint64_t> ranks, int count) {
  uint64_t best = 0;
  for (int i = lane(); i < count; i += kWarp) {
    const uint64_t one = load(ranks, i);
    best = one > best ? one : best;
  }
  best = warp_max(best);
  if (best == 0) return -1;
  const int index = index_of_rank(best);
  if (index % kWarp == lane()) store(ranks, index, uint64_t{0});
  return index;
}

// The best one's score, or the sum of the best two.
GPU_DEVICE float group_score(Shared<float> choice, int begin, int size, bool best_two) {
  float first = load(choice, begin);
  float second = 0;
  for (int i = 1; i < size; ++i) {
    const float one = load(choice, begin + i);
    if (order_of(one) > order_of(first)) {
      second = first;
      first = one;
    } else if (i == 1 || order_of(one) > order_of(second)) {
      second = one;
    }
  }
  return best_two && size > 1 ? first + second : first;
}

// ranks[e] = 0 for experts outside of the best groups.
GPU_DEVICE void close_groups(const GateCall& call, const GateMemory& memory) {
  const int size = call.experts / call.num_groups;
  for (int g = lane(); g < call.num_groups; g += kWarp) {
    const float score =
        group_score(memory.choice, g * size, size, call.kind == FATHOM_GATE_NOAUX_TC);
    store(memory.groups, g, rank_of(score, g));
  }
  for (int i = 0; i < call.top_groups; ++i) take_best(memory.groups, call.num_groups);
  warp_barrier();
  for (int e = lane(); e < call.experts; e += kWarp) {
    if (load(memory.groups, e / size) != 0) store(memory.ranks, e, uint64_t{0});
  }
}

GPU_DEVICE void choose(const GateCall& call, const GateMemory& memory, int64_t row) {
  for (int e = lane(); e < call.experts; e += kWarp) {
    store(memory.ranks, e, rank_of(load(memory.choice, e), e));
  }
  if (call.kind != FATHOM_GATE_SOFTMAX) close_groups(call, memory);
  const int64_t out = row * call.top_k;
  float sum = 0;
  for (int j = 0; j < call.top_k; ++j) {
    const int expert = take_best(memory.ranks, call.experts);
    if (expert >= 0) sum += load(memory.scores, expert);
    if (lane() != 0) continue;
    store(call.ids, out + j, expert);
    store(call.weights, out + j, expert < 0 ? 0.0f : load(memory.scores, expert));
    if (expert >= 0 && !call.loads.is_null()) atomic_add(call.loads, expert, int64_t{1});
  }
  if (lane() != 0) return;
  const float divisor = call.normalizes ? sum + 1e-20f : 1.0f;
  for (int j = 0; j < call.top_k; ++j) {
    store(call.weights, out + j, load(call.weights, out + j) / divisor * call.scale);
  }
}

// A block of one warp for each row.
GPU_KERNEL void moe_gate(GateCall call) {
  const int64_t row = block_x();
  if (!call.rows.is_null() && row >= load(call.rows)) {
    for (int j = lane(); j < call.top_k; j += kWarp) {
      store(call.ids, row * call.top_k + j, -1);
      store(call.weights, row * call.top_k + j, 0.0f);
    }
    return;
  }
  const GateMemory memory(call.experts);
  if (call.kind == FATHOM_GATE_NOAUX_TC) {
    score_sigmoid(call, memory, call.logits(row));
  } else {
    score_softmax(call, memory, call.logits(row));
  }
  warp_barrier();
  choose(call, memory, row);
}

fathom_status supports_gate(const void* bytes) {
  const auto& args = *static_cast<const fathom_moe_gate_args*>(bytes);
  const int64_t experts = args.logits.shape[1];
  if (!is_matrix(args.logits, FATHOM_F32, experts)) return not_taken("moe_gate", "logits in F32");
  if (experts > kMostGateExperts) return not_taken("moe_gate", "1024 experts at most");
  const bool has_groups = args.num_groups > 0 && experts % args.num_groups == 0;
  return has_groups ? FATHOM_OK : not_taken("moe_gate", "groups of one size");
}

fathom_status queue_gate(Queue& queue, const void* bytes) {
  const auto& args = *static_cast<const fathom_moe_gate_args*>(bytes);
  if (args.logits.shape[0] == 0) return FATHOM_OK;
  const auto experts = static_cast<int>(args.logits.shape[1]);
  const GateCall call = {rows_of<const float>(args.logits),
                         experts,
                         args.bias,
                         args.kind,
                         args.top_k,
                         args.num_groups,
                         args.top_groups,
                         args.normalize != 0,
                         args.scale,
                         args.expert_ids,
                         args.expert_weights,
                         args.rows,
                         args.loads};
  const Shape shape = {args.logits.shape[0], 1, 1, kWarp,
                       gate_shared_bytes(experts, args.num_groups)};
  return launch(queue, "moe_gate", shape, moe_gate, call);
}

}  // namespace

const Kernel kMoeGate = {supports_gate, nullptr, queue_gate};

}  // namespace FATHOM_GPU_DIALECT
}  // namespace fathom::gpu
