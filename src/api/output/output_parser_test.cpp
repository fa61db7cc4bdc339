#include "api/output/output_parser.h"

#include <gtest/gtest.h>

#include "api/testing/harness.h"

namespace fathom::api {
namespace {

struct Outcome {
  OutputDelta all;
  bool stopped = false;
  int64_t completion_tokens = 0;
  int64_t reasoning_tokens = 0;
};

Outcome run(const OutputOptions& options, const std::vector<int32_t>& tokens, bool markers = true) {
  const tokenizer::Tokenizer tokenizer = test_tokenizer(markers);
  const MarkerTable table(tokenizer);
  OutputParser parser(tokenizer, table, options);
  Outcome result;
  for (const int32_t token : tokens) {
    result.stopped = parser.push(token, engine::TokenLogprob{token, -1.0f, {}}, result.all);
    if (result.stopped) break;
  }
  if (!result.stopped) result.stopped = parser.finish(result.all);
  result.completion_tokens = parser.completion_tokens();
  result.reasoning_tokens = parser.reasoning_tokens();
  return result;
}

std::vector<int32_t> join(std::initializer_list<std::vector<int32_t>> parts) {
  std::vector<int32_t> all;
  for (const auto& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

OutputOptions chat_options(bool in_thought) {
  OutputOptions options;
  options.split_reasoning = true;
  options.starts_in_thought = in_thought;
  options.parse_tools = true;
  return options;
}

TEST(OutputParser, SplitsThoughtAndAnswerByToken) {
  const Outcome result =
      run(chat_options(true), join({tokens_of("ab</think>"), {kThinkEndId}, tokens_of("\n\nxy")}));
  EXPECT_EQ(result.all.reasoning, "ab</think>");  // spelt out, it is only text
  EXPECT_EQ(result.all.content, "xy");
  EXPECT_EQ(result.completion_tokens, 15);
  EXPECT_EQ(result.reasoning_tokens, 11);
  EXPECT_TRUE(result.all.tokens[10].reasoning);
  EXPECT_FALSE(result.all.tokens[11].reasoning);
}

TEST(OutputParser, SplitsByTextWhereTheTokenizerHasNoToken) {
  const Outcome result = run(chat_options(true), tokens_of("ab</think>xy"), false);
  EXPECT_EQ(result.all.reasoning, "ab");
  EXPECT_EQ(result.all.content, "xy");
  EXPECT_EQ(result.reasoning_tokens, 10);
}

TEST(OutputParser, ReadsToolCalls) {
  const Outcome result = run(chat_options(false), join({tokens_of("hm"),
                                                        {kCallsBeginId, kCallBeginId},
                                                        tokens_of("f"),
                                                        {kCallSepId},
                                                        tokens_of("{}"),
                                                        {kCallEndId, kCallsEndId}}));
  EXPECT_EQ(result.all.content, "hm");
  ASSERT_FALSE(result.all.tool_calls.empty());
  EXPECT_EQ(result.all.tool_calls[0].name, "f");
  EXPECT_EQ(result.all.tool_calls[0].arguments, "{}");
}

TEST(OutputParser, WithoutToolsTheirMarksAreText) {
  OutputOptions options = chat_options(false);
  options.parse_tools = false;
  EXPECT_EQ(run(options, {kCallsBeginId, 'x'}).all.content, "<｜tool▁calls▁begin｜>x");
}

TEST(OutputParser, StopsAtAStringAndDropsItsTokens) {
  OutputOptions options;
  options.stop = {"END"};
  const Outcome result = run(options, tokens_of("ab EN ENDx"));
  EXPECT_TRUE(result.stopped);
  EXPECT_EQ(result.all.content, "ab EN ");
  EXPECT_EQ(result.all.tokens.size(), 6u);
  EXPECT_EQ(result.completion_tokens, 9);
}

TEST(OutputParser, TokensLeaveWithTheirText) {
  OutputOptions options;
  options.stop = {"xyz"};
  const tokenizer::Tokenizer tokenizer = test_tokenizer();
  const MarkerTable table(tokenizer);
  OutputParser parser(tokenizer, table, options);
  const auto push = [&](int32_t token) {
    OutputDelta delta;
    parser.push(token, engine::TokenLogprob{token, 0, {}}, delta);
    return delta;
  };
  EXPECT_EQ(push('a').tokens.size(), 1u);
  EXPECT_EQ(push('x').tokens.size(), 0u);
  EXPECT_EQ(push('y').tokens.size(), 0u);
  const OutputDelta delta = push('!');
  EXPECT_EQ(delta.content, "xy!");
  EXPECT_EQ(delta.tokens.size(), 3u);
  EXPECT_EQ(delta.tokens[2].text_offset, 3);
}

TEST(OutputParser, MinTokensKeepsStopStringsQuiet) {
  OutputOptions options;
  options.stop = {"b"};
  options.min_tokens = 3;
  const Outcome result = run(options, tokens_of("abcabc"));
  EXPECT_TRUE(result.stopped);
  EXPECT_EQ(result.all.content, "abca");
}

TEST(OutputParser, CharactersAreWholeAndOffsetsCountThem) {
  const std::string text = "\xE4\xBD\xA0!\xF0\x9F\x98\x80";
  const Outcome result = run({}, tokens_of(text));
  EXPECT_EQ(result.all.content, text);
  std::vector<int64_t> offsets;
  for (const TokenRecord& token : result.all.tokens) offsets.push_back(token.text_offset);
  EXPECT_EQ(offsets, (std::vector<int64_t>{0, 0, 0, 1, 2, 2, 2, 2}));
}

TEST(OutputParser, AHalfCharacterIsReplacedAtAMarkerAndAtTheEnd) {
  const Outcome result =
      run(chat_options(true), join({{'a', 0xE4}, {kThinkEndId}, {'b', 0xE4, 0xBD}}));
  EXPECT_EQ(result.all.reasoning, "a\xEF\xBF\xBD");
  EXPECT_EQ(result.all.content, "b\xEF\xBF\xBD");
}

TEST(OutputParser, SpecialTokensAreLeftOutUnlessAskedFor) {
  EXPECT_EQ(run({}, {'a', kEosId, 'b'}).all.content, "ab");
  OutputOptions options;
  options.skip_special_tokens = false;
  EXPECT_EQ(run(options, {'a', kEosId, 'b'}).all.content, "a<｜eos｜>b");
}

TEST(OutputParser, BlankAnswersKeepTheirBlanks) {
  EXPECT_EQ(run(chat_options(false), tokens_of(" \n ")).all.content, " \n ");
  OutputOptions options = chat_options(false);
  options.stop = {"x"};
  EXPECT_EQ(run(options, tokens_of(" \nx")).all.content, " \n");
}

TEST(OutputParser, StopStringsCountInTheContentAlone) {
  OutputOptions options = chat_options(true);
  options.stop = {"+", "\n\n", "</think>"};
  const Outcome result = run(options, join({tokens_of("1+2</think>\n\n"),
                                            {kThinkEndId},
                                            tokens_of("\n\nIt is 3"),
                                            tokens_of(" = 1+2")}));
  EXPECT_TRUE(result.stopped);
  EXPECT_EQ(result.all.reasoning, "1+2</think>\n\n");
  EXPECT_EQ(result.all.content, "It is 3 = 1");
  // All tokens but those of "+" and what follows it.
  EXPECT_EQ(result.all.tokens.size(), 13u + 1 + 2 + 11);
}

TEST(OutputParser, StopStringsDoNotCutCalls) {
  for (const bool markers : {true, false}) {
    OutputOptions options = chat_options(false);
    options.stop = {"}", "\"a\"", "f"};
    const std::vector<int32_t> call =
        markers ? join({tokens_of("hm"),
                        {kCallsBeginId, kCallBeginId},
                        tokens_of("f"),
                        {kCallSepId},
                        tokens_of("{\"a\": {}}"),
                        {kCallEndId, kCallsEndId}})
                : tokens_of(
                      "hm<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>f<｜tool▁sep｜>{\"a\": {}}"
                      "<｜tool▁call▁end｜><｜tool▁calls▁end｜>");
    const Outcome result = run(options, join({call, tokens_of(" So}x")}), markers);
    EXPECT_TRUE(result.stopped);
    EXPECT_EQ(result.all.content, "hm So");
    std::string arguments;
    for (const ToolCallDelta& delta : result.all.tool_calls) arguments += delta.arguments;
    EXPECT_EQ(arguments, "{\"a\": {}}");
  }
}

TEST(OutputParser, ContentBeforeACallIsNotHeldBackBehindIt) {
  OutputOptions options = chat_options(false);
  options.stop = {"abc"};
  const tokenizer::Tokenizer tokenizer = test_tokenizer();
  const MarkerTable table(tokenizer);
  OutputParser parser(tokenizer, table, options);
  OutputDelta before;
  for (const int32_t token : join({tokens_of("xab"), {kCallsBeginId, kCallBeginId, 'f'}})) {
    parser.push(token, {}, before);
  }
  EXPECT_EQ(before.content, "x");
  OutputDelta begun;
  parser.push(kCallSepId, {}, begun);
  EXPECT_EQ(begun.content, "ab");
  EXPECT_EQ(begun.tool_calls.size(), 1u);
}

TEST(OutputParser, ReadsCallsWithinAThoughtThatNeverEnds) {
  const std::vector<int32_t> said = join({tokens_of("ab"),
                                          {kCallsBeginId, kCallBeginId, 'f', kCallSepId},
                                          tokens_of("{}"),
                                          {kCallEndId, kCallsEndId}});
  const Outcome result = run(chat_options(true), said);
  EXPECT_EQ(result.all.reasoning, "ab");
  EXPECT_EQ(result.all.content, "");
  ASSERT_FALSE(result.all.tool_calls.empty());
  EXPECT_EQ(result.all.tool_calls[0].name, "f");
  EXPECT_EQ(result.reasoning_tokens, 2);
  OutputOptions without = chat_options(true);
  without.parse_tools = false;
  EXPECT_EQ(run(without, said).all.content, "");
  EXPECT_EQ(run(without, said).reasoning_tokens, 10);
}

TEST(OutputParser, AWholeAnswerIsSplitWhereAThoughtEndsThatWasNotOpened) {
  const std::vector<int32_t> said = join({tokens_of("Use"), {kThinkEndId}, tokens_of("\n\nHello")});
  OutputOptions options = chat_options(false);
  options.whole = true;
  options.stop = {"Using"};
  const Outcome whole = run(options, said);
  EXPECT_EQ(whole.all.reasoning, "Use");
  EXPECT_EQ(whole.all.content, "Hello");
  EXPECT_EQ(whole.reasoning_tokens, 4);
  EXPECT_TRUE(whole.all.tokens[3].reasoning);
  EXPECT_FALSE(whole.all.tokens[4].reasoning);
  const Outcome by_text = run(options, tokens_of("Use</think>\n\nHello"), false);
  EXPECT_EQ(by_text.all.reasoning, "Use");
  EXPECT_EQ(by_text.all.content, "Hello");
  // A stream has given it as content; so has a prompt that closed the thought itself.
  options.whole = false;
  EXPECT_EQ(run(options, said).all.content, "Use</think>\n\nHello");
  options.whole = true;
  options.behind_thought = true;
  EXPECT_EQ(run(options, said).all.content, "Use</think>\n\nHello");
}

}  // namespace
}  // namespace fathom::api
