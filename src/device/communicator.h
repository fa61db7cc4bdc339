// A group of ranks' devices as one of them sees it: what the contract's comm_* functions do
// (device/abi.h), queued behind all other work of the device.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "base/result.h"
#include "device/abi.h"
#include "device/device.h"

namespace fathom::device {

class Communicator {
 public:
  // Of a new group: one rank makes it, and join() of every rank takes it. `device` has collectives
  // and must outlive the group.
  static Result<fathom_comm_id> make_id(Device& device);
  // Waits for the other ranks.
  static Result<Communicator> join(Device& device, const fathom_comm_id& id, int rank, int ranks,
                                   std::chrono::milliseconds deadline);

  Communicator() = default;
  Communicator(Communicator&& other) noexcept { *this = std::move(other); }
  Communicator& operator=(Communicator&& other) noexcept {
    std::swap(device_, other.device_);
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Communicator();

  // All of device memory; sizes, one a rank, are read during the call. What fails while it runs is
  // told by a later call of the device.
  Status all_reduce(fathom_dtype dtype, const void* in, void* out, int64_t count);
  Status reduce_scatter(fathom_dtype dtype, const void* in, void* out,
                        std::span<const int64_t> counts);
  Status all_gather(const void* in, void* out, std::span<const size_t> bytes);
  Status all_to_all(const void* in, std::span<const size_t> in_bytes, void* out,
                    std::span<const size_t> out_bytes);
  Status broadcast(int root, void* data, size_t bytes);
  Status send(int to, const void* data, size_t bytes);
  Status receive(int from, void* data, size_t bytes);

  // For operators that pass rows between the ranks.
  fathom_comm* handle() const { return handle_; }

  // Ends what waits for other ranks, which fails then; nothing may be called any more. From any
  // thread.
  void abort();

 private:
  Communicator(Device& device, fathom_comm* handle) : device_(&device), handle_(handle) {}

  Device* device_ = nullptr;
  fathom_comm* handle_ = nullptr;
};

}  // namespace fathom::device
