#include "net/sse.h"

#include <algorithm>
#include <utility>

namespace fathom::net {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

// Calls `use` with each line of `text`; the line ends are \n, \r\n and \r.
template <typename Use>
void for_each_line(std::string_view text, Use use) {
  std::size_t begin = 0;
  while (true) {
    const std::size_t end = text.find_first_of("\r\n", begin);
    use(text.substr(begin, end - begin));
    if (end == std::string_view::npos) return;
    begin = end + (text.substr(end, 2) == "\r\n" ? 2 : 1);
  }
}

void append_field(std::string& event, std::string_view name, std::string_view text) {
  for_each_line(text, [&](std::string_view line) {
    event.append(name);
    event.append(line);
    event += '\n';
  });
}

}  // namespace

std::string sse_event(std::string_view data) {
  std::string event;
  event.reserve(data.size() + 8);
  append_field(event, "data: ", data);
  event += '\n';
  return event;
}

std::string sse_event(std::string_view type, std::string_view data) {
  std::string event = "event: ";
  std::copy_if(type.begin(), type.end(), std::back_inserter(event),
               [](char c) { return c != '\r' && c != '\n'; });
  event += '\n';
  return event + sse_event(data);
}

std::string sse_comment(std::string_view comment) {
  std::string event;
  append_field(event, ": ", comment);
  event += '\n';
  return event;
}

bool SseParser::feed(std::string_view bytes, std::vector<SseEvent>& events) {
  while (!bytes.empty() && !refused_) {
    if (std::exchange(after_cr_, false) && bytes.front() == '\n') {
      bytes.remove_prefix(1);
      continue;
    }
    const std::size_t end = bytes.find_first_of("\r\n");
    const std::string_view piece = bytes.substr(0, end);
    if (line_.size() + piece.size() > max_event_bytes_) {
      refused_ = true;
      break;
    }
    line_ += piece;
    if (end == std::string_view::npos) break;
    after_cr_ = bytes[end] == '\r';
    bytes.remove_prefix(end + 1);
    refused_ = !take_line(line_, events);
    line_.clear();
  }
  return !refused_;
}

bool SseParser::take_line(std::string_view line, std::vector<SseEvent>& events) {
  if (std::exchange(at_start_, false) && line.starts_with(kByteOrderMark)) {
    line.remove_prefix(kByteOrderMark.size());
  }
  if (line.empty()) {
    if (has_data_) events.push_back({std::move(type_), std::move(data_), id_});
    data_.clear();
    type_.clear();
    has_data_ = false;
    return true;
  }
  const std::size_t colon = line.find(':');
  if (colon == 0) return true;
  std::string_view value;
  if (colon != std::string_view::npos) value = line.substr(colon + 1);
  if (value.starts_with(' ')) value.remove_prefix(1);
  take_field(line.substr(0, colon), value);
  return data_.size() <= max_event_bytes_;
}

void SseParser::take_field(std::string_view name, std::string_view value) {
  if (name == "data") {
    if (has_data_) data_ += '\n';
    data_ += value;
    has_data_ = true;
  } else if (name == "event") {
    type_ = value;
  } else if (name == "id" && value.find('\0') == std::string_view::npos) {
    id_ = value;
  }
}

}  // namespace fathom::net
