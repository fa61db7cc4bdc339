// The marks by which DeepSeek's models structure their output: where thinking ends, where a tool
// call begins. A mark that is one token of the tokenizer counts only as that token, so that text
// which merely spells it stays text; for other tokenizers it is found in the text.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/tokenizer.h"

namespace fathom::api {

enum class Marker : uint8_t {
  kNone,
  kThinkBegin,
  kThinkEnd,
  kCallsBegin,
  kCallBegin,
  kCallSeparator,
  kCallEnd,
  kCallsEnd,
};

inline constexpr std::array kMarkers = {
    Marker::kThinkBegin,    Marker::kThinkEnd, Marker::kCallsBegin, Marker::kCallBegin,
    Marker::kCallSeparator, Marker::kCallEnd,  Marker::kCallsEnd};

std::string_view marker_text(Marker marker);

// A bit of generated text; of a marker, `text` is how it reads (empty where special tokens are
// left out of the text).
struct Piece {
  std::string text;
  Marker marker = Marker::kNone;

  bool operator==(const Piece&) const = default;
};

// How the markers appear with one tokenizer.
class MarkerTable {
 public:
  MarkerTable() = default;  // none is a token
  explicit MarkerTable(const tokenizer::Tokenizer& tokenizer);

  Marker of_token(tokenizer::TokenId id) const;
  std::optional<tokenizer::TokenId> token_of(Marker marker) const;
  bool is_token(Marker marker) const { return token_of(marker).has_value(); }
  // How the marker reads in a grammar. One that is a token is spelled with the byte FF, which is in
  // no UTF-8, so that no other tokens spell it.
  std::string grammar_text(Marker marker) const;
  // The markers that are no token.
  const std::vector<Marker>& in_text() const { return in_text_; }

 private:
  struct Entry {
    tokenizer::TokenId id;
    Marker marker;
  };
  std::vector<Entry> tokens_;
  std::vector<Marker> in_text_{kMarkers.begin(), kMarkers.end()};
};

// Turns the markers of `in_text` that pieces spell into pieces of their own. Holds back text that
// could be the beginning of one.
class MarkerScanner {
 public:
  explicit MarkerScanner(std::vector<Marker> in_text);

  void feed(Piece piece, std::vector<Piece>& out);
  void flush(std::vector<Piece>& out);

 private:
  void take_text(std::vector<Piece>& out);

  std::vector<Marker> markers_;
  std::vector<std::string> texts_;  // of markers_
  std::string held_;
};

}  // namespace fathom::api
