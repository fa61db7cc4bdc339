#include "api/output/tool_parser.h"

#include <gtest/gtest.h>

#include <random>

namespace fathom::api {
namespace {

Piece mark(Marker marker) {
  return {std::string(marker_text(marker)), marker};
}

struct ParsedCall {
  std::string name;
  std::string arguments;
  bool operator==(const ParsedCall&) const = default;
};

struct Parsed {
  std::string content;
  std::vector<ParsedCall> calls;
};

Parsed parse(const std::vector<Piece>& pieces, bool parallel = true) {
  ToolParser parser(parallel);
  Parsed result;
  std::vector<ToolCallDelta> deltas;
  for (const Piece& piece : pieces) parser.feed(piece, result.content, deltas);
  parser.flush(result.content, deltas);
  for (const ToolCallDelta& delta : deltas) {
    EXPECT_EQ(delta.id.has_value(), delta.name.has_value());
    if (delta.name) {
      EXPECT_EQ(delta.index, static_cast<int>(result.calls.size()));
      result.calls.push_back({*delta.name, ""});
    }
    EXPECT_EQ(delta.index, static_cast<int>(result.calls.size()) - 1);
    result.calls.back().arguments += delta.arguments;
  }
  EXPECT_EQ(parser.call_count(), static_cast<int>(result.calls.size()));
  return result;
}

const Piece kList = mark(Marker::kCallsBegin);
const Piece kListEnd = mark(Marker::kCallsEnd);
const Piece kCall = mark(Marker::kCallBegin);
const Piece kSep = mark(Marker::kCallSeparator);
const Piece kCallDone = mark(Marker::kCallEnd);

TEST(ToolParser, ReadsCallsOfV31) {
  const Parsed parsed = parse({{"Let me see."},
                               kList,
                               kCall,
                               {"get_"},
                               {"weather"},
                               kSep,
                               {"{\"city\":"},
                               {" \"Rome\"}"},
                               kCallDone,
                               {"\n"},
                               kCall,
                               {"add"},
                               kSep,
                               {"{}"},
                               kCallDone,
                               kListEnd});
  EXPECT_EQ(parsed.content, "Let me see.");
  EXPECT_EQ(parsed.calls,
            (std::vector<ParsedCall>{{"get_weather", "{\"city\": \"Rome\"}"}, {"add", "{}"}}));
}

TEST(ToolParser, ReadsCallsOfV3) {
  const Parsed parsed = parse({kList,
                               kCall,
                               {"function"},
                               kSep,
                               {"get_weather\n```js"},
                               {"on\n{\"city\": \"Rome\"}\n```"},
                               kCallDone,
                               kListEnd});
  EXPECT_EQ(parsed.content, "");
  EXPECT_EQ(parsed.calls, (std::vector<ParsedCall>{{"get_weather", "{\"city\": \"Rome\"}"}}));
}

TEST(ToolParser, StreamsArguments) {
  ToolParser parser(true);
  std::string content;
  std::vector<ToolCallDelta> deltas;
  for (const Piece& piece : {kList, kCall, Piece{"f"}, kSep}) parser.feed(piece, content, deltas);
  ASSERT_EQ(deltas.size(), 1u);
  EXPECT_TRUE(deltas[0].id->starts_with("call_"));
  deltas.clear();
  parser.feed({"{\"a\""}, content, deltas);
  ASSERT_EQ(deltas.size(), 1u);
  EXPECT_EQ(deltas[0].arguments, "{\"a\"");
  EXPECT_FALSE(deltas[0].name);
}

TEST(ToolParser, StreamsFencedArgumentsWithoutTheFence) {
  const std::string arguments = "{\"code\": \"``` `x` \\n```\",\n \"n\": 1}";
  const std::string text = "run\n```json\n" + arguments + "\n```";
  ToolParser parser(true);
  std::string content;
  std::vector<ToolCallDelta> deltas;
  for (const Piece& piece : {kList, kCall, Piece{"function"}, kSep}) {
    parser.feed(piece, content, deltas);
  }
  std::string streamed;
  size_t parts = 0;
  for (const char c : text) {
    parser.feed({std::string(1, c)}, content, deltas);
    for (const ToolCallDelta& delta : deltas) streamed += delta.arguments;
    parts += deltas.size();
    deltas.clear();
  }
  EXPECT_EQ(streamed, arguments);
  EXPECT_GT(parts, 20u);
  EXPECT_EQ(parser.ended_calls(), 0);
  parser.feed(kCallDone, content, deltas);
  parser.feed(kListEnd, content, deltas);
  parser.flush(content, deltas);
  EXPECT_EQ(parser.ended_calls(), 1);
  EXPECT_TRUE(deltas.empty());
  EXPECT_EQ(content, "");
}

TEST(ToolParser, TheFenceMayBeMissingOrFollowedByWords) {
  const std::vector<ParsedCall> call = {{"f", "{\"a\": 1}"}};
  const auto fenced = [](const char* text) {
    return parse({kList, kCall, {"function"}, kSep, {text}, kCallDone, kListEnd});
  };
  EXPECT_EQ(fenced("f\n{\"a\": 1}").calls, call);
  EXPECT_EQ(fenced("f\n```\n{\"a\": 1}\n```\nThat is it.").calls, call);
  EXPECT_EQ(fenced(" f \n\n```json\n{\"a\": 1}\n\n```\n").calls, call);
  EXPECT_EQ(fenced("f\n```\n{\"a\": 1}\n```\nThat is it.").content, "");
}

TEST(ToolParser, ACallThatIsCutShortIsLeftOut) {
  for (const char* text : {"", "f", "f\n", "f\n``", "f\n```json", "f\n```json"}) {
    const Parsed parsed = parse({{"Well."}, kList, kCall, {"function"}, kSep, {text}});
    EXPECT_EQ(parsed.content, "Well.") << text;
    EXPECT_TRUE(parsed.calls.empty()) << text;
  }
  EXPECT_EQ(parse({kList, kCall, {"get_wea"}}).content, "");
}

TEST(ToolParser, MalformedCallsBecomeText) {
  EXPECT_EQ(parse({kList, kCall, {"no separator"}}).content, "no separator");
  EXPECT_EQ(parse({kList, kCall, {"abc"}, kCallDone, kListEnd, {"d"}}).content, "abcd");
  EXPECT_EQ(parse({kList, kCall, {"function"}, kSep, {"no fence"}, kCallDone}).content, "no fence");
  EXPECT_EQ(parse({kList, kCall, {"function"}, kSep, {"f\nthen\nmore"}}).content, "f\nthen\nmore");
  EXPECT_EQ(parse({kList, kCall, {"two words"}, kSep, {"{}"}, kCallDone}).content, "two words{}");
  EXPECT_EQ(parse({kSep, {"x"}}).content, "<｜tool▁sep｜>x");
  EXPECT_EQ(parse({kList, kCall, kSep, {"x"}}).calls.size(), 0u);
}

TEST(ToolParser, AnUnfinishedCallKeepsItsArguments) {
  EXPECT_EQ(parse({kList, kCall, {"f"}, kSep, {"{\"a\": 1"}}).calls,
            (std::vector<ParsedCall>{{"f", "{\"a\": 1"}}));
  EXPECT_EQ(parse({kCall, {"f"}, kSep, {"{}"}, kCall, {"g"}, kSep, {"[]"}}).calls,
            (std::vector<ParsedCall>{{"f", "{}"}, {"g", "[]"}}));
}

TEST(ToolParser, WithoutParallelCallsOnlyTheFirstCounts) {
  EXPECT_EQ(parse({kList,
                   kCall,
                   {"f"},
                   kSep,
                   {"{}"},
                   kCallDone,
                   kCall,
                   {"g"},
                   kSep,
                   {"{}"},
                   kCallDone,
                   kListEnd},
                  false)
                .calls,
            (std::vector<ParsedCall>{{"f", "{}"}}));
}

TEST(ToolParser, TextBehindAMarkThatIsNoCallIsKept) {
  EXPECT_EQ(parse({kList, {" the"}, {" answer"}}).content, " the answer");
  EXPECT_EQ(parse({{"Hello"}, kList, {"\n"}, {" we"}, kListEnd, {" count"}}).content,
            "Hello\n we count");
  const Parsed behind = parse({kList, kCall, {"f"}, kSep, {"{}"}, kCallDone, {" Done."}, kListEnd});
  EXPECT_EQ(behind.content, " Done.");
  EXPECT_EQ(behind.calls, (std::vector<ParsedCall>{{"f", "{}"}}));
  EXPECT_EQ(parse({kList, {"\n"}, kListEnd}).content, "");
}

TEST(ToolParser, WithoutArgumentsTheyAreAnEmptyObject) {
  const std::vector<ParsedCall> call = {{"now", "{}"}};
  EXPECT_EQ(parse({kList, kCall, {"now"}, kSep, kCallDone, kListEnd}).calls, call);
  EXPECT_EQ(parse({kList, kCall, {"now"}, kSep, {" \n"}, kCallDone, kListEnd}).calls, call);
  EXPECT_EQ(parse({kList, kCall, {"now"}, kSep, kListEnd}).calls, call);
  EXPECT_EQ(parse({kList, kCall, {"now"}, kSep}).calls, call);
  for (const char* text : {"now", "now\n", "now\n```json", "now\n```json\n```",
                           "now\n```json\n\n```", "now\n```\n```\n"}) {
    const Parsed fenced = parse({kList, kCall, {"function"}, kSep, {text}, kCallDone, kListEnd});
    EXPECT_EQ(fenced.calls, call) << text;
    EXPECT_EQ(fenced.content, "") << text;
  }
  const Parsed two =
      parse({kList, kCall, {"now"}, kSep, kCallDone, kCall, {"f"}, kSep, {"{\"a\":1}"}, kCallDone});
  EXPECT_EQ(two.calls, (std::vector<ParsedCall>{{"now", "{}"}, {"f", "{\"a\":1}"}}));
  EXPECT_EQ(parse({kCall, {"now"}, kSep, kCallDone, kCall, {"f"}, kSep, kCallDone}, false).calls,
            call);
}

TEST(ToolParser, AFenceMayHoldItsArgumentsOnOneLine) {
  const auto fenced = [](const char* text) {
    return parse({kList, kCall, {"function"}, kSep, {text}, kCallDone, kListEnd}).calls;
  };
  EXPECT_EQ(fenced("f\n```json {\"a\": 1}```"), (std::vector<ParsedCall>{{"f", "{\"a\": 1}"}}));
  EXPECT_EQ(fenced("f\n```{\"a\": 1}\n```"), (std::vector<ParsedCall>{{"f", "{\"a\": 1}"}}));
}

TEST(ToolParser, AToolMayBeNamedFunction) {
  const auto parsed = [](const std::vector<Piece>& arguments, bool named_function) {
    ToolParser parser(true, named_function);
    std::string content;
    std::vector<ToolCallDelta> deltas;
    std::vector<Piece> pieces = {kList, kCall, {"function"}, kSep};
    pieces.insert(pieces.end(), arguments.begin(), arguments.end());
    for (const Piece& piece : pieces) parser.feed(piece, content, deltas);
    parser.feed(kCallDone, content, deltas);
    parser.feed(kListEnd, content, deltas);
    parser.flush(content, deltas);
    ParsedCall call;
    for (const ToolCallDelta& delta : deltas) {
      call.name += delta.name.value_or("");
      call.arguments += delta.arguments;
    }
    return std::pair(call, content);
  };
  const ParsedCall call = {"function", "{\"city\": \"Rome\"}"};
  EXPECT_EQ(parsed({{" {"}, {"\"city\": "}, {"\"Rome\"}"}}, true), std::pair(call, std::string()));
  EXPECT_EQ(parsed({}, true), std::pair(ParsedCall{"function", "{}"}, std::string()));
  // V3's form, of that tool and of others.
  EXPECT_EQ(parsed({{"function\n```json\n{\"city\": \"Rome\"}\n```"}}, true).first, call);
  EXPECT_EQ(parsed({{"f\n```json\n{}\n```"}}, true).first, (ParsedCall{"f", "{}"}));
  // Where no tool has that name it is no call.
  EXPECT_EQ(parsed({{"{\"a\": 1}"}}, false), std::pair(ParsedCall{}, std::string("{\"a\": 1}")));
}

TEST(ToolParser, SaysWhetherTheLastCallWasCut) {
  const auto cut = [](const std::vector<Piece>& arguments) {
    ToolParser parser(true);
    std::string content;
    std::vector<ToolCallDelta> deltas;
    for (const Piece& piece : {kList, kCall, Piece{"f"}, kSep}) parser.feed(piece, content, deltas);
    for (const Piece& piece : arguments) parser.feed(piece, content, deltas);
    parser.flush(content, deltas);
    return parser.last_call_cut();
  };
  EXPECT_TRUE(cut({{"{\"a\": "}}));
  EXPECT_FALSE(cut({{"{\"a\": 1}"}}));
  EXPECT_FALSE(cut({{"{\"a\": "}, kCallDone}));
  EXPECT_FALSE(cut({}));
}

TEST(ToolParser, SurvivesAnyOrderOfPieces) {
  std::mt19937 random(11);
  const std::vector<Piece> alphabet = {kList,        kListEnd,     kCall,   kSep,  kCallDone,
                                       {"function"}, {"f\n```\n"}, {"```"}, {"x"}, {"\n"}};
  for (int round = 0; round < 3000; ++round) {
    std::vector<Piece> pieces;
    for (int i = 0; i < 10; ++i) pieces.push_back(alphabet[random() % alphabet.size()]);
    for (const ParsedCall& call : parse(pieces, round % 2 == 0).calls)
      EXPECT_FALSE(call.name.empty());
  }
}

}  // namespace
}  // namespace fathom::api
