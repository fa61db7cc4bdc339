#include "comm/launcher_guard.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <string>
#include <string_view>

namespace fathom::comm {
namespace {

// For 5 s: mpirun kills the other ranks within two, and what it does then takes milliseconds.
constexpr const char* kScript = R"(
  read -r told && exit
  tenths=50
  while [ $tenths -gt 0 ]; do
    sleep 0.1
    kill -0 "$1" || exit
    tenths=$((tenths - 1))
  done
  kill -KILL "$1"
)";

bool launches_ranks(pid_t pid) {
  constexpr std::array<std::string_view, 6> kLauncherNames = {"mpirun", "mpiexec", "orterun",
                                                              "orted",  "prterun", "prted"};
  std::ifstream file(fmt::format("/proc/{}/comm", pid));
  std::string name;
  std::getline(file, name);
  return std::ranges::find(kLauncherNames, name) != kLauncherNames.end();
}

}  // namespace

LauncherGuard::LauncherGuard() {
  const pid_t launcher = getppid();
  int ends[2];
  if (!launches_ranks(launcher) || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    return;
  }

  // Nothing of this process is kept: mpirun waits until all have closed a rank's output, and finds
  // what to kill by process group, the watch of other ranks by program and environment.
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_adddup2(&files, ends[0], STDIN_FILENO);
  posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);

  std::string shell = "sh";
  std::string option = "-c";
  std::string script = kScript;
  std::string name = "fathom-launcher-guard";
  std::string pid = std::to_string(launcher);
  char* arguments[] = {shell.data(), option.data(), script.data(),
                       name.data(),  pid.data(),    nullptr};
  char path[] = "PATH=/usr/bin:/bin";
  char* environment[] = {path, nullptr};
  if (posix_spawn(&guard_, "/bin/sh", &files, &attributes, arguments, environment) != 0) guard_ = 0;
  posix_spawn_file_actions_destroy(&files);
  posix_spawnattr_destroy(&attributes);
  close(ends[0]);
  word_ = ends[1];
}

void LauncherGuard::stand_down() {
  if (word_ < 0) return;
  send(word_, "\n", 1, MSG_NOSIGNAL);  // fails where there is no guard any more
  close(word_);
  word_ = -1;
  if (guard_ != 0) waitpid(guard_, nullptr, 0);
}

}  // namespace fathom::comm
