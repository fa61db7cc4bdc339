// What a model says, as the parser of tool calls hears it: the first byte says whether calls may be
// parallel, bytes 1 to 7 are the markers, all others are text. Text means the same whole and in
// single bytes.
#include <string>
#include <vector>

#include "api/output/tool_parser.h"
#include "base/check.h"
#include "fuzz_target.h"

namespace fathom::api {
namespace {

struct Heard {
  std::string content;
  std::vector<std::string> names;
  std::vector<std::string> arguments;

  bool operator==(const Heard&) const = default;
};

class Listener {
 public:
  explicit Listener(bool parallel) : parser_(parallel) {}

  void feed(const Piece& piece) {
    parser_.feed(piece, heard_.content, calls_);
    take();
  }
  Heard end() {
    parser_.flush(heard_.content, calls_);
    take();
    return heard_;
  }

 private:
  void take() {
    for (const ToolCallDelta& call : calls_) {
      if (call.name) {
        heard_.names.push_back(*call.name);
        heard_.arguments.emplace_back();
        FATHOM_CHECK(call.index + 1 == static_cast<int>(heard_.names.size()), "calls are counted");
      }
      FATHOM_CHECK(!heard_.arguments.empty(), "arguments follow a name");
      heard_.arguments.back() += call.arguments;
    }
    calls_.clear();
  }

  ToolParser parser_;
  std::vector<ToolCallDelta> calls_;
  Heard heard_;
};

Heard hear(std::string_view said, bool parallel, bool in_bytes) {
  Listener listener(parallel);
  std::string text;
  const auto flush = [&] {
    if (!text.empty()) listener.feed({text, Marker::kNone});
    text.clear();
  };
  for (const char c : said) {
    const auto code = static_cast<unsigned char>(c);
    if (code >= 1 && code <= kMarkers.size()) {
      flush();
      const Marker marker = kMarkers[code - 1];
      listener.feed({std::string(marker_text(marker)), marker});
    } else {
      text += c;
      if (in_bytes) flush();
    }
  }
  flush();
  return listener.end();
}

}  // namespace
}  // namespace fathom::api

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fathom;
  if (size == 0) return 0;
  const std::string_view said = fuzz::as_text(data + 1, size - 1);
  const bool parallel = data[0] % 2 == 0;
  FATHOM_CHECK(api::hear(said, parallel, false) == api::hear(said, parallel, true),
               "text means the same whole and in bytes");
  return 0;
}
