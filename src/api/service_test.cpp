// Routes, life cycle, refusals by the engine, clients that go away.
#include "api/service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "api/testing/harness.h"

namespace fathom::api {
namespace {

using net::Method;
using testing::HasSubstr;

TEST(Service, ListsModels) {
  Harness harness;
  const Json list = harness.request(Method::kGet, "/v1/models")->json();
  EXPECT_EQ(list["object"], "list");
  EXPECT_EQ(list["data"][0]["id"], "tiny");
  EXPECT_EQ(list["data"][0]["created"], 1700000000);
  EXPECT_EQ(list["data"][1]["id"], "deepseek-chat");
  EXPECT_EQ(harness.request(Method::kGet, "/models/tiny")->json()["object"], "model");
  EXPECT_EQ(harness.request(Method::kGet, "/v1/models/deepseek%2Dchat")->json()["id"],
            "deepseek-chat");
  EXPECT_EQ(expect_error(*harness.request(Method::kGet, "/v1/models/a/b"), 404)["code"],
            "model_not_found");
}

TEST(Service, UnknownRoutesAndMethods) {
  Harness harness;
  expect_error(*harness.request(Method::kPost, "/"), 405);
  expect_error(*harness.request(Method::kPost, "/v2/chat/completions"), 404);
  expect_error(*harness.request(Method::kGet, "/v1"), 404);
  expect_error(*harness.request(Method::kGet, "/v1/v1/models"), 404);
  const auto get = harness.request(Method::kGet, "/v1/chat/completions");
  expect_error(*get, 405);
  EXPECT_EQ(get->header("allow"), "POST");
  const auto post = harness.request(Method::kPost, "/metrics");
  expect_error(*post, 405);
  EXPECT_EQ(post->header("allow"), "GET, HEAD");
}

TEST(Service, HealthFollowsReadiness) {
  Harness harness;
  EXPECT_EQ(harness.request(Method::kGet, "/health")->response.status, 200);
  harness.service->set_ready(false);
  expect_error(*harness.request(Method::kGet, "/health"), 503);
  expect_error(*harness.chat(), 503);
  harness.service->set_ready(true);
  harness.service->begin_shutdown();
  EXPECT_TRUE(harness.engine.draining);
  expect_error(*harness.request(Method::kGet, "/health"), 503);
  const auto refused = harness.chat();
  expect_error(*refused, 503);
  EXPECT_FALSE(refused->header("retry-after").empty());
  EXPECT_EQ(harness.request(Method::kGet, "/metrics")->response.status, 200);
}

TEST(Service, PingIsHealthForThoseWhoReadNoJson) {
  Harness harness;
  const auto writer = harness.request(Method::kGet, "/ping");
  EXPECT_EQ(writer->response.status, 200);
  EXPECT_EQ(writer->response.body, "pong");
  harness.service->begin_shutdown();
  expect_error(*harness.request(Method::kGet, "/ping"), 503);
}

TEST(Service, HasAPageForBrowsers) {
  ApiOptions options = Harness::default_options();
  options.model.id = "a<b>&'\"c";
  Harness harness(options);
  const auto page = [&](std::vector<net::Header> headers) {
    const auto writer = harness.request(Method::kGet, "/", "", std::move(headers));
    EXPECT_EQ(writer->header("content-type"), "text/html; charset=utf-8");
    return writer->response.body;
  };
  const std::string text = page({{"Host", "llm.example:8000"}});
  EXPECT_THAT(text, HasSubstr("a&lt;b&gt;&amp;&#39;&quot;c"));
  EXPECT_THAT(text, HasSubstr("Fathom 1.2.3"));
  EXPECT_THAT(text, HasSubstr("curl http://llm.example:8000/v1/chat/completions"));
  EXPECT_THAT(text, HasSubstr("fathom chat --url http://llm.example:8000"));
  EXPECT_THAT(text, HasSubstr("/openapi.json"));
  EXPECT_THAT(text, HasSubstr("prefers-color-scheme:dark"));
  EXPECT_THAT(text, testing::Not(HasSubstr("Bearer")));
  EXPECT_THAT(text, testing::Not(HasSubstr("<b>")));
  EXPECT_THAT(page({{"Host", "llm.example"}, {"X-Forwarded-Proto", "https"}}),
              HasSubstr("curl https://llm.example/v1/"));
  EXPECT_THAT(page({{"Host", "\"><script>"}}), testing::Not(HasSubstr("script")));
  EXPECT_THAT(page({}), HasSubstr("http://localhost/v1"));
}

TEST(Service, EveryAnswerHasARequestId) {
  Harness harness;
  const auto id = [&](const std::string& given) {
    return harness.request(Method::kGet, "/version", "", {{"X-Request-ID", given}})
        ->header("x-request-id");
  };
  EXPECT_EQ(id("abc-1.2:3_4"), "abc-1.2:3_4");
  EXPECT_TRUE(id("bad id").starts_with("req-"));
  EXPECT_TRUE(id(std::string(200, 'a')).starts_with("req-"));
  EXPECT_TRUE(id("").starts_with("req-"));
  EXPECT_EQ(harness.request(Method::kGet, "/version")->json()["version"], "1.2.3");
}

TEST(Service, TokenizesLikeVllm) {
  Harness harness;
  const Json text = harness.post("/tokenize", {{"model", "tiny"}, {"prompt", "ab"}})->json();
  EXPECT_EQ(text["count"], 3);
  EXPECT_EQ(text["max_model_len"], 1000);
  EXPECT_EQ(text["tokens"], Json::array({kBosId, 97, 98}));
  EXPECT_EQ(text["token_strs"], nullptr);
  const Json strings =
      harness
          .post("/tokenize",
                {{"prompt", "ab"}, {"add_special_tokens", false}, {"return_token_strs", true}})
          ->json();
  EXPECT_EQ(strings["token_strs"], Json::array({"a", "b"}));
  const Json messages = Json::array({{{"role", "user"}, {"content", "x"}}});
  const Json chat =
      harness.post("/v1/tokenize", {{"messages", messages}, {"add_generation_prompt", false}})
          ->json();
  EXPECT_EQ(chat["tokens"][0], kBosId);
  EXPECT_EQ(chat["count"], 9);  // <bos>[user:x]
  expect_error(*harness.post("/tokenize", Json::object()), 400);
  expect_error(*harness.post("/tokenize", {{"prompt", "a"}, {"messages", messages}}), 400);
  expect_error(*harness.post("/tokenize", {{"prompt", "a"}, {"model", "x"}}), 404);
}

TEST(Service, Detokenizes) {
  Harness harness;
  EXPECT_EQ(harness.post("/detokenize", {{"tokens", {97, kBosId, 98}}})->json()["prompt"],
            "a<｜bos｜>b");
  EXPECT_EQ(harness.post("/detokenize", {{"tokens", Json::array()}})->json()["prompt"], "");
  EXPECT_EQ(expect_error(*harness.post("/detokenize", {{"tokens", {400}}}), 400)["param"],
            "tokens[0]");
  expect_error(*harness.post("/detokenize", Json::object()), 400);
}

TEST(Service, BodiesOverTheLimit) {
  ApiOptions options = Harness::default_options();
  options.max_body_bytes = 100;
  Harness harness(options);
  const Json error =
      expect_error(*harness.request(Method::kPost, "/v1/completions", std::string(101, ' ')), 413);
  EXPECT_THAT(error["message"].get<std::string>(), HasSubstr("at most 100 bytes, got 101"));
}

TEST(Service, AFullQueueIsToldBeforeTheStreamStarts) {
  Harness harness;
  harness.engine.refusal = Error{ErrorCode::kResourceExhausted, "submit: queue full"};
  harness.engine.accept_before_refusal = 1;
  const auto writer = harness.chat({{"stream", true}, {"n", 2}});
  const Json error = expect_error(*writer, 429);
  EXPECT_EQ(error["type"], "rate_limit_error");
  EXPECT_EQ(writer->header("retry-after"), "1");
  EXPECT_TRUE(harness.engine.requests[0].cancelled);  // what was accepted is given back
  harness.engine.finish(0, engine::FinishReason::kCancelled);
  EXPECT_EQ(writer->sends, 1);
}

TEST(Service, ADrainingEngineIs503) {
  Harness harness;
  harness.engine.refusal = Error{ErrorCode::kUnavailable, "submit: draining"};
  const auto writer = harness.chat();
  expect_error(*writer, 503);
  EXPECT_FALSE(writer->header("retry-after").empty());
}

TEST(Service, AnEngineFailureIs500OrAnErrorEvent) {
  Harness harness;
  const auto whole = harness.chat({{"n", 2}});
  harness.engine.fail(0, "step: kernel failed");
  const Json error = expect_error(*whole, 500);
  EXPECT_EQ(error["type"], "server_error");
  EXPECT_TRUE(harness.engine.requests[1].cancelled);
  const auto stream = harness.chat({{"stream", true}});
  harness.engine.text(2, "ab");
  harness.engine.fail(2, "step: kernel failed");
  const Json last = stream->events().back();
  EXPECT_EQ(last["error"]["message"], "step: kernel failed");
  EXPECT_TRUE(stream->ended);
  EXPECT_FALSE(stream->done());
}

TEST(Service, AClientThatGoesAwayFreesItsWork) {
  Harness harness;
  for (const bool stream : {false, true}) {
    const size_t first = harness.engine.requests.size();
    const auto writer = harness.chat({{"n", 2}, {"stream", stream}});
    harness.engine.text(first, "ab");
    harness.engine.finish(first);
    writer->go_away();
    EXPECT_FALSE(harness.engine.requests[first].cancelled);  // it was done already
    EXPECT_TRUE(harness.engine.requests[first + 1].cancelled);
    harness.engine.finish(first + 1, engine::FinishReason::kCancelled);
    EXPECT_EQ(writer->sends, 0);
  }
  EXPECT_THAT(harness.request(Method::kGet, "/metrics")->response.body,
              HasSubstr("finished_reason=\"abort\",model_name=\"tiny\"} 2"));
}

TEST(Service, ListenersDoNotOutliveTheAnswer) {
  Harness harness;
  std::weak_ptr<FakeWriter> weak;
  {
    const auto writer = harness.chat();
    weak = writer;
    harness.engine.text(0, "ab");
    harness.engine.finish(0);
  }
  harness.engine.requests[0].listener = nullptr;  // as the engine drops it
  EXPECT_TRUE(weak.expired());
}

TEST(Service, MetricsCountWhatHappened) {
  Harness harness;
  harness.engine.counts = {.running = 2,
                           .waiting = 3,
                           .kv_blocks_total = 10,
                           .kv_blocks_used = 4,
                           .prompt_tokens = 7,
                           .prefix_cache_queries = 6,
                           .prefix_cache_hits = 5,
                           .generated_tokens = 8,
                           .drafts = 11,
                           .draft_tokens = 22,
                           .accepted_draft_tokens = 21,
                           .preemptions = 1,
                           .steps = 90,
                           .steps_ahead = 80,
                           .surplus_rows = 70,
                           .copied_to_host = 6000,
                           .kv_fetched = {.transfers = 2,
                                          .blocks = 30,
                                          .bytes = 4000,
                                          .seconds = 0.5,
                                          .failures = {0, 1, 0, 0, 0, 0}}};
  harness.chat_answer("abc");
  harness.request(Method::kGet, "/nowhere");
  const auto writer = harness.request(Method::kGet, "/metrics");
  EXPECT_THAT(writer->header("content-type"), HasSubstr("text/plain"));
  const std::string page = writer->response.body;
  for (const char* line :
       {"fathom_num_requests_running{model_name=\"tiny\"} 2",
        "fathom_num_requests_waiting{model_name=\"tiny\"} 3",
        "fathom_kv_cache_usage_perc{model_name=\"tiny\"} 0.4",
        "fathom_prompt_tokens_total{model_name=\"tiny\"} 7",
        "fathom_generation_tokens_total{model_name=\"tiny\"} 8",
        "fathom_prefix_cache_queries_total{model_name=\"tiny\"} 6",
        "fathom_prefix_cache_hits_total{model_name=\"tiny\"} 5",
        "fathom_spec_decode_num_drafts_total{model_name=\"tiny\"} 11",
        "fathom_spec_decode_num_draft_tokens_total{model_name=\"tiny\"} 22",
        "fathom_spec_decode_num_accepted_tokens_total{model_name=\"tiny\"} 21",
        "fathom_num_preemptions_total{model_name=\"tiny\"} 1",
        "fathom_steps_total{model_name=\"tiny\"} 90",
        "fathom_steps_ahead_total{model_name=\"tiny\"} 80",
        "fathom_surplus_rows_total{model_name=\"tiny\"} 70",
        "fathom_copied_to_host_bytes_total{model_name=\"tiny\"} 6000",
        "fathom_kv_transfers_total{direction=\"fetched\",model_name=\"tiny\"} 2",
        "fathom_kv_transfers_total{direction=\"sent\",model_name=\"tiny\"} 0",
        "fathom_kv_transfer_bytes_total{direction=\"fetched\",model_name=\"tiny\"} 4000",
        "fathom_kv_transfer_seconds_total{direction=\"fetched\",model_name=\"tiny\"} 0.5",
        "fathom_kv_transfer_failures_total{direction=\"fetched\",model_name=\"tiny\",reason="
        "\"lost\"} 1",
        "fathom_time_to_first_token_seconds_count{model_name=\"tiny\"} 1",
        "fathom_inter_token_latency_seconds_count{model_name=\"tiny\"} 2",
        "fathom_e2e_request_latency_seconds_count{model_name=\"tiny\"} 1",
        "fathom_request_success_total{finished_reason=\"stop\",model_name=\"tiny\"} 1",
        "fathom_http_requests_total{route=\"/v1/chat/completions\",status=\"200\"} 1",
        "fathom_http_requests_total{route=\"other\",status=\"404\"} 1"}) {
    EXPECT_THAT(page, HasSubstr(line));
  }
  const std::string again = harness.request(Method::kGet, "/metrics")->response.body;
  EXPECT_THAT(again, HasSubstr("fathom_prompt_tokens_total{model_name=\"tiny\"} 7"));
}

// Events may arrive from the engine's thread before submit() has returned, and the client may go
// away at any time.
TEST(Service, EventsAndDeparturesFromOtherThreads) {
  class EagerEngine : public FakeEngine {
   public:
    ~EagerEngine() override { join(); }
    engine::RequestId submit(engine::Request, engine::Listener listener) override {
      threads_.emplace_back([listener = std::move(listener)] {
        engine::Event accepted;
        accepted.accepted = true;
        listener(accepted);
        for (int i = 0; i < 50; ++i) {
          engine::Event event;
          event.token = 'a' + i % 26;
          listener(event);
        }
        engine::Event end;
        end.finish = engine::FinishReason::kStop;
        listener(end);
      });
      return engine::RequestId{threads_.size()};
    }
    void cancel(engine::RequestId) override {}
    void join() {
      for (std::thread& thread : threads_) thread.join();
      threads_.clear();
    }

   private:
    std::vector<std::thread> threads_;
  };
  class QuietWriter : public net::ResponseWriter {
   public:
    void send(net::HttpResponse) override { ++answers; }
    void begin_stream(int, std::vector<net::Header>) override {}
    bool write(std::string_view) override { return true; }
    void end() override { ++answers; }
    bool client_gone() const override { return false; }
    void on_client_gone(std::function<void()> callback) override {
      const std::lock_guard lock(mutex);
      gone = std::move(callback);
    }
    void start_keep_alive(std::string, std::chrono::milliseconds) override {}
    std::mutex mutex;
    std::function<void()> gone;
    std::atomic<int> answers = 0;
  };

  EagerEngine engine;
  auto service =
      ApiService::create(engine, test_tokenizer(), std::nullopt, Harness::default_options());
  ASSERT_TRUE(service.ok());
  (*service)->set_ready(true);
  for (int round = 0; round < 40; ++round) {
    const auto writer = std::make_shared<QuietWriter>();
    net::HttpRequest request;
    request.method = Method::kPost;
    request.path = "/v1/completions";
    request.body =
        R"({"prompt": "x", "n": 2, "stream": )" + std::string(round % 2 == 0 ? "true}" : "false}");
    (*service)->handle(std::move(request), writer);
    if (round % 4 < 2) {
      const std::lock_guard lock(writer->mutex);
      if (writer->gone) writer->gone();
    }
    engine.join();
    EXPECT_LE(writer->answers, 1);
    EXPECT_TRUE(writer->answers == 1 || round % 4 < 2);
  }
}

TEST(Service, ModelsWithoutATemplateOnlyComplete) {
  FakeEngine engine;
  auto service =
      ApiService::create(engine, test_tokenizer(), std::nullopt, Harness::default_options());
  ASSERT_TRUE(service.ok());
  (*service)->set_ready(true);
  net::HttpRequest request;
  request.method = Method::kPost;
  request.path = "/v1/chat/completions";
  request.body = R"({"messages": [{"role": "user", "content": "x"}]})";
  const auto writer = std::make_shared<FakeWriter>();
  (*service)->handle(std::move(request), writer);
  EXPECT_THAT(expect_error(*writer, 400)["message"].get<std::string>(),
              HasSubstr("no chat template"));
}

TEST(Service, ProtocolErrorsHaveTheShapeOfTheRoute) {
  ApiOptions options = Harness::default_options();
  options.edge.cors_origins = {"https://app.example"};
  Harness harness(options);
  for (const int status : {400, 408, 413, 431, 500, 503}) {
    FakeWriter unknown;
    unknown.send(harness.service->protocol_error(status, "too long", {}));
    expect_error(unknown, status);
    net::HttpRequest head;
    head.path = "/v1/messages";
    head.headers = {{"Origin", "https://app.example"}, {"X-Request-Id", "mine"}};
    FakeWriter messages;
    messages.send(harness.service->protocol_error(status, "too long", head));
    EXPECT_EQ(messages.json()["type"], "error");
    EXPECT_EQ(messages.header("access-control-allow-origin"), "https://app.example");
    EXPECT_EQ(messages.header("request-id"), "mine");
  }
}

TEST(Service, WorkSaysWhatTheQueueTakes) {
  ApiOptions options = Harness::default_options();
  options.max_waiting = 5;
  Harness harness(options);
  harness.engine.counts.waiting = 2;
  const auto writer = harness.chat();
  harness.engine.finish(0);
  EXPECT_EQ(writer->header("x-ratelimit-limit-requests"), "5");
  EXPECT_EQ(writer->header("x-ratelimit-remaining-requests"), "3");
  EXPECT_EQ(harness.request(Method::kGet, "/v1/models")->header("x-ratelimit-limit-requests"), "");
  harness.engine.refusal = Error{ErrorCode::kResourceExhausted, "full"};
  const auto refused = harness.chat();
  EXPECT_EQ(refused->response.status, 429);
  EXPECT_EQ(refused->header("x-ratelimit-remaining-requests"), "0");
  EXPECT_EQ(refused->header("x-ratelimit-reset-requests"), "1s");
}

net::HttpRequest head_of(net::Method method, const char* text, const std::string& path,
                         std::vector<net::Header> headers = {}) {
  net::HttpRequest head;
  head.method = method;
  head.method_text = text;
  head.path = path;
  head.headers = std::move(headers);
  return head;
}

// Neither a body nor a handler's thread is spent on these.
TEST(Service, RefusesByTheHeadAlone) {
  const Harness harness;
  const auto early = [&](net::HttpRequest head) { return harness.service->early_answer(head); };
  EXPECT_EQ(early(head_of(net::Method::kPost, "POST", "/nowhere"))->status, 404);
  const auto wrong = early(head_of(net::Method::kPost, "POST", "/health"));
  EXPECT_EQ(wrong->status, 405);
  EXPECT_EQ(*wrong->header("allow"), "GET, HEAD");
  const auto packed = early(
      head_of(net::Method::kPost, "POST", "/v1/chat/completions", {{"Content-Encoding", "br"}}));
  EXPECT_EQ(packed->status, 415);
  EXPECT_EQ(*packed->header("accept-encoding"), "gzip, identity");
  EXPECT_NE(packed->body.find("Content-Encoding: expected gzip or none, got br"),
            std::string::npos);
  for (const char* known : {"gzip", "GZIP", "x-gzip", "identity"}) {
    EXPECT_FALSE(early(
        head_of(net::Method::kPost, "POST", "/v1/completions", {{"Content-Encoding", known}})))
        << known;
  }
  EXPECT_FALSE(early(head_of(net::Method::kGet, "GET", "/v1/models")));

  EXPECT_TRUE(harness.service->takes_body(head_of(net::Method::kPost, "POST", "/v1/completions")));
  for (const char* path : {"/v1/models", "/metrics", "/v1/responses/x", "/nowhere"}) {
    EXPECT_FALSE(harness.service->takes_body(head_of(net::Method::kGet, "GET", path))) << path;
  }
}

TEST(Service, PackedBodiesAreUnpackedWithinTheLimit) {
  ApiOptions options = Harness::default_options();
  options.max_body_bytes = 1000;
  Harness harness(options);
  // {"prompt":"hi"}, as the program gzip writes it.
  const std::string packed(
      "\037\213\010\000\000\000\000\000\002\003\253V*(\312\317-(Q\262R\312\310T\252\005\000V\005("
      "\030\017\000\000\000",
      35);
  const auto post = [&](const std::string& body) {
    return harness.request(net::Method::kPost, "/v1/completions", body,
                           {{"Content-Encoding", "gzip"}});
  };
  post(packed);
  ASSERT_EQ(harness.engine.requests.size(), 1u);
  EXPECT_EQ(prompt_text(harness, 0), "<｜bos｜>hi");
  expect_error(*post("no gzip"), 400);
  expect_error(*post(packed.substr(0, 20)), 400);
  // 5,000 spaces in 41 bytes.
  expect_error(
      *post(std::string("\037\213\010\000\000\000\000\000\002\003\355\3011\001\000\000\000\302\240*"
                        "\353\237\322\024~@\001\000\000\000\000o\003`,\013\207\210\023\000\000",
                        41)),
      413);
}

TEST(Service, SlashesThatSayNothingAreNoOtherRoute) {
  Harness harness;
  for (const char* path : {"/v1/models/", "/v1//models", "//v1/models", "/models//"}) {
    EXPECT_EQ(harness.request(net::Method::kGet, path)->response.status, 200) << path;
  }
  EXPECT_EQ(harness.request(net::Method::kGet, "/v1/model/s")->response.status, 404);
}

}  // namespace
}  // namespace fathom::api
