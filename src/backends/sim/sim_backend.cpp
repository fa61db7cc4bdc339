#include "backends/sim/sim_backend.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <thread>

#include "backends/sim/sim_device.h"
#include "backends/sim/sim_operators.h"
#include "device/checksum.h"
#include "device/last_error.h"

namespace fathom::sim {
namespace {

constexpr uint32_t kAlignment = 64;

fathom_status device_count(int32_t* count) {
  *count = 1;
  return FATHOM_OK;
}

fathom_status device_open(const fathom_device_options* options, fathom_device** device) {
  if (options == nullptr || options->size < sizeof(*options)) {
    return device::fail(FATHOM_INVALID, "open sim: expected options of the contract's version 2");
  }
  const auto costs = CostModel::parse(options->kernels == nullptr ? "free" : options->kernels);
  if (!costs) {
    return device::fail(FATHOM_INVALID,
                        fmt::format("open sim: kernels: {}", costs.error().message));
  }
  *device = reinterpret_cast<fathom_device*>(new (std::nothrow) Device(*costs));
  return *device != nullptr ? FATHOM_OK : device::fail(FATHOM_NO_MEMORY, "open sim: no memory");
}

void device_close(fathom_device* device) {
  delete &device_of(device);
}

fathom_status device_info(fathom_device* device, fathom_device_info* info) {
  const CostModel& costs = device_of(device).costs;
  const auto end = fmt::format_to_n(
      info->name, sizeof(info->name) - 1,
      "simulated chip ({:g} GB/s, {:g} TFLOP/s, {:g} us a launch; 0: no limit; {} clock)",
      costs.read_bytes_per_s / 1e9, costs.flops_per_s / 1e12, costs.launch_s * 1e6,
      costs.wall_clock ? "wall" : "virtual");
  *end.out = '\0';
  info->memory_bytes = static_cast<uint64_t>(costs.memory_bytes);
  info->memory_free = info->memory_bytes;
  info->capabilities =
      FATHOM_CAP_BATCH_INVARIANT | FATHOM_CAP_HOST_MEMORY | FATHOM_CAP_IGNORES_WEIGHTS;
  if (device_of(device).asynchronous) info->capabilities |= FATHOM_CAP_ASYNCHRONOUS;
  info->activation_dtype = FATHOM_BF16;
  info->kv_dtype = FATHOM_BF16;
  info->alignment = kAlignment;
  return FATHOM_OK;
}

// Address space: a page costs memory once somebody writes to it, and reads as zeros before. Small
// pages, because of a row of activations only the first bytes are ever written.
fathom_status allocate(fathom_device* handle, size_t bytes, void** memory) {
  void* mapped = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) {
    return device::fail(FATHOM_NO_MEMORY, fmt::format("sim memory: no room for {} bytes: {}", bytes,
                                                      std::strerror(errno)));
  }
  madvise(mapped, bytes, MADV_NOHUGEPAGE);
  Device& device = device_of(handle);
  const std::lock_guard lock(device.mutex);
  device.mapped[mapped] = bytes;
  *memory = mapped;
  return FATHOM_OK;
}

void release(fathom_device* handle, void* memory) {
  Device& device = device_of(handle);
  const std::lock_guard lock(device.mutex);
  const auto found = device.mapped.find(memory);
  if (found == device.mapped.end()) return;
  device.logits.forget(memory, found->second);
  munmap(memory, found->second);
  device.mapped.erase(found);
}

fathom_status stream_create(fathom_device*, fathom_stream** stream) {
  *stream = reinterpret_cast<fathom_stream*>(new (std::nothrow) Stream);
  return *stream != nullptr ? FATHOM_OK : device::fail(FATHOM_NO_MEMORY, "sim stream: no memory");
}

// Waiting for the chip takes real time by the wall clock only.
void wait_until(Device& device, Seconds time) {
  if (!device.asynchronous) return;
  using Clock = std::chrono::steady_clock;
  std::this_thread::sleep_until(
      Clock::time_point(std::chrono::duration_cast<Clock::duration>(time)));
  device.copies.deliver(std::max(time, wall_clock_now()));
}

void stream_destroy(fathom_device* device, fathom_stream* stream) {
  wait_until(device_of(device), stream_of(stream).ready);
  delete &stream_of(stream);
}

fathom_status stream_synchronize(fathom_device* device, fathom_stream* stream) {
  wait_until(device_of(device), stream_of(stream).ready);
  return FATHOM_OK;
}

fathom_status copy(fathom_device* device, fathom_stream*, void* to, const void* from,
                   size_t bytes) {
  device_of(device).logits.forget(to, bytes);
  if (bytes > 0) std::memmove(to, from, bytes);
  return FATHOM_OK;
}

fathom_status copy_to_host(fathom_device* handle, fathom_stream* stream, void* host,
                           const void* from, size_t bytes) {
  Device& device = device_of(handle);
  if (!device.asynchronous || bytes == 0) return copy(handle, stream, host, from, bytes);
  try {
    device.copies.add(host, from, bytes, stream_of(stream).ready);
  } catch (const std::bad_alloc&) {
    return device::fail(FATHOM_NO_MEMORY, fmt::format("sim copy: no memory for {} bytes", bytes));
  }
  return FATHOM_OK;
}

fathom_status event_create(fathom_device*, fathom_event** event) {
  *event = reinterpret_cast<fathom_event*>(new (std::nothrow) Event);
  return *event != nullptr ? FATHOM_OK : device::fail(FATHOM_NO_MEMORY, "sim event: no memory");
}

void event_destroy(fathom_device*, fathom_event* event) {
  delete &event_of(event);
}

fathom_status event_record(fathom_device* device, fathom_stream* stream, fathom_event* event) {
  event_of(event).recorded = earliest(device_of(device), stream_of(stream));
  return FATHOM_OK;
}

fathom_status event_wait(fathom_device*, fathom_stream* stream, fathom_event* event) {
  stream_of(stream).ready = std::max(stream_of(stream).ready, event_of(event).recorded);
  return FATHOM_OK;
}

fathom_status event_query(fathom_device* handle, fathom_event* event, int32_t* reached) {
  Device& device = device_of(handle);
  const Seconds now = wall_clock_now();
  *reached = !device.asynchronous || event_of(event).recorded <= now ? 1 : 0;
  if (device.asynchronous) device.copies.deliver(now);
  return FATHOM_OK;
}

fathom_status event_synchronize(fathom_device* device, fathom_event* event) {
  wait_until(device_of(device), event_of(event).recorded);
  return FATHOM_OK;
}

fathom_status event_elapsed_ms(fathom_device* device, fathom_event* from, fathom_event* to,
                               float* milliseconds) {
  for (fathom_event* event : {from, to}) wait_until(device_of(device), event_of(event).recorded);
  *milliseconds =
      static_cast<float>((event_of(to).recorded - event_of(from).recorded).count() * 1e3);
  return FATHOM_OK;
}

fathom_status fill(fathom_device* device, fathom_stream* stream, void* to, uint8_t value,
                   size_t bytes) {
  device_of(device).logits.forget(to, bytes);
  if (bytes > 0) std::memset(to, value, bytes);
  add_work(device_of(device), stream_of(stream), {static_cast<double>(bytes), 0});
  return FATHOM_OK;
}

fathom_status checksum(fathom_device* device, fathom_stream* stream, const void* from, size_t bytes,
                       uint64_t* sum) {
  *sum = device::checksum(from, bytes);
  add_work(device_of(device), stream_of(stream), {static_cast<double>(bytes), 0});
  return FATHOM_OK;
}

// It knows its limits without measuring.
fathom_status measure_limits(fathom_device* device, fathom_limits* limits) {
  const CostModel& costs = device_of(device).costs;
  limits->read_bytes_per_s = costs.read_bytes_per_s;
  limits->int8_ops_per_s = costs.flops_per_s;
  limits->bf16_flops_per_s = costs.flops_per_s;
  return FATHOM_OK;
}

fathom_backend make_table() {
  fathom_backend table = {};
  table.size = sizeof(table);
  table.abi_version = FATHOM_ABI_VERSION;
  table.name = "sim";
  table.version = "2";
  table.last_error = device::last_error;
  table.device_count = device_count;
  table.device_open = device_open;
  table.device_close = device_close;
  table.device_info = device_info;
  table.alloc = allocate;
  table.free = release;
  table.host_alloc = allocate;  // the chip's memory is the host's
  table.host_free = release;
  table.stream_create = stream_create;
  table.stream_destroy = stream_destroy;
  table.stream_synchronize = stream_synchronize;
  table.copy_to_device = copy;
  table.copy_to_host = copy_to_host;
  table.copy_on_device = copy;
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
  fill_operators(table);
  return table;
}

}  // namespace
}  // namespace fathom::sim

extern "C" const fathom_backend* fathom_sim_backend_entry(uint32_t host_abi_version) {
  static const fathom_backend table = fathom::sim::make_table();
  return host_abi_version == FATHOM_ABI_VERSION ? &table : nullptr;
}
