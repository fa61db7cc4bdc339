// Who takes part: at the start every rank tells all others where and what it is, and they compare.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "comm/group.h"

namespace fathom::comm {

// What must be equal on all ranks, except the chip, which is only reported. Each at most 200 bytes.
struct Identity {
  std::string chip;         // "cpu: AMD EPYC 7B13"
  std::string version;      // of Fathom
  std::string model_hash;   // of the model's files
  std::string config_hash;  // of the settings that change what a rank does
};

struct Member {
  std::string host;
  int64_t pid = 0;
  Identity identity;

  std::string place() const;  // "host node7, pid 4711"
};

// This process.
Member this_member(const Identity& identity);

// Every rank's Member, by rank. Collective; names whoever does not answer (Group's errors).
Result<std::vector<Member>> exchange_roster(Group& group, const Tag& tag, const Member& own);

// Names every rank whose version, model or config is not that of most ranks (of rank 0, if as many
// say otherwise). Error: kInvalidArgument, the same on every rank.
Status compare_roster(const std::vector<Member>& members);

}  // namespace fathom::comm
