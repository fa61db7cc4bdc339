// Choosing experts by their scores, whatever type the scores have, and what is done beside it: the
// part of MOE_GATE that is the same in every kernel set.
#pragma once

#include <cstdint>

#include "device/abi.h"

namespace fathom::cpu {

// a is better than b; NaN is worse than all else, so that broken logits still choose something.
template <typename T>
static bool better(T a, T b) {
  return a > b || (a == a && b != b);
}

// How good a group is: the sum of its best two choice scores, or its best one.
template <typename T>
static T group_score(const T* choice, int64_t size, bool best_two) {
  T first = choice[0];
  T second = 0;
  for (int64_t i = 1; i < size; ++i) {
    if (better(choice[i], first)) {
      second = first;
      first = choice[i];
    } else if (i == 1 || better(choice[i], second)) {
      second = choice[i];
    }
  }
  return best_two && size > 1 ? first + second : first;
}

// The best of `count` scores that is not taken yet, the lower index of equals; -1 if none is left.
template <typename T>
static int64_t take_best(const T* scores, bool* taken, int64_t count) {
  int64_t best = -1;
  for (int64_t i = 0; i < count; ++i) {
    if (!taken[i] && (best < 0 || better(scores[i], scores[best]))) best = i;
  }
  if (best >= 0) taken[best] = true;
  return best;
}

// Marks every expert outside the best groups as taken. `groups` and `group_taken` hold num_groups.
template <typename T>
static void close_groups(const fathom_moe_gate_args& args, const T* choice, T* groups,
                         bool* group_taken, bool* taken) {
  const int64_t size = args.logits.shape[1] / args.num_groups;
  for (int64_t g = 0; g < args.num_groups; ++g) {
    groups[g] = group_score(choice + g * size, size, args.kind == FATHOM_GATE_NOAUX_TC);
    group_taken[g] = false;
  }
  for (int32_t i = 0; i < args.top_groups; ++i) take_best(groups, group_taken, args.num_groups);
  for (int64_t e = 0; e < args.logits.shape[1]; ++e) taken[e] = !group_taken[e / size];
}

// One row's work arrays: choice and taken hold num_experts, groups and group_taken num_groups.
template <typename T>
struct ChoiceArrays {
  T* choice;
  T* groups;
  bool* taken;
  bool* group_taken;
};

// Chooses by arrays.choice and weighs by scores; writes top_k ids and weights.
template <typename T>
static void choose_experts(const fathom_moe_gate_args& args, const T* scores,
                           const ChoiceArrays<T>& arrays, int32_t* ids, float* weights) {
  const int64_t experts = args.logits.shape[1];
  if (args.kind == FATHOM_GATE_SOFTMAX) {
    for (int64_t e = 0; e < experts; ++e) arrays.taken[e] = false;
  } else {
    close_groups(args, arrays.choice, arrays.groups, arrays.group_taken, arrays.taken);
  }
  T sum = 0;
  for (int32_t j = 0; j < args.top_k; ++j) {
    ids[j] = static_cast<int32_t>(take_best(arrays.choice, arrays.taken, experts));
    sum += scores[ids[j]];
  }
  const T divisor = args.normalize != 0 ? sum + T{1e-20} : T{1};
  for (int32_t j = 0; j < args.top_k; ++j) {
    weights[j] = static_cast<float>(scores[ids[j]] / divisor * args.scale);
  }
}

// Rows that choose; all others are padding.
static inline int64_t choosing_rows(const fathom_moe_gate_args& args) {
  const int64_t rows = args.logits.shape[0];
  return args.rows != nullptr && *args.rows < rows ? *args.rows : rows;
}

static inline void choose_nothing(const fathom_moe_gate_args& args, int64_t first_row) {
  for (int64_t i = first_row * args.top_k; i < args.logits.shape[0] * args.top_k; ++i) {
    args.expert_ids[i] = -1;
    args.expert_weights[i] = 0;
  }
}

static inline void count_loads(const fathom_moe_gate_args& args, int64_t rows) {
  if (args.loads == nullptr) return;
  for (int64_t i = 0; i < rows * args.top_k; ++i) ++args.loads[args.expert_ids[i]];
}

}  // namespace fathom::cpu
