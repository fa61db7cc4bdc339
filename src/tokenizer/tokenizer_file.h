// The contents of a Hugging Face tokenizer.json and its tokenizer_config.json, checked field by
// field. Unsupported settings that would change the tokens are refused by the name of the field.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "tokenizer/pretokenizer.h"
#include "tokenizer/token_id.h"

namespace fathom::tokenizer {

struct AddedToken {
  TokenId id = kNoToken;
  std::string content;  // UTF-8, not empty
  bool special = false;
  // Hugging Face looks for the tokens that are not "normalized" first, then for the others in what
  // is left.
  bool normalized = false;
};

struct TokenizerFile {
  // Written in the byte alphabet (byte_alphabet.h), except where a file has other characters.
  std::vector<std::pair<std::string, TokenId>> vocabulary;
  std::vector<std::pair<std::string, std::string>> merges;  // left, right; by rank
  bool ignore_merges = false;
  std::vector<AddedToken> added_tokens;
  std::vector<SplitPattern> split_patterns;  // in the order they apply
};

struct TokenizerConfig {
  std::optional<std::string> bos_token;
  std::optional<std::string> eos_token;
};

// Errors: kDataCorrupt for a file that contradicts itself or the format, kUnsupported for what we
// do not do; "tokenizer.json: FIELD: expected …, got …", with the field also in `where`.
//
// Supported: model BPE without byte_fallback, dropout and affixes; normalizer null or an empty
// Sequence; pre_tokenizer ByteLevel without prefix space, after any number of Split (Regex,
// Isolated, not inverted) and Digits; decoder ByteLevel. Not read, because the server decides these
// itself: post_processor, truncation, padding.
Result<TokenizerFile> parse_tokenizer_file(std::string_view json);

Result<TokenizerConfig> parse_tokenizer_config(std::string_view json);

}  // namespace fathom::tokenizer
