#include "api/output/stop_matcher.h"

#include <algorithm>

#include "api/text/text_search.h"

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
  if (const auto begin = find_stop()) {
    // A marker that only begins before the stop string is cut like any text.
    while (!marks_.empty() && marks_.back().begin + marks_.back().length > *begin) {
      marks_.pop_back();
    }
    release(*begin, out);
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

std::optional<size_t> StopMatcher::find_stop() {
  for (size_t from = 0; const auto match = find_first(std::string_view(held_).substr(from), stops_);
       ++from) {
    from += match->begin;
    if (follower_ && !follower_->can_end_behind(front(from))) continue;
    found_ = stops_[match->needle];
    return from;
  }
  return {};
}

std::vector<Piece> StopMatcher::front(size_t size) const {
  std::vector<Piece> pieces;
  size_t at = 0;
  for (const Mark& mark : marks_) {
    if (mark.begin + mark.length > size) break;
    if (mark.begin > at) pieces.push_back({held_.substr(at, mark.begin - at)});
    pieces.push_back({held_.substr(mark.begin, mark.length), mark.marker});
    at = mark.begin + mark.length;
  }
  if (size > at) pieces.push_back({held_.substr(at, size - at)});
  return pieces;
}

void StopMatcher::release(size_t size, std::vector<Piece>& out) {
  for (Piece& piece : front(size)) {
    if (follower_) follower_->take(piece);
    out.push_back(std::move(piece));
  }
  while (!marks_.empty() && marks_.front().begin + marks_.front().length <= size) {
    marks_.pop_front();
  }
  held_.erase(0, size);
  released_ += size;
  for (Mark& mark : marks_) mark.begin -= size;
}

}  // namespace fathom::api
