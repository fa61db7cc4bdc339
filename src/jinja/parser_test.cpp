// White space control and syntax errors. Expected values are those of Python's Jinja 3.1 as
// Hugging Face sets it up.
#include "jinja/testing/render.h"

namespace fathom::jinja {
namespace {

TEST(JinjaWhiteSpace, IsTrimmedAroundBlocks) {
  expect_renders({
      {"  {% if yes %}  \n  x  \n  {% endif %}  \n  y\n\n", "  \n  x  \n  \n  y\n"},
      {"a\n  {# c #}\nb\n", "a\nb"},
      {"{% for x in numbers %}\n    {{ x }}\n{% endfor %}\nend\n", "    3\n    1\n    2\nend"},
      {"\n\n{{ five }}\n\n", "\n\n5\n"},
      {"a\r\nb\rc\n", "a\nb\nc"},
      {"  {%- for x in numbers -%}\n  {{ x }}\n  {%- endfor -%}\n tail", "312tail"},
      {"line\n\t {% set q=1 %}\nx {% set q=2 %}\n{{ q }}", "line\nx 2"},
      {"{{ 1 }}{% if yes %}\n{% endif %}x", "1x"},
      {"x{# a #}\n  {# b #}\n  {{ five }}", "x  5"},
      {"   {%- set x = 1 %}\n   y", "   y"},
      {"a {%- if yes -%}  b  {%- endif -%}  c", "abc"},
      {"a  {{- five -}}  c {{ five }}", "a5c 5"},
      {"x   {%+ if yes %} y {% endif +%}\n", "x    y "},
      {"  {%+ if yes %} y {% endif +%}\nz", "   y \nz"},
      {"{# comment #}a{#- c -#} b {#+ c +#} c", "ab  c"},
      {"{{ 'a' }}\u3000{{- 'b' }}", "ab"},
  });
}

TEST(JinjaRaw, IsCopied) {
  expect_renders({
      {"{% raw %}{{ x }}{% endraw %}", "{{ x }}"},
      {"{% raw %}\n a {{\n{% endraw %}\nz", "\n a {{\nz"},
      {" {%- raw -%}  {% x %} {%- endraw -%}  y", "{% x %}y"},
  });
}

TEST(JinjaSyntax, BracesOfDictsDoNotEndATag) {
  expect_renders({
      {"{{ {'a': {'b': 1}} }}", "{'a': {'b': 1}}"},
      {"{% set x = {'a': '%}'} %}{{ x.a }}", "%}"},
      {"{%set x=1%}{%if x==1%}one{%endif%}{{x}}", "one1"},
  });
}

TEST(JinjaSyntax, ErrorsNameTheLineAndWhatWasExpected) {
  expect_fails({
      {"a\n{{ 'unclosed }}", "line 2: expected the closing quote of this string, got none"},
      {"a\n\n{{ five", "line 3: expected '}}' for this tag, got the end of the template"},
      {"{% if yes", "expected '%}' for this tag"},
      {"{# never", "expected '#}' for this '{#', got none"},
      {"{% raw %} x", "expected '{% endraw %}' for this '{% raw %}', got none"},
      {"{{ ) }}", "expected no ')' here, got one"},
      {"{{ (1 }}", "expected ')', got '}'"},
      {"{{ 1 2 }}", "expected '}}', got '2'"},
      {"{{ a ? b }}", "expected an expression, got '?'"},
      {"{{ ü }}", "expected an expression, got 'ü'"},
      {"{{ '\\ud800' }}", "expected a Unicode character in a string's escape"},
      {"{{ '\\xZZ' }}", "expected 2 hexadecimal digits in a string's escape"},
      {"{{ 99999999999999999999 }}", "expected a number that fits in 64 bits"},
      {"{{ f(*x) }}", "expected plain arguments, got '*', which is not supported"},
      {"{{ f(a=1, 2) }}", "expected a keyword argument after another, got '2'"},
      {"{% if %}x{% endif %}", "expected an expression, got '%}'"},
      {"{% if yes %}\nx", "line 2: expected '{% endif %}' for the block at line 1, got the end of"},
      {"{% for x in numbers %}x{% endif %}",
       "expected '{% endfor %}' for the block at line 1, got 'endif'"},
      {"{% for x numbers %}{% endfor %}", "expected 'in', got 'numbers'"},
      {"{% for true in numbers %}{% endfor %}", "expected a variable to set, got a constant"},
      {"{% set if = 1 %}", "expected a name, got 'if'"},
      {"{% else %}", "expected no 'else' here, got one"},
      {"{% include 'x' %}", "expected a tag that chat templates use, got 'include'"},
      {"{% break %}", "expected 'break' inside of a loop only"},
      {"{% for x in numbers %}{% macro m() %}{% continue %}{% endmacro %}{% endfor %}",
       "expected 'continue' inside of a loop only"},
      {"{% macro m(a=1, b) %}{% endmacro %}", "expected a default for 'b' too, got none"},
      {"{% call five %}{% endcall %}", "expected a call after 'call'"},
      {"{% %}", "expected the name of a tag, got '%}'"},
  });
  EXPECT_EQ(render("\xff"), "ERROR chat template: expected UTF-8, got other bytes");
}

// The parser must answer every input; what it answers does not matter here.
TEST(JinjaSyntax, EveryPrefixAndEveryCutOfATemplateIsAnswered) {
  const std::string whole =
      "{%- macro m(a, b='\\x41') -%}{{ a|default({'k': [1, 2.5e3]}, true) }}{%- endmacro %}\n"
      "{% for k, v in x.items() if v is not none %}{# c #}{{ m(v[1:-1:2], b=k ~ 1)|trim }}"
      "{% else %}{% set ns.a %}t{% endset %}{% endfor %}{% raw %}{{{% endraw %}"
      "{% call(q) m(1) %}{{ q if q in [1] else -q ** 2 }}{% endcall %}";
  for (std::size_t begin = 0; begin < whole.size(); begin += 3) {
    for (std::size_t end = begin; end <= whole.size(); end += 2) {
      const auto parsed = ChatTemplate::parse(whole.substr(begin, end - begin), "", "");
      if (!parsed) {
        EXPECT_TRUE(parsed.error().message.starts_with("chat template"));
      }
    }
  }
}

}  // namespace
}  // namespace fathom::jinja
