// Requests that are wrong in generated ways: each must be refused with a 4xx in OpenAI's shape
// that names the field, and none may reach the engine.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

#include "api/schema/chat.h"
#include "api/schema/completion.h"
#include "api/schema/tokenize.h"
#include "api/testing/harness.h"

namespace fathom::api {
namespace {

struct Endpoint {
  const char* path;
  Json body;  // a good one
};

const Endpoint& chat_endpoint() {
  static const Endpoint endpoint = {
      "/v1/chat/completions",
      {{"model", "tiny"},
       {"messages", Json::array({{{"role", "user"}, {"content", "\u4f60 \"hi\""}}})},
       {"max_tokens", 5}}};
  return endpoint;
}

const Endpoint& completion_endpoint() {
  static const Endpoint endpoint = {"/v1/completions",
                                    {{"model", "tiny"}, {"prompt", "hi"}, {"stop", {"a", "b"}}}};
  return endpoint;
}

const Endpoint& tokenize_endpoint() {
  static const Endpoint endpoint = {"/tokenize", {{"prompt", "hi"}}};
  return endpoint;
}

const Endpoint& detokenize_endpoint() {
  static const Endpoint endpoint = {"/detokenize", {{"tokens", {1, 2}}}};
  return endpoint;
}

std::vector<Json> wrong_values(const FieldInfo& info) {
  const std::string type = info.type;
  const std::vector<Json> all = {"x",
                                 true,
                                 1,
                                 -1.5,
                                 Json::array({Json::object()}),
                                 Json::object(),
                                 1e99,
                                 std::numeric_limits<uint64_t>::max()};
  std::vector<Json> wrong;
  for (const Json& value : all) {
    const bool right =
        (type == "string" && value.is_string()) || (type == "boolean" && value.is_boolean()) ||
        (type == "object" && value.is_object()) || (type == "string or array" && value == "x") ||
        (type == "string or object" && value.is_object()) ||
        ((type == "integer" || type == "number") && value.is_number());
    if (!right) wrong.push_back(value);
  }
  if (type == "integer") wrong.insert(wrong.end(), {1.5, 1e99, -1e99});
  const bool bounded_below = info.minimum && *info.minimum > -1e15;
  const bool bounded_above = info.maximum && *info.maximum < 1e15;
  if (bounded_below) wrong.insert(wrong.end(), {*info.minimum - 1, -1e30});
  if (bounded_above) wrong.insert(wrong.end(), {*info.maximum + 1, 1e30});
  return wrong;
}

class BadRequests : public testing::Test {
 protected:
  void expect_refused(const Endpoint& endpoint, const Json& body, const std::string& param) {
    ++cases_;
    SCOPED_TRACE(body.dump());
    const auto writer = harness_.post(endpoint.path, body);
    ASSERT_EQ(writer->response.status, 400);
    const Json error = expect_error(*writer, 400);
    EXPECT_EQ(error["type"], "invalid_request_error");
    const std::string named = error["param"].is_string() ? error["param"].get<std::string>() : "";
    EXPECT_TRUE(named.starts_with(param)) << "expected " << param << ", got " << named;
    EXPECT_LT(writer->response.body.size(), 1000u);
  }

  template <typename Request>
  void mutate_fields(const Endpoint& endpoint, const FieldTable<Request>& table) {
    for (const Field<Request>& field : table) {
      for (const Json& value : wrong_values(field.info)) {
        Json body = endpoint.body;
        body[field.info.name] = value;
        expect_refused(endpoint, body, field.info.name);
      }
    }
  }

  void TearDown() override { EXPECT_TRUE(harness_.engine.requests.empty()); }

  Harness harness_;
  int cases_ = 0;
};

TEST_F(BadRequests, EveryFieldWithEveryWrongType) {
  mutate_fields(chat_endpoint(), generation_field_table());
  mutate_fields(chat_endpoint(), chat_field_table());
  mutate_fields(completion_endpoint(), generation_field_table());
  mutate_fields(completion_endpoint(), completion_field_table());
  mutate_fields(tokenize_endpoint(), tokenize_field_table());
  mutate_fields(detokenize_endpoint(), detokenize_field_table());
  EXPECT_GT(cases_, 500);
}

TEST_F(BadRequests, RequiredFieldsMissingOrNull) {
  for (const auto& [endpoint, name] : {std::pair{chat_endpoint(), "messages"},
                                       {completion_endpoint(), "prompt"},
                                       {detokenize_endpoint(), "tokens"}}) {
    Json body = endpoint.body;
    body[name] = nullptr;
    expect_refused(endpoint, body, name);
    body.erase(name);
    expect_refused(endpoint, body, name);
  }
}

TEST_F(BadRequests, WithinMessages) {
  const auto refuse = [this](const Json& message, const std::string& param) {
    Json body = chat_endpoint().body;
    body["messages"].push_back(message);
    expect_refused(chat_endpoint(), body, param);
  };
  const auto call = [](const Json& value) {
    return Json{{"role", "assistant"}, {"tool_calls", Json::array({value})}};
  };
  const auto part = [](const Json& value) {
    return Json{{"role", "user"}, {"content", Json::array({value})}};
  };
  refuse(1, "messages[1]");
  refuse(Json::array(), "messages[1]");
  refuse(Json::object(), "messages[1].role");
  refuse({{"role", 1}}, "messages[1].role");
  refuse({{"role", "robot"}, {"content", "x"}}, "messages[1].role");
  refuse({{"role", "user"}}, "messages[1].content");
  refuse({{"role", "user"}, {"content", nullptr}}, "messages[1].content");
  refuse({{"role", "user"}, {"content", 1}}, "messages[1].content");
  refuse({{"role", "user"}, {"content", "x"}, {"name", 1}}, "messages[1].name");
  refuse({{"role", "assistant"}, {"reasoning_content", 1}}, "messages[1].reasoning_content");
  refuse({{"role", "tool"}, {"content", "x"}, {"tool_call_id", 1}}, "messages[1].tool_call_id");
  refuse({{"role", "assistant"}, {"tool_calls", 1}}, "messages[1].tool_calls");
  refuse(call(1), "messages[1].tool_calls[0]");
  refuse(call({{"id", 1}}), "messages[1].tool_calls[0].id");
  refuse(call(Json::object()), "messages[1].tool_calls[0].function");
  refuse(call({{"function", {{"name", 1}}}}), "messages[1].tool_calls[0].function.name");
  refuse(call({{"function", {{"name", "f"}}}}), "messages[1].tool_calls[0].function.arguments");
  refuse(call({{"function", {{"name", "f"}, {"arguments", Json::object()}}}}),
         "messages[1].tool_calls[0].function.arguments");
  refuse(part("x"), "messages[1].content[0]");
  refuse(part(Json::object()), "messages[1].content[0].type");
  refuse(part({{"type", "text"}}), "messages[1].content[0].text");
  refuse(part({{"type", "text"}, {"text", 1}}), "messages[1].content[0].text");
  refuse(part({{"type", "image_url"}, {"image_url", {{"url", "x"}}}}),
         "messages[1].content[0].type");
}

TEST_F(BadRequests, WithinOtherFields) {
  const auto refuse = [this](const Json& extra, const std::string& param) {
    Json body = chat_endpoint().body;
    body.update(extra);
    expect_refused(chat_endpoint(), body, param);
  };
  const auto tool = [](const Json& function) {
    return Json{{"tools", Json::array({{{"type", "function"}, {"function", function}}})}};
  };
  refuse({{"messages", Json::array()}}, "messages");
  refuse({{"stop", {"a", 1}}}, "stop[1]");
  refuse({{"stop", Json::array({""})}}, "stop[0]");
  refuse({{"stop", std::vector<std::string>(17, "a")}}, "stop");
  refuse({{"stop", std::string(1025, 'a')}}, "stop");
  refuse({{"stop_token_ids", {1, -1}}}, "stop_token_ids[1]");
  refuse({{"logit_bias", {{"x", 1}}}}, "logit_bias");
  refuse({{"logit_bias", {{"-1", 1}}}}, "logit_bias");
  refuse({{"logit_bias", {{"99999999999", 1}}}}, "logit_bias");
  refuse({{"logit_bias", {{"1", 101}}}}, "logit_bias.1");
  refuse({{"logit_bias", {{"1", "x"}}}}, "logit_bias.1");
  refuse({{"stream_options", {{"include_usage", true}}}}, "stream_options");
  refuse({{"stream", true}, {"stream_options", {{"include_usage", 1}}}},
         "stream_options.include_usage");
  refuse({{"min_tokens", 6}}, "min_tokens");
  refuse({{"top_logprobs", 2}}, "top_logprobs");
  refuse({{"response_format", {{"type", "xml"}}}}, "response_format.type");
  refuse({{"thinking", {{"type", "maybe"}}}}, "thinking");
  refuse({{"chat_template_kwargs", {{"thinking", "yes"}}}}, "chat_template_kwargs.thinking");
  refuse({{"tool_choice", "required"}}, "tool_choice");
  refuse({{"tools", Json::array({{{"type", "custom"}}})}}, "tools[0].type");
  refuse({{"tools", Json::array({{{"type", "function"}}})}}, "tools[0].function");
  refuse(tool(Json::object()), "tools[0].function.name");
  refuse(tool({{"name", "two words"}}), "tools[0].function.name");
  refuse(tool({{"name", "f"}, {"parameters", "x"}}), "tools[0].function.parameters");
  refuse(tool({{"name", "f"}, {"description", 1}}), "tools[0].function.description");
}

TEST_F(BadRequests, BodiesThatAreNoObject) {
  for (const char* body : {"", " ", "1", "\"x\"", "[]", "null", "true", "{", "}", "{]", "NaN",
                           "{\"model\": NaN}", "{\"seed\": Infinity}", "{\"seed\": 1e400}",
                           "{\"seed\": 01}", "{\"a\": .5}", "{a: 1}", "{} {}", "\xEF\xBB\xBF"}) {
    for (const char* path :
         {"/v1/chat/completions", "/v1/completions", "/tokenize", "/detokenize"}) {
      expect_error(*harness_.request(net::Method::kPost, path, body), 400);
    }
  }
}

TEST_F(BadRequests, EveryTruncation) {
  for (const Endpoint& endpoint : {chat_endpoint(), completion_endpoint()}) {
    const std::string body = dump_json(endpoint.body);
    for (size_t size = 0; size < body.size(); ++size) {
      const Json error = expect_error(
          *harness_.request(net::Method::kPost, endpoint.path, body.substr(0, size)), 400);
      EXPECT_THAT(error["message"].get<std::string>(), testing::HasSubstr("line 1, column"));
    }
  }
}

TEST_F(BadRequests, DeepNesting) {
  for (const size_t depth : {70u, 1000u, 1'000'000u}) {
    for (const char* open : {"[", "{\"a\":"}) {
      std::string body = "{\"messages\": ";
      for (size_t i = 0; i < depth; ++i) body += open;
      expect_error(*harness_.request(net::Method::kPost, "/v1/chat/completions", body), 400);
    }
  }
}

TEST_F(BadRequests, InvalidUtf8) {
  for (const char* bytes : {"\xFF", "\xC0\xAF", "\xE4\xBD", "\xED\xA0\x80", "\xF5\x80\x80\x80",
                            "\x80", "\\ud800", "\\udc00\\ud800", "\x01", "\n"}) {
    const std::string content = std::string("\"a") + bytes + "z\"";
    expect_error(
        *harness_.request(net::Method::kPost, "/v1/chat/completions",
                          "{\"messages\": [{\"role\": \"user\", \"content\": " + content + "}]}"),
        400);
    expect_error(
        *harness_.request(net::Method::kPost, "/v1/completions", "{\"prompt\": " + content + "}"),
        400);
  }
}

// Random damage may leave a request good; it must then run, and otherwise be refused properly.
TEST(DamagedRequests, AreEitherServedOrRefused) {
  std::mt19937 random(3);
  Harness harness;
  int refused = 0;
  for (int round = 0; round < 1000; ++round) {
    const Endpoint& endpoint = round % 2 == 0 ? chat_endpoint() : completion_endpoint();
    std::string body = dump_json(endpoint.body);
    for (uint32_t i = 0, count = 1 + random() % 3; i < count; ++i) {
      const size_t at = random() % body.size();
      switch (random() % 3) {
        case 0:
          body[at] = static_cast<char>(random() % 256);
          break;
        case 1:
          body.erase(at, 1 + random() % 5);
          if (body.empty()) body = "x";
          break;
        default:
          body.insert(at, 1, "{}[]\",:0-9e.tfn"[random() % 15]);
      }
    }
    const size_t running = harness.engine.requests.size();
    const auto writer = harness.request(net::Method::kPost, endpoint.path, body);
    if (harness.engine.requests.size() > running) {
      harness.engine.finish(running);
      EXPECT_EQ(writer->response.status, 200) << body;
      continue;
    }
    ++refused;
    EXPECT_TRUE(writer->response.status == 400 || writer->response.status == 404) << body;
    expect_error(*writer, writer->response.status);
  }
  EXPECT_GT(refused, 500);
}

}  // namespace
}  // namespace fathom::api
