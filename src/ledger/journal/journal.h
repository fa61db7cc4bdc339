// What must not be lost between the end of an answer and the store: an append-only journal on a
// disk of the gateway's own. A settlement is on the disk before the last event of its answer
// leaves.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"
#include "ledger/journal/journal_file.h"

namespace fathom::ledger {

struct JournalOptions {
  size_t file_bytes = size_t{16} << 20;  // then another file begins
  std::function<int(int)> sync = {};     // instead of fdatasync(); for tests
};

// Settlements lie in files journal-N of a folder. A file goes when another has begun and all of it
// is in the store.
class Journal {
 public:
  // Names the file of a settlement, for recorded().
  using Ticket = uint64_t;
  struct Left {
    Settlement settlement;
    Ticket ticket = 0;
  };

  // Makes the folder where there is none. kUnavailable where another process uses it. A file with
  // damage is kept as FILE.damaged, and its whole settlements count.
  static Result<std::unique_ptr<Journal>> open(const std::filesystem::path& folder,
                                               JournalOptions options = {});
  ~Journal();  // writes what waits

  // What earlier processes wrote and the store may not have; once.
  std::vector<Left> take_left() { return std::move(left_); }

  // Calls `done` on the journal's thread, when the settlement is on the disk, or with kIo or
  // kResourceExhausted (a full disk). After an error the bytes may be on the disk all the same: the
  // caller releases the request in the store, after which no replay can charge it.
  using Done = std::function<void(Result<Ticket>)>;
  void append(Settlement settlement, Done done);

  // The store has it.
  void recorded(Ticket ticket);

 private:
  struct Waiting {
    std::string bytes;
    Done done;
  };
  // A file, open while it is the last one.
  struct File {
    std::filesystem::path path;
    size_t bytes = 0;         // that are on the disk
    size_t not_recorded = 0;  // settlements that the store has not
  };

  explicit Journal(std::filesystem::path folder, JournalOptions options);
  Status lock();
  Status read_earlier();
  Status read_file(Ticket number, const std::filesystem::path& path);
  void loop();
  void write_group(std::vector<Waiting> group);
  Result<Ticket> write(const std::string& bytes, size_t settlements);
  Status begin_file();
  void end_file();
  void remove_if_done(Ticket number);

  const std::filesystem::path folder_;
  const JournalOptions options_;
  std::vector<Left> left_;
  int lock_ = -1;
  int file_ = -1;  // the last one, of the journal's thread

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Waiting> waiting_;
  std::map<Ticket, File> files_;
  Ticket last_ = 0;
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace fathom::ledger
