// For the tests: a scheduler as a planner would drive it.
#pragma once

#include <cstdint>
#include <deque>
#include <map>

#include "engine/schedule/scheduler.h"

namespace fathom::engine {

inline SchedulerLimits roomy() {
  return {.max_running = 8,
          .max_waiting = 64,
          .prefill_chunk = 16,
          .max_step_tokens = 32,
          .max_logit_rows = 8,
          .block_size = 4};
}

// With sequences whose prompts have nothing in common.
struct Bench {
  Bench(const SchedulerLimits& scheduler_limits, int64_t num_blocks)
      : limits(scheduler_limits),
        pool(num_blocks),
        cache({.enabled = true, .exact = false, .block_size = limits.block_size},
              random_prefix_keys(), pool),
        scheduler(limits, pool, cache) {}

  // A part of `request` of `owner`.
  Sequence& add(int64_t prompt, int64_t max_new, int32_t priority = 0, uint64_t owner = 0,
                RequestId request = 0) {
    Sequence& sequence = sequences.emplace_back();
    sequence.id = sequences.size();
    sequence.owner = owner;
    sequence.request = request;
    sequence.priority = priority;
    sequence.tokens.assign(static_cast<size_t>(prompt), static_cast<TokenId>(sequence.id));
    sequence.prompt_size = prompt;
    sequence.given_size = prompt;
    sequence.max_new = max_new;
    scheduler.add(sequence);
    return sequence;
  }

  // Runs one step; returns the rows of each sequence in it.
  std::map<const Sequence*, int64_t> step() {
    std::map<const Sequence*, int64_t> rows;
    for (const Chunk& chunk : scheduler.next_step()) {
      rows[chunk.sequence] = chunk.rows;
      Sequence& sequence = *chunk.sequence;
      scheduler.advance(sequence, chunk.rows);
      if (sequence.remaining() > 0) continue;
      sequence.tokens.push_back(0);
      if (sequence.generated() == sequence.max_new) scheduler.remove(sequence);
    }
    return rows;
  }

  SchedulerLimits limits;
  BlockPool pool;
  PrefixCache cache;
  Scheduler scheduler;
  std::deque<Sequence> sequences;
};

using Rows = std::map<const Sequence*, int64_t>;

}  // namespace fathom::engine
