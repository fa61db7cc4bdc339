// Checks that untrusted source text either compiles and can be walked, or is refused.
#pragma once

#include <cstdint>
#include <span>

namespace fathom::grammar {

// The first byte chooses the kind of source, the rest is its text. Compiles it for a vocabulary of
// bytes and walks at random (seeded by the text) through what it allows. Aborts if a mask and
// accept() disagree, if nothing may follow a text that is not complete, or if a complete text of a
// JSON source does not parse. Returns whether the source compiled.
bool fuzz_grammar(std::span<const uint8_t> data);

}  // namespace fathom::grammar
