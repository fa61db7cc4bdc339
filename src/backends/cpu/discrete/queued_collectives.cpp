#include "backends/cpu/discrete/queued_collectives.h"

#include <algorithm>
#include <mutex>
#include <numeric>
#include <shared_mutex>
#include <span>

#include "backends/cpu/checks/check_parts.h"
#include "backends/cpu/discrete/addresses.h"
#include "backends/cpu/discrete/comms.h"
#include "backends/cpu/discrete/discrete_device.h"
#include "comm/ordered_sum.h"
#include "device/tensor.h"

namespace fathom::cpu::discrete {
namespace {

Comm& comm_of(fathom_comm* comm) {
  return *static_cast<Comm*>(comm);
}

// What all calls are queued with. Device addresses, until they are replaced.
struct Call {
  Comm* comm;
  uint64_t number;
  const void* in;
  size_t in_bytes;
  void* out;
  size_t out_bytes;
  Collective kind;
  int32_t dtype;
  int64_t count;
  int32_t peer;  // or root
};

template <typename Size, size_t kLists>
struct SizedCall : Call {
  Size sizes[kLists][kMostRanks];

  std::span<const Size> list(size_t which) const {
    return {sizes[which], static_cast<size_t>(comm->ranks)};
  }
};
using SumCall = SizedCall<int64_t, 1>;
using GatherCall = SizedCall<size_t, 1>;
using ExchangeCall = SizedCall<size_t, 2>;

Status run_in(RankCollectives& group, const Call& call) {
  const auto* in = static_cast<const std::byte*>(call.in);
  auto* out = static_cast<std::byte*>(call.out);
  switch (call.kind) {
    case Collective::kAllReduce:
      return group.all_reduce(call.number, static_cast<fathom_dtype>(call.dtype), in, out,
                              call.count);
    case Collective::kBroadcast:
      return group.broadcast(call.number, call.peer, out, call.out_bytes);
    case Collective::kSend:
      return group.send(call.number, call.peer, in, call.in_bytes);
    default:
      return group.receive(call.number, call.peer, out, call.out_bytes);
  }
}
Status run_in(RankCollectives& group, const SumCall& call) {
  return group.reduce_scatter(call.number, static_cast<fathom_dtype>(call.dtype),
                              static_cast<const std::byte*>(call.in),
                              static_cast<std::byte*>(call.out), call.list(0));
}
Status run_in(RankCollectives& group, const GatherCall& call) {
  return group.all_gather(call.number, static_cast<const std::byte*>(call.in),
                          static_cast<std::byte*>(call.out), call.list(0));
}
Status run_in(RankCollectives& group, const ExchangeCall& call) {
  return group.all_to_all(call.number, static_cast<const std::byte*>(call.in), call.list(0),
                          static_cast<std::byte*>(call.out), call.list(1));
}

fathom_status visit_call(const DeviceMemory& memory, Call& call, Addresses::Then then) {
  Addresses addresses(memory, collective_name(call.kind), then);
  addresses.visit("what goes out", call.in, call.in_bytes);
  addresses.visit("where it comes in", call.out, call.out_bytes);
  return addresses.status();
}

// Memory that it uses is not freed before the other ranks have come, or the group was aborted.
template <typename Arguments>
fathom_status run_call(Device& device, WorkQueue&, void* arguments) {
  Arguments& call = *static_cast<Arguments*>(arguments);
  const std::lock_guard alone(call.comm->mutex);
  if (!call.comm->collectives) {
    return invalid("cpu-discrete: {}: expected a group that was not destroyed",
                   collective_name(call.kind));
  }
  RankCollectives& group = *call.comm->collectives;
  const std::shared_lock lock(device.memory.mutex());
  const fathom_status found = visit_call(device.memory, call, Addresses::Then::kReplaced);
  if (found != FATHOM_OK) group.abort();
  FATHOM_CPU_TRY(found);
  const Status done = run_in(group, call);
  if (done) return FATHOM_OK;
  group.abort();
  return device::fail(
      FATHOM_INTERNAL,
      fmt::format("cpu-discrete: {}: {}", collective_name(call.kind), done.error().message));
}

// `calls`: what the group counts such calls by.
template <typename Arguments>
fathom_status queue_call(fathom_device* handle, fathom_stream* stream, Arguments& call,
                         uint64_t& calls) {
  WorkQueue& queue = queue_of(stream);
  FATHOM_CPU_TRY(queue.check_not_recording(collective_name(call.kind)));
  const DeviceMemory& memory = device_of(handle).memory;
  {
    const std::shared_lock lock(memory.mutex());
    FATHOM_CPU_TRY(visit_call(memory, call, Addresses::Then::kLeft));
  }
  call.number = calls;
  FATHOM_CPU_TRY(queue.push(run_call<Arguments>, call));
  ++calls;
  return FATHOM_OK;
}

template <typename Arguments>
Arguments make_call(fathom_comm* comm, Collective kind, const void* in, size_t in_bytes, void* out,
                    size_t out_bytes) {
  Arguments call = {};
  call.comm = &comm_of(comm);
  call.kind = kind;
  call.in = in;
  call.in_bytes = in_bytes;
  call.out = out;
  call.out_bytes = out_bytes;
  return call;
}

fathom_status check_sum(Collective kind, int32_t dtype, std::span<const int64_t> counts) {
  if (!comm::can_sum(static_cast<fathom_dtype>(dtype))) {
    return unsupported("cpu-discrete: {}: expected F32 or BF16, got {}", collective_name(kind),
                       device::dtype_name(static_cast<fathom_dtype>(dtype)));
  }
  const auto wrong = std::ranges::find_if(counts, [](int64_t count) { return count < 0; });
  if (wrong == counts.end()) return FATHOM_OK;
  return invalid("cpu-discrete: {}: expected counts from 0, got {}", collective_name(kind), *wrong);
}

fathom_status check_peer(Collective kind, const Comm& comm, int32_t peer, bool may_be_self) {
  if (peer >= 0 && peer < comm.ranks && (may_be_self || peer != comm.rank)) return FATHOM_OK;
  return invalid("cpu-discrete: {}: expected {} rank of {}, got {} on rank {}",
                 collective_name(kind), may_be_self ? "a" : "another", comm.ranks, peer, comm.rank);
}

size_t sum_of(std::span<const size_t> sizes) {
  return std::accumulate(sizes.begin(), sizes.end(), size_t{0});
}

fathom_status comm_id(fathom_device* device, fathom_comm_id* id) {
  return device_of(device).comms.make_id(id);
}

fathom_status comm_create(fathom_device* device, const fathom_comm_id* id, int32_t rank,
                          int32_t ranks, int32_t deadline_ms, fathom_comm** comm) {
  return device_of(device).comms.create(*id, rank, ranks, deadline_ms, comm);
}

void comm_destroy(fathom_device*, fathom_comm* comm) {
  Comms::destroy(comm_of(comm));
}

fathom_status comm_abort(fathom_device*, fathom_comm* comm) {
  Comms::abort(comm_of(comm));
  return FATHOM_OK;
}

fathom_status comm_all_reduce(fathom_device* device, fathom_stream* stream, fathom_comm* comm,
                              int32_t dtype, const void* in, void* out, int64_t count) {
  FATHOM_CPU_TRY(check_sum(Collective::kAllReduce, dtype, {&count, 1}));
  const size_t bytes =
      static_cast<size_t>(count) * device::dtype_size(static_cast<fathom_dtype>(dtype));
  auto call = make_call<Call>(comm, Collective::kAllReduce, in, bytes, out, bytes);
  call.dtype = dtype;
  call.count = count;
  return queue_call(device, stream, call, comm_of(comm).called);
}

fathom_status comm_reduce_scatter(fathom_device* device, fathom_stream* stream, fathom_comm* comm,
                                  int32_t dtype, const void* in, void* out, const int64_t* counts) {
  const std::span<const int64_t> all(counts, static_cast<size_t>(comm_of(comm).ranks));
  FATHOM_CPU_TRY(check_sum(Collective::kReduceScatter, dtype, all));
  const size_t width = device::dtype_size(static_cast<fathom_dtype>(dtype));
  const auto sum = static_cast<size_t>(std::accumulate(all.begin(), all.end(), int64_t{0}));
  const auto own = static_cast<size_t>(counts[comm_of(comm).rank]);
  auto call =
      make_call<SumCall>(comm, Collective::kReduceScatter, in, sum * width, out, own * width);
  call.dtype = dtype;
  std::ranges::copy(all, call.sizes[0]);
  return queue_call(device, stream, call, comm_of(comm).called);
}

fathom_status comm_all_gather(fathom_device* device, fathom_stream* stream, fathom_comm* comm,
                              const void* in, void* out, const size_t* bytes) {
  const std::span<const size_t> all(bytes, static_cast<size_t>(comm_of(comm).ranks));
  auto call = make_call<GatherCall>(comm, Collective::kAllGather, in, bytes[comm_of(comm).rank],
                                    out, sum_of(all));
  std::ranges::copy(all, call.sizes[0]);
  return queue_call(device, stream, call, comm_of(comm).called);
}

fathom_status comm_all_to_all(fathom_device* device, fathom_stream* stream, fathom_comm* comm,
                              const void* in, const size_t* in_bytes, void* out,
                              const size_t* out_bytes) {
  const auto ranks = static_cast<size_t>(comm_of(comm).ranks);
  const auto self = static_cast<size_t>(comm_of(comm).rank);
  const std::span<const size_t> to(in_bytes, ranks), from(out_bytes, ranks);
  if (to[self] != from[self]) {
    return invalid("cpu-discrete: comm_all_to_all: expected {} bytes from this rank itself, got {}",
                   to[self], from[self]);
  }
  auto call =
      make_call<ExchangeCall>(comm, Collective::kAllToAll, in, sum_of(to), out, sum_of(from));
  std::ranges::copy(to, call.sizes[0]);
  std::ranges::copy(from, call.sizes[1]);
  return queue_call(device, stream, call, comm_of(comm).called);
}

fathom_status comm_broadcast(fathom_device* device, fathom_stream* stream, fathom_comm* comm,
                             int32_t root, void* data, size_t bytes) {
  FATHOM_CPU_TRY(check_peer(Collective::kBroadcast, comm_of(comm), root, true));
  auto call = make_call<Call>(comm, Collective::kBroadcast, nullptr, 0, data, bytes);
  call.peer = root;
  return queue_call(device, stream, call, comm_of(comm).called);
}

fathom_status comm_send(fathom_device* device, fathom_stream* stream, fathom_comm* comm, int32_t to,
                        const void* data, size_t bytes) {
  FATHOM_CPU_TRY(check_peer(Collective::kSend, comm_of(comm), to, false));
  auto call = make_call<Call>(comm, Collective::kSend, data, bytes, nullptr, 0);
  call.peer = to;
  return queue_call(device, stream, call, comm_of(comm).sent[static_cast<size_t>(to)]);
}

fathom_status comm_receive(fathom_device* device, fathom_stream* stream, fathom_comm* comm,
                           int32_t from, void* data, size_t bytes) {
  FATHOM_CPU_TRY(check_peer(Collective::kReceive, comm_of(comm), from, false));
  auto call = make_call<Call>(comm, Collective::kReceive, nullptr, 0, data, bytes);
  call.peer = from;
  return queue_call(device, stream, call, comm_of(comm).received[static_cast<size_t>(from)]);
}

}  // namespace

void fill_collectives(fathom_backend& table) {
  table.comm_id = comm_id;
  table.comm_create = comm_create;
  table.comm_destroy = comm_destroy;
  table.comm_abort = comm_abort;
  table.comm_all_reduce = comm_all_reduce;
  table.comm_reduce_scatter = comm_reduce_scatter;
  table.comm_all_gather = comm_all_gather;
  table.comm_all_to_all = comm_all_to_all;
  table.comm_broadcast = comm_broadcast;
  table.comm_send = comm_send;
  table.comm_receive = comm_receive;
}

}  // namespace fathom::cpu::discrete
