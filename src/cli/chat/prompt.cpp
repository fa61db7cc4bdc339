#include "cli/chat/prompt.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "cli/chat/characters.h"

namespace fathom::cli {
namespace {

constexpr int kPromptColumns = 2;
constexpr int kLeastRows = 5;        // that a screen is taken to have
constexpr size_t kEnteredRows = 12;  // of a message that stay on the screen
// With the cursor off rows do not wrap by themselves either.
constexpr const char* kCursorOff = "\x1b[?25l\x1b[?7l";
constexpr const char* kCursorOn = "\x1b[?7h\x1b[?25h";

// Columns for text: behind the prompt, and with one left for the cursor.
int text_columns(const TerminalSize& size) {
  return std::max(2, size.columns - kPromptColumns - 1);
}

std::string up_by(size_t rows) {
  return rows == 0 ? std::string() : fmt::format("\x1b[{}A", rows);
}

// Rows that what was drawn in `columns` takes where the screen is now `width` wide.
size_t rows_at(int columns, int width) {
  return columns == 0 ? 1 : static_cast<size_t>((columns + width - 1) / width);
}

}  // namespace

ChatInput ChatPrompt::read() {
  if (!terminal_.can_draw()) return read_plain();
  terminal_.edit_mode();
  edited_.set(U"");
  start_over();
  std::optional<ChatInput> input;
  while (!input) {
    while (!input) {  // what came together is drawn together
      const auto key = keys_.next();
      if (!key) break;
      input = apply(*key);
    }
    if (input) break;
    draw();
    std::string bytes;
    switch (terminal_.wait(bytes)) {
      case ChatTerminal::Event::kInput:
        keys_.feed(bytes);
        break;
      case ChatTerminal::Event::kInterrupt:
        if (interrupted()) input = interrupt();  // else it was for the answer before
        break;
      case ChatTerminal::Event::kResized:
        break;
      case ChatTerminal::Event::kContinued:
        terminal_.edit_mode();
        drawn_columns_.clear();
        break;
      case ChatTerminal::Event::kEnd:
        input = ChatInput{ChatInput::End::kFinished};
        break;
    }
  }
  draw_entered();
  terminal_.answer_mode();
  return *input;
}

void ChatPrompt::take_type_ahead() {
  std::string bytes;
  terminal_.take_type_ahead(bytes);
  keys_.feed(bytes);
}

void ChatPrompt::drop_type_ahead() {
  terminal_.drop_type_ahead();
  keys_.clear();
}

std::optional<ChatInput> ChatPrompt::apply(const Key& key) {
  const bool was_browsing = std::exchange(browsing_, false);
  switch (key.kind) {
    case KeyKind::kEnter:
      if (edited_.go_on()) return std::nullopt;
      return ChatInput{ChatInput::End::kEntered, encode_text(edited_.text())};
    case KeyKind::kInterrupt:
      return interrupt();
    case KeyKind::kDeleteOrFinish:
      if (edited_.text().empty()) return ChatInput{ChatInput::End::kFinished};
      edited_.apply(key);
      return std::nullopt;
    case KeyKind::kUp:
    case KeyKind::kDown: {
      const bool up = key.kind == KeyKind::kUp;
      const TextLayout rows = layout();
      const bool at_edge = rows.cursor_row == (up ? 0 : rows.rows.size() - 1);
      if (was_browsing || at_edge) {
        recall(up);
      } else {
        move_row(up);
      }
      return std::nullopt;
    }
    case KeyKind::kPrevious:
    case KeyKind::kNext:
      recall(key.kind == KeyKind::kPrevious);
      return std::nullopt;
    case KeyKind::kClearScreen:
      terminal_.write("\x1b[H\x1b[2J");
      drawn_columns_.clear();
      return std::nullopt;
    case KeyKind::kSuspend:
      terminal_.suspend();
      terminal_.edit_mode();
      drawn_columns_.clear();
      return std::nullopt;
    default:
      edited_.apply(key);
      return std::nullopt;
  }
}

std::optional<ChatInput> ChatPrompt::interrupt() {
  forget_interrupt();
  if (edited_.text().empty()) return ChatInput{ChatInput::End::kInterrupted};
  edited_.set(U"");
  recalled_ = history_.entries().size();
  return std::nullopt;
}

void ChatPrompt::move_row(bool up) {
  const TextLayout rows = layout();
  const std::u32string_view text = edited_.text();
  const size_t begin = rows.rows[rows.cursor_row].begin;
  const int column = columns_of(text.substr(begin, edited_.cursor() - begin));
  const size_t row = up ? rows.cursor_row - 1 : rows.cursor_row + 1;
  edited_.move_to(index_at(text, rows, row, column));
}

void ChatPrompt::recall(bool older) {
  const auto& entries = history_.entries();
  if (older ? recalled_ == 0 : recalled_ == entries.size()) return;
  if (recalled_ == entries.size()) draft_ = edited_.text();
  recalled_ = older ? recalled_ - 1 : recalled_ + 1;
  edited_.set(recalled_ == entries.size() ? draft_ : decode_text(entries[recalled_]));
  browsing_ = true;
}

void ChatPrompt::start_over() {
  recalled_ = history_.entries().size();
  draft_.clear();
  browsing_ = false;
  first_shown_ = 0;
  drawn_columns_.clear();
}

TextLayout ChatPrompt::layout() const {
  return lay_out(edited_.text(), edited_.cursor(), text_columns(terminal_.size()));
}

void ChatPrompt::draw() {
  const TextLayout rows = layout();
  const auto room = static_cast<size_t>(std::max(kLeastRows, terminal_.size().rows));
  const bool fits = rows.rows.size() <= room;
  // Where not all fits, a row above and one below say how much is not shown.
  const RowWindow window = rows_to_show(rows, fits ? room : room - 2, first_shown_);
  first_shown_ = window.first;
  std::string out = draw_rows(rows, window);
  place_cursor(rows, rows.cursor_row - window.first + (window.first > 0 ? 1 : 0), out);
  terminal_.write(out);
}

// The last drawing of a message, of its beginning only: a long one would push all else away.
void ChatPrompt::draw_entered() {
  const TextLayout rows = layout();
  terminal_.write(draw_rows(rows, {0, std::min(rows.rows.size(), kEnteredRows)}) + kCursorOn +
                  "\r\n");
}

// What draws the rows over those drawn before. Rows never wrap by themselves, so where the terminal
// finds a character wider or narrower than we do, only its own row shows it.
std::string ChatPrompt::draw_rows(const TextLayout& rows, RowWindow window) {
  std::string out = kCursorOff + to_top();
  drawn_columns_.clear();
  const auto add = [&](const std::string& text, int columns) {
    out += (drawn_columns_.empty() ? "\r\x1b[K" : "\r\n\x1b[K") + text;
    drawn_columns_.push_back(columns);
  };
  const auto add_note = [&](size_t count, const char* where) {
    const std::string note =
        fmt::format("  ({} more {} {})", count, count > 1 ? "rows" : "row", where);
    if (count > 0) add(dim(note), static_cast<int>(note.size()));
  };
  add_note(window.first, "above");
  for (size_t row = window.first; row < window.last; ++row) {
    const TextRow& each = rows.rows[row];
    add(row_text(row, each), row_columns(each));
  }
  add_note(rows.rows.size() - window.last, "below");
  return out + "\x1b[J";
}

// Brings the cursor to its row, of those drawn, and to its column by drawing what is before it.
void ChatPrompt::place_cursor(const TextLayout& rows, size_t drawn_row, std::string& out) {
  const TextRow before = {rows.rows[rows.cursor_row].begin, edited_.cursor()};
  out += up_by(drawn_columns_.size() - 1 - drawn_row) + "\r" + row_text(rows.cursor_row, before);
  out += kCursorOn;
  drawn_cursor_row_ = drawn_row;
  drawn_cursor_column_ = row_columns(before);
}

// From the cursor to the row of the prompt. A terminal that became narrower has wrapped rows.
std::string ChatPrompt::to_top() const {
  if (drawn_columns_.empty()) return {};
  const int width = std::max(1, terminal_.size().columns);
  size_t rows = 0;
  for (size_t row = 0; row < drawn_cursor_row_; ++row) rows += rows_at(drawn_columns_[row], width);
  return up_by(rows + static_cast<size_t>(drawn_cursor_column_ / width));
}

std::string ChatPrompt::row_text(size_t row, const TextRow& part) const {
  std::string text = row > 0 ? "  " : colours_ ? "\x1b[1m>\x1b[0m " : "> ";
  for (const char32_t code : edited_.text().substr(part.begin, part.end - part.begin)) {
    text += code == '\t' ? std::string(kTabColumns, ' ') : encode_text({&code, 1});
  }
  return text;
}

int ChatPrompt::row_columns(const TextRow& part) const {
  const std::u32string_view text = edited_.text();
  return kPromptColumns + columns_of(text.substr(part.begin, part.end - part.begin));
}

std::string ChatPrompt::dim(const std::string& text) const {
  return colours_ ? "\x1b[2m" + text + "\x1b[0m" : text;
}

ChatInput ChatPrompt::read_plain() {
  terminal_.write("> ");
  edited_.set(U"");
  while (true) {
    const size_t end = unread_.find('\n');
    if (end != std::string::npos) {
      edited_.insert(decode_text(unread_.substr(0, end)));
      unread_.erase(0, end + 1);
      if (!edited_.go_on()) return {ChatInput::End::kEntered, encode_text(edited_.text())};
      terminal_.write("  ");
      continue;
    }
    const auto event = terminal_.wait(unread_);
    if (event == ChatTerminal::Event::kEnd) return {ChatInput::End::kFinished};
    if (event == ChatTerminal::Event::kInterrupt && interrupted()) {
      forget_interrupt();
      terminal_.write("\n");
      return {ChatInput::End::kInterrupted};
    }
  }
}

}  // namespace fathom::cli
