#include "api/stop_matcher.h"

#include <algorithm>

#include "api/text_search.h"

namespace fathom::api {

bool StopMatcher::feed(const Piece& piece, bool may_stop, std::vector<Piece>& out) {
  if (piece.marker != Marker::kNone) {
    marks_.push_back({held_.size(), piece.text.size(), piece.marker});
  }
  held_ += piece.text;
  if (stops_.empty() || !may_stop) {
    flush(out);
    return false;
  }
  if (const auto match = find_first(held_, stops_)) {
    // A marker that only begins before the stop string is cut like any text.
    while (!marks_.empty() && marks_.back().begin + marks_.back().length > match->begin) {
      marks_.pop_back();
    }
    release(match->begin, out);
    return true;
  }
  size_t size = held_.size() - longest_partial_match(held_, stops_);
  for (const Mark& mark : marks_) {
    if (mark.begin < size && size < mark.begin + mark.length) size = mark.begin;
  }
  release(size, out);
  return false;
}

void StopMatcher::flush(std::vector<Piece>& out) {
  release(held_.size(), out);
}

void StopMatcher::release(size_t size, std::vector<Piece>& out) {
  size_t at = 0;
  while (!marks_.empty() && marks_.front().begin + marks_.front().length <= size) {
    const Mark mark = marks_.front();
    marks_.pop_front();
    if (mark.begin > at) out.push_back({held_.substr(at, mark.begin - at)});
    out.push_back({held_.substr(mark.begin, mark.length), mark.marker});
    at = mark.begin + mark.length;
  }
  if (size > at) out.push_back({held_.substr(at, size - at)});
  held_.erase(0, size);
  released_ += size;
  for (Mark& mark : marks_) mark.begin -= size;
}

}  // namespace fathom::api
