#include "ledger/sql/sqlite.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sqlite3.h>
#include <unistd.h>

#include <chrono>
#include <map>
#include <utility>

namespace fathom::ledger {

namespace {

constexpr int kBusyMilliseconds = 5000;
constexpr int kPause = 10;

struct CloseDatabase {
  void operator()(sqlite3* database) const { sqlite3_close_v2(database); }
};
struct EndStatement {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using Statement = std::unique_ptr<sqlite3_stmt, EndStatement>;

Trouble trouble_of(int code) {
  switch (code & 0xFF) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return Trouble::kRetry;
    case SQLITE_FULL:
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_NOMEM:
    case SQLITE_READONLY:
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return Trouble::kLost;
    default:
      return Trouble::kNone;
  }
}

class Sqlite final : public Connection {
 public:
  Sqlite(std::string path, sqlite3* database) : path_(std::move(path)), database_(database) {}

  Status prepare_connection() {
    sqlite3_extended_result_codes(database_.get(), 1);
    sqlite3_busy_timeout(database_.get(), kBusyMilliseconds);
    FATHOM_TRY(
        control("PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA trusted_schema=OFF"));
    return use_wal();
  }

  Result<Outcome> run(std::string_view sql, const std::vector<Value>& values) override {
    FATHOM_ASSIGN(sqlite3_stmt * statement, prepared(sql));
    Outcome outcome;
    const Status bound = bind(statement, values);
    int code = SQLITE_MISUSE;
    const int64_t before = sqlite3_total_changes64(database_.get());
    if (bound) {
      while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        outcome.rows.push_back(row(statement));
      }
    }
    outcome.changed = sqlite3_total_changes64(database_.get()) - before;
    const Error failure = code == SQLITE_DONE ? Error{} : error(code);
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    if (!bound) return bound.error();
    if (code != SQLITE_DONE) return failure;
    return outcome;
  }

  Status control(std::string_view sql) override {
    const std::string text(sql);
    const int code = sqlite3_exec(database_.get(), text.c_str(), nullptr, nullptr, nullptr);
    if (code != SQLITE_OK) return error(code);
    return {};
  }

  Status begin_write() override { return control("BEGIN IMMEDIATE"); }
  Status begin_read() override { return control("BEGIN"); }
  Status begin_exclusive() override { return control("BEGIN EXCLUSIVE"); }
  Status lock_schema() override { return {}; }  // the transaction is
  std::string_view locking() const override { return ""; }
  std::string_view identity() const override { return "INTEGER PRIMARY KEY AUTOINCREMENT"; }
  bool has_own_clock() const override { return false; }

  Result<int64_t> now() override {
    const auto since = std::chrono::system_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::microseconds>(since).count();
  }

 private:
  // Of several that open a new file at once SQLite refuses all but one, without waiting.
  Status use_wal() {
    Status done;
    for (int waited = 0; waited < kBusyMilliseconds; waited += kPause) {
      forget_trouble();
      done = control("PRAGMA journal_mode=WAL");
      if (trouble() != Trouble::kRetry) return done;
      sqlite3_sleep(kPause);
    }
    return done;
  }

  Error error(int code) {
    note(trouble_of(code));
    return {(code & 0xFF) == SQLITE_FULL ? ErrorCode::kResourceExhausted : ErrorCode::kIo,
            fmt::format("store {}: {}", path_, sqlite3_errmsg(database_.get()))};
  }

  Result<sqlite3_stmt*> prepared(std::string_view sql) {
    const auto found = statements_.find(sql);
    if (found != statements_.end()) return found->second.get();
    sqlite3_stmt* made = nullptr;
    const int code = sqlite3_prepare_v3(database_.get(), sql.data(), static_cast<int>(sql.size()),
                                        SQLITE_PREPARE_PERSISTENT, &made, nullptr);
    if (code != SQLITE_OK) return error(code);
    statements_.emplace(std::string(sql), Statement(made));
    return made;
  }

  Status bind(sqlite3_stmt* statement, const std::vector<Value>& values) {
    for (size_t i = 0; i < values.size(); ++i) {
      const std::string name = fmt::format("${}", i + 1);
      const int at = sqlite3_bind_parameter_index(statement, name.c_str());
      if (at == 0) continue;
      int code = SQLITE_OK;
      if (const auto* integer = std::get_if<int64_t>(&values[i])) {
        code = sqlite3_bind_int64(statement, at, *integer);
      } else if (const auto* string = std::get_if<std::string>(&values[i])) {
        code = sqlite3_bind_text64(statement, at, string->data(), string->size(), SQLITE_TRANSIENT,
                                   SQLITE_UTF8);
      }
      if (code != SQLITE_OK) return error(code);
    }
    return {};
  }

  static Row row(sqlite3_stmt* statement) {
    Row values;
    const int columns = sqlite3_column_count(statement);
    for (int i = 0; i < columns; ++i) {
      switch (sqlite3_column_type(statement, i)) {
        case SQLITE_INTEGER:
          values.emplace_back(static_cast<int64_t>(sqlite3_column_int64(statement, i)));
          break;
        case SQLITE_NULL:
          values.emplace_back();
          break;
        default: {
          const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(statement, i));
          const int size = sqlite3_column_bytes(statement, i);
          values.emplace_back(std::string(bytes, static_cast<size_t>(size)));
        }
      }
    }
    return values;
  }

  std::string path_;
  std::unique_ptr<sqlite3, CloseDatabase> database_;
  std::map<std::string, Statement, std::less<>> statements_;  // ended before the database is
};

// SQLite would make it for all to read, and its WAL takes the file's mode.
void make_private(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file >= 0) ::close(file);
}

}  // namespace

Result<std::unique_ptr<Connection>> open_sqlite(const std::string& path) {
  make_private(path);
  sqlite3* opened = nullptr;
  const int code =
      sqlite3_open_v2(path.c_str(), &opened,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  auto connection = std::make_unique<Sqlite>(path, opened);
  if (code != SQLITE_OK) {
    return Error{ErrorCode::kIo,
                 fmt::format("store {}: expected a file to open, got: {}", path,
                             opened == nullptr ? "no memory" : sqlite3_errmsg(opened))};
  }
  FATHOM_TRY(connection->prepare_connection());
  return std::unique_ptr<Connection>(std::move(connection));
}

}  // namespace fathom::ledger
