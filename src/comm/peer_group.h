// A group of several ranks over a Transport. Every collective is made of plain messages:
//   all_reduce      up to 32 KiB: everyone sends all to everyone (one hop, (n - 1) b bytes from
//   each
//                   rank); above: reduce_scatter and all_gather (two hops, 2 b (n - 1) / n bytes)
//   reduce_scatter  everyone sends each rank its part, which adds up in the order of ranks
//   all_gather, all_to_all   everyone to everyone, one hop
//   broadcast       a binomial tree: log2(n) hops
//   barrier         by dissemination: log2(n) hops of empty messages
// Sums have one order whichever way they take, so sizes do not change bits. n = ranks, b = bytes.
//
// The tag of a message is a hash of group, number of the collective, kind, step, name and size.
// So messages of different operations never meet: a rank in another operation than the rest ends
// their wait by its Progress (Health::judge), and never gives them its bytes.
#pragma once

#include <memory>
#include <vector>

#include "comm/exchange.h"
#include "comm/group.h"

namespace fathom::comm {

// What groups of one world share. All of it outlives the groups.
struct GroupContext {
  Transport& transport;
  Health& health;
  Milliseconds deadline;  // of operations whose tag has none
  std::chrono::microseconds spin;
  Usage& usage;
};

class PeerGroup : public Group {
 public:
  // The group of all ranks.
  explicit PeerGroup(const GroupContext& context);

  int rank() const override { return rank_; }
  int size() const override { return static_cast<int>(members_.size()); }
  Result<std::unique_ptr<Group>> split(const Tag& tag, int color, int key) override;
  Status all_reduce(const Tag& tag, fathom_dtype dtype, void* data, int64_t count) override;
  Status reduce_scatter(const Tag& tag, fathom_dtype dtype, const void* data, void* out,
                        std::span<const int64_t> counts) override;
  Status all_gather(const Tag& tag, const void* data, void* all,
                    std::span<const size_t> bytes) override;
  Status all_to_all(const Tag& tag, const void* data, std::span<const size_t> data_bytes, void* out,
                    std::span<const size_t> out_bytes) override;
  Status broadcast(const Tag& tag, int root, void* data, size_t bytes) override;
  Status barrier(const Tag& tag) override;
  Status send(const Tag& tag, int to, const void* data, size_t bytes) override;
  Status receive(const Tag& tag, int from, void* data, size_t bytes) override;
  Status await(const Tag& tag, const std::function<Result<bool>()>& is_done) override;
  Error explain(const Error& error) override;

 private:
  PeerGroup(const GroupContext& context, std::vector<int> members, uint64_t id);

  int member(int rank) const { return members_[static_cast<size_t>(rank)]; }
  Status begin(const Tag& tag, Operation operation, uint64_t bytes);
  Status begin_message(const Tag& tag, Operation operation);
  Status all_reduce_short(fathom_dtype dtype, std::byte* data, int64_t count);
  Status all_reduce_long(fathom_dtype dtype, std::byte* data, int64_t count);
  Status sum_parts(fathom_dtype dtype, const std::byte* data, std::byte* out,
                   std::span<const int64_t> counts);
  Status gather(const std::byte* data, std::byte* all, std::span<const size_t> bytes);
  Status broadcast_tree(int root, std::byte* data, size_t bytes);

  GroupContext context_;
  Exchange exchange_;
  std::vector<int> members_;  // ranks of the world
  int rank_ = 0;
  uint64_t id_;         // never 0, equal on every member
  uint64_t count_ = 0;  // collectives begun
  // Kept between calls, so that steps of one size allocate nothing.
  std::vector<std::byte> scratch_;
  std::vector<const void*> terms_;
  std::vector<int64_t> counts_;
  std::vector<size_t> bytes_;
};

}  // namespace fathom::comm
