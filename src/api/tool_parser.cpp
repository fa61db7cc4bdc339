#include "api/tool_parser.h"

#include "api/ids.h"

namespace fathom::api {

namespace {

std::string trimmed(const std::string& text) {
  constexpr const char* kBlank = " \t\r\n";
  const size_t begin = text.find_first_not_of(kBlank);
  if (begin == std::string::npos) return "";
  return text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

struct FencedCall {
  std::string name;
  std::string arguments;
};

// NAME\n```json\n{JSON}\n```, or nothing.
std::optional<FencedCall> read_fenced(const std::string& text) {
  const std::string fence = "```";
  const size_t open = text.find(fence);
  if (open == std::string::npos) return {};
  const size_t line_end = text.find('\n', open);
  if (line_end == std::string::npos) return {};
  size_t close = text.rfind(fence);
  if (close <= open) close = text.size();
  FencedCall call{trimmed(text.substr(0, open)), trimmed(text.substr(line_end, close - line_end))};
  if (call.name.empty()) return {};
  return call;
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
    case State::kBetween:  // line breaks; nothing else belongs there
      break;
    case State::kArguments:
      add_arguments(text, calls);
      break;
    case State::kHeader:
    case State::kFenced:
      raw_ += text;
  }
}

void ToolParser::take_separator(std::string& content, std::vector<ToolCallDelta>& calls) {
  if (state_ != State::kHeader) {
    take_text(std::string(marker_text(Marker::kCallSeparator)), content, calls);
    return;
  }
  const std::string name = trimmed(raw_);
  if (name.empty()) return end_call(content, calls);
  raw_.clear();
  if (name == "function") {
    state_ = State::kFenced;
  } else {
    begin_call(name, calls);
    state_ = State::kArguments;
  }
}

void ToolParser::end_call(std::string& content, std::vector<ToolCallDelta>& calls) {
  if (state_ == State::kFenced) {
    if (const auto call = read_fenced(raw_)) {
      begin_call(call->name, calls);
      add_arguments(call->arguments, calls);
      raw_.clear();
    }
  }
  content += raw_;
  raw_.clear();
  state_ = State::kText;
}

void ToolParser::begin_call(const std::string& name, std::vector<ToolCallDelta>& calls) {
  const int index = next_index_;
  if (!parallel_ && index > 0) {
    muted_ = true;
    return;
  }
  ++next_index_;
  calls.push_back({index, random_id("call_"), name, ""});
}

void ToolParser::add_arguments(std::string arguments, std::vector<ToolCallDelta>& calls) const {
  if (muted_ || arguments.empty()) return;
  const int index = next_index_ - 1;
  if (!calls.empty() && calls.back().index == index) {
    calls.back().arguments += arguments;
  } else {
    calls.push_back({index, {}, {}, std::move(arguments)});
  }
}

void ToolParser::flush(std::string& content, std::vector<ToolCallDelta>& calls) {
  end_call(content, calls);
}

}  // namespace fathom::api
