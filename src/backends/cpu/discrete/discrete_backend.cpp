#include "backends/cpu/discrete/discrete_backend.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <iterator>
#include <new>
#include <string>

#include "backends/cpu/checks/check_parts.h"
#include "backends/cpu/cpu_backend.h"
#include "backends/cpu/discrete/discrete_device.h"
#include "backends/cpu/discrete/discrete_operators.h"
#include "backends/cpu/discrete/graphs.h"
#include "backends/cpu/discrete/guarded_table.h"
#include "backends/cpu/discrete/queued_collectives.h"
#include "backends/cpu/discrete/transfers.h"
#include "backends/cpu/open_device.h"

namespace fathom::cpu::discrete {
namespace {

constexpr char kName[] = "cpu-discrete";

fathom_status device_open(const fathom_device_options* options, fathom_device** device) {
  if (options == nullptr || options->size < sizeof(*options) || options->kernels == nullptr) {
    return open_device<Device>(kName, options, device);
  }
  const auto own = Options::parse(options->kernels);
  if (!own) return invalid("open {}: kernels: {}", kName, own.error().message);
  fathom_device_options inner = *options;
  inner.kernels = own->kernels.c_str();
  FATHOM_CPU_TRY(open_device<Device>(kName, &inner, device));
  device_of(*device).options = *own;
  return FATHOM_OK;
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
  const Options& options = device_of(device).options;
  info->capabilities &= ~FATHOM_CAP_HOST_MEMORY;
  info->capabilities |= FATHOM_CAP_ASYNCHRONOUS | FATHOM_CAP_GRAPHS | FATHOM_CAP_COLLECTIVES;
  info->capabilities = options.capabilities_of(info->capabilities);
  info->kv_planes = options.kv_planes;
  info->kv_block_sizes[0] = options.kv_block_size;
  if (options.kv_dtype != 0) info->kv_dtype = options.kv_dtype;
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
  WorkQueue& queue = queue_of(stream);
  FATHOM_CPU_TRY(queue.check_not_recording("stream_synchronize"));
  return queue.synchronize(queue.point());
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
  FATHOM_CPU_TRY(queue.check_not_recording("event_record"));
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
  FATHOM_CPU_TRY(queue_of(stream).check_not_recording("event_wait"));
  if (event.queue == nullptr) return FATHOM_OK;
  const Point point = {event.queue, event.point};
  return queue_of(stream).push(wait_for_point, point, WorkQueue::Behind::kRuns);
}

fathom_status event_query(fathom_device*, fathom_event* handle, int32_t* reached) {
  const Event& event = event_of(handle);
  bool is_reached = true;
  fathom_status status = FATHOM_OK;
  if (event.queue != nullptr) status = event.queue->query(event.point, is_reached);
  *reached = is_reached ? 1 : 0;
  return status;
}

fathom_status event_synchronize(fathom_device*, fathom_event* handle) {
  const Event& event = event_of(handle);
  return event.queue != nullptr ? event.queue->synchronize(event.point) : FATHOM_OK;
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
  table.event_create = event_create;
  table.event_destroy = event_destroy;
  table.event_record = event_record;
  table.event_wait = event_wait;
  table.event_elapsed_ms = event_elapsed_ms;
  table.event_query = event_query;
  table.event_synchronize = event_synchronize;
  fill_transfers(table);
  fill_operators(table);
  fill_graphs(table);
  fill_collectives(table);
  return guard(table);
}

}  // namespace
}  // namespace fathom::cpu::discrete

extern "C" const fathom_backend* fathom_cpu_discrete_backend_entry(uint32_t host_abi_version) {
  static const fathom_backend table = fathom::cpu::discrete::make_table();
  return host_abi_version == FATHOM_ABI_VERSION ? &table : nullptr;
}
