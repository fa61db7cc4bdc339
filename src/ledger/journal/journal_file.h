// How settlements lie in a file of the journal.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "ledger/money/money.h"

namespace fathom::ledger {

// A request that is over, and what it used.
struct Settlement {
  std::string request;
  Tokens used;

  friend bool operator==(const Settlement&, const Settlement&) = default;
};

// A mark, the length of the text, the first half of the SHA-256 of both, the text.
std::string encode(const Settlement& settlement);

struct JournalContents {
  std::vector<Settlement> whole;
  size_t damaged_bytes = 0;  // between and behind them: a write that a crash cut off, or a bad disk
};

// Every whole settlement, also behind damage: what was written at once need not have reached the
// disk in order.
JournalContents decode(std::string_view bytes);

}  // namespace fathom::ledger
