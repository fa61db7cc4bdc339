// What the ranks of a group compute together, in memory that kernels see. Each call first tells the
// others which one it is, by kind, number and size: ranks that are not in the same one are told so,
// and never get each other's bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "backends/cpu/discrete/rank_transfers.h"
#include "base/result.h"
#include "device/abi.h"

namespace fathom::cpu::discrete {

enum class Collective : int32_t {
  kAllReduce,
  kReduceScatter,
  kAllGather,
  kAllToAll,
  kBroadcast,
  kSend,
  kReceive,
};
const char* collective_name(Collective kind);

class RankCollectives {
 public:
  RankCollectives(RankSockets sockets, int rank);

  int rank() const { return transfers_.rank(); }
  int ranks() const { return transfers_.ranks(); }

  // One at a time. `number`: of the group's calls before it (of the messages between the two ranks,
  // for send and receive). The rest is the contract's; sizes are one a rank. After an error every
  // further call fails.
  Status all_reduce(uint64_t number, fathom_dtype dtype, const std::byte* in, std::byte* out,
                    int64_t count);
  Status reduce_scatter(uint64_t number, fathom_dtype dtype, const std::byte* in, std::byte* out,
                        std::span<const int64_t> counts);
  Status all_gather(uint64_t number, const std::byte* in, std::byte* out,
                    std::span<const size_t> bytes);
  Status all_to_all(uint64_t number, const std::byte* in, std::span<const size_t> in_bytes,
                    std::byte* out, std::span<const size_t> out_bytes);
  Status broadcast(uint64_t number, int root, std::byte* data, size_t bytes);
  Status send(uint64_t number, int to, const std::byte* data, size_t bytes);
  Status receive(uint64_t number, int from, std::byte* data, size_t bytes);

  // Ends what is under way, here and on the other ranks. From any thread.
  void abort() { transfers_.cancel(); }

 private:
  struct Announcement {
    uint64_t number;
    uint64_t bytes;  // that the receiver will get
    int32_t kind;
    int32_t reserved;
  };

  size_t self() const { return static_cast<size_t>(rank()); }
  // to, from: bytes by rank that this one sends and expects.
  Status begin(Collective kind, uint64_t number, std::span<const size_t> to,
               std::span<const size_t> from);
  Status check(const Announcement& own, size_t peer, size_t expected) const;
  Status sum_own_part(fathom_dtype dtype, const std::byte* in, std::byte* out,
                      std::span<const int64_t> counts);
  Status sum_chunk(fathom_dtype dtype, const std::byte* in, std::byte* out,
                   std::span<const int64_t> counts, int64_t begin);
  Status gather(const std::byte* own, std::byte* out, std::span<const size_t> bytes);

  RankTransfers transfers_;
  // Kept, so that calls allocate nothing. By rank:
  std::vector<Announcement> told_, heard_;
  std::vector<size_t> to_, from_;
  std::vector<int64_t> counts_;
  std::vector<const void*> terms_;
  std::vector<std::byte> chunks_;  // of the other ranks' terms
};

}  // namespace fathom::cpu::discrete
