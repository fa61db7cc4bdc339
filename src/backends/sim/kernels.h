// What each kernel of the simulated chip does with the states of its rows (row_state.h).
#pragma once

#include "backends/sim/cost_model.h"
#include "backends/sim/logit_rows.h"
#include "device/abi.h"

namespace fathom::sim {

// FATHOM_UNSUPPORTED where a row has no room for a state.
fathom_status run(const CostModel& costs, const fathom_embed_args& args);
fathom_status run(const CostModel& costs, const fathom_rms_norm_args& args);
fathom_status run(const CostModel& costs, LogitRows& rows, const fathom_linear_args& args);
fathom_status run(const CostModel& costs, const fathom_silu_mul_args& args);
fathom_status run(const CostModel& costs, const fathom_add_args& args);
fathom_status run(const CostModel& costs, const fathom_mla_prepare_args& args);
fathom_status run(const CostModel& costs, const fathom_mla_attention_args& args);
fathom_status run(const CostModel& costs, const fathom_moe_gate_args& args);
fathom_status run(const CostModel& costs, const fathom_moe_experts_args& args);
fathom_status run(const CostModel& costs, const fathom_logits_stats_args& args);
fathom_status run(const CostModel& costs, LogitRows& rows, const fathom_sample_args& args);
fathom_status run(const CostModel& costs, const fathom_take_tokens_args& args);

size_t sample_workspace(const fathom_sample_args& args);

}  // namespace fathom::sim
