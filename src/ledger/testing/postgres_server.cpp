#include "ledger/testing/postgres_server.h"

#include <fmt/format.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "ledger/sql/connector.h"

namespace fathom::ledger {

namespace fs = std::filesystem;

namespace {

fs::path find_binaries() {
  std::error_code failed;
  for (const auto& version : fs::directory_iterator("/usr/lib/postgresql", failed)) {
    if (fs::exists(version.path() / "bin" / "postgres")) return version.path() / "bin";
  }
  return {};
}

// PostgreSQL refuses to run as root.
void become_ordinary() {
  if (getuid() != 0) return;
  const passwd* nobody = getpwnam("nobody");
  if (nobody == nullptr || setgroups(0, nullptr) != 0 || setgid(nobody->pw_gid) != 0 ||
      setuid(nobody->pw_uid) != 0) {
    _exit(126);
  }
}

pid_t spawn(const fs::path& folder, const std::vector<std::string>& command) {
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  const std::string log = (folder / "log").string();
  const pid_t child = fork();
  if (child != 0) return child;
  become_ordinary();
  prctl(PR_SET_PDEATHSIG, SIGQUIT);
  if (freopen(log.c_str(), "a", stdout) == nullptr || dup2(1, 2) < 0 || chdir("/") != 0) _exit(125);
  execv(arguments[0], arguments.data());
  _exit(127);
}

bool ends_well(pid_t process) {
  int status = 0;
  return waitpid(process, &status, 0) == process && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace

PostgresServer& PostgresServer::instance() {
  static PostgresServer server;
  return server;
}

PostgresServer::PostgresServer() : binaries_(find_binaries()) {
  if (binaries_.empty()) {
    ADD_FAILURE() << "expected PostgreSQL's server: apt-get install postgresql";
    return;
  }
  std::string name = "/tmp/fathom-postgres-XXXXXX";
  if (mkdtemp(name.data()) == nullptr) return;
  folder_ = name;
  fs::permissions(folder_, fs::perms::all);
  const std::string data = (folder_ / "data").string();
  const pid_t made = spawn(folder_, {(binaries_ / "initdb").string(), "-D", data, "-U", "fathom",
                                     "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C"});
  EXPECT_TRUE(ends_well(made)) << "initdb failed, see " << folder_ / "log";
  start();
}

PostgresServer::~PostgresServer() {
  if (process_ > 0) crash();
  std::error_code failed;
  if (!folder_.empty()) fs::remove_all(folder_, failed);
}

void PostgresServer::start() {
  process_ = spawn(folder_, {(binaries_ / "postgres").string(), "-D", (folder_ / "data").string(),
                             "-k", folder_.string(), "-c", "listen_addresses=", "-c", "fsync=off",
                             "-c", "deadlock_timeout=50ms"});
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(120);
  Result<Connect> connect = connector(url("postgres"));
  ASSERT_TRUE(connect) << connect.error().message;
  while (!(*connect)()) {
    ASSERT_LT(std::chrono::steady_clock::now(), until) << "see " << folder_ / "log";
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

void PostgresServer::crash() {
  kill(process_, SIGQUIT);
  waitpid(process_, nullptr, 0);
  process_ = -1;
}

std::string PostgresServer::url(const std::string& database) const {
  return fmt::format("postgresql:///{}?host={}&user=fathom", database, folder_.string());
}

std::string PostgresServer::new_database() {
  if (process_ < 0) return "";
  Result<Connect> connect = connector(url("postgres"));
  if (!connect) return "";
  auto connection = (*connect)();
  if (!connection) return "";
  const std::string name = fmt::format("shop{}", databases_++);
  const Status made = (*connection)->control("CREATE DATABASE " + name);
  EXPECT_TRUE(made);
  return made ? url(name) : "";
}

}  // namespace fathom::ledger
