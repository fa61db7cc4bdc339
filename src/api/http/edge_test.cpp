#include "api/http/edge.h"

#include <gtest/gtest.h>

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "api/routes.h"

namespace fathom::api {
namespace {

constexpr const char* kKey = "sk-0123456789abcdef";
// sha256sum of "sk-fedcba9876543210".
constexpr const char* kHashedLine =
    "sha256:284673d4d5eaeb79f8d17619e045b09d98c3d5b4842af14e3075ef626aade0de";

class KeyFile {
 public:
  explicit KeyFile(const std::string& text) {
    std::string pattern = ::testing::TempDir() + "fathom-keys-XXXXXX";
    const int file = mkstemp(pattern.data());
    EXPECT_GE(file, 0);
    close(file);
    path = pattern;
    write(text);
  }
  ~KeyFile() { std::filesystem::remove(path); }
  void write(const std::string& text) const { std::ofstream(path, std::ios::binary) << text; }

  std::filesystem::path path;
};

net::HttpRequest request(std::vector<net::Header> headers, const std::string& path = "/v1/models",
                         net::Method method = net::Method::kGet) {
  net::HttpRequest head;
  head.method = method;
  head.path = path;
  head.headers = std::move(headers);
  return head;
}

std::string header(const std::vector<net::Header>& headers, const char* name) {
  const std::string* value = net::find_header(headers, name);
  return value != nullptr ? *value : "";
}

TEST(ApiKeys, ReadsPlainAndHashedLines) {
  const auto keys =
      parse_keys(std::string("# ours\n\n") + kKey + " alice # hers\r\n" + kHashedLine);
  ASSERT_TRUE(keys.ok()) << keys.error().message;
  ASSERT_EQ(keys->size(), 2u);
  EXPECT_EQ((*keys)[0].hash, hash_key(kKey));
  EXPECT_EQ((*keys)[1].hash, hash_key("sk-fedcba9876543210"));
}

TEST(ApiKeys, KeysOfEqualNamesHaveOneOwner) {
  const auto keys = parse_keys(
      "aaaaaaaaaaaaaaaa alice\nbbbbbbbbbbbbbbbb  alice # her other one\ncccccccccccccccc bob\n"
      "dddddddddddddddd\neeeeeeeeeeeeeeee\nffffffffffffffff alice smith priority=-3\n");
  ASSERT_TRUE(keys.ok()) << keys.error().message;
  const auto owner = [&](size_t i) { return (*keys)[i].caller.owner; };
  EXPECT_EQ(owner(0), owner(1));
  for (const size_t a : {0, 2, 3, 4, 5}) {
    EXPECT_EQ(owner(a).size(), 32u);
    for (const size_t b : {0, 2, 3, 4, 5}) {
      EXPECT_EQ(a == b, owner(a) == owner(b));
    }
  }
  EXPECT_EQ((*keys)[1].caller.name, "alice");
  EXPECT_EQ((*keys)[5].caller.name, "alice smith");
  EXPECT_EQ((*keys)[3].caller.name, "key-" + owner(3).substr(0, 8));
  EXPECT_EQ((*keys)[0].caller.lowest_priority, 0);
  EXPECT_EQ((*keys)[5].caller.lowest_priority, -3);
}

TEST(ApiKeys, AHashedKeyHasTheOwnerOfThePlainOne) {
  const auto plain = parse_keys("sk-fedcba9876543210");
  const auto hashed = parse_keys(kHashedLine);
  ASSERT_TRUE(plain.ok() && hashed.ok());
  EXPECT_EQ((*plain)[0].caller.owner, (*hashed)[0].caller.owner);
}

TEST(ApiKeys, RefusesOptionsThatAreNone) {
  for (const char* options :
       {"alice priority=1", "alice priority=", "priority=-1x", "alice priority=-99999999999",
        "alice quota=5", "alice priority=-1 priority=x"}) {
    const auto keys = parse_keys(std::string("# ours\n") + kKey + " " + options);
    ASSERT_FALSE(keys.ok()) << options;
    EXPECT_NE(keys.error().message.find("line 2"), std::string::npos) << keys.error().message;
  }
  const auto twice = parse_keys(std::string(kKey) + " alice\n" + kKey + " bob\n");
  ASSERT_FALSE(twice.ok());
  EXPECT_NE(twice.error().message.find("line 2"), std::string::npos) << twice.error().message;
}

// FIPS 180-4's own example.
TEST(ApiKeys, HashesAsTheStandardSays) {
  const KeyHash hash = hash_key("abc");
  EXPECT_EQ(hash[0], 0xba);
  EXPECT_EQ(hash[1], 0x78);
  EXPECT_EQ(hash[31], 0xad);
}

TEST(ApiKeys, SaysWhichLineIsWrongAndNotTheKey) {
  for (const auto& [text, part] :
       {std::pair<std::string, const char*>{"", "got none"},
        {"# only words\n", "got none"},
        {std::string(kKey) + "\nshort\n", "line 2: expected a key of 16"},
        {"sha256:12ab\n", "line 1: expected sha256: and 64"},
        {"sha256:" + std::string(64, 'g'), "line 1: expected sha256:"},
        {"sk-with-a-control-\x01-character", "line 1: expected a key"},
        {std::string(kKey) + "#alice", "line 1: expected a space between a key and its comment"},
        {std::string(kHashedLine) + "#alice", "line 1: expected sha256:"}}) {
    const auto keys = parse_keys(text);
    ASSERT_FALSE(keys.ok()) << text;
    EXPECT_NE(keys.error().message.find(part), std::string::npos) << keys.error().message;
    EXPECT_EQ(keys.error().message.find("sk-"), std::string::npos) << keys.error().message;
  }
}

TEST(ApiKeys, ReloadsAndKeepsTheOldOnesWhereTheFileIsBad) {
  const KeyFile file(kKey);
  const auto keys = ApiKeys::load(file.path).value();
  EXPECT_TRUE(keys->find(kKey).has_value());
  EXPECT_FALSE(keys->find(std::string(kKey) + "0").has_value());
  EXPECT_FALSE(keys->find("").has_value());

  file.write("bad\n");
  EXPECT_FALSE(keys->reload().ok());
  EXPECT_TRUE(keys->find(kKey).has_value());

  file.write("another-0123456789abcdef\n");
  EXPECT_TRUE(keys->reload().ok());
  EXPECT_FALSE(keys->find(kKey).has_value());
  EXPECT_TRUE(keys->find("another-0123456789abcdef").has_value());
}

TEST(Edge, WantsAKeyForEverythingButLiveness) {
  const KeyFile file(kKey);
  const Edge edge({.keys = ApiKeys::load(file.path).value(), .cors_origins = {}}, routes());
  const std::string bearer = std::string("Bearer ") + kKey;
  for (const char* path : {"/v1/models", "/metrics", "/openapi.json", "/nowhere", "/health/x"}) {
    EXPECT_EQ(edge.refusal(request({}, path)).value().status, 401) << path;
    EXPECT_FALSE(edge.refusal(request({{"Authorization", bearer}}, path)));
    EXPECT_FALSE(edge.refusal(request({{"X-API-Key", kKey}}, path)));
  }
  for (const char* path : {"/", "/health", "/ping", "/version"}) {
    EXPECT_FALSE(edge.refusal(request({}, path))) << path;
  }
  EXPECT_FALSE(edge.refusal(request({{"authorization", std::string("bearer  ") + kKey}})));
  for (const char* wrong : {"", "Bearer", "Bearer ", "Basic sk-0123456789abcdef",
                            "Bearer sk-0123456789abcdee", "sk-0123456789abcdef"}) {
    EXPECT_TRUE(edge.refusal(request({{"Authorization", wrong}}))) << wrong;
  }
  // What is wrong is not made right by what else is there.
  EXPECT_TRUE(edge.refusal(request({{"Authorization", "Bearer no"}, {"x-api-key", kKey}})));
}

TEST(Edge, NobodyNeedsAKeyWhereThereAreNone) {
  EXPECT_FALSE(Edge({}, routes()).refusal(request({})));
}

TEST(Edge, AnswersPreflightsOfAllowedOrigins) {
  const Edge edge({.keys = nullptr, .cors_origins = {"https://a.example"}}, routes());
  const auto ask = [&](const char* origin) {
    return request({{"Origin", origin},
                    {"Access-Control-Request-Method", "POST"},
                    {"Access-Control-Request-Headers", "authorization,x-stainless-os"}},
                   "/v1/chat/completions", net::Method::kOptions);
  };
  ASSERT_TRUE(edge.is_preflight(ask("https://a.example")));
  const auto good = edge.preflight(ask("https://a.example"));
  EXPECT_EQ(good.status, 204);
  EXPECT_EQ(header(good.headers, "access-control-allow-origin"), "https://a.example");
  EXPECT_EQ(header(good.headers, "access-control-allow-headers"), "authorization,x-stainless-os");
  EXPECT_EQ(header(good.headers, "vary"), "Origin");
  const auto bad = edge.preflight(ask("https://b.example"));
  EXPECT_EQ(header(bad.headers, "access-control-allow-origin"), "");
  EXPECT_EQ(header(bad.headers, "access-control-allow-methods"), "");

  EXPECT_FALSE(edge.is_preflight(request({{"Origin", "x"}}, "/", net::Method::kOptions)));
  EXPECT_FALSE(Edge({}, routes()).is_preflight(ask("https://a.example")));
}

TEST(Edge, PreflightsAllowTheMethodsOfTheRoute) {
  const Edge edge({.keys = nullptr, .cors_origins = {"https://a.example"}}, routes());
  for (const auto& [path, methods] :
       {std::pair{"/v1/responses/resp_1", "GET, HEAD, DELETE, OPTIONS"},
        {"/v1/chat/completions", "POST, OPTIONS"},
        {"/v1/models/", "GET, HEAD, OPTIONS"},
        {"/nowhere", "GET, HEAD, POST, DELETE, OPTIONS"}}) {
    const auto answer = edge.preflight(
        request({{"Origin", "https://a.example"}, {"Access-Control-Request-Method", "DELETE"}},
                path, net::Method::kOptions));
    EXPECT_EQ(header(answer.headers, "access-control-allow-methods"), methods) << path;
  }
}

TEST(Edge, OnlyThisMachinesNamesLeadToItWhereHostsAreChecked) {
  EdgeOptions options;
  options.checks_host = true;
  options.hosts = {"llm.example", "192.0.2.7", "[2001:db8::7]"};
  const Edge edge(options, routes());
  for (const char* ours :
       {"localhost", "LOCALHOST:8000", "127.0.0.1:8000", "127.1.2.3", "[::1]", "[::1]:8000",
        "fathom:8000", "LLM.example:443", "192.0.2.7:8000", "[2001:db8::7]:8000"}) {
    EXPECT_FALSE(edge.refusal(request({{"Host", ours}}))) << ours;
  }
  for (const char* other :
       {"evil.example", "evil.example:8000", "127.0.0.1.evil.example", "localhost.evil.example",
        "llm.example.evil.example", "192.0.2.8", "[2001:db8::8]", "127.evil.example"}) {
    const auto refusal = edge.refusal(request({{"Host", other}}));
    ASSERT_TRUE(refusal) << other;
    EXPECT_EQ(refusal->status, 403);
    EXPECT_EQ(refusal->code, "host_not_allowed");
  }
  EXPECT_FALSE(edge.refusal(request({})));  // HTTP/1.0
  EXPECT_FALSE(Edge({}, routes()).refusal(request({{"Host", "evil.example"}})));
}

TEST(Edge, PagesOfOtherOriginsHaveItDoNothing) {
  const Edge edge({.keys = nullptr, .cors_origins = {"https://app.example"}}, routes());
  const auto post = [&](std::vector<net::Header> headers, net::Method method = net::Method::kPost) {
    headers.push_back({"Host", "localhost:8000"});
    return edge.refusal(request(std::move(headers), "/v1/completions", method));
  };
  EXPECT_EQ(post({{"Origin", "http://evil.example"}})->code, "origin_not_allowed");
  EXPECT_TRUE(post({{"Origin", "null"}}));
  EXPECT_TRUE(post({{"Origin", "http://localhost:3000"}}));
  EXPECT_TRUE(post({{"Origin", "http://evil.example"}}, net::Method::kDelete));
  EXPECT_TRUE(post({{"Sec-Fetch-Site", "cross-site"}}));
  EXPECT_TRUE(post({{"Origin", "http://evil.example"}, {"Sec-Fetch-Site", "same-origin"}}));

  EXPECT_FALSE(post({}));  // no browser
  EXPECT_FALSE(post({{"Content-Type", "text/plain"}}));
  EXPECT_FALSE(post({{"Origin", "http://localhost:8000"}, {"Sec-Fetch-Site", "same-origin"}}));
  EXPECT_FALSE(post({{"Origin", "https://app.example"}, {"Sec-Fetch-Site", "cross-site"}}));
  EXPECT_FALSE(post({{"Sec-Fetch-Site", "none"}}));
  EXPECT_FALSE(post({{"Origin", "http://evil.example"}}, net::Method::kGet));

  // A key is nothing that a browser adds of its own.
  const KeyFile file(kKey);
  const Edge keyed({.keys = ApiKeys::load(file.path).value(), .cors_origins = {}}, routes());
  EXPECT_FALSE(keyed.refusal(request({{"x-api-key", kKey}, {"Origin", "http://evil.example"}},
                                     "/v1/completions", net::Method::kPost)));
}

TEST(Edge, TellsBrowsersWhoMayReadAnAnswer) {
  const Edge all({.keys = nullptr, .cors_origins = {"*"}}, routes());
  const auto headers = all.cors_headers(request({{"Origin", "https://any.example"}}));
  EXPECT_EQ(header(headers, "access-control-allow-origin"), "*");
  EXPECT_NE(header(headers, "access-control-expose-headers").find("X-Request-Id"),
            std::string::npos);
  EXPECT_TRUE(all.cors_headers(request({})).empty());
  EXPECT_TRUE(
      Edge({}, routes()).cors_headers(request({{"Origin", "https://any.example"}})).empty());
}

}  // namespace
}  // namespace fathom::api
