// What ranks pass to each other outside attention and feed-forward layers: embeddings, sums and the
// stream between stages.
#pragma once

#include "models/deepseek_v3/forward/step.h"

namespace fathom::models::deepseek_v3 {

// The rows of x that this rank keeps between sums. Of ranks with the same tokens each keeps some,
// where there are enough: what is done row by row is then done once, and a sum goes to where it is
// needed (sequence parallelism: Korthikanti et al. 2022, section 4.2.2). Otherwise each keeps all.
Tensor own_rows(const Step& step, const Tensor& x);
// Picking rows is an embedding lookup in the table of them.
Weight as_table(const Tensor& rows);

// x += the x of the other ranks with the same tokens, in own_rows(): makes a whole of their parts.
Status sum_rows(Step& step, const char* name, const Tensor& x);
// Other ranks' own rows of x become this one's, too.
Status gather_rows(Step& step, const char* name, const Tensor& x);

// out [T, H] = the embeddings of in.tokens, in own_rows().
Status embed(Step& step, const Weight& table, const Tensor& out);

// The stream between two stages: residual += x goes to the next one, which begins with it.
Status send_stream(Step& step);
Status receive_stream(Step& step);

}  // namespace fathom::models::deepseek_v3
