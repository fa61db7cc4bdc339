#include "api/testing/harness.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "net/sse.h"
#include "tokenizer/testing/small_tokenizer.h"

namespace fathom::api {

namespace {

constexpr const char* kTemplate =
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'tool' %}[tool:{{ m.content }}]"
    "{% else %}[{{ m.role }}:{{ m.content or '' }}{% for c in m.tool_calls or [] %}"
    "({{ c.function.name }} {{ c.function.arguments | tojson }}){% endfor %}]{% endif %}"
    "{% endfor %}{% if tools %}[tools:{{ tools | length }}]{% endif %}"
    "{% if add_generation_prompt %}<think>{% if not thinking %}</think>{% endif %}{% endif %}";

tokenizer::Tokenizer make_tokenizer(bool markers) {
  nlohmann::json file = tokenizer::small_tokenizer_json();
  const auto add = [&file](int32_t id, const char* text, bool special) {
    file["added_tokens"].push_back(tokenizer::added_token_json(id, text, special));
  };
  if (markers) {
    add(kThinkId, "<think>", false);
    add(kThinkEndId, "</think>", false);
    add(kCallsBeginId, "<｜tool▁calls▁begin｜>", false);
    add(kCallBeginId, "<｜tool▁call▁begin｜>", false);
    add(kCallSepId, "<｜tool▁sep｜>", false);
    add(kCallEndId, "<｜tool▁call▁end｜>", false);
    add(kCallsEndId, "<｜tool▁calls▁end｜>", false);
    add(kMiddleBeginId, "<｜fim▁begin｜>", false);
    add(kMiddleHoleId, "<｜fim▁hole｜>", false);
    add(kMiddleEndId, "<｜fim▁end｜>", false);
  }
  add(kEosId, "<｜eos｜>", true);
  auto made = tokenizer::Tokenizer::parse(
      file.dump(), R"({"bos_token": "<｜bos｜>", "eos_token": "<｜eos｜>"})");
  EXPECT_TRUE(made.ok()) << (made.ok() ? "" : made.error().message);
  return std::move(made).value();
}

}  // namespace

// Made once: tests make thousands of services.
tokenizer::Tokenizer test_tokenizer(bool markers) {
  static const tokenizer::Tokenizer with = make_tokenizer(true);
  static const tokenizer::Tokenizer without = make_tokenizer(false);
  return markers ? with : without;
}

std::vector<int32_t> tokens_of(const std::string& bytes) {
  std::vector<int32_t> tokens;
  for (const char c : bytes) tokens.push_back(static_cast<unsigned char>(c));
  return tokens;
}

engine::RequestId FakeEngine::submit(engine::Request request, engine::Listener listener) {
  engine::Event event;
  if (refusal && accept_before_refusal-- == 0) {
    event.finish = engine::FinishReason::kRefused;
    event.error = refusal;
    listener(event);
    return 0;
  }
  event.accepted = true;
  listener(event);
  requests.push_back({std::move(request), std::move(listener)});
  return engine::RequestId{requests.size()};
}

void FakeEngine::cancel_all() {
  for (Submitted& request : requests) request.cancelled = true;
}

void FakeEngine::cancel(engine::RequestId id) {
  requests.at(id - 1).cancelled = true;
}

engine::Event FakeEngine::event(size_t index) const {
  engine::Event event;
  event.usage.prompt_tokens = static_cast<int64_t>(requests[index].request.prompt.size());
  event.usage.completion_tokens = requests[index].sent_tokens;
  return event;
}

void FakeEngine::token(size_t index, int32_t id) {
  ++requests[index].sent_tokens;
  engine::Event news = event(index);
  news.token = id;
  if (const auto wanted = requests[index].request.sampling.logprobs) {
    engine::TokenLogprob logprob{id, -0.1f, {}};
    for (int32_t i = 0; i < *wanted; ++i) logprob.top.emplace_back(id + i, -0.1f - 0.3f * i);
    news.logprob = std::move(logprob);
  }
  send(index, news);
}

void FakeEngine::text(size_t index, const std::string& bytes) {
  for (const int32_t id : tokens_of(bytes)) {
    if (!requests[index].cancelled) token(index, id);
  }
}

void FakeEngine::finish(size_t index, engine::FinishReason reason) {
  engine::Event news = event(index);
  news.finish = reason;
  send(index, news);
}

void FakeEngine::fail(size_t index, const std::string& message) {
  engine::Event news = event(index);
  news.finish = engine::FinishReason::kError;
  news.error = Error{ErrorCode::kInternal, message};
  send(index, news);
}

void FakeWriter::send(net::HttpResponse sent) {
  ++sends;
  EXPECT_FALSE(streaming) << "send() after begin_stream()";
  response = std::move(sent);
}

void FakeWriter::begin_stream(int status, std::vector<net::Header> headers) {
  EXPECT_EQ(sends, 0) << "begin_stream() after send()";
  streaming = true;
  response.status = status;
  response.headers = std::move(headers);
}

bool FakeWriter::write(std::string_view data) {
  EXPECT_TRUE(streaming && !ended);
  if (!gone) stream += data;
  return !gone;
}

void FakeWriter::on_client_gone(std::function<void()> callback) {
  if (gone) return callback();
  on_gone_ = std::move(callback);
}

void FakeWriter::start_keep_alive(std::string comment, std::chrono::milliseconds interval) {
  keep_alive = comment + " " + std::to_string(interval.count());
}

void FakeWriter::go_away() {
  gone = true;
  if (on_gone_) std::exchange(on_gone_, nullptr)();
}

Json FakeWriter::json() const {
  EXPECT_EQ(sends, 1);
  auto parsed = parse_json(response.body);
  EXPECT_TRUE(parsed.ok()) << response.body;
  return parsed.ok() ? *parsed : Json();
}

std::vector<Json> FakeWriter::events() const {
  std::vector<net::SseEvent> raw;
  net::SseParser parser;
  EXPECT_TRUE(parser.feed(stream, raw));
  std::vector<Json> events;
  for (const net::SseEvent& event : raw) {
    if (event.data == "[DONE]") continue;
    auto parsed = parse_json(event.data);
    EXPECT_TRUE(parsed.ok()) << event.data;
    if (parsed.ok()) events.push_back(std::move(*parsed));
  }
  return events;
}

bool FakeWriter::done() const {
  return stream.ends_with("data: [DONE]\n\n") && ended;
}

std::string FakeWriter::header(const std::string& name) const {
  const std::string* value = net::find_header(response.headers, name);
  return value == nullptr ? "" : *value;
}

ApiOptions Harness::default_options() {
  ApiOptions options;
  options.model = {"tiny", {{"deepseek-chat"}}, 1700000000};
  options.version = "1.2.3";
  return options;
}

Harness::Harness(ApiOptions options, bool markers) : tokenizer(test_tokenizer(markers)) {
  auto chat = jinja::ChatTemplate::parse(kTemplate, "<｜bos｜>", "<｜eos｜>");
  EXPECT_TRUE(chat.ok()) << (chat.ok() ? "" : chat.error().message);
  auto made = ApiService::create(engine, tokenizer, std::move(chat).value(), std::move(options));
  EXPECT_TRUE(made.ok());
  service = std::move(made).value();
  service->set_ready(true);
}

Harness::~Harness() {
  for (FakeEngine::Submitted& request : engine.requests) request.listener = nullptr;
}

std::shared_ptr<FakeWriter> Harness::request(net::Method method, const std::string& path,
                                             const std::string& body,
                                             std::vector<net::Header> headers) {
  net::HttpRequest request;
  request.method = method;
  request.method_text = method == net::Method::kGet    ? "GET"
                        : method == net::Method::kPost ? "POST"
                                                       : "DELETE";
  request.path = path;
  request.body = body;
  request.headers = std::move(headers);
  auto writer = std::make_shared<FakeWriter>();
  service->handle(std::move(request), writer);
  return writer;
}

std::shared_ptr<FakeWriter> Harness::post(const std::string& path, const Json& body) {
  return request(net::Method::kPost, path, dump_json(body));
}

std::shared_ptr<FakeWriter> Harness::chat(const Json& extra) {
  Json body = {{"model", "tiny"},
               {"messages", Json::array({{{"role", "user"}, {"content", "hi"}}})}};
  if (extra.is_object()) body.update(extra);
  return post("/v1/chat/completions", body);
}

Json Harness::chat_answer(const std::string& bytes, const Json& extra) {
  const size_t index = engine.requests.size();
  const auto writer = chat(extra);
  if (engine.requests.size() == index) {
    ADD_FAILURE() << "refused: " << writer->response.body;
    return {};
  }
  engine.text(index, bytes);
  if (!engine.requests[index].cancelled) engine.finish(index);
  return writer->json();
}

std::string prompt_text(const Harness& harness, size_t index) {
  return harness.tokenizer.decode(harness.engine.requests.at(index).request.prompt);
}

Json expect_error(const FakeWriter& writer, int status) {
  EXPECT_EQ(writer.response.status, status) << writer.response.body;
  const Json body = writer.json();
  const Json error = body.is_object() ? body.value("error", Json::object()) : Json::object();
  for (const char* key : {"message", "type", "param", "code"}) {
    EXPECT_TRUE(error.contains(key)) << key << " missing in " << writer.response.body;
  }
  EXPECT_FALSE(writer.header("x-request-id").empty());
  return error;
}

}  // namespace fathom::api
