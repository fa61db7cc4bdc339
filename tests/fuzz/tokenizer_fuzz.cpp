// tokenizer.json, and text through what it makes.
#include "base/check.h"
#include "fuzz_target.h"
#include "tokenizer/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fathom;
  const auto made = tokenizer::Tokenizer::parse(fuzz::as_text(data, size));
  if (!made) return 0;
  constexpr std::string_view kText = "Hello,  w\xc3\xb6rld 123\n\t\xff<|x|> \xe4\xbd\xa0 a'll";
  for (const auto& ids : {made->encode(kText), made->encode_with_added_tokens(kText)}) {
    for (const auto id : ids) FATHOM_CHECK(id >= 0 && id < made->vocab_size(), "ids are in range");
    (void)made->decode(ids);
  }
  return 0;
}
