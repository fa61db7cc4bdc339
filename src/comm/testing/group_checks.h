// What every group must do, whatever carries it: each function is run by all ranks of a group at
// the same time, compares with what plain arithmetic says, and returns what is wrong, or "".
#pragma once

#include <cstdint>
#include <string>

#include "comm/group.h"

namespace fathom::comm {

// Every operation with sizes drawn from `seed`, zero among them, in `rounds` rounds.
std::string check_operations(Group& group, uint64_t seed, int rounds, int64_t first_step);

// Sums whose terms are of very different sizes: equal to the sum in the order of ranks, bit by bit,
// in F32 and BF16, for short and long ones.
std::string check_sums(Group& group, uint64_t seed, int64_t step);

// Groups of odd and even ranks, in reverse order, and their own operations.
std::string check_split(Group& group, uint64_t seed, int64_t step);

}  // namespace fathom::comm
