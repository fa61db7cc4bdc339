// Keys are walls: what one owner leaves here is not another's.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "api/testing/harness.h"

namespace fathom::api {
namespace {

using testing::HasSubstr;

constexpr const char* kAlice = "sk-alice-0123456789";
constexpr const char* kAlicesOther = "sk-alice-9876543210";
constexpr const char* kBob = "sk-bob-012345678901";

std::shared_ptr<const ApiKeys> keys() {
  std::string path = ::testing::TempDir() + "fathom-owners-XXXXXX";
  close(mkstemp(path.data()));
  std::ofstream(path) << kAlice << " alice priority=-10\n"
                      << kAlicesOther << " alice\n"
                      << kBob << " bob\n";
  auto loaded = ApiKeys::load(path);
  EXPECT_TRUE(loaded.ok());
  unlink(path.c_str());
  return *loaded;
}

ApiOptions options_with_keys() {
  ApiOptions options = Harness::default_options();
  options.edge.keys = keys();
  return options;
}

const Json kMessages = Json::array({{{"role", "user"}, {"content", "hi"}}});

struct AskedRoute {
  const char* path;
  Json body;
};
// Every route that generates.
const std::vector<AskedRoute>& asked_routes() {
  static const std::vector<AskedRoute> all = {
      {"/v1/chat/completions", {{"messages", kMessages}}},
      {"/v1/completions", {{"prompt", "hi"}}},
      {"/v1/responses", {{"input", "hi"}}},
      {"/v1/messages", {{"model", "tiny"}, {"messages", kMessages}, {"max_tokens", 5}}},
  };
  return all;
}

std::shared_ptr<FakeWriter> post(Harness& harness, const char* key, const std::string& path,
                                 const Json& body) {
  return harness.request(net::Method::kPost, path, dump_json(body), {{"x-api-key", key}});
}

std::shared_ptr<FakeWriter> ask(Harness& harness, const char* key, const AskedRoute& route,
                                const Json& extra = Json::object()) {
  Json body = route.body;
  body.update(extra);
  return post(harness, key, route.path, body);
}

std::string salt(Harness& harness, const char* key, const AskedRoute& route,
                 const Json& extra = Json::object()) {
  const auto writer = ask(harness, key, route, extra);
  EXPECT_EQ(writer->sends, 0) << writer->response.body;
  return harness.engine.requests.back().request.cache_salt;
}

TEST(Owners, SharePrefixesWithNobodyElse) {
  Harness harness(options_with_keys());
  for (const AskedRoute& route : asked_routes()) {
    const std::string alices = salt(harness, kAlice, route);
    EXPECT_EQ(salt(harness, kAlicesOther, route), alices) << route.path;
    EXPECT_NE(salt(harness, kBob, route), alices) << route.path;
    const Json own = {{"cache_salt", "mine"}};
    EXPECT_NE(salt(harness, kAlice, route, own), alices) << route.path;
    EXPECT_NE(salt(harness, kAlice, route, own), salt(harness, kBob, route, own)) << route.path;
    EXPECT_EQ(salt(harness, kAlice, route, own), salt(harness, kAlicesOther, route, own));
    // No salt of bob's own is like alice's.
    EXPECT_NE(salt(harness, kBob, route, {{"cache_salt", alices}}), alices);
  }
}

TEST(Owners, SharePrefixesWhereTheServerIsToldSo) {
  ApiOptions options = options_with_keys();
  options.share_prefix_cache = true;
  Harness harness(options);
  for (const AskedRoute& route : asked_routes()) {
    EXPECT_EQ(salt(harness, kBob, route), salt(harness, kAlice, route)) << route.path;
    EXPECT_NE(salt(harness, kAlice, route, {{"cache_salt", "mine"}}), salt(harness, kAlice, route));
  }
}

TEST(Owners, PriorityIsARightOfTheKey) {
  Harness harness(options_with_keys());
  for (const AskedRoute& route : asked_routes()) {
    const size_t before = harness.engine.requests.size();
    EXPECT_EQ(ask(harness, kAlice, route, {{"priority", -10}})->sends, 0) << route.path;
    EXPECT_EQ(ask(harness, kBob, route, {{"priority", 0}})->sends, 0) << route.path;
    EXPECT_EQ(ask(harness, kBob, route, {{"priority", 7}})->sends, 0) << route.path;
    ASSERT_EQ(harness.engine.requests.size(), before + 3);
    EXPECT_EQ(harness.engine.requests[before].request.priority, -10);
    const std::vector<std::pair<const char*, int>> too_urgent = {
        {kAlice, -11}, {kAlicesOther, -1}, {kBob, -1}};
    for (const auto& [key, priority] : too_urgent) {
      const auto refused = ask(harness, key, route, {{"priority", priority}});
      EXPECT_EQ(refused->response.status, 403) << route.path;
      EXPECT_THAT(refused->response.body, HasSubstr("priority: expected"));
    }
    EXPECT_EQ(harness.engine.requests.size(), before + 3);
  }
}

TEST(Owners, WithoutKeysNobodyIsUrgent) {
  Harness harness;
  EXPECT_EQ(expect_error(*harness.chat({{"priority", -1}}), 403)["param"], "priority");
  EXPECT_EQ(harness.chat({{"priority", 1}})->sends, 0);
}

Json stored(Harness& harness, const char* key, const Json& body) {
  const auto writer = post(harness, key, "/v1/responses", body);
  if (writer->sends != 0) return writer->json();
  harness.engine.text(harness.engine.requests.size() - 1, "said");
  harness.engine.finish(harness.engine.requests.size() - 1);
  return writer->json();
}

// Status and body of what is asked of a stored response; ids are left out of the body.
std::vector<std::string> asked_of(Harness& harness, const char* key, const std::string& id) {
  using net::Method;
  const std::string path = "/v1/responses/" + id;
  std::vector<std::string> answers;
  const auto note = [&](const FakeWriter& writer) {
    std::string body = writer.response.body;
    if (const size_t at = body.find(id); at != body.npos) body.erase(at, id.size());
    answers.push_back(std::to_string(writer.response.status) + " " + body);
  };
  note(*harness.request(Method::kGet, path, "", {{"x-api-key", key}}));
  note(*harness.request(Method::kGet, path + "/input_items", "", {{"x-api-key", key}}));
  note(*harness.request(Method::kPost, path + "/cancel", "", {{"x-api-key", key}}));
  for (const char* route : {"/v1/responses", "/v1/responses/input_tokens"}) {
    note(*post(harness, key, route, {{"input", "?"}, {"previous_response_id", id}}));
  }
  note(*harness.request(Method::kDelete, path, "", {{"x-api-key", key}}));
  return answers;
}

TEST(Owners, AnothersResponseIsLikeOneThatNeverWas) {
  Harness harness(options_with_keys());
  const std::string id = stored(harness, kAlice, {{"input", "My PIN is 4711"}})["id"];
  EXPECT_EQ(asked_of(harness, kBob, id), asked_of(harness, kBob, "resp_unknown"));
  const Json next = stored(harness, kAlicesOther, {{"input", "?"}, {"previous_response_id", id}});
  EXPECT_EQ(next["status"], "completed") << next;
  EXPECT_THAT(prompt_text(harness, harness.engine.requests.size() - 1), HasSubstr("4711"));
  for (const std::string& answer : asked_of(harness, kAlice, id)) {
    EXPECT_TRUE(answer.starts_with("200") || answer.starts_with("0 ") ||
                answer.find("background") != answer.npos)
        << answer;
  }
  EXPECT_TRUE(asked_of(harness, kAlice, id)[0].starts_with("404"));
}

TEST(Owners, WhatAResponseRepeatsIsBounded) {
  Harness harness;
  const auto refused = [&](const Json& extra, const char* param) {
    Json body = {{"input", "hi"}};
    body.update(extra);
    const size_t before = harness.engine.requests.size();
    const auto writer = harness.post("/v1/responses", body);
    EXPECT_EQ(expect_error(*writer, 400)["param"], param);
    EXPECT_EQ(harness.engine.requests.size(), before);
  };
  const auto item = [](const char* type, const std::string& id) {
    return Json{{"input", Json::array({{{"type", type},
                                        {"id", id},
                                        {"role", "user"},
                                        {"content", "hi"},
                                        {"call_id", "c"},
                                        {"name", "f"},
                                        {"arguments", "{}"},
                                        {"output", "1"}}})}};
  };
  const std::string long_text(513, 'x');
  for (const char* type : {"message", "function_call", "function_call_output"}) {
    refused(item(type, long_text), "input[0].id");
    Json call = item(type, "id");
    call["input"][0]["call_id"] = long_text;
    if (std::string(type) != "message") refused(call, "input[0].call_id");
  }
  refused({{"metadata", {{"k", long_text}}}}, "metadata.k");
  const std::string key(65, 'k');
  refused({{"metadata", {{key, "v"}}}}, ("metadata." + key.substr(0, 64) + "...").c_str());
  Json many = Json::object();
  for (int i = 0; i < 17; ++i) many[std::to_string(i)] = "v";
  refused({{"metadata", many}}, "metadata");
  refused({{"user", long_text}}, "user");
  refused({{"safety_identifier", long_text}}, "safety_identifier");
  const Json tool = {
      {"type", "function"}, {"name", "f"}, {"description", std::string(9 << 20, 'x')}};
  refused({{"tools", Json::array({tool})}, {"tool_choice", "none"}}, "tools");
}

TEST(Owners, WhatAResponseMayRepeatIsRepeated) {
  Harness harness;
  Json pairs = Json::object();
  for (int i = 0; i < 16; ++i)
    pairs[std::string(62, 'k') + std::to_string(10 + i)] = std::string(512, 'v');
  const std::string id = "m\u00fc" + std::string(510, 'x');
  const auto writer =
      harness.post("/v1/responses",
                   {{"metadata", pairs},
                    {"input", Json::array({{{"role", "user"}, {"content", "hi"}, {"id", id}}})}});
  ASSERT_EQ(harness.engine.requests.size(), 1u) << writer->response.body;
  harness.engine.finish(0);
  const Json body = writer->json();
  EXPECT_EQ(body["metadata"], pairs);
  const auto items = harness.request(
      net::Method::kGet, "/v1/responses/" + body["id"].get<std::string>() + "/input_items");
  EXPECT_EQ(items->json()["data"][0]["id"], id);
}

}  // namespace
}  // namespace fathom::api
