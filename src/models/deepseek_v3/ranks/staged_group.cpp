#include <numeric>

#include "base/check.h"
#include "models/deepseek_v3/ranks/chip_group.h"

namespace fathom::models::deepseek_v3 {
namespace {

size_t bytes_of_all(std::span<const size_t> bytes) {
  return std::accumulate(bytes.begin(), bytes.end(), size_t{0});
}

// Its host addresses are the chip's where the host may touch them, else in pinned memory. That is
// free whenever an operation begins, since it waits for the chip before it writes there.
class StagedGroup final : public ChipGroup {
 public:
  StagedGroup(comm::Group& group, device::Device& device, const RankStaging& staging)
      : group_(group), device_(device), staging_(staging) {}

  Status all_reduce(const comm::Tag& tag, fathom_dtype dtype, void* data, int64_t count) override {
    const size_t bytes = static_cast<size_t>(count) * device::dtype_size(dtype);
    FATHOM_TRY(fetch(data, bytes));
    FATHOM_TRY(group_.all_reduce(tag, dtype, host(data), count));
    return put(data, bytes);
  }

  Status reduce_scatter(const comm::Tag& tag, fathom_dtype dtype, const void* data, void* out,
                        std::span<const int64_t> counts) override {
    const size_t width = device::dtype_size(dtype);
    const auto all = static_cast<size_t>(std::accumulate(counts.begin(), counts.end(), int64_t{0}));
    const auto own = counts.begin() + group_.rank();
    const auto before = static_cast<size_t>(std::accumulate(counts.begin(), own, int64_t{0}));
    FATHOM_TRY(fetch(data, all * width));
    FATHOM_TRY(group_.reduce_scatter(tag, dtype, host(data), host(out, before * width), counts));
    return put(out, static_cast<size_t>(*own) * width, before * width);
  }

  Status all_gather(const comm::Tag& tag, const void* data, void* all,
                    std::span<const size_t> bytes) override {
    const auto self = static_cast<size_t>(group_.rank());
    const size_t before = bytes_of_all(bytes.first(self));
    FATHOM_TRY(fetch(data, bytes[self], before));
    FATHOM_TRY(group_.all_gather(tag, host(data, before), host(all), bytes));
    return put(all, bytes_of_all(bytes));
  }

  Status all_to_all(const comm::Tag& tag, const void* data, std::span<const size_t> data_bytes,
                    void* out, std::span<const size_t> out_bytes) override {
    FATHOM_TRY(fetch(data, bytes_of_all(data_bytes)));
    void* arriving = device_.host_memory() ? out : staging_.arriving.data();
    FATHOM_TRY(group_.all_to_all(tag, host(data), data_bytes, arriving, out_bytes));
    if (device_.host_memory()) return {};
    return device_.copy_to_device(out, arriving, bytes_of_all(out_bytes));
  }

  Status send(const comm::Tag& tag, int to, const void* data, size_t bytes) override {
    FATHOM_TRY(fetch(data, bytes));
    return group_.send(tag, to, host(data), bytes);
  }

  Status receive(const comm::Tag& tag, int from, void* data, size_t bytes) override {
    FATHOM_TRY(device_.synchronize());
    FATHOM_TRY(group_.receive(tag, from, host(data), bytes));
    return put(data, bytes);
  }

  // The watch ends the host's waits.
  void abort() override {}

 private:
  // Where the host finds what `memory` holds, in pinned memory at `offset`.
  template <typename T>
  T* host(T* memory, size_t offset = 0) const {
    if (device_.host_memory()) return memory;
    return static_cast<std::byte*>(staging_.memory.data()) + offset;
  }

  Status fetch(const void* memory, size_t bytes, size_t offset = 0) {
    if (!device_.host_memory() && bytes > 0) {
      FATHOM_CHECK(offset + bytes <= staging_.memory.size(), "ranks: expected what was planned");
      FATHOM_TRY(device_.copy_to_host(host(const_cast<void*>(memory), offset), memory, bytes));
    }
    return device_.synchronize();
  }

  Status put(void* memory, size_t bytes, size_t offset = 0) {
    if (device_.host_memory() || bytes == 0) return {};
    FATHOM_CHECK(offset + bytes <= staging_.memory.size(), "ranks: expected what was planned");
    return device_.copy_to_device(memory, host(memory, offset), bytes);
  }

  comm::Group& group_;
  device::Device& device_;
  const RankStaging& staging_;
};

}  // namespace

Result<RankStaging> RankStaging::make(device::Device& device, size_t bytes, bool exchanges) {
  RankStaging staging;
  if (device.host_memory()) return staging;
  FATHOM_ASSIGN(staging.memory, device.alloc_host(bytes));
  if (!exchanges) return staging;
  FATHOM_ASSIGN(staging.arriving, device.alloc_host(bytes));
  return staging;
}

std::unique_ptr<ChipGroup> through_the_host(comm::Group& group, device::Device& device,
                                            const RankStaging& staging) {
  return std::make_unique<StagedGroup>(group, device, staging);
}

}  // namespace fathom::models::deepseek_v3
