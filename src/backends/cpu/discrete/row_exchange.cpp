#include "backends/cpu/discrete/row_exchange.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <mutex>
#include <numeric>
#include <shared_mutex>
#include <span>

#include "backends/cpu/checks/check_parts.h"
#include "backends/cpu/discrete/addresses.h"
#include "backends/cpu/discrete/comms.h"
#include "backends/cpu/discrete/discrete_device.h"
#include "device/device.h"
#include "device/tensor.h"

namespace fathom::cpu::discrete {
namespace {

using Sizes = std::array<size_t, kMostRanks>;  // by rank

// Calls of the group that each operator is made of.
constexpr uint64_t kDispatchCalls = 4;
constexpr uint64_t kCombineCalls = 1;

struct QueuedExchange {
  fathom_moe_exchange_args args;
  uint64_t number;  // of the group's calls before it
};

int64_t ranks_of(const fathom_moe_exchange_args& args) {
  return args.out.shape[0] / args.max_rows;
}

// Rows that leave at most.
int64_t most_leaving(const fathom_moe_exchange_args& args) {
  return args.max_rows * std::min<int64_t>(args.top_k, ranks_of(args));
}

// Of the rows that leave, in the order of ranks and then of rows; a row goes to each rank once.
struct Leaving {
  explicit Leaving(const fathom_moe_exchange_args& args)
      : most(most_leaving(args)),
        rows(static_cast<float*>(args.workspace)),
        weights(rows + most * args.x.shape[1]),
        ids(reinterpret_cast<int32_t*>(weights + most * args.top_k)),
        sum(reinterpret_cast<float*>(ids + most * args.top_k)) {}

  int64_t most;
  float* rows;     // [most, H]
  float* weights;  // [most, top_k]
  int32_t* ids;    // [most, top_k]
  float* sum;      // [H]
};

std::span<const int32_t> choices_of(const fathom_moe_exchange_args& args, int64_t row) {
  return {args.expert_ids + row * args.top_k, static_cast<size_t>(args.top_k)};
}

bool is_on(const fathom_moe_exchange_args& args, int32_t place, int64_t rank) {
  return place >= 0 && place / args.experts_a_rank == rank;
}

bool goes_to(const fathom_moe_exchange_args& args, int64_t row, int64_t rank) {
  return std::ranges::any_of(choices_of(args, row),
                             [&](int32_t place) { return is_on(args, place, rank); });
}

// body(rank, row) for each row that leaves, in order.
template <typename Body>
void for_leaving(const fathom_moe_exchange_args& args, const Body& body) {
  for (int64_t rank = 0; rank < ranks_of(args); ++rank) {
    for (int64_t row = 0; row < *args.rows; ++row) {
      if (goes_to(args, row, rank)) body(static_cast<size_t>(rank), row);
    }
  }
}

Sizes count_leaving(const fathom_moe_exchange_args& args) {
  Sizes counts = {};
  for_leaving(args, [&](size_t rank, int64_t) { ++counts[rank]; });
  return counts;
}

class Exchange {
 public:
  Exchange(RankCollectives& group, const QueuedExchange& queued)
      : group_(group), args_(queued.args), number_(queued.number), leaving_(queued.args) {}

  Status dispatch() {
    FATHOM_TRY(check_rows());
    to_ = count_leaving(args_);
    pack();
    FATHOM_TRY(exchange_counts());
    const auto hidden = static_cast<size_t>(args_.x.shape[1]);
    const auto top_k = static_cast<size_t>(args_.top_k);
    FATHOM_TRY(pass(leaving_.rows, to_, args_.out.data, from_, hidden * sizeof(float)));
    FATHOM_TRY(pass(leaving_.ids, to_, args_.out_ids, from_, top_k * sizeof(int32_t)));
    FATHOM_TRY(pass(leaving_.weights, to_, args_.out_weights, from_, top_k * sizeof(float)));
    const size_t came = std::accumulate(from_.begin(), from_.end(), size_t{0}) * top_k;
    const auto all = static_cast<size_t>(args_.out.shape[0]) * top_k;
    std::fill(args_.out_ids + came, args_.out_ids + all, -1);
    std::fill(args_.out_weights + came, args_.out_weights + all, 0.0f);
    return {};
  }

  Status combine() {
    FATHOM_TRY(check_rows());
    to_ = count_leaving(args_);
    for (int64_t rank = 0; rank < ranks_of(args_); ++rank) {
      FATHOM_TRY(take_count(static_cast<size_t>(rank), args_.counts[rank]));
    }
    FATHOM_TRY(pass(args_.out.data, from_, leaving_.rows, to_,
                    static_cast<size_t>(args_.x.shape[1]) * sizeof(float)));
    add_up();
    return {};
  }

 private:
  Status check_rows() const {
    if (*args_.rows >= 0 && *args_.rows <= args_.x.shape[0]) return {};
    return Error{ErrorCode::kInternal,
                 fmt::format("expected at most {} rows, got {}", args_.x.shape[0], *args_.rows)};
  }

  void pack() {
    const int64_t hidden = args_.x.shape[1];
    int64_t next = 0;
    for_leaving(args_, [&](size_t rank, int64_t row) {
      const auto* from = static_cast<const float*>(args_.x.data) + row * args_.x.stride[0];
      std::copy_n(from, hidden, leaving_.rows + next * hidden);
      for (int64_t j = 0; j < args_.top_k; ++j) {
        const int32_t place = args_.expert_ids[row * args_.top_k + j];
        const bool stays = is_on(args_, place, static_cast<int64_t>(rank));
        leaving_.ids[next * args_.top_k + j] = stays ? place : -1;
        leaving_.weights[next * args_.top_k + j] =
            stays ? args_.expert_weights[row * args_.top_k + j] : 0.0f;
      }
      ++next;
    });
  }

  Status exchange_counts() {
    std::array<int64_t, kMostRanks> to = {}, from = {};
    std::ranges::copy(to_, to.begin());
    Sizes one;
    one.fill(1);
    FATHOM_TRY(pass(to.data(), one, from.data(), one, sizeof(int64_t)));
    for (int64_t rank = 0; rank < ranks_of(args_); ++rank) {
      FATHOM_TRY(take_count(static_cast<size_t>(rank), from[static_cast<size_t>(rank)]));
      args_.counts[rank] = static_cast<int32_t>(from_[static_cast<size_t>(rank)]);
    }
    return {};
  }

  Status take_count(size_t rank, int64_t count) {
    if (count < 0 || count > args_.max_rows) {
      return Error{ErrorCode::kInternal, fmt::format("expected at most {} rows of rank {}, got {}",
                                                     args_.max_rows, rank, count)};
    }
    from_[rank] = static_cast<size_t>(count);
    return {};
  }

  // Rows of `bytes` each.
  Status pass(const void* in, const Sizes& to, void* out, const Sizes& from, size_t bytes) {
    Sizes in_bytes, out_bytes;
    for (size_t rank = 0; rank < to.size(); ++rank) {
      in_bytes[rank] = to[rank] * bytes;
      out_bytes[rank] = from[rank] * bytes;
    }
    const auto ranks = static_cast<size_t>(group_.ranks());
    return group_.all_to_all(number_++, static_cast<const std::byte*>(in),
                             std::span(in_bytes).first(ranks), static_cast<std::byte*>(out),
                             std::span(out_bytes).first(ranks));
  }

  void add_up() {
    const auto hidden = static_cast<size_t>(args_.x.shape[1]);
    Sizes next = {};  // of each rank's results
    for (size_t rank = 1; rank < next.size(); ++rank) next[rank] = next[rank - 1] + to_[rank - 1];
    for (int64_t row = 0; row < *args_.rows; ++row) {
      float* sum = leaving_.sum;
      std::fill_n(sum, hidden, 0.0f);
      for (size_t rank = 0; rank < static_cast<size_t>(group_.ranks()); ++rank) {
        if (!goes_to(args_, row, static_cast<int64_t>(rank))) continue;
        const float* result = leaving_.rows + next[rank]++ * hidden;
        for (size_t i = 0; i < hidden; ++i) sum[i] += result[i];
      }
      float* out = static_cast<float*>(args_.x.data) + row * args_.x.stride[0];
      if (args_.accumulate == 0) {
        std::copy_n(sum, hidden, out);
      } else {
        for (size_t i = 0; i < hidden; ++i) out[i] += sum[i];
      }
    }
  }

  RankCollectives& group_;
  const fathom_moe_exchange_args& args_;
  uint64_t number_;
  Leaving leaving_;
  Sizes to_ = {}, from_ = {};
};

template <fathom_op Op>
fathom_status run_exchange(Device& device, WorkQueue&, void* arguments) {
  QueuedExchange& queued = *static_cast<QueuedExchange*>(arguments);
  Comm& comm = *static_cast<Comm*>(queued.args.comm);
  const std::lock_guard alone(comm.mutex);
  if (!comm.collectives) {
    return invalid("cpu-discrete: {}: expected a group that was not destroyed",
                   device::op_name(Op));
  }
  const std::shared_lock lock(device.memory.mutex());
  Addresses addresses(device.memory, device::op_name(Op), Addresses::Then::kReplaced);
  visit_addresses(addresses, queued.args);
  if (addresses.status() != FATHOM_OK) comm.collectives->abort();
  FATHOM_CPU_TRY(addresses.status());
  Exchange exchange(*comm.collectives, queued);
  const Status done = Op == FATHOM_OP_MOE_DISPATCH ? exchange.dispatch() : exchange.combine();
  if (done) return FATHOM_OK;
  comm.collectives->abort();
  return device::fail(FATHOM_INTERNAL, fmt::format("cpu-discrete: {}: {}", device::op_name(Op),
                                                   done.error().message));
}

template <fathom_op Op>
fathom_status queue_exchange(fathom_device* handle, fathom_stream* stream, const void* arguments) {
  QueuedExchange queued = {*static_cast<const fathom_moe_exchange_args*>(arguments), 0};
  fathom_moe_exchange_args& args = queued.args;
  FATHOM_CPU_TRY(check_row_exchange(args));
  if (args.comm == nullptr) return invalid("{}: expected a group, got NULL", device::op_name(Op));
  Comm& comm = *static_cast<Comm*>(args.comm);
  if (ranks_of(args) != comm.ranks) {
    return invalid("{}: expected out for the {} ranks of the group, got it for {}",
                   device::op_name(Op), comm.ranks, ranks_of(args));
  }
  if (args.workspace_bytes < row_exchange_workspace(args)) {
    return invalid("{}: expected a workspace of {} bytes, got {}", device::op_name(Op),
                   row_exchange_workspace(args), args.workspace_bytes);
  }
  WorkQueue& queue = queue_of(stream);
  FATHOM_CPU_TRY(queue.check_not_recording(device::op_name(Op)));
  const DeviceMemory& memory = device_of(handle).memory;
  {
    const std::shared_lock lock(memory.mutex());
    Addresses addresses(memory, device::op_name(Op), Addresses::Then::kLeft);
    visit_addresses(addresses, args);
    FATHOM_CPU_TRY(addresses.status());
  }
  queued.number = comm.called;
  FATHOM_CPU_TRY(queue.push(run_exchange<Op>, queued));
  comm.called += Op == FATHOM_OP_MOE_DISPATCH ? kDispatchCalls : kCombineCalls;
  return FATHOM_OK;
}

}  // namespace

fathom_status check_row_exchange(const fathom_moe_exchange_args& args) {
  FATHOM_CPU_TRY(check_size("moe_exchange", args.size, sizeof(args)));
  for (const fathom_tensor* tensor : {&args.x, &args.out}) {
    if (tensor->rank != 2 || tensor->dtype != FATHOM_F32 || tensor->shape[1] != args.x.shape[1]) {
      return unsupported("moe_exchange: expected F32 rows of one width");
    }
  }
  if (args.experts_a_rank < 1 || args.top_k < 1 || args.max_rows < 1 ||
      args.x.shape[0] > args.max_rows || args.out.shape[0] % args.max_rows != 0 ||
      args.out.stride[0] != args.out.shape[1]) {
    return invalid(
        "moe_exchange: expected x of at most max_rows, dense out of as many for each rank, and "
        "top_k and experts_a_rank from 1");
  }
  if (args.out.shape[0] == 0 || ranks_of(args) > kMostRanks) {
    return unsupported("moe_exchange: expected 1 to {} ranks, got {}", kMostRanks, ranks_of(args));
  }
  return FATHOM_OK;
}

size_t row_exchange_workspace(const fathom_moe_exchange_args& args) {
  const int64_t hidden = args.x.shape[1];
  const int64_t of_row = hidden + 2 * int64_t{args.top_k};
  return static_cast<size_t>(most_leaving(args) * of_row + hidden) * sizeof(float);
}

void fill_row_exchange(fathom_backend& table) {
  table.kernels[FATHOM_OP_MOE_DISPATCH] = queue_exchange<FATHOM_OP_MOE_DISPATCH>;
  table.kernels[FATHOM_OP_MOE_COMBINE] = queue_exchange<FATHOM_OP_MOE_COMBINE>;
}

}  // namespace fathom::cpu::discrete
