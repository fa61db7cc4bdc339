// One connection to a store, in the little SQL that SQLite and PostgreSQL share.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"

namespace fathom::ledger {

using Value = std::variant<std::monostate, int64_t, std::string>;  // NULL, BIGINT, TEXT
using Row = std::vector<Value>;

// 0 and "" where the column is NULL or of the other kind.
int64_t number(const Value& value);
const std::string& text(const Value& value);

struct Outcome {
  std::vector<Row> rows;
  int64_t changed = 0;  // rows inserted, updated or deleted
};

// What an error says about the transaction and the connection.
enum class Trouble {
  kNone,   // the statement is at fault, or a constraint refused it
  kRetry,  // a dead-lock, a conflict: the transaction is lost, and doing it again may work
  kLost,   // the server is gone, or the disk fails: connect again before anything else
};

// Used by one thread at a time.
class Connection {
 public:
  virtual ~Connection() = default;

  // One statement, prepared when it is first seen and kept, with $1, $2, ... for the values.
  virtual Result<Outcome> run(std::string_view sql, const std::vector<Value>& values = {}) = 0;
  // Statements without values or rows, never prepared: transactions and tables.
  virtual Status control(std::string_view sql) = 0;

  virtual Status begin_write() = 0;  // holds what keeps other writers from the same rows
  virtual Status begin_read() = 0;   // sees one state of the store to its end
  // The store's clock, microseconds since 1970.
  virtual Result<int64_t> now() = 0;
  // Only one holder at a time, over all processes, until the transaction ends. For migrations.
  virtual Status lock_schema() = 0;
  virtual Status begin_exclusive() = 0;

  // What makes a SELECT hold its rows until the transaction ends: " FOR UPDATE", or nothing where a
  // transaction that writes has the store to itself.
  virtual std::string_view locking() const = 0;
  // The type of a column that counts up by itself.
  virtual std::string_view identity() const = 0;
  virtual bool has_own_clock() const = 0;  // a clock other than this machine's

  Trouble trouble() const { return trouble_; }
  void forget_trouble() { trouble_ = Trouble::kNone; }

 protected:
  // The worst since forget_trouble().
  void note(Trouble trouble) {
    if (trouble > trouble_) trouble_ = trouble;
  }

 private:
  Trouble trouble_ = Trouble::kNone;
};

using Connect = std::function<Result<std::unique_ptr<Connection>>()>;

}  // namespace fathom::ledger
