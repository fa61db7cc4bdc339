// What an engine counts.
#pragma once

#include <cstdint>
#include <memory>

#include "engine/kv_transfer.h"
#include "models/expert_loads.h"

namespace fathom::engine {

// Snapshot for metrics and /health. Totals count since the start.
struct EngineStats {
  int64_t running = 0;
  int64_t max_running = 0;  // of all data-parallel replicas
  int64_t waiting = 0;      // preempted requests included
  int64_t kv_blocks_total = 0;
  int64_t kv_blocks_used = 0;  // by requests; blocks that only the prefix cache holds are free
  uint64_t prompt_tokens = 0;  // of requests that have begun
  uint64_t prefix_cache_queries = 0;  // prompt tokens looked up in the prefix cache
  uint64_t prefix_cache_hits = 0;     // and found
  uint64_t generated_tokens = 0;      // stop tokens included
  uint64_t drafts = 0;                // times that a sequence ran with draft tokens
  uint64_t draft_tokens = 0;          // draft tokens that ran
  uint64_t accepted_draft_tokens = 0;
  uint64_t preemptions = 0;
  uint64_t steps = 0;           // that somebody waited for
  uint64_t steps_ahead = 0;     // steps begun while the step before them ran
  uint64_t surplus_rows = 0;    // rows of such steps whose request had already ended
  uint64_t copied_to_host = 0;  // bytes that the model had the chip copy to the host
  uint64_t finished_stop = 0;
  uint64_t finished_length = 0;
  uint64_t cancelled = 0;
  uint64_t failed = 0;
  std::shared_ptr<const models::ExpertLoads> expert_loads = {};  // null: not counted
  models::ExpertExchanges expert_exchanges = {};
  KvTransferStats kv_fetched;  // from other engines
};

}  // namespace fathom::engine
