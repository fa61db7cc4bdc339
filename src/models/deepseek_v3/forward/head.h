// The end of a stack of blocks: its norm, and logits.
#pragma once

#include "models/deepseek_v3/forward/step.h"

namespace fathom::models::deepseek_v3 {

// hidden [T, H] = the norm of the stream behind the last block; logits [L, vocab] of the rows that
// want some.
Status head(Step& step, const float* norm, const Weight& weight);

}  // namespace fathom::models::deepseek_v3
