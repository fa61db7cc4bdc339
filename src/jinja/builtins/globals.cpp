// The functions every template can call.
#include <fmt/format.h>
#include <time.h>

#include "base/utf8.h"
#include "jinja/arguments.h"
#include "jinja/builtins.h"
#include "jinja/error.h"
#include "jinja/operators.h"
#include "jinja/print.h"

namespace fathom::jinja {
namespace {

// As Jinja's sandbox allows.
constexpr Integer kLongestRange = 100'000;

// Far beyond any range, and far from overflow.
constexpr long long kMostBound = 1LL << 60;

long long range_bound(const Value* value, long long fallback) {
  const auto given = integer_argument(value, "range");
  return given ? clamp_integer(*given, kMostBound) : fallback;
}

Value range(Heap& heap, const Value&, Arguments& arguments) {
  const auto bound = arguments.bind("range", {"start", "stop", "step"});
  required(bound[0], "range", "stop");
  const bool only_stop = bound[1] == nullptr;
  const Integer start = only_stop ? 0 : range_bound(bound[0], 0);
  const Integer stop = range_bound(only_stop ? bound[0] : bound[1], 0);
  const Integer step = range_bound(bound[2], 1);
  if (step == 0) fail("range: expected a step other than zero, got zero");
  const Integer distance = step > 0 ? stop - start : start - stop;
  const Integer count = distance > 0 ? (distance - 1) / (step > 0 ? step : -step) + 1 : 0;
  if (count > kLongestRange) fail_limit("range: expected at most 100000 numbers, got more");
  std::vector<Value> numbers;
  for (Integer i = 0; i < count; ++i) numbers.emplace_back(start + i * step);
  return make_list(heap, std::move(numbers));
}

Value name_space(Heap&, const Value&, Arguments& arguments) {
  auto space = std::make_shared<Namespace>();
  if (arguments.positional.size() > 1) fail("namespace: expected at most one positional argument");
  if (!arguments.positional.empty()) {
    const Dict* dict = arguments.positional[0].dict();
    if (dict == nullptr) fail("namespace: expected a dict as positional argument");
    for (const DictEntry& entry : dict->entries) {
      space->attributes[entry.key->marked.bytes()] = entry.value;
    }
  }
  for (auto& [name, value] : arguments.keyword) {
    if (value.name_space() != nullptr) fail("namespace: expected plain values, got a namespace");
    space->attributes[name] = value;
  }
  return space;
}

Value dict(Heap& heap, const Value&, Arguments& arguments) {
  if (!arguments.positional.empty()) fail("dict: expected keyword arguments only");
  std::vector<DictEntry> entries;
  for (const auto& [name, value] : arguments.keyword) {
    entries.push_back({*make_text(heap, name, true).get<TextPtr>(), value});
  }
  return make_dict(heap, std::move(entries));
}

Value raise_exception(Heap& heap, const Value&, Arguments& arguments) {
  constexpr std::size_t kLongestMessage = 1000;
  const auto bound = arguments.bind("raise_exception", {"message"});
  const Value message = to_text(heap, required(bound[0], "raise_exception", "message"));
  const std::string_view shown = message.text()->view().substr(0, kLongestMessage);
  fail(fmt::format("the template refused the conversation: {}",
                   shown.substr(0, valid_utf8_prefix(shown))));
}

Value strftime_now(Heap& heap, const Value&, Arguments& arguments) {
  constexpr std::size_t kLongestFormat = 200;
  const auto bound = arguments.bind("strftime_now", {"format"});
  const MarkedText& format = required_text(bound[0], "strftime_now", "format");
  const bool has_zero_byte = format.bytes().find('\0') != std::string::npos;
  if (format.size() > kLongestFormat || has_zero_byte) {
    fail("strftime_now: expected a format of at most 200 bytes and without zero bytes");
  }
  const time_t now = time(nullptr);
  tm local{};
  localtime_r(&now, &local);
  // The full stop tells an empty result from one that is too long.
  char buffer[4096];
  const std::string with_stop = format.bytes() + ".";
  const std::size_t written = strftime(buffer, sizeof buffer, with_stop.c_str(), &local);
  if (written == 0) fail("strftime_now: expected a result of at most 4095 bytes");
  return make_text(heap, std::string_view(buffer, written - 1), false);
}

constexpr NamedNative kGlobals[] = {
    {"range", range},
    {"namespace", name_space},
    {"dict", dict},
    {"raise_exception", raise_exception},
    {"strftime_now", strftime_now},
};

}  // namespace

const NamedNative* find_global(std::string_view name) {
  return find_named(kGlobals, name);
}

}  // namespace fathom::jinja
