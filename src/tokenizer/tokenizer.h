// Text to token ids and back: byte-level BPE as Hugging Face's tokenizers library does it, from a
// released tokenizer.json. The fields that are supported are listed in tokenizer_file.h; anything
// else is refused when loading, by name.
//
// Text is UTF-8. Ill-formed bytes count as U+FFFD, one for each maximal ill-formed part, which is
// what Hugging Face's libraries see after their callers have decoded the bytes.
//
// The split patterns of DeepSeek-V3 and its relatives take a fast path with Unicode tables of our
// own (deepseek_split.h); any others run on PCRE2, with the Unicode version of that library.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "tokenizer/token_id.h"

namespace fathom::tokenizer {

// Immutable after loading and safe to use from any number of threads. A copy is a pointer to the
// same tables.
class Tokenizer {
 public:
  // Reads tokenizer.json and, unless its path is empty, tokenizer_config.json (for bos and eos).
  // Errors: kNotFound or kIo for a file that cannot be read, else as parse().
  static Result<Tokenizer> load(const std::filesystem::path& tokenizer_json,
                                const std::filesystem::path& tokenizer_config = {});
  // The same from the files' content. Errors: kDataCorrupt or kUnsupported, naming the field.
  static Result<Tokenizer> parse(std::string_view tokenizer_json,
                                 std::string_view tokenizer_config = {});

  // `text` is a user's: no added or special token ever comes out of it, whatever it says.
  std::vector<TokenId> encode(std::string_view text) const;

  // A part of a prompt. Trusted text is a template's own and may hold added tokens.
  struct Piece {
    std::string_view text;
    bool trusted;
  };
  // The tokens of the pieces put together. Added tokens are found only within neighbouring trusted
  // pieces; the ordinary text between them is split and merged as one string, across the borders
  // of pieces, as it would be in encode_with_added_tokens of the whole.
  std::vector<TokenId> encode_pieces(std::span<const Piece> pieces) const;

  // All of it trusted: what Hugging Face's encode(add_special_tokens=false) gives.
  std::vector<TokenId> encode_with_added_tokens(std::string_view text) const;

  // The bytes a token stands for; they need not be whole characters. Empty for an id that the
  // vocabulary does not use, which a model's padded output layer may still name. The view stays
  // valid as long as a copy of the tokenizer does.
  std::string_view token_bytes(TokenId id) const;
  // The text of the tokens' bytes put together, ill-formed parts as U+FFFD.
  std::string decode(std::span<const TokenId> ids, bool skip_special = false) const;

  // The added token with this content, else the token that stands for these bytes.
  std::optional<TokenId> token_to_id(std::string_view text) const;
  // Whether tokenizer.json lists the token as added, and whether as "special", too.
  bool is_added(TokenId id) const;
  bool is_special(TokenId id) const;

  // Ids are 0 to vocab_size() - 1, added tokens included; a few may be unused.
  TokenId vocab_size() const;
  // From tokenizer_config.json; empty if it names none.
  std::optional<TokenId> bos() const;
  std::optional<TokenId> eos() const;

 private:
  class State;
  explicit Tokenizer(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  std::shared_ptr<const State> state_;
};

}  // namespace fathom::tokenizer
