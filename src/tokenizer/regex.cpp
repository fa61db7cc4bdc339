#include "tokenizer/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <array>
#include <string>

#include "base/log.h"
#include "base/utf8.h"
#include "tokenizer/regex_syntax.h"

namespace fathom::tokenizer {
namespace {

constexpr size_t kMaxPatternBytes = 16 * 1024;
// Steps of backtracking that a match may take, some for each byte of the text: patterns in use walk
// back over a run of white space once or twice; one made to be slow stops.
constexpr size_t kFreeSteps = 100'000;
constexpr size_t kStepsPerByte = 10;
constexpr uint32_t kHeapLimitKib = 16 * 1024;
constexpr size_t kJitStackStart = 32 * 1024;
constexpr size_t kJitStackMost = 4 * 1024 * 1024;

std::string pcre2_message(int code) {
  std::array<PCRE2_UCHAR, 256> text{};
  pcre2_get_error_message(code, text.data(), text.size());
  return reinterpret_cast<const char*>(text.data());
}

struct CompileContext {
  CompileContext() : context(pcre2_compile_context_create(nullptr)) {
    FATHOM_CHECK(context != nullptr, "no memory for a PCRE2 context");
    pcre2_set_newline(context, PCRE2_NEWLINE_LF);
  }
  ~CompileContext() { pcre2_compile_context_free(context); }
  pcre2_compile_context* context;
};

}  // namespace

struct Regex::Matcher::State {
  State()
      : data(pcre2_match_data_create(1, nullptr)),
        context(pcre2_match_context_create(nullptr)),
        stack(pcre2_jit_stack_create(kJitStackStart, kJitStackMost, nullptr)) {
    FATHOM_CHECK(data && context, "no memory for PCRE2's match data");
    pcre2_set_heap_limit(context, kHeapLimitKib);
    if (stack) pcre2_jit_stack_assign(context, nullptr, stack);
  }
  ~State() {
    pcre2_jit_stack_free(stack);
    pcre2_match_context_free(context);
    pcre2_match_data_free(data);
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  pcre2_match_data* data;
  pcre2_match_context* context;
  pcre2_jit_stack* stack;
};

Regex::Matcher::Matcher() : state_(std::make_unique<State>()) {}
Regex::Matcher::~Matcher() = default;

Result<Regex> Regex::compile(std::string_view pattern) {
  if (pattern.empty() || pattern.size() > kMaxPatternBytes) {
    return invalid_argument("expected a pattern of 1 to " + std::to_string(kMaxPatternBytes) +
                            " bytes, got " + std::to_string(pattern.size()));
  }
  FATHOM_ASSIGN(const std::string translated, pcre2_from_oniguruma(pattern));
  const CompileContext compile;
  int error = 0;
  PCRE2_SIZE offset = 0;
  pcre2_code* code = pcre2_compile(
      reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(),
      PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C | PCRE2_NO_AUTO_CAPTURE,
      &error, &offset, compile.context);
  if (code == nullptr) {
    return invalid_argument(
        "expected a regular expression, got one with an error: " + pcre2_message(error) +
        " at byte " + std::to_string(offset) + " of " + translated);
  }
  // Where a processor has no JIT, pcre2_match interprets: slower, the same matches.
  pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
  return Regex(std::shared_ptr<const pcre2_code>(
      code, [](const pcre2_code* owned) { pcre2_code_free(const_cast<pcre2_code*>(owned)); }));
}

void Regex::split(Matcher& matcher, std::string_view text, size_t base,
                  std::vector<size_t>& ends) const {
  const Matcher::State& state = *matcher.state_;
  const size_t steps = kFreeSteps + kStepsPerByte * text.size();
  pcre2_set_match_limit(state.context, static_cast<uint32_t>(std::min<size_t>(steps, UINT32_MAX)));
  size_t last_end = 0;  // of the pieces so far
  const auto cut = [&](size_t at) {
    if (at > last_end) ends.push_back(base + at);
    last_end = at;
  };
  for (size_t from = 0; from < text.size();) {
    const int found = pcre2_match(code_.get(), reinterpret_cast<PCRE2_SPTR>(text.data()),
                                  text.size(), from, PCRE2_NO_UTF_CHECK, state.data, state.context);
    if (found == PCRE2_ERROR_NOMATCH) break;
    if (found < 0) {
      log_warning("tokenizer: a split pattern gave up after {} bytes of a text of {}: {}", from,
                  text.size(), pcre2_message(found));
      break;
    }
    const PCRE2_SIZE* match = pcre2_get_ovector_pointer(state.data);
    cut(match[0]);
    cut(match[1]);
    from = match[1];
    if (match[0] == match[1] && from < text.size()) from += scan_utf8(text.substr(from)).length;
  }
  cut(text.size());
}

}  // namespace fathom::tokenizer
