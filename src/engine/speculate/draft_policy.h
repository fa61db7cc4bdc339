// Decides when drafting pays, from the measured costs of steps. It affects speed only, never a
// token.
//
// Of steps that only decode, the seconds of a plain step and of one with a draft for each sequence
// are followed for each number of sequences. What they differ by is what a draft costs: its row in
// the step that checks it, and the drafting itself. In units of a plain step's seconds a token,
// that many tokens a draft must bring, so it pays for a sequence whose share of right ones is at
// least as large. Now and then a step is taken the other way, so that both stay true.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace fathom::engine {

class DraftPolicy {
 public:
  // `always`: assume that every draft pays, and spend no step on measuring.
  DraftPolicy(int64_t max_sequences, bool always);

  // The share of accepted drafts above which drafting pays; 0 until both kinds of step are
  // measured.
  double break_even(int64_t sequences) const;
  // Counts a step. Whether to run it against the advice of break_even(), to measure.
  bool probe(int64_t sequences);
  // Records the seconds of a step with `sequences` decoding sequences and `drafts` drafts, drafting
  // included.
  void measured(int64_t sequences, int64_t drafts, double seconds);

 private:
  static constexpr int64_t kFirstSamples = 8;
  static constexpr int64_t kFirstProbesEvery = 4;  // steps, until there are as many plain ones
  static constexpr int64_t kProbesEvery = 32;      // steps, from then on

  // A running lower quartile, which outliers of a busy machine do not move.
  struct Quartile {
    double value = 0;
    int64_t count = 0;

    void add(double sample);
  };
  struct Costs {
    Quartile plain;    // seconds of a step
    Quartile drafted;  // seconds of a step with a draft for each sequence
    int64_t steps = 0;
  };

  Costs& at(int64_t sequences) { return costs_[static_cast<size_t>(sequences)]; }
  const Costs& at(int64_t sequences) const { return costs_[static_cast<size_t>(sequences)]; }

  bool always_;
  std::vector<Costs> costs_;  // by number of sequences
};

}  // namespace fathom::engine
