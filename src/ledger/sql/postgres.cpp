// The plug-in for PostgreSQL.
#include <fmt/format.h>
#include <libpq-fe.h>

#include <charconv>
#include <cstring>
#include <map>
#include <utility>

#include "ledger/sql/postgres_plug_in.h"

namespace fathom::ledger {

namespace {

// Types of columns, from PostgreSQL's catalogue, where they never change.
constexpr Oid kInt8 = 20;
constexpr Oid kInt2 = 21;
constexpr Oid kInt4 = 23;
// One number for the lock of migrations, the same in every version of Fathom.
constexpr const char* kSchemaLock = "SELECT pg_advisory_xact_lock(7021844605131)";
constexpr const char* kNow =
    "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)";
// A server that answers nothing any more is given up, instead of waited for.
constexpr const char* kPatience =
    "SET statement_timeout = '30s'; SET lock_timeout = '10s'; SET client_min_messages = warning;"
    "SET idle_in_transaction_session_timeout = '30s'";

struct EndConnection {
  void operator()(PGconn* connection) const { PQfinish(connection); }
};
struct ClearResult {
  void operator()(PGresult* result) const { PQclear(result); }
};
using ResultHandle = std::unique_ptr<PGresult, ClearResult>;

std::string one_line(const char* message) {
  std::string line = message == nullptr ? "" : message;
  while (!line.empty() && line.back() == '\n') line.pop_back();
  for (char& c : line) c = c == '\n' ? ' ' : c;
  return line;
}

bool is_conflict(std::string_view state) {
  // serialization_failure, deadlock_detected, lock_not_available, query_canceled (a timeout).
  return state == "40001" || state == "40P01" || state == "55P03" || state == "57014";
}

bool is_outage(std::string_view state) {
  // No memory or disk, an operator's shutdown, a broken connection, an input/output error.
  return state.starts_with("53") || state.starts_with("57P") || state.starts_with("08") ||
         state.starts_with("58");
}

class Postgres final : public Connection {
 public:
  explicit Postgres(PGconn* connection) : connection_(connection) {}

  Result<Outcome> run(std::string_view sql, const std::vector<Value>& values) override {
    FATHOM_ASSIGN(const std::string* name, prepared(sql));
    std::vector<std::string> numbers(values.size());
    std::vector<const char*> texts(values.size(), nullptr);
    for (size_t i = 0; i < values.size(); ++i) {
      if (const auto* integer = std::get_if<int64_t>(&values[i])) {
        numbers[i] = fmt::format("{}", *integer);
        texts[i] = numbers[i].c_str();
      } else if (const auto* string = std::get_if<std::string>(&values[i])) {
        texts[i] = string->c_str();
      }
    }
    const ResultHandle result(PQexecPrepared(connection_.get(), name->c_str(),
                                             static_cast<int>(values.size()), texts.data(), nullptr,
                                             nullptr, 0));
    const ExecStatusType status = PQresultStatus(result.get());
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) return error(result.get());
    return outcome(result.get());
  }

  Status control(std::string_view sql) override {
    const std::string text(sql);
    const ResultHandle result(PQexec(connection_.get(), text.c_str()));
    const ExecStatusType status = PQresultStatus(result.get());
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) return error(result.get());
    // A COMMIT of a transaction that has failed answers so, and as a success.
    if (sql == "COMMIT" && std::strcmp(PQcmdStatus(result.get()), "COMMIT") != 0) {
      note(Trouble::kRetry);
      return Error{ErrorCode::kIo, "store: expected COMMIT, got ROLLBACK"};
    }
    return {};
  }

  Status begin_write() override { return control("BEGIN"); }
  Status begin_read() override {
    return control("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
  }
  Status begin_exclusive() override { return control("BEGIN"); }
  Status lock_schema() override { return control(kSchemaLock); }
  std::string_view locking() const override { return " FOR UPDATE"; }
  std::string_view identity() const override {
    return "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY";
  }
  bool has_own_clock() const override { return true; }

  Result<int64_t> now() override {
    FATHOM_ASSIGN(const Outcome found, run(kNow, {}));
    return std::get<int64_t>(found.rows.at(0).at(0));
  }

 private:
  Error error(const PGresult* result) {
    const char* code = result == nullptr ? nullptr : PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const std::string_view state = code == nullptr ? "" : code;
    if (PQstatus(connection_.get()) != CONNECTION_OK || state.empty() || is_outage(state)) {
      note(Trouble::kLost);
    } else if (is_conflict(state)) {
      note(Trouble::kRetry);
    }
    return {ErrorCode::kIo, "store: PostgreSQL: " + one_line(PQerrorMessage(connection_.get()))};
  }

  Result<const std::string*> prepared(std::string_view sql) {
    const auto found = names_.find(sql);
    if (found != names_.end()) return &found->second;
    const std::string name = fmt::format("s{}", names_.size());
    const std::string text(sql);
    const ResultHandle result(PQprepare(connection_.get(), name.c_str(), text.c_str(), 0, nullptr));
    if (PQresultStatus(result.get()) != PGRES_COMMAND_OK) return error(result.get());
    return &names_.emplace(text, name).first->second;
  }

  static Outcome outcome(const PGresult* result) {
    Outcome made;
    const int columns = PQnfields(result);
    for (int r = 0; r < PQntuples(result); ++r) {
      Row values;
      for (int c = 0; c < columns; ++c) values.push_back(value(result, r, c));
      made.rows.push_back(std::move(values));
    }
    const char* changed = PQcmdTuples(const_cast<PGresult*>(result));
    std::from_chars(changed, changed + std::strlen(changed), made.changed);
    return made;
  }

  static Value value(const PGresult* result, int row, int column) {
    if (PQgetisnull(result, row, column) != 0) return {};
    const char* bytes = PQgetvalue(result, row, column);
    const auto size = static_cast<size_t>(PQgetlength(result, row, column));
    const Oid type = PQftype(result, column);
    if (type != kInt8 && type != kInt4 && type != kInt2) return std::string(bytes, size);
    int64_t integer = 0;
    std::from_chars(bytes, bytes + size, integer);
    return integer;
  }

  std::unique_ptr<PGconn, EndConnection> connection_;
  std::map<std::string, std::string, std::less<>> names_;  // of prepared statements, by text
};

Result<std::unique_ptr<Connection>> connect(const std::string& url) {
  // What the URL says counts above these.
  const char* names[] = {"connect_timeout",
                         "keepalives_idle",
                         "tcp_user_timeout",
                         "client_encoding",
                         "application_name",
                         "dbname",
                         nullptr};
  const char* values[] = {"5", "10", "15000", "UTF8", "fathom", url.c_str(), nullptr};
  PGconn* opened = PQconnectdbParams(names, values, 1);
  if (opened == nullptr) return Error{ErrorCode::kResourceExhausted, "store: no memory"};
  auto connection = std::make_unique<Postgres>(opened);
  if (PQstatus(opened) != CONNECTION_OK) {
    return Error{ErrorCode::kUnavailable,
                 "store: expected PostgreSQL to answer, got: " + one_line(PQerrorMessage(opened))};
  }
  FATHOM_TRY(connection->control(kPatience));
  return std::unique_ptr<Connection>(std::move(connection));
}

}  // namespace

}  // namespace fathom::ledger

extern "C" const fathom::ledger::PostgresPlugIn* fathom_postgres_entry() {
  static const fathom::ledger::PostgresPlugIn plug_in{fathom::ledger::kPostgresVersion,
                                                      fathom::ledger::connect};
  return &plug_in;
}
