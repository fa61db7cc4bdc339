// Expected values are those of Python's Jinja 3.1 as Hugging Face sets it up.
#include "jinja/testing/render.h"

namespace fathom::jinja {
namespace {

TEST(JinjaFor, WalksListsDictsAndStrings) {
  expect_renders({
      {"{% for x in numbers %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}"
       "{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.previtem }}"
       "{{ loop.nextitem }}{{ loop.cycle('a', 'b') }};{% endfor %}",
       "1032TrueFalse31a;2121FalseFalse332b;3210FalseTrue31a;"},
      {"{% for k, v in record.items() %}{{ k }}={{ v|tojson|length }};{% endfor %}",
       "k=3;n=1;items=3;nested=34;"},
      {"{% for k in record %}{{ k }},{% endfor %}", "k,n,items,nested,"},
      {"{% for c in emoji %}[{{ c }}]{% endfor %}", "[😀][é]"},
      {"{% for (a, b), c in [((1, 2), 3)] %}{{ a }}{{ b }}{{ c }}{% endfor %}", "123"},
      {"{% for a in [1, 2] %}{% for b in [3, 4] %}{{ loop.index }}{{ a }}{{ b }} {% endfor %}"
       "{{ loop.index }}{% endfor %}",
       "113 214 1123 224 2"},
      {"{% for x in 1, 2 %}{{ x }}{% endfor %}", "12"},
      {"{% for x in (numbers if yes else empty) %}{{ x }}{% endfor %}", "312"},
  });
}

TEST(JinjaFor, ElseRunsUnlessARoundCameToItsEnd) {
  expect_renders({
      {"{% for x in empty %}x{% else %}none{% endfor %}", "none"},
      {"{% for x in missing %}x{% else %}none{% endfor %}", "none"},
      {"{% for x in numbers %}{{ x }}{% else %}none{% endfor %}", "312"},
      {"{% for x in numbers %}{% continue %}{% else %}E{% endfor %}", "E"},
      {"{% for x in numbers %}{% break %}{% else %}E{% endfor %}", "E"},
      {"{% for x in numbers if x > 1 %}{{ x }}{{ loop.length }}{% else %}E{% endfor %}", "3222"},
      {"{% for x in numbers if x > 9 %}{{ x }}{% else %}E{% endfor %}", "E"},
  });
}

TEST(JinjaFor, BreaksAndContinues) {
  expect_renders({
      {"{% for x in numbers %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% endfor %}", "32"},
      {"{% for x in numbers %}{% if x == 1 %}{% break %}{% endif %}{{ x }}{% endfor %}", "3"},
      {"{% for x in [1, 2] %}{% for y in [3, 4] %}{% break %}{% endfor %}{{ x }}{% endfor %}",
       "12"},
      {"{% for x in [1, 2] %}{% filter upper %}a{% break %}{% endfilter %}{% endfor %}z", "Az"},
  });
}

TEST(JinjaSet, LastsAsLongAsItsBlock) {
  expect_renders({
      {"{% set y = 1 %}{% for x in numbers %}{% set y = y + x %}{{ y }};{% endfor %}{{ y }}",
       "4;2;3;1"},
      {"{% for x in numbers %}{% if loop.first %}{% set q = 'set' %}{% endif %}{{ q }}-{% endfor "
       "%}",
       "set---"},
      {"{% set x = 5 %}{% if true %}{% set x = 99 %}{% endif %}{{ x }}", "99"},
      {"{% set ns = namespace(a=1) %}{% for x in numbers %}{% set ns.a = ns.a + x %}{% endfor %}"
       "{{ ns.a }}{{ ns.b }}{{ ns['a'] }}",
       "77"},
      {"{% set ns = namespace({'a': 1}, b=2) %}{{ ns.a }}{{ ns.b }}", "12"},
      {"{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set (p, q) = [3, 4] %}{{ p }}{{ q }}", "1234"},
      {"{% set t %}hello {{ five }}{% set inner = 1 %}{% endset %}{{ t }}{{ t|length }}{{ inner }}",
       "hello 57"},
      {"{% set t | upper | replace('A', 'b') %}abc{% endset %}{{ t }}", "bBC"},
  });
}

TEST(JinjaMacro, BindsArgumentsAndSeesWhereItWasDefined) {
  expect_renders({
      {"{% macro m(a, b='def', c=a) %}[{{ a }}|{{ b }}|{{ c }}]{% endmacro %}"
       "{{ m(1) }}{{ m(1, 2, 3) }}{{ m(c=5, a=1) }}{{ m() }}{{ m('x')|upper }}{{ m('x') + 'y' }}",
       "[1|def|1][1|2|3][1|def|5][|def|][X|DEF|X][x|def|x]y"},
      {"{% macro f(x) %}{{ x }}{% if x > 0 %}{{ f(x - 1) }}{% endif %}{% endmacro %}{{ f(5) }}",
       "543210"},
      {"{% macro g() %}{{ later }}{% endmacro %}{% set later = 'L' %}{{ g() }}", "L"},
      {"{% macro g() %}{{ local }}{% endmacro %}{% for local in [1] %}{{ g() }}{% endfor %}", ""},
      {"{% macro w(t) %}<{{ t }}>{{ caller() }}</{{ t }}>{% endmacro %}"
       "{% call w('p') %}body {{ five }}{% endcall %}",
       "<p>body 5</p>"},
      {"{% macro w() %}{{ caller('a', 2) }}{% endmacro %}{% call(x, y) w() %}{{ x }}{{ y }}{% "
       "endcall %}",
       "a2"},
      {"{% filter trim|upper %}  abc {% endfilter %}|", "ABC|"},
      {"{% generation %}a{% set x = 1 %}{% endgeneration %}{{ x }}", "a"},
  });
}

TEST(JinjaStatements, FailWithTheirLine) {
  expect_fails({
      {"\n\n{{ missing.x }}", "line 3: expected a value with 'x'"},
      {"{% for x in [1] %}\n{{ x.y.z }}\n{% endfor %}", "line 2: expected a value with 'z'"},
      {"{{ [1,\n2,\n3 + 'a'] }}", "line 3: +: expected operands"},
      {"{% for x in 5 %}{% endfor %}", "expected a list, dict or string to walk through"},
      {"{% for x in none %}{% endfor %}", "got none"},
      {"{% for a, b in [[1, 2], [3]] %}{% endfor %}", "expected 2 values to unpack, got 1"},
      {"{% set a, b = [1] %}", "expected 2 values to unpack, got 1"},
      {"{% set five.x = 1 %}", "expected a namespace to set 'x' of, got an integer"},
      {"{% set nospace.x = 1 %}", "got an undefined variable"},
      {"{% set ns = namespace() %}{% set ns.self = ns %}", "expected a plain value in a namespace"},
      {"{% set ns = namespace() %}{% set x = [ns] %}", "expected a plain value in a list or dict"},
      {"{% macro m(a) %}{% endmacro %}{{ m(1, 2) }}", "m: expected at most 1 arguments, got 2"},
      {"{% macro m(a) %}{% endmacro %}{{ m(z=2) }}", "m: unknown argument 'z'"},
      {"{% macro m(a) %}{% endmacro %}{{ m(1, a=2) }}", "m: argument 'a' is given twice"},
      {"{% call m() %}{% endcall %}", "expected a function to call, got 'm', which is undefined"},
      {"{% set ns = namespace() %}{% for x in [1] %}{% macro m() %}{% endmacro %}"
       "{% set ns.m = m %}{% endfor %}{{ ns.m() }}",
       "expected the block of macro 'm' to be running"},
  });
}

}  // namespace
}  // namespace fathom::jinja
