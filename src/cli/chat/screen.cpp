#include "cli/chat/screen.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "cli/chat/characters.h"

namespace fathom::cli {

ChatScreen::Look ChatScreen::look() {
  const bool terminal = isatty(STDOUT_FILENO) != 0;
  const char* name = std::getenv("TERM");
  const bool dumb = name == nullptr || std::string_view(name) == "dumb";
  return {terminal, terminal && !dumb && std::getenv("NO_COLOR") == nullptr, true};
}

void ChatScreen::text(std::string_view text, bool thought) {
  if (thought && !look_.thoughts) return;
  std::string shown = look_.terminal ? printable(text) : std::string(text);
  const bool begins = !any_text_ || thought != in_thought_;
  if (begins) shown.erase(0, shown.find_first_not_of('\n'));
  if (shown.empty()) return;
  if (begins) {
    if (any_text_) held_breaks_ = "\n\n";
    if (look_.colours) print(thought ? "\x1b[2m" : "\x1b[0m");
    any_text_ = true;
    in_thought_ = thought;
  }
  const size_t end = shown.find_last_not_of('\n') + 1;  // 0 where there are only line breaks
  std::string breaks = shown.substr(end);
  if (end == 0) {
    held_breaks_ += breaks;
    return;
  }
  print(std::exchange(held_breaks_, std::move(breaks)) + shown.substr(0, end));
}

void ChatScreen::end_of_answer() {
  if (look_.colours) print("\x1b[0m");
  if (any_text_) print("\n");
  any_text_ = false;
  in_thought_ = false;
  held_breaks_.clear();
}

void ChatScreen::note(const std::string& text) {
  print(look_.colours ? "\x1b[2m" + printable(text) + "\x1b[0m\n" : printable(text) + "\n");
}

void ChatScreen::error(const std::string& text) {
  print(look_.colours ? "\x1b[31m" + printable(text) + "\x1b[0m\n" : printable(text) + "\n");
}

void ChatScreen::print(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) < text.size() || std::fflush(stdout) != 0) {
    failed_ = true;
  }
}

}  // namespace fathom::cli
