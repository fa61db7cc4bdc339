// Answers within a grammar and behind a bounded thought. What may come next is found here by trying
// every token, with neither masks nor the engine's guide.
#include <gtest/gtest.h>

#include <array>
#include <regex>

#include "engine/testing/harness.h"
#include "grammar/compiler.h"

namespace fathom::engine {
namespace {

constexpr TokenId kEos = 0;
constexpr TokenId kThoughtEnd = 47;
constexpr std::array kTokenBytes = {"a",   "b",   "c",  "d",   "e",  "f",    "0", "1",
                                    "2",   "3",   "[",  "]",   ",",  "x",    "-", "ab",
                                    "aab", "abc", "[[", "],[", "1,", "12,3", "]]"};

std::string_view bytes_of(TokenId token) {
  const auto index = static_cast<size_t>(token) - 1;  // token 0 is kEos
  return index < kTokenBytes.size() ? kTokenBytes[index] : std::string_view();
}

std::shared_ptr<const grammar::CompiledGrammar> matching(const std::string& regex) {
  std::vector<std::string_view> tokens;
  for (TokenId token = 0; token < kVocab; ++token) tokens.push_back(bytes_of(token));
  grammar::Compiler compiler(grammar::Vocabulary::build(tokens, {}));
  const auto compiled = compiler.compile({grammar::SourceKind::kRegex, regex});
  EXPECT_TRUE(compiled.ok());
  return *compiled;
}

std::string text_of(std::span<const TokenId> tokens) {
  std::string text;
  for (const TokenId token : tokens) text += bytes_of(token);
  return text;
}

// Tokens behind the thought; nothing while it goes on.
std::optional<std::vector<TokenId>> behind_thought(const Request& request,
                                                   const std::vector<TokenId>& answer) {
  if (!request.thought) return answer;
  const auto end = std::find(answer.begin(), answer.end(), kThoughtEnd);
  if (end == answer.end()) return std::nullopt;
  return std::vector<TokenId>(end + 1, answer.end());
}

struct Choices {
  std::vector<TokenId> ruled_out;
  bool any = false;
  bool may_end = false;
};

Choices choices(const Request& request, const std::vector<TokenId>& answer,
                const std::vector<TokenId>& stops, bool may_stop) {
  const auto text = behind_thought(request, answer);
  const auto size = static_cast<int64_t>(answer.size());
  const bool close = !text && request.thought->budget && size >= *request.thought->budget;
  std::optional<grammar::Matcher> matcher;
  if (text && request.grammar) matcher.emplace(request.grammar);
  for (size_t i = 0; matcher && i < text->size(); ++i) EXPECT_TRUE(matcher->accept((*text)[i]));

  Choices result;
  result.may_end = text ? !matcher || matcher->can_end() : !close && !request.grammar;
  std::array<bool, kVocab> allowed = {};
  for (TokenId token = 0; token < kVocab; ++token) {
    bool& fits = allowed[static_cast<size_t>(token)];
    fits = close ? token == kThoughtEnd : !matcher || matcher->accept(token);
    if (fits && matcher) matcher->rollback(1);
    const bool stop = std::find(stops.begin(), stops.end(), token) != stops.end();
    if (stop && result.may_end) fits = may_stop;
    if (stop && !result.may_end && !matcher && !close) fits = false;
    result.any |= fits;
  }
  for (const TokenId stop : stops) {
    if (result.any || !result.may_end) break;
    allowed[static_cast<size_t>(stop)] = true;
  }
  for (TokenId token = 0; token < kVocab; ++token) {
    if (!allowed[static_cast<size_t>(token)]) result.ruled_out.push_back(token);
  }
  result.any = result.ruled_out.size() < static_cast<size_t>(kVocab);
  return result;
}

// Whether nothing can follow a complete text.
bool is_over(const Request& request, const std::vector<TokenId>& answer) {
  const Choices next = choices(request, answer, {}, false);
  return next.may_end && !next.any;
}

Answer expected_within(const Request& request) {
  const SamplingParams& params = request.sampling;
  std::vector<TokenId> stops = params.stop_token_ids;
  if (!params.ignore_eos) stops.push_back(kEos);
  std::vector<TokenId> tokens = request.prompt;
  const int64_t given = request.generated_from.value_or(static_cast<int64_t>(tokens.size()));
  std::vector<TokenId> answer(tokens.begin() + given, tokens.end());
  sampling::SamplerScratch scratch(kVocab);
  Answer result;
  while (static_cast<int64_t>(result.tokens.size()) < params.max_tokens) {
    const bool may_stop = static_cast<int64_t>(result.tokens.size()) >= params.min_tokens;
    const Choices next = choices(request, answer, stops, may_stop);
    const auto token = sampling::sample(fake_logits(tokens, given, kVocab),
                                        {.params = params,
                                         .tokens = tokens,
                                         .generated_from = given,
                                         .banned = next.ruled_out,
                                         .mask = {},
                                         .seed = *params.seed},
                                        scratch);
    if (next.may_end && std::find(stops.begin(), stops.end(), *token) != stops.end()) {
      result.finish = FinishReason::kStop;
      result.stop_token = token;
      return result;
    }
    result.tokens.push_back(*token);
    tokens.push_back(*token);
    answer.push_back(*token);
    if (is_over(request, answer)) {
      result.finish = FinishReason::kStop;
      return result;
    }
  }
  result.finish = FinishReason::kLength;
  return result;
}

const std::array kPatterns = {
    "[a-f]{2,9}", "(ab|abc)+(,[0-3]+)*", "\\[([0-3](,[0-3])*)?\\]", "(\\[[0-3]*\\],)*x",
    "a*|-x+",     "aab(-|x)12,3"};

Request grammar_request(uint64_t seed) {
  Request request = some_request(static_cast<int64_t>(2 + seed % 7), 30, seed);
  request.grammar = matching(kPatterns[seed % kPatterns.size()]);
  SamplingParams& params = request.sampling;
  if (seed % 3 == 0) params.temperature = 0.0f;
  if (seed % 4 == 1) params.frequency_penalty = 0.7f;
  if (seed % 4 == 2) params.logit_bias = {{1, 3.0f}, {2, -100.0f}, {kEos, -2.0f}};
  if (seed % 5 == 1) params.top_k = 3;
  if (seed % 5 == 2) params.stop_token_ids = {1, 8, 13};  // tokens of text
  if (seed % 5 == 3) params.min_tokens = 6;
  if (seed % 7 == 0) params.ignore_eos = true;
  if (seed % 2 == 0) params.logprobs = 1;
  if (seed % 4 == 3) request.thought = Thought{kThoughtEnd, static_cast<int64_t>(seed % 9)};
  if (seed % 8 == 0) request.thought = Thought{kThoughtEnd, std::nullopt};
  if (seed % 16 == 0) request.grammar = nullptr;
  if (seed % 16 == 0) request.thought->budget = 5;
  return request;
}

void expect_same(const Answer& got, const Answer& expected, const Request& request) {
  EXPECT_EQ(got.tokens, expected.tokens);
  EXPECT_EQ(got.finish, expected.finish);
  EXPECT_EQ(got.stop_token, expected.stop_token);
  if (request.sampling.logprobs) {
    EXPECT_EQ(got.logprobs.size(), got.tokens.size());
  }
}

constexpr uint64_t kSeeds = 96;

struct Counts {
  int stops = 0;
  int lengths = 0;
  uint64_t preemptions = 0;
  uint64_t accepted_drafts = 0;
  uint64_t rejected_drafts = 0;
};

// `gate` holds the first step until all requests are there, so that they do meet.
Counts run_all(Engine& engine, Gate& gate) {
  std::vector<Request> requests;
  std::vector<Client> clients(kSeeds);
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    requests.push_back(grammar_request(seed));
    submit(engine, requests.back(), clients[seed]);
  }
  gate.open();
  Counts counts;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const Answer got = clients[seed].wait();
    expect_same(got, expected_within(requests[seed]), requests[seed]);
    if (got.finish != FinishReason::kStop) {
      ++counts.lengths;
      continue;
    }
    ++counts.stops;
    if (!requests[seed].grammar) continue;
    const auto text = behind_thought(requests[seed], got.tokens);
    EXPECT_TRUE(text.has_value());
    if (!text) continue;
    EXPECT_TRUE(std::regex_match(text_of(*text), std::regex(kPatterns[seed % kPatterns.size()])))
        << text_of(*text);
  }
  const EngineStats stats = engine.stats();
  EXPECT_EQ(stats.kv_blocks_used, 0);
  counts.preemptions = stats.preemptions;
  counts.accepted_drafts = stats.accepted_draft_tokens;
  counts.rejected_drafts = stats.draft_tokens - stats.accepted_draft_tokens;
  return counts;
}

TEST(EngineGrammar, AnswersStayWithinTheirGrammars) {
  Gate gate;
  const auto engine = start(roomy_limits(), {.eos_token_ids = {kEos}}, behind(gate));
  const Counts counts = run_all(*engine, gate);
  EXPECT_GT(counts.stops, 30);
  EXPECT_GT(counts.lengths, 5);
}

TEST(EngineGrammar, SpeculationAndPreemptionChangeNothing) {
  models::RunLimits limits = roomy_limits();
  limits.num_kv_blocks = 22;
  for (const int64_t drafts : {1, 3}) {
    for (const uint64_t right : {0, 60, 100}) {
      Gate gate;
      const auto engine = start(
          limits,
          {.eos_token_ids = {kEos}, .exact = true, .speculate = drafts, .speculate_always = true},
          behind(gate), right);
      const Counts counts = run_all(*engine, gate);
      EXPECT_GT(counts.preemptions, 3u);
      if (right > 0) {
        EXPECT_GT(counts.accepted_drafts, 50u);
      }
      if (right < 100) {
        EXPECT_GT(counts.rejected_drafts, 50u);
      }
    }
  }
}

TEST(EngineGrammar, AContinuationGoesOnWithinTheGrammar) {
  const auto engine = start(roomy_limits(), {.eos_token_ids = {kEos}});
  for (uint64_t seed = 1; seed < 40; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Request request = grammar_request(seed);
    request.sampling.min_tokens = 0;
    request.sampling.stop_token_ids.clear();
    const Answer whole = expected_within(request);
    const size_t done = whole.tokens.size() / 2;
    const auto size = static_cast<int64_t>(request.prompt.size());
    request.generated_from = size;
    request.prompt.insert(request.prompt.end(), whole.tokens.begin(),
                          whole.tokens.begin() + static_cast<ptrdiff_t>(done));
    request.sampling.max_tokens -= static_cast<int64_t>(done);
    Client client;
    submit(*engine, request, client);
    const Answer rest = client.wait();
    EXPECT_EQ(rest.tokens, std::vector<TokenId>(whole.tokens.begin() + static_cast<ptrdiff_t>(done),
                                                whole.tokens.end()));
    EXPECT_EQ(rest.finish, whole.finish);
  }
}

TEST(EngineGrammar, ATextThatIsCompleteStopsWithoutAnotherStep) {
  const auto engine = start(roomy_limits(), {.eos_token_ids = {kEos}});
  Request request = some_request(3, 20, 1);
  request.grammar = matching("12,3");
  request.sampling.min_tokens = 20;
  request.sampling.logit_bias = {{22, 100.0f}};  // the token "12,3"
  Client client;
  submit(*engine, request, client);
  const Answer answer = client.wait();
  EXPECT_EQ(answer.tokens, std::vector<TokenId>{22});
  EXPECT_EQ(answer.finish, FinishReason::kStop);
  EXPECT_FALSE(answer.stop_token);
  EXPECT_EQ(answer.usage.completion_tokens, 1);
  EXPECT_EQ(engine->stats().steps, 1u);
}

TEST(EngineGrammar, AnEmptyTextIsCompleteAtOnce) {
  const auto engine = start(roomy_limits(), {.eos_token_ids = {kEos}});
  for (const bool ignore_eos : {false, true}) {
    Request request = some_request(3, 20, 1);
    request.grammar = matching("");
    request.sampling.ignore_eos = ignore_eos;
    Client client;
    submit(*engine, request, client);
    const Answer answer = client.wait();
    EXPECT_TRUE(answer.tokens.empty());
    EXPECT_EQ(answer.finish, FinishReason::kStop);
  }
}

TEST(EngineGrammar, AThoughtWithoutBudgetIsClosedAtOnce) {
  const auto engine = start(roomy_limits(), {.eos_token_ids = {kEos}});
  Request request = some_request(3, 4, 2);
  request.thought = Thought{kThoughtEnd, 0};
  Client client;
  submit(*engine, request, client);
  const Answer answer = client.wait();
  ASSERT_FALSE(answer.tokens.empty());
  EXPECT_EQ(answer.tokens[0], kThoughtEnd);
}

TEST(EngineGrammar, WhatCannotBeFollowedIsRefused) {
  const auto engine = start(roomy_limits(), {.eos_token_ids = {kEos}});
  const auto refusal = [&](const Request& request) {
    const auto id = try_submit(*engine, request, Client().listener());
    return id.ok() ? Error{ErrorCode::kInternal, "accepted"} : id.error();
  };
  Request foreign = some_request(3, 4, 1);
  const std::vector<std::string_view> tokens(kVocab + 1, "a");
  grammar::Compiler compiler(grammar::Vocabulary::build(tokens, {}));
  foreign.grammar = *compiler.compile({grammar::SourceKind::kRegex, "a"});
  EXPECT_EQ(refusal(foreign).where, "grammar");

  Request astray = some_request(3, 4, 1);
  astray.grammar = matching("[a-f]+");
  astray.prompt = {1, 2, 7};  // "0"
  astray.generated_from = 1;
  EXPECT_EQ(refusal(astray).message,
            "prompt[2]: expected a token that may stand there in the answer, got 7");

  Request thought = some_request(3, 4, 1);
  thought.thought = Thought{kVocab, 1};
  EXPECT_EQ(refusal(thought).where, "thought.end");
  thought.thought = Thought{kThoughtEnd, -1};
  EXPECT_EQ(refusal(thought).where, "thought.budget");
}

}  // namespace
}  // namespace fathom::engine
