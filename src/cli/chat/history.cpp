#include "cli/chat/history.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <system_error>
#include <utility>

namespace fathom::cli {

namespace fs = std::filesystem;

namespace {

std::string lines_of(const std::vector<std::string>& entries) {
  std::string lines;
  for (const auto& entry : entries) lines += escape_history(entry) + "\n";
  return lines;
}

// Only for the owner; a descriptor, or -1 with errno.
int open_private(const fs::path& file, int flags) {
  const int descriptor = open(file.c_str(), flags | O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (descriptor >= 0) (void)fchmod(descriptor, 0600);  // one that was there may be wider
  return descriptor;
}

// In one piece, so that chats side by side do not mix lines; 0, or an error's number.
int write_and_close(int descriptor, const std::string& text) {
  const ssize_t written = write(descriptor, text.data(), text.size());
  const int failed = written < 0 ? errno : 0;
  close(descriptor);
  if (failed == 0 && static_cast<size_t>(written) < text.size()) return ENOSPC;
  return failed;
}

}  // namespace

std::string escape_history(std::string_view entry) {
  std::string line;
  for (const char c : entry) {
    if (c == '\n') {
      line += "\\n";
    } else if (c == '\r') {
      line += "\\r";
    } else if (c == '\\') {
      line += "\\\\";
    } else {
      line += c;
    }
  }
  return line;
}

std::string unescape_history(std::string_view line) {
  std::string entry;
  for (size_t i = 0; i < line.size(); ++i) {
    const char next = line[i] == '\\' && i + 1 < line.size() ? line[i + 1] : '\0';
    if (next == 'n' || next == 'r' || next == '\\') {
      entry += next == 'n' ? '\n' : next == 'r' ? '\r' : '\\';
      ++i;
    } else {
      entry += line[i];
    }
  }
  return entry;
}

fs::path history_file() {
  const char* state = std::getenv("XDG_STATE_HOME");
  if (state != nullptr && fs::path(state).is_absolute()) return fs::path(state) / "fathom/history";
  const char* home = std::getenv("HOME");
  if (home == nullptr || *home == '\0') return {};
  return fs::path(home) / ".local/state/fathom/history";
}

ChatHistory::ChatHistory(fs::path file) : file_(std::move(file)) {
  std::error_code ignored;
  if (file_.empty() || !fs::is_regular_file(file_, ignored)) return;
  const auto size = static_cast<size_t>(fs::file_size(file_, ignored));
  std::ifstream lines(file_, std::ios::binary);
  std::string line;
  if (size > kMaxBytes) {
    lines.seekg(static_cast<std::streamoff>(size - kMaxBytes));
    std::getline(lines, line);  // skips the rest of an entry that was cut at its beginning
  }
  while (std::getline(lines, line)) {
    if (!line.empty()) entries_.push_back(unescape_history(line));
  }
  const bool too_long = entries_.size() > 2 * kMaxEntries || size > 2 * kMaxBytes;
  if (entries_.size() > kMaxEntries) {
    entries_.erase(entries_.begin(), entries_.end() - static_cast<std::ptrdiff_t>(kMaxEntries));
  }
  if (too_long) write_anew();
}

Status ChatHistory::add(const std::string& entry) {
  if (!entries_.empty() && entries_.back() == entry) return {};
  entries_.push_back(entry);
  if (file_.empty() || entry.size() > kMaxEntryBytes) return {};
  const auto appended = append(entry);
  if (appended || std::exchange(told_, true)) return {};
  return appended.error();
}

Status ChatHistory::append(const std::string& entry) {
  std::error_code ignored;
  fs::create_directories(file_.parent_path(), ignored);  // if it fails, so does open()
  const int descriptor = open_private(file_, O_APPEND);
  const int failed =
      descriptor < 0 ? errno : write_and_close(descriptor, escape_history(entry) + "\n");
  if (failed == 0) return {};
  return Error{ErrorCode::kIo, fmt::format("the history is not kept: {}: {}", file_.string(),
                                           std::generic_category().message(failed))};
}

void ChatHistory::write_anew() const {
  const fs::path shorter = file_.string() + fmt::format(".{}", getpid());
  const int descriptor = open_private(shorter, O_TRUNC);
  if (descriptor < 0) return;  // the file stays long
  std::error_code ignored;
  if (write_and_close(descriptor, lines_of(entries_)) == 0) {
    fs::rename(shorter, file_, ignored);
  } else {
    fs::remove(shorter, ignored);
  }
}

}  // namespace fathom::cli
