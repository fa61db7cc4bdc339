// OpenAI's custom tools take free text. The model knows such a tool as a function whose one
// argument, `input`, is that text.
#pragma once

#include <string>
#include <string_view>

#include "api/text/json_text.h"
#include "base/result.h"

namespace fathom::api::responses {

// The function for a tool {"type": "custom", "name", "description", "format"}. A regular expression
// as format becomes the pattern of the argument; a grammar for Lark is only told to the model.
// Errors: kInvalidArgument or kUnsupported for another format.
Result<Json> custom_function(const Json& tool, const std::string& path);

// The arguments of a call with this input.
std::string custom_arguments(const std::string& input);

// The input within arguments that arrive bit by bit. Of arguments that begin as {"input": "... it
// is given as it comes; of others at the end, and those that have no such member are the input
// themselves.
class CustomInput {
 public:
  // Returns what is known more of the input.
  std::string take(std::string_view arguments);
  std::string finish();

 private:
  enum class State { kBefore, kText, kBehind, kOther };
  void take_text(std::string& text);

  State state_ = State::kBefore;
  std::string held_;  // not understood so far; in kOther all arguments
};

}  // namespace fathom::api::responses
