// The terminal that `fathom chat` runs in: modes, size, input, and Ctrl-C.
#pragma once

#include <string>
#include <string_view>

namespace fathom::cli {

// From now on SIGINT only sets a flag and does not end the process.
void catch_interrupts();
// Whether one came since catch_interrupts() or the last forget_interrupt().
bool interrupted();
void forget_interrupt();

struct TerminalSize {
  int columns;
  int rows;
};

// Of a process whose standard input and output are terminals, one at a time. Its destructor, and
// signals that end the process, leave the terminal as it was.
class ChatTerminal {
 public:
  ChatTerminal();
  ~ChatTerminal();
  ChatTerminal(const ChatTerminal&) = delete;
  ChatTerminal& operator=(const ChatTerminal&) = delete;

  // False where it has no cursor to move (TERM=dumb). Then nothing here changes it: it edits lines
  // itself.
  bool can_draw() const { return can_draw_; }
  TerminalSize size() const;

  // For a prompt: every key comes as it is pressed, Ctrl-C too, and pastes come in brackets.
  void edit_mode();
  // While an answer comes: what is typed is not shown, and Ctrl-C is SIGINT.
  void answer_mode();

  enum class Event {
    kInput,      // bytes came
    kInterrupt,  // SIGINT
    kResized,
    kContinued,  // the process was stopped, and others may have written and changed modes
    kEnd,        // nothing more will come
  };
  // Waits. Appends what was typed to `bytes`.
  Event wait(std::string& bytes);
  // Does not wait.
  void take_type_ahead(std::string& bytes);
  void drop_type_ahead();
  // Stops the process, as Ctrl-Z does elsewhere, until it is told to go on.
  void suspend();

  void write(std::string_view text);

 private:
  bool can_draw_;
};

}  // namespace fathom::cli
