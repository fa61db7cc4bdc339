#include "comm/peer_group.h"

#include <algorithm>
#include <numeric>
#include <tuple>
#include <utility>

#include "comm/arguments.h"
#include "comm/ordered_sum.h"
#include "device/tensor.h"

namespace fathom::comm {
namespace {

constexpr size_t kShortSum = 32 << 10;  // bytes
constexpr uint64_t kWorldGroup = 1;
// A rank that is silent is found in less.
constexpr Milliseconds kFindingTakes(6000);

// FNV-1a, of 64 bits.
class Hash {
 public:
  Hash& add(std::string_view text) {
    for (const char c : text) {
      state_ = (state_ ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    }
    return add(text.size());
  }
  Hash& add(uint64_t number) {
    for (int shift = 0; shift < 64; shift += 8) {
      state_ = (state_ ^ ((number >> shift) & 0xff)) * 0x100000001b3;
    }
    return *this;
  }
  uint64_t value() const { return state_ ^ (state_ >> 32); }

 private:
  uint64_t state_ = 0xcbf29ce484222325;
};

Progress describe(const Tag& tag, Operation operation) {
  Progress progress;
  progress.step = tag.step;
  progress.operation = operation;
  const size_t length = std::min(tag.name.size(), sizeof(progress.name) - 1);
  std::copy_n(tag.name.data(), length, progress.name);
  return progress;
}

// Numbers of 0 ... count - 1 that rank `part` of `parts` adds up.
int64_t part_size(int64_t count, int part, int parts) {
  return count / parts + (part < count % parts ? 1 : 0);
}

}  // namespace

PeerGroup::PeerGroup(const GroupContext& context)
    : PeerGroup(context, std::vector<int>(static_cast<size_t>(context.health.size())),
                kWorldGroup) {
  std::iota(members_.begin(), members_.end(), 0);
  rank_ = context.health.rank();
}

PeerGroup::PeerGroup(const GroupContext& context, std::vector<int> members, uint64_t id)
    : context_(context),
      exchange_(context.transport, context.health, context.spin, context.usage),
      members_(std::move(members)),
      id_(id) {
  const auto self = std::ranges::find(members_, context.health.rank());
  rank_ = static_cast<int>(self - members_.begin());
}

// `bytes`: the operation's size where every rank has the same, else 0.
Status PeerGroup::begin(const Tag& tag, Operation operation, uint64_t bytes) {
  Progress progress = describe(tag, operation);
  progress.group = id_;
  progress.count = count_++;
  progress.group_size = size();
  progress.signature = Hash()
                           .add(id_)
                           .add(progress.count)
                           .add(static_cast<uint64_t>(operation))
                           .add(static_cast<uint64_t>(tag.step))
                           .add(tag.name)
                           .add(bytes)
                           .value();
  return exchange_.begin(progress, tag.deadline.value_or(context_.deadline));
}

// Messages between two ranks are no collectives: the others do not count them.
Status PeerGroup::begin_message(const Tag& tag, Operation operation) {
  Progress progress = describe(tag, operation);
  progress.signature =
      Hash().add(id_).add("message").add(static_cast<uint64_t>(tag.step)).add(tag.name).value();
  return exchange_.begin(progress, tag.deadline.value_or(context_.deadline));
}

Result<std::unique_ptr<Group>> PeerGroup::split(const Tag& tag, int color, int key) {
  const int64_t own[2] = {color, key};
  std::vector<int64_t> all(2 * members_.size());
  bytes_.assign(members_.size(), sizeof(own));
  const uint64_t number = count_;
  FATHOM_TRY(begin(tag, Operation::kSplit, 0));
  FATHOM_TRY(exchange_.end(gather(reinterpret_cast<const std::byte*>(own),
                                  reinterpret_cast<std::byte*>(all.data()), bytes_)));
  std::vector<std::pair<int64_t, int>> order;  // key, rank
  for (int rank = 0; rank < size(); ++rank) {
    const auto at = static_cast<size_t>(rank) * 2;
    if (all[at] == color) order.emplace_back(all[at + 1], rank);
  }
  std::ranges::sort(order);
  std::vector<int> members;
  for (const auto& [unused, rank] : order) members.push_back(member(rank));
  const uint64_t id =
      Hash().add(id_).add(number).add(static_cast<uint64_t>(static_cast<int64_t>(color))).value();
  return std::unique_ptr<Group>(new PeerGroup(context_, std::move(members), id | 1));
}

Status PeerGroup::all_reduce(const Tag& tag, fathom_dtype dtype, void* data, int64_t count) {
  FATHOM_TRY(check_sum(tag, dtype, count));
  const size_t bytes = static_cast<size_t>(count) * device::dtype_size(dtype);
  FATHOM_TRY(begin(tag, Operation::kAllReduce, bytes));
  auto* values = static_cast<std::byte*>(data);
  return exchange_.end(bytes <= kShortSum ? all_reduce_short(dtype, values, count)
                                          : all_reduce_long(dtype, values, count));
}

Status PeerGroup::all_reduce_short(fathom_dtype dtype, std::byte* data, int64_t count) {
  const size_t bytes = static_cast<size_t>(count) * device::dtype_size(dtype);
  scratch_.resize(bytes * members_.size());
  terms_.clear();
  for (int rank = 0; rank < size(); ++rank) {
    std::byte* term = scratch_.data() + static_cast<size_t>(rank) * bytes;
    terms_.push_back(rank == rank_ ? data : term);
    if (rank != rank_) exchange_.receive(member(rank), term, bytes, true);
  }
  for (int rank = 0; rank < size(); ++rank) {
    if (rank != rank_) exchange_.send(member(rank), data, bytes, true);
  }
  FATHOM_TRY(exchange_.wait());
  ordered_sum(dtype, terms_, data, count);
  return {};
}

Status PeerGroup::all_reduce_long(fathom_dtype dtype, std::byte* data, int64_t count) {
  const size_t width = device::dtype_size(dtype);
  counts_.clear();
  bytes_.clear();
  for (int rank = 0; rank < size(); ++rank) {
    counts_.push_back(part_size(count, rank, size()));
    bytes_.push_back(static_cast<size_t>(counts_.back()) * width);
  }
  const size_t begin = std::accumulate(bytes_.begin(), bytes_.begin() + rank_, size_t{0});
  // In place: what is overwritten is this rank's own part, which it sends to nobody.
  FATHOM_TRY(sum_parts(dtype, data, data + begin, counts_));
  return gather(data + begin, data, bytes_);
}

// The sum of this rank's part over all ranks.
Status PeerGroup::sum_parts(fathom_dtype dtype, const std::byte* data, std::byte* out,
                            std::span<const int64_t> counts) {
  const size_t width = device::dtype_size(dtype);
  const auto own = static_cast<size_t>(counts[static_cast<size_t>(rank_)]);
  scratch_.resize(own * width * members_.size());
  terms_.clear();
  const std::byte* part = data;
  for (int rank = 0; rank < size(); ++rank) {
    std::byte* term = scratch_.data() + static_cast<size_t>(rank) * own * width;
    const size_t bytes = static_cast<size_t>(counts[static_cast<size_t>(rank)]) * width;
    terms_.push_back(rank == rank_ ? part : term);
    if (rank != rank_) {
      exchange_.receive(member(rank), term, own * width);
      exchange_.send(member(rank), part, bytes);
    }
    part += bytes;
  }
  FATHOM_TRY(exchange_.wait());
  ordered_sum(dtype, terms_, out, static_cast<int64_t>(own));
  return {};
}

Status PeerGroup::reduce_scatter(const Tag& tag, fathom_dtype dtype, const void* data, void* out,
                                 std::span<const int64_t> counts) {
  FATHOM_TRY(check_counts(tag, counts, size()));
  FATHOM_TRY(check_sum(tag, dtype, 0));
  Hash sizes;
  for (const int64_t count : counts) sizes.add(static_cast<uint64_t>(count));
  FATHOM_TRY(begin(tag, Operation::kReduceScatter, sizes.value()));
  return exchange_.end(
      sum_parts(dtype, static_cast<const std::byte*>(data), static_cast<std::byte*>(out), counts));
}

Status PeerGroup::gather(const std::byte* data, std::byte* all, std::span<const size_t> bytes) {
  const size_t own = bytes[static_cast<size_t>(rank_)];
  std::byte* part = all;
  for (int rank = 0; rank < size(); ++rank) {
    const size_t size = bytes[static_cast<size_t>(rank)];
    if (rank == rank_) {
      copy_bytes(data, part, size);
    } else {
      exchange_.receive(member(rank), part, size);
    }
    part += size;
  }
  for (int rank = 0; rank < size(); ++rank) {
    if (rank != rank_) exchange_.send(member(rank), data, own);
  }
  return exchange_.wait();
}

Status PeerGroup::all_gather(const Tag& tag, const void* data, void* all,
                             std::span<const size_t> bytes) {
  FATHOM_TRY(check_sizes(tag, bytes, size()));
  Hash sizes;
  for (const size_t each : bytes) sizes.add(each);
  FATHOM_TRY(begin(tag, Operation::kAllGather, sizes.value()));
  return exchange_.end(
      gather(static_cast<const std::byte*>(data), static_cast<std::byte*>(all), bytes));
}

Status PeerGroup::all_to_all(const Tag& tag, const void* data, std::span<const size_t> data_bytes,
                             void* out, std::span<const size_t> out_bytes) {
  FATHOM_TRY(check_sizes(tag, data_bytes, size()));
  FATHOM_TRY(check_sizes(tag, out_bytes, size()));
  const auto self = static_cast<size_t>(rank_);
  FATHOM_TRY(check_equal(tag, "bytes to itself", data_bytes[self], out_bytes[self]));
  FATHOM_TRY(begin(tag, Operation::kAllToAll, 0));
  const auto* to = static_cast<const std::byte*>(data);
  auto* from = static_cast<std::byte*>(out);
  for (int rank = 0; rank < size(); ++rank) {
    const auto at = static_cast<size_t>(rank);
    // Empty parts are messages too: they show that the rank joined, and with the right size.
    if (rank == rank_) {
      copy_bytes(to, from, data_bytes[at]);
    } else {
      exchange_.receive(member(rank), from, out_bytes[at], true);
      exchange_.send(member(rank), to, data_bytes[at], true);
    }
    to += data_bytes[at];
    from += out_bytes[at];
  }
  return exchange_.end(exchange_.wait());
}

Status PeerGroup::broadcast(const Tag& tag, int root, void* data, size_t bytes) {
  FATHOM_TRY(check_rank(tag, "root", root, size()));
  FATHOM_TRY(begin(tag, Operation::kBroadcast, Hash().add(bytes).add(uint64_t(root)).value()));
  return exchange_.end(broadcast_tree(root, static_cast<std::byte*>(data), bytes));
}

// Ranks are counted from the root: rank r hears from r without its lowest bit, and tells r + 2^i
// for every 2^i below that bit.
Status PeerGroup::broadcast_tree(int root, std::byte* data, size_t bytes) {
  const int place = (rank_ - root + size()) % size();
  const auto at = [&](int other) { return member((other + root) % size()); };
  int bit = 1;
  while (bit < size() && (place & bit) == 0) bit <<= 1;
  if (place != 0) {
    exchange_.receive(at(place - bit), data, bytes, true);
    FATHOM_TRY(exchange_.wait());
  }
  for (bit >>= 1; bit > 0; bit >>= 1) {
    if (place + bit < size()) exchange_.send(at(place + bit), data, bytes, true);
  }
  return exchange_.wait();
}

Status PeerGroup::barrier(const Tag& tag) {
  FATHOM_TRY(begin(tag, Operation::kBarrier, 0));
  Status status;
  for (int distance = 1; distance < size() && status; distance <<= 1) {
    exchange_.send(member((rank_ + distance) % size()), nullptr, 0, true);
    exchange_.receive(member((rank_ - distance + size()) % size()), nullptr, 0, true);
    status = exchange_.wait();
  }
  return exchange_.end(status);
}

Status PeerGroup::send(const Tag& tag, int to, const void* data, size_t bytes) {
  FATHOM_TRY(check_peer(tag, to, rank_, size()));
  FATHOM_TRY(begin_message(tag, Operation::kSend));
  exchange_.send(member(to), data, bytes, true);
  return exchange_.end(exchange_.wait());
}

Status PeerGroup::receive(const Tag& tag, int from, void* data, size_t bytes) {
  FATHOM_TRY(check_peer(tag, from, rank_, size()));
  FATHOM_TRY(begin_message(tag, Operation::kReceive));
  exchange_.receive(member(from), data, bytes, true);
  return exchange_.end(exchange_.wait());
}

Status PeerGroup::await(const Tag& tag, const std::function<Result<bool>()>& is_done) {
  FATHOM_TRY(begin_message(tag, Operation::kAwait));
  return exchange_.leave(exchange_.wait_until(is_done, members_));
}

Error PeerGroup::explain(const Error& error) {
  Health& health = context_.health;
  const auto until = std::chrono::steady_clock::now() + kFindingTakes;
  while (!health.broken() && std::chrono::steady_clock::now() < until) {
    health.wait_for_change(kFindingTakes);
  }
  return health.broken() ? health.error() : error;
}

}  // namespace fathom::comm
