#include "ledger/journal/journal.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <fstream>
#include <iterator>
#include <system_error>
#include <utility>

#include "base/log.h"

namespace fathom::ledger {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kPrefix = "journal-";

Error io_error(const fs::path& path, const char* what) {
  const int code = errno;
  const bool full = code == ENOSPC || code == EDQUOT || code == EFBIG;
  return {full ? ErrorCode::kResourceExhausted : ErrorCode::kIo,
          fmt::format("journal {}: {}: {}", path.string(), what,
                      std::generic_category().message(code))};
}

// The number of a file of the journal; 0 for others.
uint64_t number_of(const fs::path& path) {
  const std::string name = path.filename().string();
  if (!name.starts_with(kPrefix)) return 0;
  uint64_t number = 0;
  const char* end = name.data() + name.size();
  const auto [stopped, error] = std::from_chars(name.data() + kPrefix.size(), end, number);
  return error == std::errc() && stopped == end ? number : 0;
}

// A new file is there after a crash only once its folder is on the disk.
Status sync_folder(const fs::path& folder) {
  const int opened = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (opened < 0) return io_error(folder, "open");
  const int synced = ::fsync(opened);
  const Status status = synced == 0 ? Status() : Status(io_error(folder, "fsync"));
  ::close(opened);
  return status;
}

bool write_all(int file, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return true;
}

}  // namespace

Journal::Journal(fs::path folder, JournalOptions options)
    : folder_(std::move(folder)), options_(std::move(options)) {}

Result<std::unique_ptr<Journal>> Journal::open(const fs::path& folder, JournalOptions options) {
  if (!options.sync) options.sync = ::fdatasync;
  std::unique_ptr<Journal> journal(new Journal(folder, std::move(options)));
  FATHOM_TRY(journal->lock());
  FATHOM_TRY(journal->read_earlier());
  FATHOM_TRY(journal->begin_file());
  journal->thread_ = std::thread([raw = journal.get()] { raw->loop(); });
  return journal;
}

Journal::~Journal() {
  if (thread_.joinable()) {
    {
      const std::lock_guard held(mutex_);
      ending_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  end_file();
  if (lock_ >= 0) ::close(lock_);
}

Status Journal::lock() {
  std::error_code failed;
  fs::create_directories(folder_, failed);
  const fs::path path = folder_ / "lock";
  lock_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock_ < 0) return io_error(path, "open");
  if (::flock(lock_, LOCK_EX | LOCK_NB) == 0) return {};
  return Error{ErrorCode::kUnavailable,
               fmt::format("journal {}: expected a folder that no other process uses: give each "
                           "gateway its own",
                           folder_.string())};
}

Status Journal::read_earlier() {
  std::error_code failed;
  std::map<Ticket, fs::path> found;
  for (const auto& file : fs::directory_iterator(folder_, failed)) {
    if (const Ticket number = number_of(file.path()); number > 0) found[number] = file.path();
  }
  if (failed) {
    return Error{ErrorCode::kIo, fmt::format("journal {}: {}", folder_.string(), failed.message())};
  }
  for (const auto& item : found) FATHOM_TRY(read_file(item.first, item.second));
  return {};
}

Status Journal::read_file(Ticket number, const fs::path& path) {
  std::ifstream stream(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  if (!stream.is_open() || stream.bad()) {
    errno = EIO;
    return io_error(path, "read");
  }
  JournalContents contents = decode(bytes);
  if (contents.damaged_bytes > 0) {
    const fs::path kept = path.string() + ".damaged";
    std::error_code failed;
    fs::copy_file(path, kept, fs::copy_options::overwrite_existing, failed);
    log_warning("journal {}: {} bytes are no whole settlements, kept in {}", path.string(),
                contents.damaged_bytes, kept.string());
  }
  files_[number] = {path, bytes.size(), contents.whole.size()};
  last_ = number;
  for (Settlement& settlement : contents.whole) left_.push_back({std::move(settlement), number});
  return {};
}

void Journal::append(Settlement settlement, Done done) {
  {
    const std::lock_guard held(mutex_);
    waiting_.push_back({encode(settlement), std::move(done)});
  }
  changed_.notify_one();
}

void Journal::recorded(Ticket ticket) {
  const std::lock_guard held(mutex_);
  const auto found = files_.find(ticket);
  if (found == files_.end() || found->second.not_recorded == 0) return;
  --found->second.not_recorded;
  remove_if_done(ticket);
}

void Journal::remove_if_done(Ticket number) {
  const auto found = files_.find(number);
  if (number == last_ || found->second.not_recorded > 0) return;
  std::error_code failed;  // a file that stays is replayed, which changes nothing
  fs::remove(found->second.path, failed);
  files_.erase(found);
}

void Journal::loop() {
  while (true) {
    std::vector<Waiting> group;
    {
      std::unique_lock held(mutex_);
      changed_.wait(held, [this] { return ending_ || !waiting_.empty(); });
      if (waiting_.empty()) return;
      std::swap(group, waiting_);
    }
    write_group(std::move(group));
  }
}

void Journal::write_group(std::vector<Waiting> group) {
  std::string bytes;
  for (const Waiting& one : group) bytes += one.bytes;
  const Result<Ticket> written = write(bytes, group.size());
  if (!written) log_error("{}", written.error().message);
  for (Waiting& one : group) one.done(written);
}

Result<Journal::Ticket> Journal::write(const std::string& bytes, size_t settlements) {
  if (file_ < 0) FATHOM_TRY(begin_file());
  std::unique_lock held(mutex_);
  const Ticket number = last_;
  const size_t good = files_[number].bytes;
  const fs::path path = files_[number].path;
  held.unlock();
  if (!write_all(file_, bytes)) {
    const Error error = io_error(path, "write");
    // A beginning of it would be damage, and what follows must not follow that.
    if (::ftruncate(file_, static_cast<off_t>(good)) != 0) end_file();
    return error;
  }
  if (options_.sync(file_) != 0) {
    const Error error = io_error(path, "fdatasync");
    // What a later call of it would say of this file means nothing: only a new one is trusted.
    if (::ftruncate(file_, static_cast<off_t>(good)) != 0) log_warning("{}", error.message);
    end_file();
    return error;
  }
  held.lock();
  File& file = files_[number];
  file.bytes += bytes.size();
  file.not_recorded += settlements;
  const bool full = file.bytes >= options_.file_bytes;
  held.unlock();
  if (full) end_file();
  return number;
}

Status Journal::begin_file() {
  const std::lock_guard held(mutex_);
  const Ticket number = last_ + 1;
  const fs::path path = folder_ / fmt::format("{}{:010}", kPrefix, number);
  // O_APPEND: after a truncated write the next one follows what is good.
  const int opened = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
  if (opened < 0) return io_error(path, "open");
  if (Status synced = sync_folder(folder_); !synced) {
    ::close(opened);
    ::unlink(path.c_str());
    return synced;
  }
  file_ = opened;
  const Ticket before = std::exchange(last_, number);
  files_[number] = {path, 0, 0};
  if (files_.count(before) > 0) remove_if_done(before);
  return {};
}

void Journal::end_file() {
  if (file_ >= 0) ::close(std::exchange(file_, -1));
}

}  // namespace fathom::ledger
