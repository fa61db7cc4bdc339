// The prompt of `fathom chat`: a line editor for messages of several lines.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/chat/edit.h"
#include "cli/chat/history.h"
#include "cli/chat/keys.h"
#include "cli/chat/layout.h"
#include "cli/chat/terminal.h"

namespace fathom::cli {

struct ChatInput {
  enum class End {
    kEntered,
    kInterrupted,  // Ctrl-C where nothing was typed
    kFinished,     // Ctrl-D where nothing was typed, or nothing more will come
  };
  End end = End::kFinished;
  std::string text = {};  // of kEntered
};

class ChatPrompt {
 public:
  // All references must outlive the prompt. `colours`: draws the prompt in bold.
  ChatPrompt(ChatTerminal& terminal, const ChatHistory& history, bool colours)
      : terminal_(terminal), history_(history), colours_(colours) {}

  // Leaves the terminal in answer_mode().
  ChatInput read();
  // Keeps what is typed while an answer comes, for the next read().
  void take_type_ahead();
  void drop_type_ahead();

 private:
  std::optional<ChatInput> apply(const Key& key);
  std::optional<ChatInput> interrupt();
  void move_row(bool up);
  void recall(bool older);
  void start_over();

  TextLayout layout() const;
  void draw();
  void draw_entered();
  std::string draw_rows(const TextLayout& rows, RowWindow window);
  void place_cursor(const TextLayout& rows, size_t drawn_row, std::string& out);
  std::string to_top() const;
  std::string row_text(size_t row, const TextRow& part) const;
  int row_columns(const TextRow& part) const;
  std::string dim(const std::string& text) const;

  ChatInput read_plain();

  ChatTerminal& terminal_;
  const ChatHistory& history_;
  bool colours_;
  KeyParser keys_;
  EditedText edited_;
  std::string unread_;  // of a terminal that edits lines itself

  size_t recalled_ = 0;     // index of history's entries; its size: none of them
  std::u32string draft_;    // what was typed before one was recalled
  bool browsing_ = false;   // the last key recalled an entry: Up and Down go on from it
  size_t first_shown_ = 0;  // row
  // Of what is on the screen: columns of each row from the prompt's on, and the cursor's place.
  std::vector<int> drawn_columns_;
  size_t drawn_cursor_row_ = 0;
  int drawn_cursor_column_ = 0;
};

}  // namespace fathom::cli
