// The layer of multi-token prediction, which drafts tokens (DeepSeek-V3 paper, section 2.2): of a
// token's embedding and the hidden state before it, it makes the hidden state and the logits of the
// next. Behind its own output it goes on where more than one token is drafted.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "models/deepseek_v3/forward/step.h"

namespace fathom::models::deepseek_v3 {

class MtpLayer {
 public:
  // All of it outlives the layer. hidden [T, H]: of the call before, the largest that there is.
  MtpLayer(const MtpWeights& weights, const fathom_kv_cache& cache, const Tensor& hidden)
      : weights_(weights), cache_(cache), hidden_(hidden) {
    sources_.reserve(static_cast<size_t>(hidden.shape[0]));
  }

  // Where the hidden states of `rows` of the call before stand now, of which `kept` went on to its
  // end. Valid until the next call.
  std::span<const int32_t> sources(std::span<const int32_t> rows, const LogitRows& kept);

  // From the step's tokens and the hidden states of its sources to logits [L, vocab]. `kept` as in
  // block().
  Status queue(Step& step, const LogitRows* kept) const;

 private:
  Status join(Step& step) const;

  const MtpWeights& weights_;
  const fathom_kv_cache& cache_;
  Tensor hidden_;
  std::vector<int32_t> sources_;
};

}  // namespace fathom::models::deepseek_v3
