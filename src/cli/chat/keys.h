// What a terminal sends, as keys: control characters, escape sequences, pastes and text.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace fathom::cli {

enum class KeyKind {
  kText,   // typed: what stands in Key::text
  kPaste,  // pasted, in brackets: likewise, as one
  kEnter,
  kLineBreak,  // Alt-Enter, or Shift-Enter where the terminal tells it apart
  kLeft,
  kRight,
  kUp,
  kDown,
  kWordLeft,
  kWordRight,
  kHome,
  kEnd,
  kPrevious,  // Ctrl-P, Ctrl-N: of the history, wherever the cursor is
  kNext,
  kBackspace,
  kDelete,
  kKillWord,  // before the cursor
  kKillWordRight,
  kKillToHome,
  kKillToEnd,
  kYank,  // what was killed last
  kClearScreen,
  kInterrupt,       // Ctrl-C
  kDeleteOrFinish,  // Ctrl-D
  kSuspend,         // Ctrl-Z
};

struct Key {
  KeyKind kind;
  std::u32string text = {};
};

// Takes bytes as they arrive, cut anywhere. Sequences that mean nothing here are passed over.
class KeyParser {
 public:
  void feed(std::string_view bytes) { input_ += bytes; }
  // The next whole key, if there is one.
  std::optional<Key> next();
  void clear();

 private:
  enum class Found { kKey, kNothing, kIncomplete };

  Found take_one(Key& key);
  Found take_paste(Key& key);
  Found take_text(Key& key);
  Found take_control(Key& key);
  Found take_escape(Key& key);
  Found take_csi(Key& key);
  std::string_view rest() const { return std::string_view(input_).substr(at_); }

  std::string input_;
  size_t at_ = 0;  // where the next key begins in it
  bool in_paste_ = false;
  std::string paste_;
};

}  // namespace fathom::cli
