// A PostgreSQL of the test's own, in a temporary folder, on a Unix socket. It ends with the
// process.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>

namespace fathom::ledger {

class PostgresServer {
 public:
  // The process's one, started at first. Fails the test, with what to install, where there is none.
  static PostgresServer& instance();

  // The URL of a new, empty database; "" where the server does not run.
  std::string new_database();
  // Ends all its processes at once, as a crash does.
  void crash();
  void start();

  ~PostgresServer();

 private:
  PostgresServer();
  std::string url(const std::string& database) const;

  std::filesystem::path binaries_;
  std::filesystem::path folder_;
  pid_t process_ = -1;
  int databases_ = 0;
};

}  // namespace fathom::ledger
