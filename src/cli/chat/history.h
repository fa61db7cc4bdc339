// What was typed at the prompt of `fathom chat`, kept in a file from one start to the next.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace fathom::cli {

// One line of the file: line breaks are written \n and \r, a backslash \\.
std::string escape_history(std::string_view entry);
// Other backslashes, of a file that somebody edited, stay as they are.
std::string unescape_history(std::string_view line);

// $XDG_STATE_HOME/fathom/history, or ~/.local/state/fathom/history; "" without a home directory.
std::filesystem::path history_file();

class ChatHistory {
 public:
  static constexpr size_t kMaxEntries = 1000;        // that a start reads, the last ones
  static constexpr size_t kMaxBytes = 4 << 20;       // and of these no more
  static constexpr size_t kMaxEntryBytes = 1 << 20;  // longer ones are not written

  // Reads the file, as far as it can be read. One that is twice as long as what is read is written
  // anew. "" keeps no file.
  explicit ChatHistory(std::filesystem::path file);

  // The oldest first.
  const std::vector<std::string>& entries() const { return entries_; }

  // Appends an entry, also to the file, which only its owner may read. A repetition of the last
  // entry is not added. An error to write leaves the entry in memory and is reported once.
  Status add(const std::string& entry);

 private:
  Status append(const std::string& entry);
  void write_anew() const;

  std::filesystem::path file_;
  std::vector<std::string> entries_;
  bool told_ = false;
};

}  // namespace fathom::cli
