// The ranks of a group as a step knows them: what they pass to each other lies in their chips'
// memory, and is passed on behind the work that was queued before. Operations are comm::Group's.
#pragma once

#include <memory>
#include <span>

#include "comm/group.h"
#include "device/communicator.h"
#include "device/device.h"

namespace fathom::models::deepseek_v3 {

class ChipGroup {
 public:
  virtual ~ChipGroup() = default;
  ChipGroup(const ChipGroup&) = delete;
  ChipGroup& operator=(const ChipGroup&) = delete;

  virtual Status all_reduce(const comm::Tag& tag, fathom_dtype dtype, void* data,
                            int64_t count) = 0;
  virtual Status reduce_scatter(const comm::Tag& tag, fathom_dtype dtype, const void* data,
                                void* out, std::span<const int64_t> counts) = 0;
  virtual Status all_gather(const comm::Tag& tag, const void* data, void* all,
                            std::span<const size_t> bytes) = 0;
  virtual Status all_to_all(const comm::Tag& tag, const void* data,
                            std::span<const size_t> data_bytes, void* out,
                            std::span<const size_t> out_bytes) = 0;
  virtual Status send(const comm::Tag& tag, int to, const void* data, size_t bytes) = 0;
  virtual Status receive(const comm::Tag& tag, int from, void* data, size_t bytes) = 0;

  // For operators that pass rows between the ranks; null where the hosts pass them.
  virtual fathom_comm* chips() const { return nullptr; }
  // Ends what is queued and waits for other ranks.
  virtual void abort() = 0;

 protected:
  ChipGroup() = default;
};

// By the chips' own collectives, queued as all other work: the host goes on.
std::unique_ptr<ChipGroup> on_the_stream(device::Communicator chips);

// The host's memory that copies of the chip's are exchanged in, for all groups of a rank; where the
// host may touch the chip's memory, none is needed.
struct RankStaging {
  // For operations of at most `bytes` in and as many out; all_to_all has both at the same time.
  static Result<RankStaging> make(device::Device& device, size_t bytes, bool exchanges);

  size_t bytes() const { return memory.size() + arriving.size(); }

  device::HostBuffer memory;
  device::HostBuffer arriving;
};

// By the hosts, which wait for their chips first. All must outlive the group.
std::unique_ptr<ChipGroup> through_the_host(comm::Group& group, device::Device& device,
                                            const RankStaging& staging);

}  // namespace fathom::models::deepseek_v3
