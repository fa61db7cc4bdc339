#include "api/text/markers.h"

#include <algorithm>

#include "api/text/text_search.h"

namespace fathom::api {

std::string_view marker_text(Marker marker) {
  switch (marker) {
    case Marker::kThinkBegin:
      return "<think>";
    case Marker::kThinkEnd:
      return "</think>";
    case Marker::kCallsBegin:
      return "<｜tool▁calls▁begin｜>";
    case Marker::kCallBegin:
      return "<｜tool▁call▁begin｜>";
    case Marker::kCallSeparator:
      return "<｜tool▁sep｜>";
    case Marker::kCallEnd:
      return "<｜tool▁call▁end｜>";
    case Marker::kCallsEnd:
      return "<｜tool▁calls▁end｜>";
    case Marker::kNone:
      break;
  }
  return "";
}

MarkerTable::MarkerTable(const tokenizer::Tokenizer& tokenizer) {
  in_text_.clear();
  for (const Marker marker : kMarkers) {
    if (const auto id = tokenizer.token_to_id(marker_text(marker))) {
      tokens_.push_back({*id, marker});
    } else {
      in_text_.push_back(marker);
    }
  }
}

Marker MarkerTable::of_token(tokenizer::TokenId id) const {
  for (const Entry& entry : tokens_) {
    if (entry.id == id) return entry.marker;
  }
  return Marker::kNone;
}

std::optional<tokenizer::TokenId> MarkerTable::token_of(Marker marker) const {
  for (const Entry& entry : tokens_) {
    if (entry.marker == marker) return entry.id;
  }
  return {};
}

std::string MarkerTable::grammar_text(Marker marker) const {
  if (!is_token(marker)) return std::string(marker_text(marker));
  return {'\xFF', static_cast<char>(marker)};
}

MarkerScanner::MarkerScanner(std::vector<Marker> in_text) : markers_(std::move(in_text)) {
  for (const Marker marker : markers_) texts_.emplace_back(marker_text(marker));
}

void MarkerScanner::feed(Piece piece, std::vector<Piece>& out) {
  if (piece.marker != Marker::kNone) {
    flush(out);
    out.push_back(std::move(piece));
    return;
  }
  held_ += piece.text;
  take_text(out);
}

void MarkerScanner::take_text(std::vector<Piece>& out) {
  while (const auto match = find_first(held_, texts_)) {
    if (match->begin > 0) out.push_back({held_.substr(0, match->begin)});
    out.push_back({texts_[match->needle], markers_[match->needle]});
    held_.erase(0, match->begin + texts_[match->needle].size());
  }
  const size_t keep = longest_partial_match(held_, texts_);
  if (keep < held_.size()) out.push_back({held_.substr(0, held_.size() - keep)});
  held_.erase(0, held_.size() - keep);
}

void MarkerScanner::flush(std::vector<Piece>& out) {
  if (!held_.empty()) out.push_back({std::move(held_)});
  held_.clear();
}

}  // namespace fathom::api
