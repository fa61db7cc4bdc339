#include "api/output/tool_parser.h"

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>
#include <utility>

#include "api/text/ids.h"
#include "api/text/json_text.h"

namespace fathom::api {

namespace {

constexpr const char* kBlank = " \t\r\n";
constexpr std::string_view kFunction = "function";
constexpr std::string_view kFenceMark = "```";
constexpr std::string_view kClosingFence = "\n```";

std::string trimmed(const std::string& text) {
  const size_t begin = text.find_first_not_of(kBlank);
  if (begin == std::string::npos) return "";
  return text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

bool is_name(const std::string& text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '_' || c == '-' || c == '.';
  });
}

}  // namespace

void ToolParser::feed(const Piece& piece, std::string& content, std::vector<ToolCallDelta>& calls) {
  switch (piece.marker) {
    case Marker::kCallsBegin:
      end_call(content, calls);
      state_ = State::kBetween;
      break;
    case Marker::kCallBegin:
      end_call(content, calls);
      state_ = State::kHeader;
      break;
    case Marker::kCallSeparator:
      take_separator(content, calls);
      break;
    case Marker::kCallEnd:
      begin_without_arguments(calls);
      if (has_begun()) ++ended_calls_;
      end_call(content, calls);
      state_ = State::kBetween;
      break;
    case Marker::kCallsEnd:
      end_call(content, calls);
      state_ = State::kText;
      break;
    default:
      take_text(piece.text, content, calls);
  }
}

void ToolParser::take_text(const std::string& text, std::string& content,
                           std::vector<ToolCallDelta>& calls) {
  switch (state_) {
    case State::kText:
      content += text;
      break;
    case State::kBetween:
      take_between(text, content);
      break;
    case State::kClosed:
      break;
    case State::kArguments:
      add_arguments(text, calls);
      break;
    case State::kFenced:
      take_fenced(text, calls);
      break;
    case State::kHeader:
    case State::kBroken:
      raw_ += text;
      break;
    case State::kName:
      raw_ += text;
      take_name(calls);
      break;
    case State::kFence:
      raw_ += text;
      take_fence(calls);
  }
}

// Line breaks belong there; anything else is what the model says instead of a call.
void ToolParser::take_between(const std::string& text, std::string& content) {
  raw_ += text;
  if (raw_.find_first_not_of(kBlank) == std::string::npos) return;
  content += raw_;
  raw_.clear();
  state_ = State::kText;
}

void ToolParser::take_separator(std::string& content, std::vector<ToolCallDelta>& calls) {
  if (state_ != State::kHeader) {
    take_text(std::string(marker_text(Marker::kCallSeparator)), content, calls);
    return;
  }
  const std::string name = trimmed(raw_);
  if (!is_name(name)) {
    state_ = State::kBroken;
    return;
  }
  raw_.clear();
  if (name == kFunction) {
    state_ = State::kName;
  } else {
    begin_call(name, calls);
    state_ = State::kArguments;
  }
}

void ToolParser::take_name(std::vector<ToolCallDelta>& calls) {
  const size_t begin = raw_.find_first_not_of(kBlank);
  if (named_function_ && begin != std::string::npos && raw_[begin] == '{') {
    begin_call(std::string(kFunction), calls);
    state_ = State::kArguments;
    add_arguments(std::exchange(raw_, {}), calls);
    return;
  }
  const size_t line_end = begin == std::string::npos ? begin : raw_.find('\n', begin);
  if (line_end == std::string::npos) return;
  name_ = trimmed(raw_.substr(0, line_end));
  state_ = is_name(name_) ? State::kFence : State::kBroken;
  if (state_ == State::kFence) take_fence(calls);
}

// The fence may be left out.
void ToolParser::take_fence(std::vector<ToolCallDelta>& calls) {
  const std::string_view line =
      std::string_view(raw_).substr(raw_.find('\n', raw_.find(name_)) + 1);
  const size_t begin = line.find_first_not_of(kBlank);
  if (begin == line.npos) return;
  std::string_view arguments = line.substr(begin);
  if (arguments.substr(0, kFenceMark.size()) == kFenceMark) {
    const size_t fence_end = arguments.find_first_of("{\n");
    if (fence_end == arguments.npos) return;
    arguments.remove_prefix(arguments[fence_end] == '\n' ? fence_end + 1 : fence_end);
  } else if (kFenceMark.starts_with(arguments)) {
    return;
  } else if (arguments.front() != '{') {
    state_ = State::kBroken;
    return;
  }
  begin_call(name_, calls);
  state_ = State::kFenced;
  const std::string first(arguments);
  raw_.clear();
  take_fenced(first, calls);
}

// JSON has no line that begins with a fence, within strings or without.
void ToolParser::take_fenced(const std::string& text, std::vector<ToolCallDelta>& calls) {
  held_ += text;
  size_t close = held_.find(kClosingFence);
  if (arguments_.empty() && trimmed(held_).starts_with(kFenceMark)) close = 0;
  if (close != std::string::npos) {
    held_.resize(close);
    state_ = State::kClosed;
  }
  const size_t solid = held_.find_last_not_of(" \t\r\n`");
  if (solid == std::string::npos) return;
  add_arguments(held_.substr(0, solid + 1), calls);
  held_.erase(0, solid + 1);
}

bool ToolParser::has_begun() const {
  return state_ == State::kArguments || state_ == State::kFenced || state_ == State::kClosed;
}

// Whether what was begun may still have become a call.
bool ToolParser::cut_short() const {
  if (state_ == State::kFence) return true;
  const std::string begun = trimmed(raw_);
  return (state_ == State::kHeader || state_ == State::kName) && is_name(begun);
}

// At the end mark of a call in V3's form: its name may be all there is, with an empty fence or
// none.
void ToolParser::begin_without_arguments(std::vector<ToolCallDelta>& calls) {
  if (state_ != State::kName && state_ != State::kFence) return;
  std::string name = state_ == State::kFence ? name_ : trimmed(raw_);
  if (name.empty() && named_function_) name = kFunction;
  if (!is_name(name)) return;
  begin_call(name, calls);
  state_ = State::kClosed;
  raw_.clear();
}

void ToolParser::end_call(std::string& content, std::vector<ToolCallDelta>& calls) {
  if (has_begun() && arguments_.empty()) add_arguments("{}", calls);
  if (state_ != State::kBetween) content += raw_;
  raw_.clear();
  held_.clear();
  state_ = State::kText;
}

void ToolParser::begin_call(const std::string& name, std::vector<ToolCallDelta>& calls) {
  arguments_.clear();
  const int index = next_index_;
  if (!parallel_ && index > 0) {
    muted_ = true;
    return;
  }
  ++next_index_;
  calls.push_back({index, random_id("call_"), name, ""});
}

void ToolParser::add_arguments(const std::string& text, std::vector<ToolCallDelta>& calls) {
  const size_t begin = arguments_.empty() ? text.find_first_not_of(kBlank) : 0;
  if (text.empty() || begin == std::string::npos) return;
  arguments_.append(text, begin);
  if (muted_) return;
  const int index = next_index_ - 1;
  if (calls.empty() || calls.back().index != index) calls.push_back({index, {}, {}, ""});
  calls.back().arguments.append(text, begin);
}

void ToolParser::flush(std::string& content, std::vector<ToolCallDelta>& calls) {
  if (cut_short()) raw_.clear();
  const bool within = state_ == State::kArguments || state_ == State::kFenced;
  last_call_cut_ = within && !muted_ && !arguments_.empty() && !parse_json(arguments_);
  end_call(content, calls);
}

}  // namespace fathom::api
