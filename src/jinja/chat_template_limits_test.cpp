// Hostile templates and conversations: each must end soon, with an error, whatever it does.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "jinja/testing/render.h"

namespace fathom::jinja {
namespace {

using nlohmann::ordered_json;

std::string repeated(std::string_view part, int count) {
  std::string all;
  for (int i = 0; i < count; ++i) all += part;
  return all;
}

void expect_limit(const std::string& source, const std::string& message,
                  const ordered_json& variables = sample_variables(),
                  const RenderLimits& limits = {}) {
  const auto pieces = render_pieces(source, variables, limits);
  ASSERT_FALSE(pieces.ok()) << source.substr(0, 200);
  EXPECT_EQ(pieces.error().code, ErrorCode::kResourceExhausted) << pieces.error().message;
  EXPECT_NE(pieces.error().message.find(message), std::string::npos)
      << source.substr(0, 200) << ": " << pieces.error().message;
}

constexpr const char* kSteps = "expected at most 10000000 steps";
constexpr const char* kText = "expected texts of at most 67108864 bytes";
constexpr const char* kLive = "expected values of at most 268435456 bytes together";
// What ends only at a limit ends sooner at a tenth of it; that the limits themselves are reached is
// for a few of them to show.
constexpr RenderLimits kTenth = {.steps = 1'000'000, .live_bytes = 25'000'000};
constexpr const char* kTenthOfSteps = "expected at most 1000000 steps";
constexpr const char* kTenthOfLive = "expected values of at most 25000000 bytes together";

void expect_tenth(const std::string& source, const std::string& message) {
  expect_limit(source, message, sample_variables(), kTenth);
}

TEST(ChatTemplateLimits, StepsEndLongLoops) {
  const std::string loop = "{% for i in range(100000) %}";
  const std::string end = "{% endfor %}";
  expect_limit(loop + loop + end + end, kSteps);
  expect_tenth(loop + loop + loop + loop + "x" + end + end + end + end, kTenthOfSteps);
  expect_tenth("{% set ns = namespace(x=[1]) %}" + loop + "{% set ns.x = ns.x + [1] %}" + end,
               kTenthOfSteps);
  expect_tenth("{% set s = 'ab' * 100000 %}" + loop + "{{ 'ba' * 500 + 'c' in s }}" + end,
               kTenthOfSteps);
  expect_tenth("{% set s = 'ab' * 100000 %}" + loop + "{{ s|upper == s.lower() }}" + end,
               kTenthOfSteps);
}

TEST(ChatTemplateLimits, TextsEndTooLongOutputsAndStrings) {
  expect_limit("{{ 'a' * 10 ** 9 }}", kText);
  expect_limit("{{ 'a' * 2 ** 100 }}", kText);
  expect_limit("{{ 2 ** 100 * 'abcdefgh' }}", kText);
  expect_limit("{% set a = 'a' * 1000000 %}{% for i in range(100) %}{{ a }}{% endfor %}", kText);
  expect_limit("{{ ('a' * 10000).replace('a', 'b' * 10000) }}", kText);
  expect_limit("{{ ('a' * 10000)|join('b' * 10000) }}", kText);
  expect_limit("{{ 'x'|indent(10 ** 9, true) }}", kText);
}

TEST(ChatTemplateLimits, LiveBytesEndManyValues) {
  expect_limit("{{ ('a' * 10000 * 6000).split('a') }}", kLive);
  expect_tenth("{% set x = ('a' * 10000 * 600)|list %}", kTenthOfLive);
  expect_limit(
      "{% set a = 'a' * 10000 * 6000 %}{% set ns = namespace() %}{% set ns.a = a + 'a' %}"
      "{% set ns.b = a + 'b' %}{% set ns.c = a + 'c' %}{% set ns.d = a + 'd' %}",
      kLive);
  expect_limit("{{ [1] * 10 ** 9 }}", kSteps);
  expect_limit("{{ ([1] * 100000) * 10 ** 12 }}", kSteps);
}

TEST(ChatTemplateLimits, MarksThatAlternateAreCounted) {
  // Each byte would be a run of its own.
  const ordered_json variables = {{"x", std::string(800'000, 'a')}};
  expect_limit("{{ x.replace('', '-') }}", kTenthOfLive, variables,
               {.steps = 1'000'000'000, .live_bytes = kTenth.live_bytes});
}

TEST(ChatTemplateLimits, SharedValuesCannotBlowUpWhenPrinted) {
  const std::string doubled =
      "{% set ns = namespace(x='abc') %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% "
      "endfor %}";
  expect_limit(doubled + "{{ ns.x }}", "expected");
  expect_limit(doubled + "{{ ns.x|tojson }}", "expected");
  expect_tenth(doubled + "{{ ns.x == [ns.x[0], ns.x[1]] }}", kTenthOfSteps);
  expect_tenth(doubled + "{{ ns.x < [ns.x[0], ns.x[1]] }}", kTenthOfSteps);
}

TEST(ChatTemplateLimits, DepthEndsRecursion) {
  expect_limit("{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}", "at most 600 levels deep");
  expect_limit(
      "{% macro f(x) %}{{ g(x) }}{% endmacro %}{% macro g(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}",
      "at most 600 levels deep");
  expect_limit(
      "{% set ns = namespace(x=[]) %}{% for i in range(1000) %}{% set ns.x = [ns.x] %}{% endfor %}",
      "lists and dicts at most 200 levels deep");
  expect_limit(
      "{% set ns = namespace(x=1) %}{% for i in range(1000) %}{% set ns.x = {'a': ns.x} %}{% "
      "endfor %}",
      "lists and dicts at most 200 levels deep");
}

TEST(ChatTemplateLimits, AHalfWayDeepValueWorks) {
  EXPECT_EQ(
      render("{% set ns = namespace(x=[]) %}{% for i in range(199) %}{% set ns.x = [ns.x] %}"
             "{% endfor %}{{ ns.x|tojson|length }}{{ ns.x == ns.x }}{{ ns.x|string|length }}"),
      "400True400");
}

TEST(ChatTemplateLimits, DeepRequestsAreRefused) {
  ordered_json deep = 1;
  for (int i = 0; i < 300; ++i) deep = ordered_json::array({deep});
  expect_limit("{{ 1 }}", "expected a request at most 200 levels deep", {{"x", deep}});
}

TEST(ChatTemplateLimits, DeepSyntaxIsRefused) {
  const int many = 100'000;
  const std::vector<std::string> sources = {
      "{{ " + repeated("(", many) + "1" + repeated(")", many) + " }}",
      "{{ " + repeated("[", many) + repeated("]", many) + " }}",
      "{{ " + repeated("{'a':", many) + "1" + repeated("}", many) + " }}",
      "{{ " + repeated("not ", many) + "1 }}",
      "{{ " + repeated("-", many) + "1 }}",
      "{{ 1" + repeated(" + 1", many) + " }}",
      "{{ 1" + repeated(" ~ 1", many) + " }}",
      "{{ 1" + repeated(" or 1", many) + " }}",
      "{{ x" + repeated(".x", many) + " }}",
      "{{ x" + repeated("[0]", many) + " }}",
      "{{ x" + repeated("()", many) + " }}",
      "{{ x" + repeated("|upper", many) + " }}",
      "{{ x" + repeated(" is defined", many) + " }}",
      "{{ 1" + repeated(" if 1 else 1", many) + " }}",
      "{{ x" + repeated("[x", many) + repeated("]", many) + " }}",
      "{{ " + repeated("f(", many) + repeated(")", many) + " }}",
      repeated("{% if 1 %}", many) + repeated("{% endif %}", many),
      repeated("{% for x in y %}", 50'000) + repeated("{% endfor %}", 50'000),
      "{% set " + repeated("(", many) + "a" + repeated(")", many) + " = 1 %}",
  };
  for (const std::string& source : sources) {
    const std::string result = render(source);
    EXPECT_TRUE(result.starts_with("ERROR chat template")) << source.substr(0, 40) << result;
    EXPECT_TRUE(result.find("levels") != std::string::npos ||
                result.find("MiB") != std::string::npos)
        << source.substr(0, 40) << result;
  }
}

TEST(ChatTemplateLimits, ManyBranchesAndStatementsAreFine) {
  std::string source = "{% if five == 0 %}0";
  for (int i = 1; i < 5000; ++i)
    source += "{% elif five == " + std::to_string(i) + " %}" + std::to_string(i);
  EXPECT_EQ(render(source + "{% endif %}"), "5");
  EXPECT_EQ(render("{{ " + repeated("'a' + ", 200) + "'a' }}"), std::string(201, 'a'));
}

TEST(ChatTemplateLimits, SourcesOverAMebibyteAreRefused) {
  EXPECT_EQ(render(std::string((1 << 20) + 1, 'a')),
            "ERROR chat template: expected a template of at most 1 MiB, got a longer one");
}

TEST(ChatTemplateLimits, AreConfigurable) {
  expect_limit("{{ 'a' * 101 }}", "expected texts of at most 100 bytes", ordered_json::object(),
               {.text_bytes = 100});
  expect_limit("{% for i in range(200) %}{% endfor %}", "expected at most 100 steps",
               ordered_json::object(), {.steps = 100});
  expect_limit("{{ messages }}", "expected values of at most 1000 bytes together",
               {{"x", std::string(2000, 'a')}}, {.live_bytes = 1000});
}

TEST(ChatTemplateLimits, AMegabyteConversationIsFarFromThem) {
  ordered_json messages = ordered_json::array();
  for (int i = 0; i < 1000; ++i) messages.push_back(std::string(1000, 'x') + "</think>y");
  RenderLimits tenth;
  tenth.steps /= 10;
  const std::string result = render(
      "{% for m in x %}{{ '<' + m.split('</think>')[-1]|trim + m|upper|tojson + '>' }}{% endfor %}",
      {{"x", messages}}, tenth);
  EXPECT_EQ(result.size(), 1000u * 1014u);
}

}  // namespace
}  // namespace fathom::jinja
