// JSON schemas, regular expressions and EBNF: see grammar/fuzz_for_tests.h.
#include "fuzz_target.h"
#include "grammar/fuzz_for_tests.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  (void)fathom::grammar::fuzz_grammar({data, size});
  return 0;
}
