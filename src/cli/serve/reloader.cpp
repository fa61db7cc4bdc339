#include "cli/serve/reloader.h"

#include <sys/stat.h>

#include <new>

#include "base/log.h"

namespace fathom::cli {

void Reloader::add(std::string name, std::vector<std::filesystem::path> files,
                   std::function<Status()> reload) {
  Entry entry = {std::move(name), std::move(files), std::move(reload), {}};
  entry.seen = stamps(entry);
  entries_.push_back(std::move(entry));
}

std::vector<Reloader::Stamp> Reloader::stamps(const Entry& entry) {
  std::vector<Stamp> all;
  for (const auto& file : entry.files) {
    struct stat status = {};
    Stamp stamp;
    if (stat(file.c_str(), &status) == 0) {
      stamp = {int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec,
               status.st_ino, status.st_size};
    }
    all.push_back(stamp);
  }
  return all;
}

void Reloader::run(Entry& entry) {
  Status done;
  try {
    done = entry.reload();
  } catch (const std::bad_alloc&) {
    done = Error{ErrorCode::kUnavailable, "out of memory"};
  }
  if (!done) {
    log_error("{}: kept as they were: {}", entry.name, done.error().message);
  } else {
    log_info("{}: read again", entry.name);
  }
}

void Reloader::check() {
  for (Entry& entry : entries_) {
    auto now = stamps(entry);
    if (now == entry.seen) continue;
    entry.seen = std::move(now);
    run(entry);
  }
}

void Reloader::force() {
  for (Entry& entry : entries_) {
    entry.seen = stamps(entry);
    run(entry);
  }
}

}  // namespace fathom::cli
