// Server-sent events. Source: WHATWG HTML Living Standard, section 9.2.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace fathom::net {

// "data: DATA\n\n". Line ends within `data` (\n, \r\n, \r) become further data lines, so no text
// can break out of its event; they arrive as \n.
std::string sse_event(std::string_view data);

// The same with an "event: TYPE" line first, as Anthropic's API sends; line ends in `type` are
// dropped.
std::string sse_event(std::string_view type, std::string_view data);

// ": COMMENT\n\n", which clients ignore.
std::string sse_comment(std::string_view comment);

struct SseEvent {
  std::string type;  // empty if the stream named none (then it means "message")
  std::string data;
  std::string id;  // the last event id seen so far
};

// Splits a byte stream, cut anywhere, into events.
class SseParser {
 public:
  // Bytes of one event (its data, or one line) beyond which the stream is refused.
  static constexpr std::size_t kDefaultMaxEventBytes = 16 * 1024 * 1024;

  explicit SseParser(std::size_t max_event_bytes = kDefaultMaxEventBytes)
      : max_event_bytes_(max_event_bytes) {}

  // Appends the events that `bytes` completes to `events`. False, from then on, if an event
  // exceeded the limit.
  bool feed(std::string_view bytes, std::vector<SseEvent>& events);

 private:
  bool take_line(std::string_view line, std::vector<SseEvent>& events);
  void take_field(std::string_view name, std::string_view value);

  std::size_t max_event_bytes_;
  std::string line_;
  std::string data_;
  std::string type_;
  std::string id_;
  bool has_data_ = false;
  bool after_cr_ = false;
  bool at_start_ = true;
  bool refused_ = false;
};

}  // namespace fathom::net
