// Speculation: after a step, the model's drafting layer guesses the next tokens of the decoding
// sequences; the next step runs them as rows behind each sequence's own and keeps those that the
// sampler draws as well. Draws depend on logits, seed and position alone, so tokens are the same
// with drafts and without. Drafts are drawn by the same sampler at the same position: near
// distributions then give equal tokens at any temperature.
//
// The layer has latents of its own, so it is shown every row that the model ran, given ones too,
// unless drafting does not pay then. Rows it was not shown leave holes in its cache; they make
// drafts worse, never answers.
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
  int64_t drafts = 0;  // of a sequence at most; 0: never any
  bool always = false;
  int64_t max_sequences = 0;
};

class Drafter {
 public:
  Drafter(const DrafterOptions& options, ModelRunner& runner, sampling::SamplerScratch& scratch);

  // Whether drafts may be made behind a step.
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
  // Of the drafts that ran in it: what making them took, where nothing else was made with them.
  std::optional<double> drafting_seconds_;
};

}  // namespace fathom::engine
