#include "comm/local_ranks.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <charconv>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <utility>

namespace fathom::comm {

namespace fs = std::filesystem;

namespace {

constexpr size_t kLongestFile = 1 << 20;  // an environment may be as long as that, and longer

std::string program_of(pid_t pid) {
  std::error_code failed;
  return fs::read_symlink(fmt::format("/proc/{}/exe", pid), failed).string();
}

// What can be read of it: the process that it is about may end meanwhile. Streams throw then.
std::string read_file(const std::string& path) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  std::string text;
  char part[4096];
  ssize_t got = 0;
  while (file >= 0 && text.size() < kLongestFile && (got = read(file, part, sizeof(part))) > 0) {
    text.append(part, static_cast<size_t>(got));
  }
  if (file >= 0) close(file);
  return text;
}

std::optional<int> parse_number(std::string_view text) {
  int value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) return std::nullopt;
  return value;
}

struct ProcessLine {
  char state = '\0';  // no process
  pid_t parent = 0;
};

// What /proc/PID/stat tells behind the name in brackets.
ProcessLine process_line(pid_t pid) {
  const std::string stat = read_file(fmt::format("/proc/{}/stat", pid));
  ProcessLine line;
  const size_t bracket = stat.rfind(')');
  if (bracket != std::string::npos) {
    std::sscanf(stat.c_str() + bracket + 1, " %c %d", &line.state, &line.parent);
  }
  return line;
}

bool readable(int descriptor) {
  pollfd query = {descriptor, POLLIN, 0};
  return poll(&query, 1, 0) == 1;
}

int open_process(pid_t pid) {
  return static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
}

}  // namespace

LocalRanks::LocalRanks(Launch launch)
    : launch_(std::move(launch)), program_(program_of(getpid())) {}

LocalRanks::~LocalRanks() {
  for (const auto& [rank, process] : processes_) {
    if (process.descriptor >= 0) close(process.descriptor);
  }
}

std::optional<int> LocalRanks::rank_of(pid_t pid) const {
  if (program_of(pid) != program_) return std::nullopt;
  const std::string environment = read_file(fmt::format("/proc/{}/environ", pid));
  bool same_job = false;
  std::optional<int> rank;
  for (size_t begin = 0; begin < environment.size();) {
    const size_t end = std::min(environment.find('\0', begin), environment.size());
    const std::string_view entry = std::string_view(environment).substr(begin, end - begin);
    const std::string prefix = launch_.rank_variable + "=";
    if (entry == launch_.job) same_job = true;
    if (entry.starts_with(prefix)) rank = parse_number(entry.substr(prefix.size()));
    begin = end + 1;
  }
  const bool valid = same_job && rank && *rank >= 0 && *rank < launch_.size;
  return valid ? rank : std::nullopt;
}

std::optional<int> LocalRanks::other_rank_of(pid_t pid) const {
  const auto rank = rank_of(pid);
  if (!rank || *rank == launch_.rank) return std::nullopt;
  // What a rank starts looks like the rank for a moment.
  if (rank_of(process_line(pid).parent) == rank) return std::nullopt;
  return rank;
}

void LocalRanks::search() {
  if (launch_.job.empty()) return;
  if (static_cast<int>(processes_.size()) + 1 == launch_.local_size) return;
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator("/proc", failed)) {
    const auto pid = parse_number(entry.path().filename().string());
    if (!pid) continue;
    const auto rank = other_rank_of(*pid);
    if (!rank || processes_.count(*rank) > 0) continue;
    const int descriptor = open_process(*pid);
    // The number may have gone to another process between the two looks.
    if (other_rank_of(*pid) == rank) {
      processes_[*rank] = {*pid, descriptor};
    } else if (descriptor >= 0) {
      close(descriptor);
    }
  }
}

std::map<int, pid_t> LocalRanks::found() const {
  std::map<int, pid_t> all;
  for (const auto& [rank, process] : processes_) all[rank] = process.pid;
  return all;
}

ProcessState LocalRanks::state(int rank) const {
  const auto found = processes_.find(rank);
  if (found == processes_.end()) return ProcessState::kRunning;
  const Process& process = found->second;
  if (process.descriptor >= 0 && readable(process.descriptor)) return ProcessState::kEnded;
  switch (process_line(process.pid).state) {
    case '\0':
    case 'Z':
    case 'X':
      return ProcessState::kEnded;
    case 'T':
    case 't':
      return ProcessState::kStopped;
    default:
      return ProcessState::kRunning;
  }
}

void LocalRanks::wake() {
  for (const auto& [rank, process] : processes_) {
    if (state(rank) == ProcessState::kStopped) kill(process.pid, SIGCONT);
  }
}

std::vector<int> LocalRanks::end_descriptors() const {
  std::vector<int> all;
  for (const auto& [rank, process] : processes_) {
    if (process.descriptor >= 0) all.push_back(process.descriptor);
  }
  return all;
}

}  // namespace fathom::comm
