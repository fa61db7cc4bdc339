// A Grammar as bytes, for a request that is answered on another machine: there it is compiled, and
// keeps to the same language. Numbers are LEB128; docs/engine-protocol.md has the layout.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "grammar/rules/grammar.h"

namespace fathom::grammar {

std::string write_rules(const Grammar& grammar);

// Checks all of it, for a peer may send anything; what it makes is charged to `budget`. Errors:
// kDataCorrupt, kUnsupported for a form of a later version, or the budget's.
Result<Grammar> read_rules(std::string_view bytes, std::shared_ptr<WorkBudget> budget);

}  // namespace fathom::grammar
