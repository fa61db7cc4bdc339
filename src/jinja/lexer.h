// Template source to tokens, with Jinja's white space control as Hugging Face sets it
// (trim_blocks and lstrip_blocks on, one line end at the end of the source dropped).
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace fathom::jinja {

enum class TokenKind {
  kText,           // outside of tags
  kBlockBegin,     // {%
  kBlockEnd,       // %}
  kVariableBegin,  // {{
  kVariableEnd,    // }}
  kName,
  kInteger,
  kFloat,
  kString,    // `text` is its value, without quotes and escapes
  kOperator,  // anything else
  kEnd,       // of the source; always the last token
};

struct Token {
  TokenKind kind;
  std::string text;
  int line;
};

// What a token is called in an error: "'%}'", "a string", "the end of the template".
std::string describe(const Token& token);

// Throws Failure.
std::vector<Token> tokenize(std::string_view source);

}  // namespace fathom::jinja
