// JSON schemas, regular expressions and EBNF: see grammar/testing/fuzz.h.
#include "fuzz_target.h"
#include "grammar/testing/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  (void)fathom::grammar::fuzz_grammar({data, size});
  return 0;
}
