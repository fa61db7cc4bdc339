// Nucleus sampling (Holtzman and others, "The curious case of neural text degeneration", ICLR
// 2020): the first-ranked tokens that together hold a share of all weight.
#pragma once

#include <cstdint>
#include <span>

#include "sampling/logit_row.h"

namespace fathom::sampling {

// Gives the candidates their weights; returns the sum.
uint64_t weigh(std::span<Candidate> candidates, const WeightRule& rule);

// How many of the first-ranked candidates it takes to hold `needed` of their weight, all if they
// hold less; they are moved to the front. Linear on average.
size_t nucleus(std::span<Candidate> candidates, uint64_t needed);

// The last-ranked token of the fewest that hold share_of() what the row's tokens from rule.least on
// weigh. The row has a best token. All tokens with that token's logit are among `candidates` then.
Candidate last_of_nucleus(const LogitRow& row, const WeightRule& rule, uint64_t share,
                          CandidateList& candidates);

}  // namespace fathom::sampling
