#include "api/text/markers.h"

#include <gtest/gtest.h>

#include "api/testing/harness.h"

namespace fathom::api {
namespace {

std::vector<Piece> scan(const std::vector<Marker>& in_text, const std::vector<std::string>& texts) {
  MarkerScanner scanner(in_text);
  std::vector<Piece> out;
  for (const std::string& text : texts) scanner.feed({text}, out);
  scanner.flush(out);
  std::vector<Piece> merged;
  for (const Piece& piece : out) {
    const bool text =
        piece.marker == Marker::kNone && !merged.empty() && merged.back().marker == Marker::kNone;
    if (text) {
      merged.back().text += piece.text;
    } else {
      merged.push_back(piece);
    }
  }
  return merged;
}

TEST(MarkerTable, KnowsTheTokenizersTokens) {
  const MarkerTable table(test_tokenizer());
  EXPECT_EQ(table.of_token(kThinkEndId), Marker::kThinkEnd);
  EXPECT_EQ(table.of_token('<'), Marker::kNone);
  EXPECT_TRUE(table.is_token(Marker::kCallsEnd));
  EXPECT_TRUE(table.in_text().empty());
}

TEST(MarkerTable, WhatIsNoTokenIsFoundInText) {
  const MarkerTable table(test_tokenizer(false));
  EXPECT_FALSE(table.is_token(Marker::kThinkEnd));
  EXPECT_EQ(table.in_text().size(), kMarkers.size());
}

TEST(MarkerScanner, FindsMarkersAcrossPieces) {
  const std::vector<Marker> markers = {Marker::kThinkBegin, Marker::kThinkEnd};
  const std::vector<Piece> expected = {
      {"a "}, {"</think>", Marker::kThinkEnd}, {"b<"}, {"<think>", Marker::kThinkBegin}};
  EXPECT_EQ(scan(markers, {"a </th", "ink>b<", "<think>"}), expected);
  EXPECT_EQ(scan(markers, {"a </think>b<<think>"}), expected);
  EXPECT_EQ(scan(markers, {"a</thin", "g>"}), (std::vector<Piece>{{"a</thing>"}}));
  EXPECT_EQ(scan({}, {"</think>"}), (std::vector<Piece>{{"</think>"}}));
}

}  // namespace
}  // namespace fathom::api
