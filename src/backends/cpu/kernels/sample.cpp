#include "backends/cpu/kernels/sample.h"

#include "backends/cpu/kernels/tensor_rows.h"
#include "sampling/contract_draw.h"

namespace fathom::cpu {

using sampling::RowScratch;

size_t sample_workspace(int threads, const fathom_sample_args& args) {
  return static_cast<size_t>(threads) * RowScratch::bytes(args.logits.shape[1]);
}

void sample(ThreadPool& pool, const fathom_sample_args& args) {
  const int64_t vocab = args.logits.shape[1];
  const size_t bytes = RowScratch::bytes(vocab);
  auto* workspace = static_cast<std::byte*>(args.workspace);
  parallel_for(pool, *args.num_draws, [&](int64_t i, int thread) {
    RowScratch scratch(vocab, workspace + bytes * static_cast<size_t>(thread));
    const fathom_draw& draw = args.draws[i];
    const std::span<const float> logits(row_of(args.logits, draw.logit_row),
                                        static_cast<size_t>(vocab));
    args.tokens[i] = sampling::draw_token(args, draw, logits, scratch).value_or(-1);
  });
}

void take_tokens(ThreadPool&, const fathom_take_tokens_args& args) {
  for (int64_t i = 0; i < args.num_tokens; ++i) {
    if (args.tokens[i] < -1) args.tokens[i] = args.drawn[-2 - args.tokens[i]];
  }
}

}  // namespace fathom::cpu
