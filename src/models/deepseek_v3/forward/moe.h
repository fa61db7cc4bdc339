// Feed-forward layers: the dense SwiGLU and DeepSeekMoE (DeepSeek-V3 paper, section 2.1.2).
#pragma once

#include "models/deepseek_v3/forward/step.h"

namespace fathom::models::deepseek_v3 {

// x = w2 (silu(w1 normed) * w3 normed): this rank's part of the sum.
Status mlp(Step& step, const MlpWeights& weights);

// x = shared(normed) + sum of the chosen experts: likewise.
Status moe(Step& step, const MoeWeights& weights);

}  // namespace fathom::models::deepseek_v3
