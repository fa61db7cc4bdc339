#include "backends/cpu/discrete/discrete_backend.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <iterator>
#include <new>
#include <shared_mutex>
#include <string>

#include "backends/cpu/check_parts.h"
#include "backends/cpu/cpu_backend.h"
#include "backends/cpu/discrete/discrete_device.h"
#include "backends/cpu/discrete/discrete_operators.h"
#include "backends/cpu/open_device.h"

namespace fathom::cpu::discrete {
namespace {

constexpr char kName[] = "cpu-discrete";

fathom_status device_open(const fathom_device_options* options, fathom_device** device) {
  return open_device<Device>(kName, options, device);
}

void device_close(fathom_device* device) {
  delete &device_of(device);
}

fathom_status device_info(fathom_device* device, fathom_device_info* info) {
  FATHOM_CPU_TRY(fathom_cpu_backend_entry(FATHOM_ABI_VERSION)->device_info(device, info));
  const std::string name = info->name;
  const auto end = fmt::format_to_n(info->name, sizeof(info->name) - 1,
                                    "{}, its memory out of the host's reach", name);
  *end.out = '\0';
  info->capabilities &= ~FATHOM_CAP_HOST_MEMORY;
  return FATHOM_OK;
}

fathom_status allocate(fathom_device* device, size_t bytes, void** memory) {
  *memory = device_of(device).memory.allocate(bytes);
  if (*memory != nullptr) return FATHOM_OK;
  return device::fail(FATHOM_NO_MEMORY,
                      fmt::format("{} memory: no room for {} bytes", kName, bytes));
}

void release(fathom_device* device, void* memory) {
  device_of(device).memory.release(memory);
}

fathom_status no_memory_for(const char* what, const std::exception& error) {
  return device::fail(FATHOM_NO_MEMORY, fmt::format("{} {}: {}", kName, what, error.what()));
}

fathom_status stream_create(fathom_device* handle, fathom_stream** stream) {
  Device& device = device_of(handle);
  try {
    auto free = std::ranges::find(device.queues, false, &WorkQueue::is_running);
    if (free == device.queues.end()) {
      device.queues.emplace_back(device, device.queues.size());
      free = std::prev(device.queues.end());
    }
    free->start();
    *stream = &*free;
  } catch (const std::exception& error) {
    return no_memory_for("stream", error);
  }
  return FATHOM_OK;
}

void stream_destroy(fathom_device*, fathom_stream* stream) {
  queue_of(stream).stop();
}

fathom_status stream_synchronize(fathom_device*, fathom_stream* stream) {
  return queue_of(stream).synchronize();
}

struct Copy {
  void* to;
  const void* from;
  size_t bytes;
};

// Which ends of a copy are in device memory.
template <bool kToDevice, bool kFromDevice>
fathom_status find_ends(const DeviceMemory& memory, const Copy& copy, Copy& found) {
  const char* call = !kToDevice     ? "copy_to_host"
                     : !kFromDevice ? "copy_to_device"
                                    : "copy_on_device";
  found = copy;
  const auto find = [&](const void* address, bool in_device, const char* what) -> void* {
    if (in_device) return memory.find(address, copy.bytes, call, what);
    if (address != nullptr && !memory.is_device(address)) return const_cast<void*>(address);
    invalid("{}: {}: expected {} in host memory, got {}", kName, call, what, address);
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
  return queue_of(stream).push(run_copy<kToDevice, kFromDevice>, copy);
}

fathom_status event_create(fathom_device*, fathom_event** event) {
  *event = new (std::nothrow) Event;
  if (*event != nullptr) return FATHOM_OK;
  return device::fail(FATHOM_NO_MEMORY, fmt::format("{} event: no memory", kName));
}

void event_destroy(fathom_device*, fathom_event* handle) {
  Event& event = event_of(handle);
  if (event.queue != nullptr) event.queue->wait_until(event.point);
  delete &event;
}

fathom_status reach_event(Device&, WorkQueue&, void* arguments) {
  (*static_cast<Event**>(arguments))->reached = std::chrono::steady_clock::now();
  return FATHOM_OK;
}

fathom_status event_record(fathom_device*, fathom_stream* stream, fathom_event* handle) {
  Event& event = event_of(handle);
  WorkQueue& queue = queue_of(stream);
  FATHOM_CPU_TRY(queue.push(reach_event, &event, WorkQueue::Behind::kRuns));
  event.queue = &queue;
  event.point = queue.point();
  return FATHOM_OK;
}

struct Point {
  WorkQueue* queue;
  uint64_t point;
};

fathom_status wait_for_point(Device&, WorkQueue&, void* arguments) {
  const Point& point = *static_cast<const Point*>(arguments);
  point.queue->wait_until(point.point);
  return FATHOM_OK;
}

fathom_status event_wait(fathom_device*, fathom_stream* stream, fathom_event* handle) {
  const Event& event = event_of(handle);
  if (event.queue == nullptr) return FATHOM_OK;
  const Point point = {event.queue, event.point};
  return queue_of(stream).push(wait_for_point, point, WorkQueue::Behind::kRuns);
}

fathom_status event_elapsed_ms(fathom_device*, fathom_event* from, fathom_event* to,
                               float* milliseconds) {
  for (const fathom_event* handle : {from, to}) {
    const Event& event = *static_cast<const Event*>(handle);
    if (event.queue == nullptr) {
      return invalid("{}: event_elapsed_ms: expected events that were recorded", kName);
    }
    event.queue->wait_until(event.point);
  }
  const std::chrono::duration<float, std::milli> elapsed =
      event_of(to).reached.load() - event_of(from).reached.load();
  *milliseconds = elapsed.count();
  return FATHOM_OK;
}

fathom_backend make_table() {
  fathom_backend table = *fathom_cpu_backend_entry(FATHOM_ABI_VERSION);
  table.name = kName;
  table.device_open = device_open;
  table.device_close = device_close;
  table.device_info = device_info;
  table.alloc = allocate;
  table.free = release;
  table.map_host = nullptr;
  table.stream_create = stream_create;
  table.stream_destroy = stream_destroy;
  table.stream_synchronize = stream_synchronize;
  table.copy_to_device = queue_copy<true, false>;
  table.copy_to_host = queue_copy<false, true>;
  table.copy_on_device = queue_copy<true, true>;
  table.event_create = event_create;
  table.event_destroy = event_destroy;
  table.event_record = event_record;
  table.event_wait = event_wait;
  table.event_elapsed_ms = event_elapsed_ms;
  fill_operators(table);
  return table;
}

}  // namespace
}  // namespace fathom::cpu::discrete

extern "C" const fathom_backend* fathom_cpu_discrete_backend_entry(uint32_t host_abi_version) {
  static const fathom_backend table = fathom::cpu::discrete::make_table();
  return host_abi_version == FATHOM_ABI_VERSION ? &table : nullptr;
}
