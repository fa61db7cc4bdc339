// Disaggregation (docs/kv-transfer.md): an engine that computes prompts for others, or
// has others compute its prompts.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "engine/engine.h"
#include "kvtransfer/prefill_server.h"

namespace fathom::serving {

enum class Role { kBoth, kPrefill, kDecode };

struct DisaggregationOptions {
  Role role = Role::kBoth;
  std::string kv_listen;             // of a prefill engine: HOST:PORT
  std::vector<std::string> prefill;  // of a decode engine: HOST:PORT of each prefill engine
  int64_t min_tokens = 64;           // shorter prompts are computed here
  int64_t deadline_seconds = 60;     // without a block, after which another one is asked
};

// Whether they fit together; the error names the flag.
Status check_disaggregation(const DisaggregationOptions& options, bool prefix_cache);

// Of a decode engine; null for others.
Result<std::unique_ptr<engine::KvSource>> make_source(const DisaggregationOptions& options,
                                                      const std::string& model_hash,
                                                      const models::CausalLm& model);
// Of a prefill engine; null for others.
Result<std::unique_ptr<kvtransfer::PrefillServer>> start_prefill_server(
    const DisaggregationOptions& options, const std::string& model_hash, engine::Engine& engine);

}  // namespace fathom::serving
