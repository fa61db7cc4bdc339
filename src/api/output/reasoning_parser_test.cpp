#include "api/output/reasoning_parser.h"

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

Split split(bool starts_in_thought, const std::vector<Piece>& pieces,
            ReasoningOptions options = {}) {
  ReasoningParser parser(starts_in_thought, options);
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

TEST(ReasoningParser, ACallWithinAThoughtBelongsToTheAnswer) {
  const Piece list = {"<calls>", Marker::kCallsBegin};
  const Piece call = {"<call>", Marker::kCallBegin};
  const Piece call_end = {"</call>", Marker::kCallEnd};
  const Piece list_end = {"</calls>", Marker::kCallsEnd};
  const ReasoningOptions options = {.calls_in_thought = true};
  const std::vector<Piece> pieces = {{"a"},    list,  call, {"f"}, call_end,
                                     list_end, {"b"}, kEnd, {"c"}};
  EXPECT_EQ(split(true, pieces, options), (Split{"ab", "<calls><call>f</call></calls>c"}));
  EXPECT_EQ(split(true, {{"a"}, call, {"f"}, call_end, {"b"}}, options),
            (Split{"ab", "<call>f</call>"}));
  EXPECT_EQ(split(true, {{"a"}, list, {"b"}, kEnd, {"\nc"}}, options), (Split{"a", "<calls>bc"}));
  EXPECT_EQ(split(true, pieces), (Split{"a<calls><call>f</call></calls>b", "c"}));
}

TEST(ReasoningParser, AThoughtThatNobodyOpenedMayEnd) {
  const auto closed = [](bool in_thought, const std::vector<Piece>& pieces) {
    ReasoningParser parser(in_thought, {.closes_unopened = true});
    std::vector<ReasoningParser::Part> parts;
    for (const Piece& piece : pieces) parser.feed(piece, parts);
    return parser.closed_unopened();
  };
  EXPECT_TRUE(closed(false, {{"a"}, kEnd, {"b"}}));
  EXPECT_FALSE(closed(false, {{"a"}}));
  EXPECT_FALSE(closed(true, {{"a"}, kEnd, {"b"}, kEnd}));
  EXPECT_FALSE(closed(false, {kBegin, {"a"}, kEnd, {"b"}, kEnd}));
  // The mark is no part of either; a second one is text.
  EXPECT_EQ(split(false, {{"a"}, kEnd, {"\nb"}, kEnd}, {.closes_unopened = true}),
            (Split{"", "ab</think>"}));
}

TEST(ReasoningParser, LineBreaksBehindAThoughtThatThePromptEnded) {
  EXPECT_EQ(split(false, {{"\n\n"}, {"a\n"}}, {.behind_thought = true}), (Split{"", "a\n"}));
  EXPECT_EQ(split(false, {{"\n\n"}, {"a"}}, {.behind_thought = true, .keep_line_breaks = true}),
            (Split{"", "\n\na"}));
  EXPECT_EQ(split(true, {{"t"}, kEnd, {"\n"}, {"a"}}, {.keep_line_breaks = true}),
            (Split{"t", "\na"}));
}

}  // namespace
}  // namespace fathom::api
