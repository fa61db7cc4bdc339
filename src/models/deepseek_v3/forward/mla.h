// Multi-head latent attention (DeepSeek-V2 paper, section 2.1): what is cached of a token is one
// normed latent and one rotated key, shared by all heads.
#pragma once

#include "models/deepseek_v3/forward/step.h"

namespace fathom::models::deepseek_v3 {

// q [T, heads * (nope + rope)], rotated, and this step's latents into `cache`. Takes own_rows of
// normed.
Status prepare_attention(Step& step, const MlaWeights& weights, const fathom_kv_cache& cache);
// x = attention(q), by cached latents: this rank's heads' part of all rows.
Status attention(Step& step, const MlaWeights& weights, const fathom_kv_cache& cache);

}  // namespace fathom::models::deepseek_v3
