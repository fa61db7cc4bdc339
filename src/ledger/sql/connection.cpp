#include "ledger/sql/connection.h"

namespace fathom::ledger {

int64_t number(const Value& value) {
  const auto* held = std::get_if<int64_t>(&value);
  return held == nullptr ? 0 : *held;
}

const std::string& text(const Value& value) {
  static const std::string empty;
  const auto* held = std::get_if<std::string>(&value);
  return held == nullptr ? empty : *held;
}

}  // namespace fathom::ledger
