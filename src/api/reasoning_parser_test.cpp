#include "api/reasoning_parser.h"

#include <gtest/gtest.h>

namespace fathom::api {
namespace {

const Piece kBegin = {"<think>", Marker::kThinkBegin};
const Piece kEnd = {"</think>", Marker::kThinkEnd};

struct Split {
  std::string reasoning;
  std::string answer;
  bool operator==(const Split&) const = default;
};

Split split(bool starts_in_thought, const std::vector<Piece>& pieces) {
  ReasoningParser parser(starts_in_thought);
  std::vector<ReasoningParser::Part> parts;
  for (const Piece& piece : pieces) parser.feed(piece, parts);
  parser.flush(parts);
  Split result;
  for (const auto& part : parts)
    (part.reasoning ? result.reasoning : result.answer) += part.piece.text;
  return result;
}

TEST(ReasoningParser, SplitsAtTheEndOfTheThought) {
  EXPECT_EQ(split(true, {{"\nab"}, {"c\n"}, kEnd, {"\n"}, {"\nxy"}, {"\nz"}}),
            (Split{"abc\n", "xy\nz"}));
}

TEST(ReasoningParser, WithoutAThoughtEverythingIsTheAnswer) {
  EXPECT_EQ(split(false, {{"  "}, {"ab"}}), (Split{"", "  ab"}));
  EXPECT_EQ(split(false, {{"ab"}, kEnd, {"c"}}), (Split{"", "ab</think>c"}));
  EXPECT_EQ(split(false, {{" \n"}}), (Split{"", " \n"}));
}

TEST(ReasoningParser, TheModelMayOpenTheThoughtItself) {
  EXPECT_EQ(split(false, {{"\n"}, kBegin, {"\nt"}, kEnd, {"a"}}), (Split{"t", "a"}));
  EXPECT_EQ(split(false, {{"a"}, kBegin, {"t"}}), (Split{"", "a<think>t"}));
}

TEST(ReasoningParser, AThoughtThatNeverEndsIsNoAnswer) {
  EXPECT_EQ(split(true, {{"t"}, kBegin, {"u"}}), (Split{"t<think>u", ""}));
}

TEST(ReasoningParser, AnEmptyThought) {
  EXPECT_EQ(split(true, {{"\n\n"}, kEnd, {"\n\na"}}), (Split{"", "a"}));
}

}  // namespace
}  // namespace fathom::api
