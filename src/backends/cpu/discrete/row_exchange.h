// MOE_DISPATCH and MOE_COMBINE: rows go to the ranks that have their experts, and what those make
// of them comes back and is added up. How many go where is found when the work runs: no host
// counts.
#pragma once

#include "device/abi.h"

namespace fathom::cpu::discrete {

// Whether sizes and types are right; no pointer is read.
fathom_status check_row_exchange(const fathom_moe_exchange_args& args);
size_t row_exchange_workspace(const fathom_moe_exchange_args& args);

// The two operators of the table.
void fill_row_exchange(fathom_backend& table);

}  // namespace fathom::cpu::discrete
