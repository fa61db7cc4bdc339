#include "backends/cpu/host/host_info.h"

#include <algorithm>
#include <fstream>
#include <sstream>
#include <thread>

namespace fathom::cpu {
namespace {

// The text after "KEY<white space>:<white space>" in a file of such lines; "" if there is none.
std::string value_of(const char* path, const std::string& key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    const size_t colon = line.find(':');
    if (colon == std::string::npos || line.compare(0, key.size(), key) != 0) continue;
    const size_t begin = line.find_first_not_of(" \t", colon + 1);
    if (begin != std::string::npos) return line.substr(begin);
  }
  return {};
}

// A number at the start of the text; 0 where there is none ("max").
uint64_t number(const std::string& text) {
  std::istringstream stream(text);
  uint64_t value = 0;
  return stream >> value ? value : 0;
}

uint64_t number_in(const char* path) {
  std::ifstream file(path);
  std::string text;
  std::getline(file, text);
  return number(text);
}

}  // namespace

std::string processor_name() {
  std::string name = value_of("/proc/cpuinfo", "model name");
  return name.empty() ? "CPU" : name;
}

HostMemory host_memory() {
  HostMemory memory = {number(value_of("/proc/meminfo", "MemTotal")) * 1024,
                       number(value_of("/proc/meminfo", "MemAvailable")) * 1024};
  const uint64_t limit = number_in("/sys/fs/cgroup/memory.max");
  if (limit != 0 && limit < memory.total) {
    const uint64_t used = number_in("/sys/fs/cgroup/memory.current");
    memory.total = limit;
    memory.free = std::min(memory.free, limit - std::min(limit, used));
  }
  return memory;
}

int processor_count() {
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

}  // namespace fathom::cpu
