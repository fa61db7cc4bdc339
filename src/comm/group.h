// Collectives between the ranks of a job. One process is one rank, and only one thread calls a
// group. All ranks of a group make the same calls in the same order with the same step and name;
// a rank that does not is found and named (docs/parallel.md).
//
// Memory is the host's. `bytes` may be 0, pointers of nothing may be null. An operation returns
// when this rank's part is done and its buffers may be used again. After an error other than
// kInvalidArgument the world is lost: buffers still belong to the transport, every further
// operation fails at once with the same error, and the process is to exit with kExitRankLost.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "base/result.h"
#include "device/abi.h"

namespace fathom::comm {

// What the process exits with when another rank is lost (EX_TEMPFAIL of sysexits.h): a supervisor
// restarts the job.
inline constexpr int kExitRankLost = 75;

// What an operation is for. It travels with the operation and appears in messages.
struct Tag {
  int64_t step = 0;
  std::string_view name;                              // "experts_out"; the first 23 bytes count
  std::optional<std::chrono::milliseconds> deadline;  // none: WorldOptions::operation_deadline
};

class Group {
 public:
  virtual ~Group() = default;
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;

  virtual int rank() const = 0;
  virtual int size() const = 0;

  // A group for each color, ranks ordered by key, then by their rank here. Every rank calls it. The
  // new group must not outlive the World.
  virtual Result<std::unique_ptr<Group>> split(const Tag& tag, int color, int key) = 0;

  // data[i] = x0[i] + x1[i] + ..., x the data of the ranks in the order of ranks, in F32, rounded
  // to `dtype` (F32 or BF16) once. Every rank gets the same bits, in every run.
  virtual Status all_reduce(const Tag& tag, fathom_dtype dtype, void* data, int64_t count) = 0;

  // The same sum, of which rank r gets the counts[r] elements behind those of the ranks before it.
  // `data` holds the sum of counts; `out` may be this rank's own part of it, but may not overlap it
  // otherwise.
  virtual Status reduce_scatter(const Tag& tag, fathom_dtype dtype, const void* data, void* out,
                                std::span<const int64_t> counts) = 0;

  // `all` = the ranks' data one behind the other; bytes[r] is the size of rank r's. `data` may be
  // this rank's own part of `all`.
  virtual Status all_gather(const Tag& tag, const void* data, void* all,
                            std::span<const size_t> bytes) = 0;

  // Sends the r-th part of `data` to rank r and receives its part for this rank as r-th of `out`.
  virtual Status all_to_all(const Tag& tag, const void* data, std::span<const size_t> data_bytes,
                            void* out, std::span<const size_t> out_bytes) = 0;

  // `data` of rank `root` to every rank.
  virtual Status broadcast(const Tag& tag, int root, void* data, size_t bytes) = 0;

  // Returns once every rank has called it.
  virtual Status barrier(const Tag& tag) = 0;

  // From one rank to another that receives as many bytes. Between two ranks messages of one step
  // and name keep their order. A long send may wait for its receiver: two ranks that send to each
  // other use all_to_all.
  virtual Status send(const Tag& tag, int to, const void* data, size_t bytes) = 0;
  virtual Status receive(const Tag& tag, int from, void* data, size_t bytes) = 0;

  // Waits until `is_done` says so, which is asked again and again; its error ends the wait. For
  // what the ranks do together beside their groups, such as collectives on their chips' streams:
  // others see that this rank waits, and where the deadline comes first a rank that does not is
  // named.
  virtual Status await(const Tag& tag, const std::function<Result<bool>()>& is_done) = 0;
  // Why that failed: the rank that is lost, where one is found within seconds, else `error` itself.
  virtual Error explain(const Error& error) = 0;

 protected:
  Group() = default;
};

}  // namespace fathom::comm
