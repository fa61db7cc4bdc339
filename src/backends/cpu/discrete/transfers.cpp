#include "backends/cpu/discrete/transfers.h"

#include <cstring>
#include <mutex>
#include <shared_mutex>

#include "backends/cpu/checks/check_parts.h"
#include "backends/cpu/discrete/discrete_device.h"
#include "backends/cpu/host/parallel_checksum.h"

namespace fathom::cpu::discrete {
namespace {

struct Copy {
  void* to;
  const void* from;
  size_t bytes;
};

// Which ends of a copy are in device memory.
template <bool kToDevice, bool kFromDevice>
constexpr const char* kCopy = !kToDevice     ? "copy_to_host"
                              : !kFromDevice ? "copy_to_device"
                                             : "copy_on_device";

template <bool kToDevice, bool kFromDevice>
fathom_status find_ends(const DeviceMemory& memory, const Copy& copy, Copy& found) {
  constexpr const char* call = kCopy<kToDevice, kFromDevice>;
  found = copy;
  const auto find = [&](const void* address, bool in_device, const char* what) -> void* {
    if (in_device) return memory.find(address, copy.bytes, call, what);
    if (address != nullptr && !memory.is_device(address)) return const_cast<void*>(address);
    invalid("cpu-discrete: {}: expected {} in host memory, got {}", call, what, address);
    return nullptr;
  };
  found.to = find(copy.to, kToDevice, "where to copy to");
  if (found.to == nullptr) return FATHOM_INVALID;
  found.from = find(copy.from, kFromDevice, "what to copy");
  return found.from == nullptr ? FATHOM_INVALID : FATHOM_OK;
}

template <bool kToDevice, bool kFromDevice>
fathom_status run_copy(Device& device, WorkQueue&, void* arguments) {
  const std::shared_lock lock(device.memory.mutex());
  Copy found;
  const Copy& copy = *static_cast<const Copy*>(arguments);
  FATHOM_CPU_TRY((find_ends<kToDevice, kFromDevice>(device.memory, copy, found)));
  std::memmove(found.to, found.from, found.bytes);
  return FATHOM_OK;
}

template <bool kToDevice, bool kFromDevice>
fathom_status queue_copy(fathom_device* handle, fathom_stream* stream, void* to, const void* from,
                         size_t bytes) {
  if (bytes == 0) return FATHOM_OK;
  const Copy copy = {to, from, bytes};
  {
    const DeviceMemory& memory = device_of(handle).memory;
    const std::shared_lock lock(memory.mutex());
    Copy found;
    FATHOM_CPU_TRY((find_ends<kToDevice, kFromDevice>(memory, copy, found)));
  }
  constexpr auto run = run_copy<kToDevice, kFromDevice>;
  if constexpr (kToDevice && kFromDevice) return queue_of(stream).push_or_record(run, copy);
  FATHOM_CPU_TRY(queue_of(stream).check_not_recording(kCopy<kToDevice, kFromDevice>));
  return queue_of(stream).push(run, copy);
}

struct Fill {
  void* to;
  size_t bytes;
  uint8_t value;
};

std::byte* find_filled(const DeviceMemory& memory, const Fill& fill) {
  return memory.find(fill.to, fill.bytes, "fill", "what to fill");
}

fathom_status run_fill(Device& device, WorkQueue&, void* arguments) {
  const std::shared_lock lock(device.memory.mutex());
  const Fill& fill = *static_cast<const Fill*>(arguments);
  std::byte* found = find_filled(device.memory, fill);
  if (found == nullptr) return FATHOM_INVALID;
  std::memset(found, fill.value, fill.bytes);
  return FATHOM_OK;
}

fathom_status queue_fill(fathom_device* handle, fathom_stream* stream, void* to, uint8_t value,
                         size_t bytes) {
  if (bytes == 0) return FATHOM_OK;
  const Fill fill = {to, bytes, value};
  {
    const DeviceMemory& memory = device_of(handle).memory;
    const std::shared_lock lock(memory.mutex());
    if (find_filled(memory, fill) == nullptr) return FATHOM_INVALID;
  }
  return queue_of(stream).push_or_record(run_fill, fill);
}

struct Checksum {
  const void* from;
  size_t bytes;
  uint64_t* sum;
};

// What is summed up, and where its sum goes.
struct ChecksumEnds {
  const std::byte* from = nullptr;
  std::byte* sum = nullptr;
};

fathom_status find_ends(const DeviceMemory& memory, const Checksum& checksum, ChecksumEnds& found) {
  if (reinterpret_cast<uintptr_t>(checksum.from) % sizeof(uint64_t) != 0) {
    return invalid("cpu-discrete: checksum: expected a range aligned to 8 bytes, got {}",
                   checksum.from);
  }
  found.sum = memory.find(checksum.sum, sizeof(uint64_t), "checksum", "its sum");
  if (found.sum == nullptr) return FATHOM_INVALID;
  if (checksum.bytes == 0) return FATHOM_OK;
  found.from = memory.find(checksum.from, checksum.bytes, "checksum", "what to sum up");
  return found.from == nullptr ? FATHOM_INVALID : FATHOM_OK;
}

fathom_status run_checksum(Device& device, WorkQueue&, void* arguments) {
  const std::shared_lock lock(device.memory.mutex());
  const Checksum& checksum = *static_cast<const Checksum*>(arguments);
  ChecksumEnds found;
  FATHOM_CPU_TRY(find_ends(device.memory, checksum, found));
  const std::lock_guard alone(device.one_kernel);
  const uint64_t sum = parallel_checksum(device.pool, found.from, checksum.bytes);
  std::memcpy(found.sum, &sum, sizeof(sum));
  return FATHOM_OK;
}

fathom_status queue_checksum(fathom_device* handle, fathom_stream* stream, const void* from,
                             size_t bytes, uint64_t* sum) {
  const Checksum checksum = {from, bytes, sum};
  {
    const DeviceMemory& memory = device_of(handle).memory;
    const std::shared_lock lock(memory.mutex());
    ChecksumEnds found;
    FATHOM_CPU_TRY(find_ends(memory, checksum, found));
  }
  FATHOM_CPU_TRY(queue_of(stream).check_not_recording("checksum"));
  return queue_of(stream).push(run_checksum, checksum);
}

}  // namespace

void fill_transfers(fathom_backend& table) {
  table.copy_to_device = queue_copy<true, false>;
  table.copy_to_host = queue_copy<false, true>;
  table.copy_on_device = queue_copy<true, true>;
  table.fill = queue_fill;
  table.checksum = queue_checksum;
}

}  // namespace fathom::cpu::discrete
