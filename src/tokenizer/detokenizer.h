// Turns token ids into text as they arrive. A token may end within a character, streamed text must
// not.
#pragma once

#include <string>

#include "tokenizer/tokenizer.h"

namespace fathom::tokenizer {

// One a stream; not for several threads at once. What push() and, at the end, flush() return, put
// together, equals Tokenizer::decode of all the ids.
class Detokenizer {
 public:
  explicit Detokenizer(Tokenizer tokenizer, bool skip_special = false);

  // The text that `id` completes: whole characters only, ill-formed bytes as U+FFFD. Empty where
  // the token is special and skipped, unknown, or ends within its first character.
  std::string push(TokenId id);
  // Ends the text: the beginning of a character that never came is U+FFFD. Afterwards the
  // detokeniser is as new.
  std::string flush();

 private:
  Tokenizer tokenizer_;
  bool skip_special_;
  // Bytes of a character that is not whole yet, at most 3 between calls. Kept to use its memory
  // again.
  std::string pending_;
};

}  // namespace fathom::tokenizer
