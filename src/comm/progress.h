// How far a rank has come: what ranks tell each other twice a second or oftener.
#pragma once

#include <cstdint>
#include <string>

namespace fathom::comm {

enum class Operation : int32_t {
  kNone,
  kAllReduce,
  kReduceScatter,
  kAllGather,
  kAllToAll,
  kBroadcast,
  kBarrier,
  kSplit,
  kSend,
  kReceive,
  kAwait,
};
const char* to_string(Operation operation);

enum class Phase : int32_t {
  kBetween,   // computing, or idle
  kWaiting,   // in an operation
  kFinished,  // has left the world: it may end
};

// Why a rank counts as lost.
enum class Loss : int32_t {
  kNone,
  kEnded,     // its process is gone
  kStopped,   // by a signal (SIGSTOP), or held by a debugger
  kSilent,    // nothing heard of it: stopped, swapped out, or the network
  kLate,      // it lives, but did not join an operation in time
  kMismatch,  // it is in another operation than the rest of its group
};

// Sent as it lies in memory, between equal builds (the roster has checked that). All of a job's
// hosts are little-endian.
struct Progress {
  int32_t rank = 0;
  Phase phase = Phase::kBetween;
  int64_t step = 0;
  Operation operation = Operation::kNone;  // the present or last one
  int32_t phase_ms = 0;                    // time in the phase when it was sent
  char name[24] = {};                      // of the operation's tag, zero-terminated
  uint64_t group = 0;                      // of the operation; 0: of no collective
  uint64_t count = 0;                      // of that group's collectives before this one
  uint64_t signature = 0;                  // of kind, step, name and size: equal on every rank
  int32_t accused = -1;                    // the rank that this one holds to be lost, or -1
  Loss loss = Loss::kNone;                 // why
  int32_t age_ms = 0;                      // in tables: since rank 0 heard of it
  int32_t group_size = 0;                  // ranks of the group
  int32_t closing = 0;                     // rank 0's, in tables: everyone has finished
};

// "all_reduce experts_out of step 12".
std::string operation_text(const Progress& progress);

}  // namespace fathom::comm
