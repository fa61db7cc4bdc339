// Speculation: after a step, the model's drafting layer guesses the next tokens of the decoding
// sequences. The next step runs the guesses as rows after each sequence's own and keeps those that
// equal the tokens drawn. Draws depend only on logits, seed and position, so the tokens are the
// same with drafts and without. Drafts are drawn by the same sampler at the same position, so
// similar distributions give equal tokens at any temperature.
//
// The layer has latents of its own, so it runs every row that the model ran, prompt rows included,
// unless drafting does not pay. Rows it does not run leave holes in its cache, which make drafts
// worse, never answers.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "engine/schedule/scheduler.h"
#include "engine/speculate/draft_policy.h"
#include "engine/step/model_runner.h"
#include "sampling/sampler.h"

namespace fathom::engine {

struct DrafterOptions {
  int64_t drafts = 0;  // per sequence, upper bound; 0: no drafting
  bool always = false;
  int64_t max_sequences = 0;
};

class Drafter {
 public:
  Drafter(const DrafterOptions& options, ModelRunner& runner, sampling::SamplerScratch& scratch);

  // Whether drafting is enabled.
  bool drafts() const { return options_.drafts > 0; }

  // In the order of calls: a step begins, its forward pass took so long, ...
  void begin_step(std::span<const Chunk> chunks);
  void model_took(double seconds) { seconds_ = seconds; }
  // ... each sequence that goes on from its rows [begin, computed), which stood from `source` on
  // in the step, ...
  void add(Sequence& sequence, int64_t begin, int64_t source);
  // ... and these get their drafts.
  void draft();

 private:
  int64_t room(const Sequence& sequence) const;
  void choose();
  void extend(std::span<const float> logits);

  const DrafterOptions options_;
  ModelRunner& runner_;
  sampling::SamplerScratch& scratch_;
  DraftPolicy policy_;
  std::vector<DraftRows> rows_;
  // Of the step that runs: decoding sequences and drafts in it, whether nothing else was.
  int64_t decoding_ = 0;
  int64_t drafts_ = 0;
  bool only_decodes_ = false;
  double seconds_ = 0;
  // What making the drafts of the current step took, if only decoding sequences were drafted for.
  std::optional<double> drafting_seconds_;
};

}  // namespace fathom::engine
