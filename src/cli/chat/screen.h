// How `fathom chat` shows answers: thoughts dimmed where a terminal shows it, else plain text.
#pragma once

#include <string>
#include <string_view>

namespace fathom::cli {

class ChatScreen {
 public:
  struct Look {
    bool terminal = false;  // leaves out control characters, which would command it
    bool colours = false;
    bool thoughts = true;  // shows them
  };
  explicit ChatScreen(const Look& look) : look_(look) {}
  // Of standard output; no colours where NO_COLOR is set, or TERM=dumb.
  static Look look();

  // A piece of an answer, or of the thought before it. Line breaks around both are left out.
  void text(std::string_view text, bool thought);
  // Ends the last line, if there is one.
  void end_of_answer();
  void note(const std::string& text);
  void error(const std::string& text);

  const Look& looks() const { return look_; }
  // Whether standard output is closed.
  bool failed() const { return failed_; }

 private:
  void print(std::string_view text);

  Look look_;
  bool any_text_ = false;
  bool in_thought_ = false;
  std::string held_breaks_;  // line breaks that are shown if more of the same follows
  bool failed_ = false;
};

}  // namespace fathom::cli
