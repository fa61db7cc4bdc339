// Reads the tool calls in a model's answer, as they come. The form is DeepSeek-V3.1's,
//   <｜tool▁calls▁begin｜><｜tool▁call▁begin｜>NAME<｜tool▁sep｜>{JSON}<｜tool▁call▁end｜>...
//   <｜tool▁calls▁end｜>
// or V3's and R1's, where "function" stands before the separator and after it
//   NAME\n```json\n{JSON}\n```
// What a model writes is not trusted to have either form. Arguments are passed on as they are,
// whether JSON or not; where there are none they are {}. What is no call, whatever follows, becomes
// text; a call that the answer's end cuts short before its arguments is left out.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "api/text/markers.h"

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
  // Without `parallel` only the first call is reported. With `named_function` there is a tool whose
  // name is "function", so that arguments may follow that name in V3.1's form.
  explicit ToolParser(bool parallel, bool named_function = false)
      : parallel_(parallel), named_function_(named_function) {}

  // Appends text outside of calls to `content` and news of calls to `calls`.
  void feed(const Piece& piece, std::string& content, std::vector<ToolCallDelta>& calls);
  // The end of the answer.
  void flush(std::string& content, std::vector<ToolCallDelta>& calls);

  int call_count() const { return next_index_; }
  int ended_calls() const { return ended_calls_; }  // up to their end mark
  // After flush(): whether the last call was cut within its arguments, which are no JSON so.
  bool last_call_cut() const { return last_call_cut_; }

 private:
  enum class State {
    kText,
    kBetween,    // within the list of calls, before or after one: raw_ is blank
    kHeader,     // after <｜tool▁call▁begin｜>, up to the separator
    kArguments,  // V3.1: until <｜tool▁call▁end｜>
    kName,       // V3: after the separator, up to the end of the line
    kFence,      // V3: the line that opens the fence
    kFenced,     // V3: arguments, until the line that closes it
    kClosed,     // V3: behind that line, until <｜tool▁call▁end｜>
    kBroken,     // no call: raw_ will be text
  };
  void take_text(const std::string& text, std::string& content, std::vector<ToolCallDelta>& calls);
  void take_separator(std::string& content, std::vector<ToolCallDelta>& calls);
  void take_name(std::vector<ToolCallDelta>& calls);
  void take_fence(std::vector<ToolCallDelta>& calls);
  void take_fenced(const std::string& text, std::vector<ToolCallDelta>& calls);
  void take_between(const std::string& text, std::string& content);
  bool has_begun() const;
  bool cut_short() const;
  void begin_without_arguments(std::vector<ToolCallDelta>& calls);
  void end_call(std::string& content, std::vector<ToolCallDelta>& calls);
  void begin_call(const std::string& name, std::vector<ToolCallDelta>& calls);
  void add_arguments(const std::string& text, std::vector<ToolCallDelta>& calls);

  bool parallel_;
  bool named_function_;
  State state_ = State::kText;
  std::string raw_;        // of a call that has not begun, from the name on
  std::string name_;       // of a call in kFence
  std::string held_;       // in kFenced: white space and backticks that may close the fence
  std::string arguments_;  // of the call that has begun, as far as they are known
  int next_index_ = 0;
  int ended_calls_ = 0;
  bool muted_ = false;  // a second call where only one was allowed
  bool last_call_cut_ = false;
};

}  // namespace fathom::api
