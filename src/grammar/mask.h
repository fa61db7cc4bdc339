// Which tokens may come next.
#pragma once

#include <cstdint>
#include <span>

#include "grammar/automaton.h"
#include "grammar/stepper.h"
#include "grammar/vocabulary.h"

namespace fathom::grammar {

// Sets in `mask` (vocabulary.mask_words() words, all zero before) the bit of every token after
// whose bytes a text that is at `items` can still be completed. End tokens are not looked at.
//
// Tokens are tried along the vocabulary's tries, so that what they begin with is tried once and
// nothing is tried behind a byte that fails. A bucket of tokens of one class of text is taken whole
// where so much text of the class is accepted anyway, and left out where so much plain text cannot
// follow. Time is bounded: where a grammar leads from place to place in more ways than can be
// walked in it, a mask has only what there was time to try of the vocabulary's frequent tokens
// (single bytes first, and always one token at least).
void compute_mask(const Vocabulary& vocabulary, const Automaton& automaton, const StackNodes& nodes,
                  Stepper& stepper, std::span<const Item> items, std::span<uint32_t> mask);

}  // namespace fathom::grammar
