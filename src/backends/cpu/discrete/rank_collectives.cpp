#include "backends/cpu/discrete/rank_collectives.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <numeric>

#include "comm/ordered_sum.h"
#include "device/tensor.h"

namespace fathom::cpu::discrete {
namespace {

// Elements of each rank's term that are added up at a time.
constexpr int64_t kChunk = 16384;

void copy_own(const std::byte* from, std::byte* to, size_t bytes) {
  if (bytes > 0 && from != to) std::memmove(to, from, bytes);
}

template <typename T>
T sum_before(std::span<const T> sizes, size_t rank) {
  return std::accumulate(sizes.begin(), sizes.begin() + static_cast<std::ptrdiff_t>(rank), T{0});
}

}  // namespace

const char* collective_name(Collective kind) {
  switch (kind) {
    case Collective::kAllReduce:
      return "comm_all_reduce";
    case Collective::kReduceScatter:
      return "comm_reduce_scatter";
    case Collective::kAllGather:
      return "comm_all_gather";
    case Collective::kAllToAll:
      return "comm_all_to_all";
    case Collective::kBroadcast:
      return "comm_broadcast";
    case Collective::kSend:
      return "comm_send";
    case Collective::kReceive:
      return "comm_receive";
  }
  return "another call";
}

RankCollectives::RankCollectives(RankSockets sockets, int rank)
    : transfers_(std::move(sockets), rank) {
  const auto ranks = static_cast<size_t>(transfers_.ranks());
  told_.resize(ranks);
  heard_.resize(ranks);
  to_.resize(ranks);
  from_.resize(ranks);
  counts_.resize(ranks);
  terms_.resize(ranks);
  chunks_.resize(ranks * kChunk * sizeof(float));
}

Status RankCollectives::begin(Collective kind, uint64_t number, std::span<const size_t> to,
                              std::span<const size_t> from) {
  for (size_t peer = 0; peer < told_.size(); ++peer) {
    if (peer == self()) continue;
    told_[peer] = {number, to[peer], static_cast<int32_t>(kind), 0};
    transfers_.send(static_cast<int>(peer), &told_[peer], sizeof(Announcement));
    transfers_.receive(static_cast<int>(peer), &heard_[peer], sizeof(Announcement));
  }
  FATHOM_TRY(transfers_.wait());
  for (size_t peer = 0; peer < told_.size(); ++peer) {
    if (peer != self()) FATHOM_TRY(check(told_[peer], peer, from[peer]));
  }
  return {};
}

Status RankCollectives::check(const Announcement& own, size_t peer, size_t expected) const {
  const Announcement& other = heard_[peer];
  if (other.kind != own.kind || other.number != own.number) {
    return Error{ErrorCode::kInternal,
                 fmt::format("expected rank {} in {} {} too, it is in {} {}", peer,
                             collective_name(static_cast<Collective>(own.kind)), own.number,
                             collective_name(static_cast<Collective>(other.kind)), other.number)};
  }
  if (other.bytes == expected) return {};
  return Error{ErrorCode::kInternal, fmt::format("expected {} bytes of rank {}, it sends {}",
                                                 expected, peer, other.bytes)};
}

// In place: what is overwritten is this rank's own part, which it sends to nobody.
Status RankCollectives::all_reduce(uint64_t number, fathom_dtype dtype, const std::byte* in,
                                   std::byte* out, int64_t count) {
  const size_t width = device::dtype_size(dtype);
  const int64_t parts = ranks();
  for (int64_t rank = 0; rank < parts; ++rank) {
    const int64_t part = count / parts + (rank < count % parts ? 1 : 0);
    counts_[static_cast<size_t>(rank)] = part;
  }
  // The whole size is what ranks compare.
  std::ranges::fill(to_, static_cast<size_t>(count) * width);
  FATHOM_TRY(begin(Collective::kAllReduce, number, to_, to_));
  std::byte* own = out + static_cast<size_t>(sum_before<int64_t>(counts_, self())) * width;
  FATHOM_TRY(sum_own_part(dtype, in, own, counts_));
  std::ranges::transform(counts_, to_.begin(),
                         [&](int64_t part) { return static_cast<size_t>(part) * width; });
  return gather(own, out, to_);
}

Status RankCollectives::reduce_scatter(uint64_t number, fathom_dtype dtype, const std::byte* in,
                                       std::byte* out, std::span<const int64_t> counts) {
  const size_t width = device::dtype_size(dtype);
  for (size_t peer = 0; peer < counts.size(); ++peer) {
    to_[peer] = static_cast<size_t>(counts[peer]) * width;
    from_[peer] = static_cast<size_t>(counts[self()]) * width;
  }
  FATHOM_TRY(begin(Collective::kReduceScatter, number, to_, from_));
  return sum_own_part(dtype, in, out, counts);
}

// Of this rank's part the sum over all ranks.
Status RankCollectives::sum_own_part(fathom_dtype dtype, const std::byte* in, std::byte* out,
                                     std::span<const int64_t> counts) {
  const int64_t longest = *std::ranges::max_element(counts);
  for (int64_t begin = 0; begin < longest; begin += kChunk) {
    FATHOM_TRY(sum_chunk(dtype, in, out, counts, begin));
  }
  return {};
}

// Elements [begin, begin + kChunk) of every rank's part, as far as it goes.
Status RankCollectives::sum_chunk(fathom_dtype dtype, const std::byte* in, std::byte* out,
                                  std::span<const int64_t> counts, int64_t begin) {
  const size_t width = device::dtype_size(dtype);
  const auto in_chunk = [&](size_t peer) {
    return std::clamp<int64_t>(counts[peer] - begin, 0, kChunk);
  };
  const size_t own_bytes = static_cast<size_t>(in_chunk(self())) * width;
  const std::byte* part = in + static_cast<size_t>(begin) * width;
  for (size_t peer = 0; peer < counts.size(); ++peer) {
    std::byte* term = chunks_.data() + peer * kChunk * sizeof(float);
    terms_[peer] = peer == self() ? part : term;
    if (peer != self()) {
      transfers_.receive(static_cast<int>(peer), term, own_bytes);
      transfers_.send(static_cast<int>(peer), part, static_cast<size_t>(in_chunk(peer)) * width);
    }
    part += static_cast<size_t>(counts[peer]) * width;
  }
  FATHOM_TRY(transfers_.wait());
  comm::ordered_sum(dtype, terms_, out + static_cast<size_t>(begin) * width, in_chunk(self()));
  return {};
}

Status RankCollectives::gather(const std::byte* own, std::byte* out,
                               std::span<const size_t> bytes) {
  std::byte* part = out;
  for (size_t peer = 0; peer < bytes.size(); ++peer) {
    if (peer == self()) {
      copy_own(own, part, bytes[peer]);
    } else {
      transfers_.send(static_cast<int>(peer), own, bytes[self()]);
      transfers_.receive(static_cast<int>(peer), part, bytes[peer]);
    }
    part += bytes[peer];
  }
  return transfers_.wait();
}

Status RankCollectives::all_gather(uint64_t number, const std::byte* in, std::byte* out,
                                   std::span<const size_t> bytes) {
  std::ranges::fill(to_, bytes[self()]);
  FATHOM_TRY(begin(Collective::kAllGather, number, to_, bytes));
  return gather(in, out, bytes);
}

Status RankCollectives::all_to_all(uint64_t number, const std::byte* in,
                                   std::span<const size_t> in_bytes, std::byte* out,
                                   std::span<const size_t> out_bytes) {
  FATHOM_TRY(begin(Collective::kAllToAll, number, in_bytes, out_bytes));
  for (size_t peer = 0; peer < in_bytes.size(); ++peer) {
    if (peer == self()) {
      copy_own(in, out, in_bytes[peer]);
    } else {
      transfers_.send(static_cast<int>(peer), in, in_bytes[peer]);
      transfers_.receive(static_cast<int>(peer), out, out_bytes[peer]);
    }
    in += in_bytes[peer];
    out += out_bytes[peer];
  }
  return transfers_.wait();
}

Status RankCollectives::broadcast(uint64_t number, int root, std::byte* data, size_t bytes) {
  std::ranges::fill(to_, bytes);
  FATHOM_TRY(begin(Collective::kBroadcast, number, to_, to_));
  if (rank() != root) {
    transfers_.receive(root, data, bytes);
    return transfers_.wait();
  }
  for (int peer = 0; peer < ranks(); ++peer) {
    if (peer != root) transfers_.send(peer, data, bytes);
  }
  return transfers_.wait();
}

Status RankCollectives::send(uint64_t number, int to, const std::byte* data, size_t bytes) {
  Announcement& told = told_[static_cast<size_t>(to)];
  told = {number, bytes, static_cast<int32_t>(Collective::kSend), 0};
  transfers_.send(to, &told, sizeof(told));
  FATHOM_TRY(transfers_.wait());
  transfers_.send(to, data, bytes);
  return transfers_.wait();
}

Status RankCollectives::receive(uint64_t number, int from, std::byte* data, size_t bytes) {
  const auto peer = static_cast<size_t>(from);
  transfers_.receive(from, &heard_[peer], sizeof(Announcement));
  FATHOM_TRY(transfers_.wait());
  FATHOM_TRY(check({number, bytes, static_cast<int32_t>(Collective::kSend), 0}, peer, bytes));
  transfers_.receive(from, data, bytes);
  return transfers_.wait();
}

}  // namespace fathom::cpu::discrete
