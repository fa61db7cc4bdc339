// A chip, opened through its contract (device/abi.h), with owners for what it hands out.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "device/abi.h"
#include "device/event.h"
#include "device/graph.h"
#include "device/tensor.h"

namespace fathom::device {

class Communicator;
class Device;

// Tokens a cache block, on any chip.
inline constexpr int32_t kLeastKvBlock = 16;
inline constexpr int32_t kMostKvBlock = 128;

// Owns one block of memory that a device handed out, for which the table has the function `kFree`.
template <void (*fathom_backend::*kFree)(fathom_device*, void*)>
class OwnedMemory {
 public:
  OwnedMemory() = default;
  OwnedMemory(OwnedMemory&& other) noexcept { *this = std::move(other); }
  OwnedMemory& operator=(OwnedMemory&& other) noexcept {
    std::swap(device_, other.device_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~OwnedMemory();

  void* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  friend class Device;
  OwnedMemory(Device* device, void* data, size_t size)
      : device_(device), data_(data), size_(size) {}

  Device* device_ = nullptr;
  void* data_ = nullptr;
  size_t size_ = 0;
};

// Of the device's memory.
using Buffer = OwnedMemory<&fathom_backend::free>;
// Of the host's, which copies are fastest from and to: for what is copied in every step. Queued
// copies still use it after the call: it is written, read and ended only behind synchronize().
using HostBuffer = OwnedMemory<&fathom_backend::host_free>;

// Hands out parts of one Buffer, front to back, each aligned as the device wants. There is one for
// weights, one for KV blocks and one for the workspace; nothing is given back before the end.
class Arena {
 public:
  Arena() = default;
  Arena(Buffer buffer, size_t alignment) : buffer_(std::move(buffer)), alignment_(alignment) {}

  // Aborts if the plan that sized the arena was wrong: that is our bug.
  void* take(size_t bytes);
  Tensor take_matrix(fathom_dtype dtype, int64_t rows, int64_t columns);

  size_t used() const { return used_; }
  size_t size() const { return buffer_.size(); }
  // What `bytes` will cost with its padding; for plans.
  static size_t padded(size_t bytes, size_t alignment);

 private:
  Buffer buffer_;
  size_t alignment_ = 64;
  size_t used_ = 0;
};

struct DeviceOptions {
  int32_t index = 0;
  int32_t threads = 0;  // 0: the backend's choice
  std::string kernels;  // "": the fastest set the chip has
  bool pin_threads = false;
  int32_t share_index =
      0;  // which of how many processes that divide this host's cores; -1: unknown
  int32_t share_count = 1;
};

// One opened device with one stream. Not copied or moved: kernels keep pointers to it.
class Device {
 public:
  // `backend` must outlive the device.
  static Result<std::unique_ptr<Device>> open(const fathom_backend& backend,
                                              const DeviceOptions& options);
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  const fathom_backend& backend() const { return backend_; }
  const fathom_device_info& info() const { return info_; }
  bool batch_invariant() const { return (info_.capabilities & FATHOM_CAP_BATCH_INVARIANT) != 0; }
  bool host_memory() const { return (info_.capabilities & FATHOM_CAP_HOST_MEMORY) != 0; }
  bool ignores_weights() const { return (info_.capabilities & FATHOM_CAP_IGNORES_WEIGHTS) != 0; }
  bool asynchronous() const { return (info_.capabilities & FATHOM_CAP_ASYNCHRONOUS) != 0; }
  bool graphs() const { return (info_.capabilities & FATHOM_CAP_GRAPHS) != 0; }
  bool collectives() const { return (info_.capabilities & FATHOM_CAP_COLLECTIVES) != 0; }
  fathom_dtype activation_dtype() const {
    return static_cast<fathom_dtype>(info_.activation_dtype);
  }
  fathom_dtype kv_dtype() const { return static_cast<fathom_dtype>(info_.kv_dtype); }
  int32_t kv_planes() const { return info_.kv_planes == 2 ? 2 : 1; }
  // Tokens a cache block, the best first; none: any number from kLeastKvBlock to kMostKvBlock.
  std::span<const int32_t> kv_block_sizes() const;

  // Whether a call has answered that the chip is lost: from then on every one does. Thread-safe.
  bool lost() const { return lost_; }

  // `what` it is for, where an error shall say that it did not fit ("the KV cache").
  Result<Buffer> alloc(size_t bytes, std::string_view what = {});
  Result<Arena> alloc_arena(size_t bytes, std::string_view what = {});
  Result<HostBuffer> alloc_host(size_t bytes);
  // Host memory made readable for kernels without a copy; kUnsupported where the chip cannot.
  Result<const void*> map_host(const void* host, size_t bytes);

  // Queued copies. Until synchronize() host memory must stay valid, what is copied from it
  // unchanged, and what is copied to it unread.
  Status copy_to_device(void* to, const void* host, size_t bytes);
  Status copy_to_host(void* host, const void* from, size_t bytes);
  Status copy_on_device(void* to, const void* from, size_t bytes);
  Status synchronize();
  // Bytes of all copies to the host so far.
  uint64_t copied_to_host() const { return copied_to_host_; }

  // Every byte of [to, to + bytes) becomes `value`.
  Status fill(void* to, uint8_t value, size_t bytes);
  // *sum, in the device's memory, becomes the checksum (device/checksum.h) of the range, whose
  // first byte is aligned to 8.
  Status checksum(const void* from, size_t bytes, uint64_t* sum);

  // Used while loading, never in a step.
  Result<Event> create_event();
  // The event stands for the point behind all that was queued so far.
  Status record(Event& event);
  // Whether the point has been reached; never waits. What failed before it is told by this and by
  // wait_for(), as synchronize() does.
  Result<bool> reached(const Event& event);
  Status wait_for(const Event& event);
  // Milliseconds between two that were recorded; waits for both.
  Result<double> elapsed_ms(const Event& from, const Event& to);

  // Records the operators, fills and copies on the device that `queue` queues; none of them runs.
  // Used while loading, where the chip has graphs(): it needs memory (kResourceExhausted).
  Result<Graph> record_graph(const std::function<Status()>& queue);
  // Queues all of it.
  Status launch(const Graph& graph);
  // How many times so far.
  int64_t launched_graphs() const { return launched_graphs_; }

  // Whether the chip's library has the operator. Where it is optional, supports() says whether this
  // device has it for the arguments in question.
  bool has(fathom_op op) const { return backend_.kernels[op] != nullptr; }
  // Queues one kernel; `args` is the operator's argument structure of the contract.
  Status run(fathom_op op, const void* args);
  bool supports(fathom_op op, const void* args) const;
  Result<size_t> workspace_bytes(fathom_op op, const void* args) const;
  std::string describe(fathom_op op, const void* args) const;

  // Memory that pack() takes; 0 where the chip has no layout of its own for such a weight of `op`.
  Result<size_t> pack_bytes(fathom_op op, const Weight& weight) const;
  // Rewrites a weight in host memory into device `memory` of pack_bytes() bytes, in the chip's own
  // layout. Thread-safe.
  Result<Weight> pack(fathom_op op, const Weight& weight, void* memory) const;

  // Tests of what only the chip can find out about itself; none where it has none.
  std::vector<std::string> self_tests() const;
  // Runs one in a few seconds, while the device does nothing else.
  Status self_test(const std::string& name);

  // What the chip does at best; takes about two seconds.
  Result<fathom_limits> measure_limits();

 private:
  template <void (*fathom_backend::*)(fathom_device*, void*)>
  friend class OwnedMemory;
  friend class Communicator;
  friend class Event;
  friend class Graph;
  Device(const fathom_backend& backend, fathom_device* device)
      : backend_(backend), device_(device) {}
  Status check(fathom_status status, const char* what) const;

  const fathom_backend& backend_;
  fathom_device* device_ = nullptr;
  fathom_stream* stream_ = nullptr;
  fathom_device_info info_ = {};
  uint64_t copied_to_host_ = 0;
  int64_t launched_graphs_ = 0;
  mutable std::atomic<bool> lost_ = false;
};

// "linear", "mla_decode", ...: the operator's base name in every layer.
const char* op_name(fathom_op op);

}  // namespace fathom::device
