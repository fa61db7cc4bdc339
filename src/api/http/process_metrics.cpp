#include "api/http/process_metrics.h"

#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <system_error>

namespace fathom::api {

namespace {

prometheus::Gauge& process_gauge(prometheus::Registry& registry, const char* name,
                                 const char* help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry).Add({});
}

double seconds_of(clockid_t clock) {
  timespec now = {};
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

// Since 1970.
std::optional<double> start_time() {
  std::ifstream file("/proc/self/stat");
  std::string text;
  std::getline(file, text);
  // Behind the program's name, which may hold anything, come fields 3 and on; 22 is in clock ticks
  // since the machine was started.
  constexpr int kSkipped = 22 - 3;
  const size_t name_end = text.rfind(')');
  if (name_end == text.npos) return std::nullopt;
  std::istringstream fields(text.substr(name_end + 1));
  std::string skipped;
  for (int i = 0; i < kSkipped; ++i) fields >> skipped;
  double ticks = 0;
  if (!(fields >> ticks)) return std::nullopt;
  const double since_boot = ticks / static_cast<double>(sysconf(_SC_CLK_TCK));
  return seconds_of(CLOCK_REALTIME) - seconds_of(CLOCK_BOOTTIME) + since_boot;
}

std::optional<int64_t> open_descriptors() {
  std::error_code failed;
  int64_t count = 0;
  for (std::filesystem::directory_iterator each("/proc/self/fd", failed), end;
       !failed && each != end; each.increment(failed)) {
    ++count;
  }
  if (failed || count == 0) return std::nullopt;
  return count - 1;  // the one that is open to count them
}

}  // namespace

ProcessMetrics::ProcessMetrics(prometheus::Registry& registry)
    : resident_bytes_(process_gauge(registry, "process_resident_memory_bytes",
                                    "Memory that the process holds, pages of files included.")),
      virtual_bytes_(process_gauge(registry, "process_virtual_memory_bytes",
                                   "Addresses that the process has.")),
      open_descriptors_(process_gauge(registry, "process_open_fds", "Open file descriptors.")),
      max_descriptors_(
          process_gauge(registry, "process_max_fds", "File descriptors that it may have.")),
      start_time_(process_gauge(registry, "process_start_time_seconds",
                                "When the process began, in seconds since 1970.")),
      processor_seconds_(prometheus::BuildCounter()
                             .Name("process_cpu_seconds_total")
                             .Help("Processor time of all threads.")
                             .Register(registry)
                             .Add({})) {
  if (const auto start = start_time()) start_time_.Set(*start);
}

void ProcessMetrics::refresh() {
  std::ifstream file("/proc/self/statm");
  double virtual_pages = 0;
  double resident_pages = 0;
  if (file >> virtual_pages >> resident_pages) {
    const auto page = static_cast<double>(sysconf(_SC_PAGESIZE));
    virtual_bytes_.Set(virtual_pages * page);
    resident_bytes_.Set(resident_pages * page);
  }
  if (const auto open = open_descriptors()) open_descriptors_.Set(static_cast<double>(*open));
  rlimit limit = {};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    max_descriptors_.Set(static_cast<double>(limit.rlim_cur));
  }
  const double spent = seconds_of(CLOCK_PROCESS_CPUTIME_ID) - processor_seconds_.Value();
  if (spent > 0) processor_seconds_.Increment(spent);
}

}  // namespace fathom::api
