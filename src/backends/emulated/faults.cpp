#include "backends/emulated/faults.h"

#include <fmt/format.h>

#include <mutex>
#include <set>
#include <string_view>

namespace fathom::emulated {
namespace {

std::mutex fault_mutex;
std::string dropped_file;
std::set<std::string> seen;

std::string_view name_of(const char* path) {
  const std::string_view text = path;
  return text.substr(text.rfind('/') + 1);
}

}  // namespace

void drop_barrier(const std::string& file, int line) {
  const std::lock_guard lock(fault_mutex);
  dropped_file = file;
  faults::dropped_line = line;
}

bool faults::is_dropped_file(const char* file) {
  const std::lock_guard lock(fault_mutex);
  return dropped_file == name_of(file);
}

void note_barrier(const Site& site) {
  thread_local Site last = {};
  if (site == last) return;
  last = site;
  const std::lock_guard lock(fault_mutex);
  seen.insert(fmt::format("{}:{}", name_of(site.file), site.line));
}

std::vector<std::string> barriers_seen() {
  const std::lock_guard lock(fault_mutex);
  return {seen.begin(), seen.end()};
}

}  // namespace fathom::emulated
