#include "backends/cpu/cpu_backend.h"

#include <fmt/format.h>

#include <cstdlib>
#include <cstring>
#include <new>

#include "backends/cpu/cpu_device.h"
#include "backends/cpu/cpu_operators.h"
#include "backends/cpu/host/host_info.h"
#include "backends/cpu/host/host_topology.h"
#include "backends/cpu/host/pages.h"
#include "backends/cpu/host/parallel_checksum.h"
#include "backends/cpu/limits.h"
#include "backends/cpu/open_device.h"
#include "backends/cpu/self_test.h"
#include "device/last_error.h"

namespace fathom::cpu {
namespace {

fathom_status device_count(int32_t* count) {
  *count = 1;
  return FATHOM_OK;
}

fathom_status device_open(const fathom_device_options* options, fathom_device** device) {
  return open_device<fathom_device>("cpu", options, device);
}

void device_close(fathom_device* device) {
  delete device;
}

fathom_status device_info(fathom_device* device, fathom_device_info* info) {
  if (info->size < sizeof(*info)) {
    return device::fail(FATHOM_INVALID, fmt::format("cpu info: expected size {} or more, got {}",
                                                    sizeof(*info), info->size));
  }
  const auto end =
      fmt::format_to_n(info->name, sizeof(info->name) - 1, "{}, {} threads{}, {}", processor_name(),
                       device->pool.threads(), device->placement.text(), device->kernels.name);
  *end.out = '\0';
  const HostMemory memory = host_memory();
  info->memory_bytes = memory.total;
  info->memory_free = memory.free;
  info->capabilities = FATHOM_CAP_BATCH_INVARIANT | FATHOM_CAP_HOST_MEMORY;
  info->activation_dtype = FATHOM_F32;
  info->kv_dtype = device->kernels.kv_dtype;
  info->alignment = kAlignment;
  return FATHOM_OK;
}

// Every thread reads of every matrix, whichever part comes next: so memory that the threads of
// several nodes share is on all of them, and that of one node's threads is on theirs.
fathom_status allocate(fathom_device* device, size_t bytes, void** memory) {
  *memory = allocate_pages(bytes);
  if (*memory != nullptr && device->placement.several_nodes && bytes >= kHugePage) {
    interleave_memory(*memory, bytes, device->placement.nodes);
  }
  if (*memory != nullptr) return FATHOM_OK;
  return device::fail(FATHOM_NO_MEMORY, fmt::format("cpu memory: no room for {} bytes", bytes));
}

void release(fathom_device*, void* memory) {
  std::free(memory);
}

fathom_status host_allocate(fathom_device*, size_t bytes, void** memory) {
  *memory = allocate_pages(bytes);
  if (*memory != nullptr) return FATHOM_OK;
  return device::fail(FATHOM_NO_MEMORY, fmt::format("host memory: no room for {} bytes", bytes));
}

fathom_status map_host(fathom_device*, const void* host, size_t, const void** mapped) {
  *mapped = host;
  return FATHOM_OK;
}

fathom_status stream_create(fathom_device*, fathom_stream** stream) {
  *stream = new (std::nothrow) fathom_stream;
  return *stream != nullptr ? FATHOM_OK : device::fail(FATHOM_NO_MEMORY, "cpu stream: no memory");
}

void stream_destroy(fathom_device*, fathom_stream* stream) {
  delete stream;
}

fathom_status stream_synchronize(fathom_device*, fathom_stream*) {
  return FATHOM_OK;
}

fathom_status copy_to_device(fathom_device*, fathom_stream*, void* to, const void* host,
                             size_t bytes) {
  if (bytes > 0) std::memmove(to, host, bytes);
  return FATHOM_OK;
}

fathom_status copy_to_host(fathom_device* device, fathom_stream* stream, void* host,
                           const void* from, size_t bytes) {
  return copy_to_device(device, stream, host, from, bytes);
}

fathom_status event_create(fathom_device*, fathom_event** event) {
  *event = new (std::nothrow) fathom_event;
  return *event != nullptr ? FATHOM_OK : device::fail(FATHOM_NO_MEMORY, "cpu event: no memory");
}

void event_destroy(fathom_device*, fathom_event* event) {
  delete event;
}

fathom_status event_record(fathom_device*, fathom_stream*, fathom_event* event) {
  event->recorded = std::chrono::steady_clock::now();
  return FATHOM_OK;
}

// Whatever was queued before the event has already run.
fathom_status event_wait(fathom_device*, fathom_stream*, fathom_event*) {
  return FATHOM_OK;
}

fathom_status event_query(fathom_device*, fathom_event*, int32_t* reached) {
  *reached = 1;
  return FATHOM_OK;
}

fathom_status event_synchronize(fathom_device*, fathom_event*) {
  return FATHOM_OK;
}

fathom_status event_elapsed_ms(fathom_device*, fathom_event* from, fathom_event* to,
                               float* milliseconds) {
  const std::chrono::duration<float, std::milli> elapsed = to->recorded - from->recorded;
  *milliseconds = elapsed.count();
  return FATHOM_OK;
}

fathom_status fill(fathom_device*, fathom_stream*, void* to, uint8_t value, size_t bytes) {
  if (bytes > 0) std::memset(to, value, bytes);
  return FATHOM_OK;
}

fathom_status checksum(fathom_device* device, fathom_stream*, const void* from, size_t bytes,
                       uint64_t* sum) {
  *sum = parallel_checksum(device->pool, from, bytes);
  return FATHOM_OK;
}

fathom_backend make_table() {
  fathom_backend table = {};
  table.size = sizeof(table);
  table.abi_version = FATHOM_ABI_VERSION;
  table.name = "cpu";
  table.version = "2";
  table.last_error = device::last_error;
  table.device_count = device_count;
  table.device_open = device_open;
  table.device_close = device_close;
  table.device_info = device_info;
  table.alloc = allocate;
  table.free = release;
  table.host_alloc = host_allocate;
  table.host_free = release;
  table.map_host = map_host;
  table.stream_create = stream_create;
  table.stream_destroy = stream_destroy;
  table.stream_synchronize = stream_synchronize;
  table.copy_to_device = copy_to_device;
  table.copy_to_host = copy_to_host;
  table.copy_on_device = copy_to_device;
  table.event_create = event_create;
  table.event_destroy = event_destroy;
  table.event_record = event_record;
  table.event_wait = event_wait;
  table.event_elapsed_ms = event_elapsed_ms;
  table.measure_limits = measure_limits;
  table.event_query = event_query;
  table.event_synchronize = event_synchronize;
  table.fill = fill;
  table.checksum = checksum;
  table.self_test_name = self_test_name;
  table.self_test = self_test;
  fill_operators(table);
  return table;
}

}  // namespace
}  // namespace fathom::cpu

extern "C" const fathom_backend* fathom_cpu_backend_entry(uint32_t host_abi_version) {
  static const fathom_backend table = fathom::cpu::make_table();
  return host_abi_version == FATHOM_ABI_VERSION ? &table : nullptr;
}
