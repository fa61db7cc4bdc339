// Every request ends in one line of the log, whatever becomes of it.
#include "api/http/request_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "api/testing/harness.h"
#include "base/log.h"

namespace fathom::api {
namespace {

using net::Method;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kZoesKey = "sk-zoe-0123456789ab";
constexpr const char* kNamelessKey = "sk-nameless-0123456";

std::shared_ptr<const ApiKeys> zoes_keys() {
  std::string path = ::testing::TempDir() + "fathom-log-keys-XXXXXX";
  close(mkstemp(path.data()));
  std::ofstream(path) << kZoesKey << " Zoë of sales\n" << kNamelessKey << "\n";
  auto loaded = ApiKeys::load(path);
  EXPECT_TRUE(loaded.ok());
  unlink(path.c_str());
  return *loaded;
}

ApiOptions logging_options(bool texts = false) {
  ApiOptions options = Harness::default_options();
  options.request_log = {.lines = true, .texts = texts};
  return options;
}

class RequestLogLines : public ::testing::Test {
 protected:
  void SetUp() override { set_log_format(LogFormat::kJson); }
  void TearDown() override {
    set_log_format(LogFormat::kText);
    set_log_level(LogLevel::kInfo);
  }

  // What is written to the log meanwhile.
  template <typename Work>
  static std::string logged(Work&& work) {
    testing::internal::CaptureStderr();
    work();
    return testing::internal::GetCapturedStderr();
  }
  // The lines of requests that end meanwhile.
  template <typename Work>
  static std::vector<Json> lines(Work&& work) {
    std::vector<Json> found;
    std::istringstream text(logged(std::forward<Work>(work)));
    for (std::string line; std::getline(text, line);) {
      Json parsed = Json::parse(line);
      if (parsed["message"] == "request") found.push_back(std::move(parsed));
    }
    return found;
  }
  template <typename Work>
  static Json one_line(Work&& work) {
    const std::vector<Json> all = lines(std::forward<Work>(work));
    EXPECT_EQ(all.size(), 1u);
    return all.empty() ? Json::object() : all.front();
  }
};

TEST_F(RequestLogLines, HasItsFields) {
  Harness harness(logging_options());
  const Json line = one_line([&] {
    const auto writer = harness.request(
        Method::kPost, "/v1/chat/completions",
        R"({"model": "deepseek-chat", "messages": [{"role": "user", "content": "hi"}]})",
        {{"x-request-id", "mine-1"}});
    engine::Event first = harness.engine.event(0);
    first.token = 'a';
    first.usage.cached_tokens = 2;
    harness.engine.send(0, first);
    engine::Event last = first;
    last.token = 'b';
    last.finish = engine::FinishReason::kLength;
    harness.engine.send(0, last);
  });
  std::vector<std::string> names;
  for (const auto& [name, value] : line.items()) names.push_back(name);
  EXPECT_THAT(names, testing::ElementsAre("time", "level", "message", "request_id", "owner",
                                          "method", "route", "model", "prompt_tokens",
                                          "cached_tokens", "answer_tokens", "first_token_ms",
                                          "duration_ms", "finish", "status", "error"));
  EXPECT_EQ(line["level"], "info");
  EXPECT_EQ(line["request_id"], "mine-1");
  EXPECT_EQ(line["owner"], nullptr);
  EXPECT_EQ(line["method"], "POST");
  EXPECT_EQ(line["route"], "/v1/chat/completions");
  EXPECT_EQ(line["model"], "deepseek-chat");
  EXPECT_EQ(line["prompt_tokens"], harness.engine.requests[0].request.prompt.size());
  EXPECT_EQ(line["cached_tokens"], 2);
  EXPECT_EQ(line["answer_tokens"], 2);
  EXPECT_TRUE(line["first_token_ms"].is_number());
  EXPECT_GE(line["duration_ms"], line["first_token_ms"]);
  EXPECT_EQ(line["finish"], "length");
  EXPECT_EQ(line["status"], 200);
  EXPECT_EQ(line["error"], nullptr);
}

TEST_F(RequestLogLines, TellsHowTheModelEnded) {
  for (const bool stream : {false, true}) {
    Harness harness(logging_options());
    EXPECT_EQ(one_line([&] {
                harness.chat({{"stream", stream}});
                harness.engine.text(0, "ab");
                harness.engine.finish(0);
              })["finish"],
              "stop");
    const Json failed = one_line([&] {
      harness.chat({{"stream", stream}});
      harness.engine.text(1, "ab");
      harness.engine.fail(1, "step: kernel failed");
    });
    EXPECT_EQ(failed["finish"], "error");
    EXPECT_EQ(failed["status"], stream ? 200 : 500);
    EXPECT_EQ(failed["answer_tokens"], 2);
    const Json tools = one_line([&] {
      harness.chat(
          {{"stream", stream},
           {"tools", Json::parse(R"([{"type": "function", "function": {"name": "f"}}])")}});
      for (const int32_t id : {kCallsBeginId, kCallBeginId}) harness.engine.token(2, id);
      harness.engine.text(2, "f");
      harness.engine.token(2, kCallSepId);
      harness.engine.text(2, "{}");
      for (const int32_t id : {kCallEndId, kCallsEndId}) harness.engine.token(2, id);
      harness.engine.finish(2);
    });
    EXPECT_EQ(tools["finish"], "tool_calls");
  }
}

TEST_F(RequestLogLines, EveryRouteThatGeneratesHasOne) {
  const Json messages = Json::array({{{"role", "user"}, {"content", "hi"}}});
  for (const bool stream : {false, true}) {
    for (const auto& asked : std::vector<std::pair<std::string, Json>>{
             {"/v1/completions", {{"prompt", "hi"}}},
             {"/v1/responses", {{"input", "hi"}}},
             {"/v1/messages", {{"model", "tiny"}, {"messages", messages}, {"max_tokens", 5}}}}) {
      Harness harness(logging_options());
      const std::string& path = asked.first;
      Json body = asked.second;
      body["stream"] = stream;
      const Json line = one_line([&] {
        harness.post(path, body);
        harness.engine.text(0, "ab");
        harness.engine.finish(0);
      });
      EXPECT_EQ(line["route"], path);
      EXPECT_EQ(line["model"], "tiny");
      EXPECT_EQ(line["answer_tokens"], 2);
      EXPECT_EQ(line["finish"], "stop");
    }
  }
}

TEST_F(RequestLogLines, CountsAPromptOnceAndAnswersEach) {
  Harness harness(logging_options());
  const Json line = one_line([&] {
    harness.post("/v1/completions", {{"prompt", "abc"}, {"n", 2}});
    for (const size_t index : {0, 1}) {
      harness.engine.text(index, "xyz");
      harness.engine.finish(index);
    }
  });
  EXPECT_EQ(line["prompt_tokens"], 4);
  EXPECT_EQ(line["answer_tokens"], 6);
}

TEST_F(RequestLogLines, OneForWhatIsRefused) {
  Harness harness(logging_options());
  const auto expect_refusal = [](const Json& line, int status, const Json& error) {
    EXPECT_EQ(line["status"], status);
    EXPECT_EQ(line["finish"], "error");
    EXPECT_EQ(line["error"], error);
    EXPECT_EQ(line["prompt_tokens"], 0);
    EXPECT_EQ(line["first_token_ms"], nullptr);
  };
  expect_refusal(one_line([&] { harness.post("/v1/completions", {{"prompt", 7}}); }), 400, nullptr);
  const Json unknown = one_line([&] { harness.chat({{"model", "gpt"}}); });
  expect_refusal(unknown, 404, "model_not_found");
  EXPECT_EQ(unknown["model"], "gpt");
  harness.engine.refusal = Error{ErrorCode::kResourceExhausted, "full"};
  expect_refusal(one_line([&] { harness.chat({{"stream", true}}); }), 429, "queue_full");
  harness.engine.refusal.reset();
  const Json nowhere = one_line([&] { harness.request(Method::kGet, "/etc/passwd"); });
  expect_refusal(nowhere, 404, "not_found");
  EXPECT_EQ(nowhere["route"], "other");
  expect_refusal(one_line([&] { harness.service->protocol_error(431, "too long", {}); }), 431,
                 nullptr);
  harness.service->begin_shutdown();
  expect_refusal(one_line([&] { harness.chat(); }), 503, "unavailable");
}

TEST_F(RequestLogLines, TellsClientsThatLeft) {
  Harness harness(logging_options());
  for (const bool stream : {false, true}) {
    const size_t index = harness.engine.requests.size();
    const Json line = one_line([&] {
      const auto writer = harness.chat({{"stream", stream}});
      harness.engine.text(index, "abc");
      writer->go_away();
    });
    EXPECT_EQ(line["finish"], "cancelled");
    EXPECT_EQ(line["status"], stream ? 200 : 499);
    EXPECT_EQ(line["answer_tokens"], 3);
    // What the engine says of it later changes nothing.
    EXPECT_TRUE(lines([&] {
                  harness.engine.finish(index, engine::FinishReason::kCancelled);
                  harness.engine.requests[index].listener = nullptr;
                }).empty());
  }
  net::HttpRequest head;
  head.method = Method::kPost;
  head.method_text = "POST";
  head.path = "/v1/completions";
  const Json early = one_line([&] { harness.service->client_left(head); });
  EXPECT_EQ(early["finish"], "cancelled");
  EXPECT_EQ(early["status"], 499);
  EXPECT_EQ(early["route"], "/v1/completions");
}

TEST_F(RequestLogLines, OneForAnAnswerThatIsLetGoOf) {
  Harness harness(logging_options());
  std::shared_ptr<FakeWriter> whole;
  const Json line = one_line([&] {
    whole = harness.chat();
    harness.engine.requests[0].listener = nullptr;
  });
  EXPECT_EQ(line["status"], 500);
  EXPECT_EQ(line["finish"], "error");
  expect_error(*whole, 500);
  EXPECT_EQ(whole->header("x-request-id"), line["request_id"]);
  const Json cut = one_line([&] {
    harness.chat({{"stream", true}});
    harness.engine.text(1, "a");
    harness.engine.requests[1].listener = nullptr;
  });
  EXPECT_EQ(cut["finish"], "error");
}

TEST_F(RequestLogLines, NamesOwnersAndNeverKeys) {
  ApiOptions options = logging_options();
  options.edge.keys = zoes_keys();
  Harness harness(options);
  const auto ask = [&](const char* key) {
    return one_line([&] {
      harness.request(Method::kGet, "/v1/models", "",
                      {{"authorization", std::string("Bearer ") + key}});
    });
  };
  EXPECT_EQ(ask(kZoesKey)["owner"], "Zoë of sales");
  EXPECT_THAT(ask(kNamelessKey)["owner"].get<std::string>(),
              testing::MatchesRegex("key-[0-9a-f]{8}"));
  net::HttpRequest head;
  head.method = Method::kGet;
  head.method_text = "GET";
  head.path = "/v1/models";
  head.headers = {{"x-api-key", "sk-stolen-0123456789"}};
  const std::string text = logged([&] { harness.service->early_answer(head); });
  EXPECT_THAT(text, HasSubstr("\"owner\":null"));
  EXPECT_THAT(text, HasSubstr("\"status\":401"));
  EXPECT_THAT(text, HasSubstr("invalid_api_key"));
  EXPECT_THAT(text, Not(HasSubstr("sk-")));
}

TEST_F(RequestLogLines, ProbesAreForLevelDebug) {
  Harness harness(logging_options());
  const auto probe = [&] {
    for (const char* path : {"/health", "/ping", "/version", "/metrics"}) {
      harness.request(Method::kGet, path);
    }
  };
  EXPECT_TRUE(lines(probe).empty());
  EXPECT_EQ(lines([&] { harness.request(Method::kGet, "/"); }).size(), 1u);
  set_log_level(LogLevel::kDebug);
  const std::vector<Json> told = lines(probe);
  ASSERT_EQ(told.size(), 4u);
  EXPECT_EQ(told[0]["level"], "debug");
  EXPECT_EQ(told[0]["finish"], nullptr);
  set_log_level(LogLevel::kWarning);
  EXPECT_TRUE(lines([&] { harness.request(Method::kGet, "/"); }).empty());
}

TEST_F(RequestLogLines, NoneWhereNotAskedFor) {
  Harness harness;
  EXPECT_EQ(logged([&] { harness.chat_answer("abc"); }), "");
}

TEST_F(RequestLogLines, NothingThatClientsSendForgesALine) {
  Harness harness(logging_options());
  const std::string evil = "x\n{\"message\":\"request\"}\x1b[2J\xE2\x80\xAE";
  for (const LogFormat format : {LogFormat::kText, LogFormat::kJson}) {
    set_log_format(format);
    const std::string text = logged([&] {
      harness.chat({{"model", evil}});
      net::HttpRequest head;
      head.method_text = evil;
      head.path = evil;
      head.headers = {{"x-request-id", evil}};
      harness.service->early_answer(head);
    });
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 2) << text;
    EXPECT_THAT(text, Not(HasSubstr("\x1b")));
    EXPECT_THAT(text, Not(HasSubstr("\xE2\x80\xAE")));
  }
  const std::string long_name(100'000, 'm');
  EXPECT_LT(logged([&] { harness.chat({{"model", long_name}}); }).size(), 1000u);
}

TEST_F(RequestLogLines, HoldsTextsOnlyWhereTheyAreWanted) {
  const Json secret = {
      {"messages", Json::array({{{"role", "user"}, {"content", "my PIN is 4711"}}})}};
  const auto ask = [&](Harness& harness) {
    return logged([&] {
      harness.chat_answer("your PIN", secret);
      harness.post("/tokenize", {{"prompt", "my PIN is 4711"}});
      harness.post("/v1/completions", {{"prompt", "my PIN is 4711"}, {"n", -1}});
    });
  };
  Harness silent(logging_options());
  EXPECT_THAT(ask(silent), Not(HasSubstr("PIN")));
  Harness telling(logging_options(true));
  const std::string text = ask(telling);
  const Json line = Json::parse(text.substr(0, text.find('\n')));
  EXPECT_THAT(line["prompt"].get<std::string>(), HasSubstr("[user:my PIN is 4711]"));
  EXPECT_EQ(line["answer"], "your PIN");
}

TEST_F(RequestLogLines, BoundsTexts) {
  Harness harness(logging_options(true));
  const std::vector<int32_t> prompt(900, kCallsBeginId);  // of 27 bytes each
  const Json line = one_line([&] {
    harness.post("/v1/completions", {{"prompt", prompt}});
    harness.engine.text(0, std::string(20'000, 'a'));
    harness.engine.finish(0);
  });
  EXPECT_EQ(line["answer"].get<std::string>(), std::string(kMaxTextBytes, 'a'));
  const auto text = line["prompt"].get<std::string>();
  EXPECT_TRUE(text.starts_with("<｜tool▁calls▁begin｜><｜tool▁calls▁begin｜>")) << text;
  EXPECT_GT(text.size(), kMaxTextBytes - 27);
  EXPECT_LE(text.size(), kMaxTextBytes + 3);
  EXPECT_EQ(line["answer_tokens"], 20'000);
}

}  // namespace
}  // namespace fathom::api
