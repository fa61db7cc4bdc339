// What compiling may cost: counted, so the same on every machine.
#include "base/work_budget.h"

#include <gtest/gtest.h>

#include <string>

#include "grammar/compiler.h"
#include "grammar/schema/json_schema.h"
#include "grammar/testing/matching.h"

namespace fathom::grammar {
namespace {

GrammarSource schema_source(std::string text) {
  return {SourceKind::kJsonSchema, std::move(text)};
}

// {"type":"object", `keyword`: {PREFIX0SUFFIX: {"type":"string"}, ...}}
std::string object_of(const std::string& keyword, int count, const std::string& prefix,
                      const std::string& suffix) {
  std::string text = R"({"type":"object",")" + keyword + R"(":{)";
  for (int i = 0; i < count; ++i) {
    text += (i > 0 ? ",\"" : "\"") + prefix + std::to_string(i) + suffix + R"(":{"type":"string"})";
  }
  return text + "}";
}

Result<uint64_t> cost_of(const GrammarSource& source, WorkBudget units_and_bytes = WorkBudget()) {
  const auto budget = std::make_shared<WorkBudget>(std::move(units_and_bytes));
  Compiler compiler(byte_vocabulary());
  const auto compiled = compiler.compile(source, budget);
  if (!compiled) return compiled.error();
  return budget->spent();
}

TEST(WorkBudget, EndsWithItsUnitsItsBytesOrItsClient) {
  WorkBudget units(10);
  EXPECT_TRUE(units.spend(10));
  EXPECT_FALSE(units.spend(1));
  EXPECT_FALSE(units.spend(0));
  EXPECT_EQ(units.error().code, ErrorCode::kResourceExhausted);
  WorkBudget bytes(10, 100);
  EXPECT_FALSE(bytes.spend(1, 101));
  bool gone = false;
  WorkBudget wanted(1 << 20, 1 << 20, [&gone] { return gone; });
  EXPECT_TRUE(wanted.spend(1 << 15));
  gone = true;
  EXPECT_FALSE(wanted.spend(1 << 15));
  EXPECT_EQ(wanted.error().code, ErrorCode::kCancelled);
}

TEST(WorkBudget, PartsCountInTheWhole) {
  WorkBudget whole(100);
  WorkBudget half = whole.share(2);
  EXPECT_TRUE(half.spend(50));
  EXPECT_FALSE(half.spend(1));
  whole.absorb(half);
  EXPECT_EQ(whole.spent(), 50U);
  EXPECT_TRUE(whole.spend(50));
  EXPECT_FALSE(whole.share(1).spend(1));
}

TEST(WorkBudget, BoundsEverySourceThatGrows) {
  std::string many_keys = R"({"type":"object","properties":{)";
  for (int i = 0; i < 20'000; ++i) {
    many_keys += (i > 0 ? ",\"" : "\"") + std::to_string(i) + "\":{}";
  }
  const GrammarSource sources[] = {
      schema_source(R"({"type":"string","pattern":"^(a{0,10000}){0,10000}$"})"),
      schema_source(R"({"type":"string","pattern":"^(a|b)*a(a|b){24}$"})"),
      schema_source(object_of("patternProperties", 500, "^a", ".*b") + "}"),
      schema_source(object_of("properties", 2000, "p", "") +
                    R"(,"propertyNames":{"pattern":"(a|b)*a(a|b){20}"}})"),
      schema_source(many_keys + "}}"),
      {SourceKind::kRegex, "(a|b)*a(a|b){24}"},
      {SourceKind::kEbnf, "root ::= (\"a\" | \"b\")* \"a\" (\"a\" | \"b\"){24}"},
  };
  for (const GrammarSource& source : sources) {
    const auto cost =
        cost_of(source, WorkBudget(WorkBudget::kDefaultUnits / 8, WorkBudget::kDefaultBytes / 8));
    ASSERT_FALSE(cost.ok()) << source.text.substr(0, 80) << " took " << *cost;
    EXPECT_EQ(cost.error().code, ErrorCode::kResourceExhausted) << cost.error().message;
    EXPECT_FALSE(cost.error().where.empty()) << cost.error().message;
  }
}

TEST(WorkBudget, HasRoomForLargeSchemas) {
  std::string values;
  for (int i = 0; i < 5000; ++i) values += (i > 0 ? ",\"v" : "\"v") + std::to_string(i) + "\"";
  const GrammarSource sources[] = {
      schema_source(object_of("properties", 800, "property", "") + "}"),
      schema_source(R"({"enum":[)" + values + "]}"),
      schema_source(R"({"enum":[)" + values + R"(],"pattern":"^v\\d+$"})"),
      schema_source(object_of("patternProperties", 50, "^a", ".*b") + "}"),
      schema_source(object_of("properties", 300, "p", "") +
                    R"(,"propertyNames":{"pattern":"^p\\d+$"}})"),
      schema_source(R"({"type":"string","maxLength":65536})"),
  };
  for (const GrammarSource& source : sources) {
    const auto cost = cost_of(source);
    ASSERT_TRUE(cost.ok()) << source.text.substr(0, 80) << cost.error().message;
    EXPECT_LE(*cost, WorkBudget::kDefaultUnits);
  }
}

TEST(WorkBudget, IsTheSameEveryTime) {
  const GrammarSource source = schema_source(object_of("patternProperties", 20, "^a", ".*b") + "}");
  EXPECT_EQ(*cost_of(source), *cost_of(source));
}

}  // namespace
}  // namespace fathom::grammar
