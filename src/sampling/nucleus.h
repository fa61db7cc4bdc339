// Nucleus sampling (Holtzman and others, "The curious case of neural text degeneration", ICLR
// 2020): the first-ranked tokens that together hold a share of all weight.
#pragma once

#include <span>
#include <vector>

#include "sampling/logit_row.h"

namespace fathom::sampling {

// Gives the candidates their weights; returns the sum.
double weigh(std::span<Candidate> candidates, const WeightRule& rule);

// How many of the first-ranked candidates it takes to hold `needed` of their weight, all if they
// hold less; they are moved to the front. Linear on average.
size_t nucleus(std::span<Candidate> candidates, double needed);

// The last-ranked token of the fewest that hold `share` of what all tokens of the row weigh. The
// row has a best token; `candidates` is working space.
Candidate last_of_nucleus(const LogitRow& row, const WeightRule& rule, double share,
                          std::vector<Candidate>& candidates);

}  // namespace fathom::sampling
