// Reads the tool calls in a model's answer. The form is DeepSeek-V3.1's,
//   <｜tool▁calls▁begin｜><｜tool▁call▁begin｜>NAME<｜tool▁sep｜>{JSON}<｜tool▁call▁end｜>...
//   <｜tool▁calls▁end｜>
// or V3's and R1's, where "function" stands before the separator and after it
//   NAME\n```json\n{JSON}\n```
// What a model writes is not trusted to have either form: anything else becomes text again, and
// arguments are passed on as they are, whether JSON or not.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "api/markers.h"

namespace fathom::api {

// News of one call: id and name come once, with its first delta; arguments may come in bits.
struct ToolCallDelta {
  int index = 0;
  std::optional<std::string> id;
  std::optional<std::string> name;
  std::string arguments;
};

class ToolParser {
 public:
  // Without `parallel` only the first call is reported.
  explicit ToolParser(bool parallel) : parallel_(parallel) {}

  // Appends text outside of calls to `content` and news of calls to `calls`.
  void feed(const Piece& piece, std::string& content, std::vector<ToolCallDelta>& calls);
  // The end of the answer: what was begun but is no call becomes text.
  void flush(std::string& content, std::vector<ToolCallDelta>& calls);

  int call_count() const { return next_index_; }

 private:
  enum class State {
    kText,
    kBetween,    // within the list of calls, before or after one
    kHeader,     // after <｜tool▁call▁begin｜>, up to the separator
    kArguments,  // V3.1: until <｜tool▁call▁end｜>
    kFenced,     // V3: name and fenced JSON, until <｜tool▁call▁end｜>
  };
  void take_text(const std::string& text, std::string& content, std::vector<ToolCallDelta>& calls);
  void take_separator(std::string& content, std::vector<ToolCallDelta>& calls);
  void end_call(std::string& content, std::vector<ToolCallDelta>& calls);
  void begin_call(const std::string& name, std::vector<ToolCallDelta>& calls);
  void add_arguments(std::string arguments, std::vector<ToolCallDelta>& calls) const;

  bool parallel_;
  State state_ = State::kText;
  std::string raw_;  // of the header, or of the whole call for kFenced
  int next_index_ = 0;
  bool muted_ = false;  // a second call where only one was allowed
};

}  // namespace fathom::api
