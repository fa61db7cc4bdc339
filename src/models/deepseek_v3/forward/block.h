// One transformer block.
#pragma once

#include "models/deepseek_v3/forward/step.h"

namespace fathom::models::deepseek_v3 {

// Narrows the step to `kept` rows, L of them: q, residual and what is cut to T rows.
Status keep_rows(Step& step, const LogitRows& kept);

// One transformer block: residual and x in, residual and x out, in own_rows(). The stream's value
// is residual + x; the first block of a stack takes it from residual alone.
enum class StreamInput { kResidualPlusX, kResidualOnly };
// With `kept`, other rows end once their latents are cached: the output is of kept rows alone.
Status block(Step& step, const BlockWeights& weights, const fathom_kv_cache& cache,
             StreamInput input, const LogitRows* kept);

}  // namespace fathom::models::deepseek_v3
