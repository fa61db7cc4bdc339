// The part of the table that records work once and runs it again. A graph is its work in order,
// with the addresses and capacities it was queued with; each launch runs all of it as one record of
// the queue, and finds the memory as it is then.
#pragma once

#include "device/abi.h"

namespace fathom::cpu::discrete {

void fill_graphs(fathom_backend& table);

}  // namespace fathom::cpu::discrete
