// Reads files again when they change, or when told to.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"

namespace fathom::cli {

class Reloader {
 public:
  // `reload` runs when one of `files` is another than before. It logs as "NAME: ...".
  void add(std::string name, std::vector<std::filesystem::path> files,
           std::function<Status()> reload);

  // Looks at all files. A file that is written in place may be seen half-way; it is looked at again
  // once it has changed again.
  void check();
  // Reloads everything.
  void force();

 private:
  // Identifies one version of a file.
  struct Stamp {
    int64_t modified_ns = 0;
    uint64_t inode = 0;
    int64_t bytes = 0;
    bool operator==(const Stamp&) const = default;
  };
  struct Entry {
    std::string name;
    std::vector<std::filesystem::path> files;
    std::function<Status()> reload;
    std::vector<Stamp> seen;
  };

  static std::vector<Stamp> stamps(const Entry& entry);
  static void run(Entry& entry);

  std::vector<Entry> entries_;
};

}  // namespace fathom::cli
