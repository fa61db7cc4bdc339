// Expected values are those of Python's Jinja 3.1 as Hugging Face sets it up.
#include "jinja/testing/render.h"

namespace fathom::jinja {
namespace {

TEST(JinjaToJson, WritesAsPythonsJsonDumps) {
  expect_renders({
      {"{{ record|tojson }}",
       "{\"k\": \"v\", \"n\": 1, \"items\": [1], \"nested\": {\"a\": [1, {\"b\": "
       "\"é\\\"\\\\\\n\\u0001\"}]}}"},
      {"{{ record|tojson(indent=2) }}",
       "{\n  \"k\": \"v\",\n  \"n\": 1,\n  \"items\": [\n    1\n  ],\n  \"nested\": {\n    \"a\": "
       "[\n      1,\n      {\n        \"b\": \"é\\\"\\\\\\n\\u0001\"\n      }\n    ]\n  }\n}"},
      {"{{ record|tojson(indent=4, sort_keys=true) }}",
       "{\n    \"items\": [\n        1\n    ],\n    \"k\": \"v\",\n    \"n\": 1,\n    \"nested\": "
       "{\n        \"a\": [\n            1,\n            {\n                \"b\": "
       "\"é\\\"\\\\\\n\\u0001\"\n            }\n        ]\n    }\n}"},
      {"{{ record|tojson(ensure_ascii=true) }}",
       "{\"k\": \"v\", \"n\": 1, \"items\": [1], \"nested\": {\"a\": [1, {\"b\": "
       "\"\\u00e9\\\"\\\\\\n\\u0001\"}]}}"},
      {"{{ emoji|tojson(ensure_ascii=true) }}", "\"\\ud83d\\ude00\\u00e9\""},
      {"{{ '\\x7f'|tojson(ensure_ascii=true) }}", "\"\\u007f\""},
      {"{{ '\\x7f\\u2028'|tojson }}", "\"\177\342\200\250\""},
      {"{{ record|tojson(separators=(',',':')) }}",
       "{\"k\":\"v\",\"n\":1,\"items\":[1],\"nested\":{\"a\":[1,{\"b\":\"é\\\"\\\\\\n\\u0001\"}]}"
       "}"},
      {"{{ record|tojson(separators=[', ',' : ']) }}",
       "{\"k\" : \"v\", \"n\" : 1, \"items\" : [1], \"nested\" : {\"a\" : [1, {\"b\" : "
       "\"é\\\"\\\\\\n\\u0001\"}]}}"},
      {"{{ record|tojson(indent=0) }}",
       "{\n\"k\": \"v\",\n\"n\": 1,\n\"items\": [\n1\n],\n\"nested\": {\n\"a\": [\n1,\n{\n\"b\": "
       "\"é\\\"\\\\\\n\\u0001\"\n}\n]\n}\n}"},
      {"{{ {}|tojson(indent=2) }}", "{}"},
      {"{{ []|tojson(indent=2) }}", "[]"},
      {"{{ [[]]|tojson(indent=2) }}", "[\n  []\n]"},
      {"{{ floats|tojson }}", "[1.0, 0.1, 1e+16, 1e-05, 123456.789, 1e+22, -0.0, 3e-07]"},
      {"{{ big|tojson }}", "12345678901234567890"},
      {"{{ [none,true,false,1]|tojson }}", "[null, true, false, 1]"},
      {"{{ (1,2)|tojson }}", "[1, 2]"},
      {"{{ dict(a=1)|tojson }}", "{\"a\": 1}"},
      {"{{ 3|tojson }}", "3"},
      {"{{ '<>&\\''|tojson }}", "\"<>&'\""},
      {"{{ html|tojson }}", "\"<b>&\\\"'</b>\""},
  });
}

TEST(JinjaToJson, FailsOnWhatJsonCannotSay) {
  expect_fails({
      {"{{ missing|tojson }}", "expected a JSON value, got 'missing', which is undefined"},
      {"{{ range|tojson }}", "expected a JSON value, got a function"},
      {"{{ namespace()|tojson }}", "expected a JSON value, got a namespace"},
      {"{{ 1|tojson(separators=',') }}", "expected two separators, got a string"},
  });
}

TEST(JinjaPrint, FailsOnFunctions) {
  expect_fails({
      {"{{ range }}", "expected a value that can be printed, got a function"},
      {"{% for x in numbers %}{{ loop }}{% endfor %}", "got a loop"},
  });
}

}  // namespace
}  // namespace fathom::jinja
