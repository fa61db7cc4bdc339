// Finds stop strings in generated text, also across the borders of tokens. Text that could be the
// beginning of a stop string is held back until it is clear that it is not.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "api/grammars/grammar_follower.h"
#include "api/text/markers.h"

namespace fathom::api {

class StopMatcher {
 public:
  // With a follower, a stop string only counts where the text before it may end by its grammar.
  explicit StopMatcher(std::vector<std::string> stops, std::optional<GrammarFollower> follower = {})
      : stops_(std::move(stops)), follower_(std::move(follower)) {}

  // Appends to `out` what cannot belong to a stop string any more. True if a stop string was
  // found: everything before it has then been appended and nothing more may be fed. With
  // `may_stop` false (min_tokens is not reached) the text passes unsearched.
  bool feed(const Piece& piece, bool may_stop, std::vector<Piece>& out);
  // The stop string that was found.
  const std::optional<std::string>& found() const { return found_; }
  // The end of the text: what is held back was no stop string.
  void flush(std::vector<Piece>& out);

  // Bytes of text appended to `out` so far.
  size_t released() const { return released_; }

 private:
  struct Mark {
    size_t begin;  // offset within held_
    size_t length;
    Marker marker;
  };
  // Where it begins; sets found_.
  std::optional<size_t> find_stop();
  // The first `size` bytes of held_, with the markers that lie in them.
  std::vector<Piece> front(size_t size) const;
  // Moves them to `out`.
  void release(size_t size, std::vector<Piece>& out);

  std::vector<std::string> stops_;
  std::optional<GrammarFollower> follower_;
  std::optional<std::string> found_;
  std::string held_;
  std::deque<Mark> marks_;
  size_t released_ = 0;
};

}  // namespace fathom::api
