#include "backends/gpu/host/backend_table.h"

#include <algorithm>
#include <new>

#include "backends/gpu/host/device.h"
#include "backends/gpu/host/operators.h"

namespace fathom::gpu {
namespace {

constexpr uint32_t kAlignment = 256;

Driver* the_driver = nullptr;

fathom_status invalid_options(const std::string& what) {
  return device::fail(FATHOM_INVALID,
                      fmt::format("open {}: expected {}", the_driver->name(), what));
}

fathom_status device_count(int32_t* count) {
  *count = 0;
  return the_driver->count(*count);
}

void device_close(fathom_device* handle) {
  Device* device = &device_of(handle);
  if (device->checksum_parts != nullptr && !device->is_lost) {
    device->chip->free(device->checksum_parts);
  }
  delete device;
}

fathom_status open_chip(const fathom_device_options& options, Device& device) {
  device.name = the_driver->name();
  if (const auto status = the_driver->open(options, device.chip); status != FATHOM_OK) {
    return status;
  }
  void* parts = nullptr;
  const auto status = device.chip->alloc(kChecksumParts * sizeof(uint64_t), &parts);
  device.checksum_parts = static_cast<uint64_t*>(parts);
  return status;
}

fathom_status device_open(const fathom_device_options* options, fathom_device** handle) try {
  *handle = nullptr;
  if (options == nullptr || options->size < sizeof(*options)) {
    return invalid_options(fmt::format("options of contract version {}", FATHOM_ABI_VERSION));
  }
  int32_t count = 0;
  if (const auto status = device_count(&count); status != FATHOM_OK) return status;
  if (options->index < 0 || options->index >= count) {
    return invalid_options(fmt::format("a device index below {}, got {}", count, options->index));
  }
  auto device = std::make_unique<Device>();
  if (const auto status = open_chip(*options, *device); status != FATHOM_OK) return status;
  *handle = reinterpret_cast<fathom_device*>(device.release());
  return FATHOM_OK;
} catch (const std::exception& error) {
  return device::fail(FATHOM_NO_MEMORY,
                      fmt::format("open {}: {}", the_driver->name(), error.what()));
}

fathom_status device_info(fathom_device* handle, fathom_device_info* info) {
  return device_of(handle).ask([&](Chip& chip) {
    ChipInfo chip_info;
    if (const auto status = chip.info(chip_info); status != FATHOM_OK) return status;
    const size_t size = std::min(info->size, sizeof(*info));
    fathom_device_info full = {};
    full.size = size;
    chip_info.name.copy(full.name, sizeof(full.name) - 1);
    full.memory_bytes = chip_info.memory_bytes;
    full.memory_free = chip_info.memory_free;
    if (chip_info.is_asynchronous) full.capabilities |= FATHOM_CAP_ASYNCHRONOUS;
    if (chip_info.is_batch_invariant) full.capabilities |= FATHOM_CAP_BATCH_INVARIANT;
    if (chip.has_graphs()) full.capabilities |= FATHOM_CAP_GRAPHS;
    full.activation_dtype = FATHOM_BF16;
    full.kv_dtype = FATHOM_BF16;
    full.alignment = kAlignment;
    full.kv_planes = 1;
    std::copy_n(reinterpret_cast<const char*>(&full), size, reinterpret_cast<char*>(info));
    return FATHOM_OK;
  });
}

fathom_status alloc(fathom_device* handle, size_t bytes, void** memory) {
  return device_of(handle).ask([&](Chip& chip) { return chip.alloc(bytes, memory); });
}

void free_memory(fathom_device* handle, void* memory) {
  if (!device_of(handle).is_lost) device_of(handle).chip->free(memory);
}

fathom_status host_alloc(fathom_device* handle, size_t bytes, void** memory) {
  return device_of(handle).ask([&](Chip& chip) { return chip.host_alloc(bytes, memory); });
}

void host_free(fathom_device* handle, void* memory) {
  device_of(handle).chip->host_free(memory);
}

fathom_status stream_create(fathom_device* handle, fathom_stream** stream) {
  return device_of(handle).ask([&](Chip& chip) {
    Queue* queue = nullptr;
    const auto status = chip.queue_create(&queue);
    *stream = reinterpret_cast<fathom_stream*>(queue);
    return status;
  });
}

void stream_destroy(fathom_device* handle, fathom_stream* stream) {
  device_of(handle).chip->queue_destroy(&queue_of(stream));
}

fathom_status stream_synchronize(fathom_device* handle, fathom_stream* stream) {
  return device_of(handle).ask([&](Chip& chip) { return chip.synchronize(queue_of(stream)); });
}

template <Chip::Direction kDirection, typename To, typename From>
fathom_status copy(fathom_device* handle, fathom_stream* stream, To* to, const From* from,
                   size_t bytes) {
  if (bytes == 0) return FATHOM_OK;
  return device_of(handle).ask(
      [&](Chip& chip) { return chip.copy(queue_of(stream), kDirection, to, from, bytes); });
}

fathom_status fill(fathom_device* handle, fathom_stream* stream, void* to, uint8_t value,
                   size_t bytes) {
  if (bytes == 0) return FATHOM_OK;
  return device_of(handle).ask(
      [&](Chip& chip) { return chip.fill(queue_of(stream), to, value, bytes); });
}

fathom_status checksum(fathom_device* handle, fathom_stream* stream, const void* from, size_t bytes,
                       uint64_t* sum) {
  Device& device = device_of(handle);
  return device.ask([&](Chip& chip) {
    return chip.kernels().checksum(queue_of(stream), from, bytes, sum, device.checksum_parts);
  });
}

fathom_status event_create(fathom_device* handle, fathom_event** event) {
  return device_of(handle).ask([&](Chip& chip) {
    Event* created = nullptr;
    const auto status = chip.event_create(&created);
    *event = reinterpret_cast<fathom_event*>(created);
    return status;
  });
}

void event_destroy(fathom_device* handle, fathom_event* event) {
  device_of(handle).chip->event_destroy(&event_of(event));
}

fathom_status event_record(fathom_device* handle, fathom_stream* stream, fathom_event* event) {
  return device_of(handle).ask(
      [&](Chip& chip) { return chip.event_record(queue_of(stream), event_of(event)); });
}

fathom_status event_wait(fathom_device* handle, fathom_stream* stream, fathom_event* event) {
  return device_of(handle).ask(
      [&](Chip& chip) { return chip.event_wait(queue_of(stream), event_of(event)); });
}

fathom_status event_elapsed_ms(fathom_device* handle, fathom_event* from, fathom_event* to,
                               float* milliseconds) {
  return device_of(handle).ask([&](Chip& chip) {
    return chip.event_elapsed_ms(event_of(from), event_of(to), *milliseconds);
  });
}

fathom_status event_query(fathom_device* handle, fathom_event* event, int32_t* reached) {
  return device_of(handle).ask([&](Chip& chip) {
    bool is_reached = false;
    const auto status = chip.event_query(event_of(event), is_reached);
    *reached = is_reached ? 1 : 0;
    return status;
  });
}

fathom_status event_synchronize(fathom_device* handle, fathom_event* event) {
  return device_of(handle).ask([&](Chip& chip) { return chip.event_synchronize(event_of(event)); });
}

fathom_status graph_begin(fathom_device* handle, fathom_stream* stream) {
  return device_of(handle).ask([&](Chip& chip) { return chip.graph_begin(queue_of(stream)); });
}

fathom_status graph_end(fathom_device* handle, fathom_stream* stream, fathom_graph** graph) {
  return device_of(handle).ask([&](Chip& chip) {
    Graph* recorded = nullptr;
    const auto status = chip.graph_end(queue_of(stream), &recorded);
    *graph = reinterpret_cast<fathom_graph*>(recorded);
    return status;
  });
}

fathom_status graph_launch(fathom_device* handle, fathom_stream* stream, fathom_graph* graph) {
  return device_of(handle).ask(
      [&](Chip& chip) { return chip.graph_launch(queue_of(stream), graph_of(graph)); });
}

void graph_destroy(fathom_device* handle, fathom_graph* graph) {
  device_of(handle).chip->graph_destroy(&graph_of(graph));
}

fathom_backend make_table() {
  fathom_backend table = {};
  table.size = sizeof(table);
  table.abi_version = FATHOM_ABI_VERSION;
  table.name = the_driver->name();
  table.version = the_driver->version();
  table.last_error = device::last_error;
  table.device_count = device_count;
  table.device_open = device_open;
  table.device_close = device_close;
  table.device_info = device_info;
  table.alloc = alloc;
  table.free = free_memory;
  table.host_alloc = host_alloc;
  table.host_free = host_free;
  table.stream_create = stream_create;
  table.stream_destroy = stream_destroy;
  table.stream_synchronize = stream_synchronize;
  table.copy_to_device = copy<Chip::Direction::kToDevice, void, void>;
  table.copy_to_host = copy<Chip::Direction::kToHost, void, void>;
  table.copy_on_device = copy<Chip::Direction::kOnDevice, void, void>;
  table.event_create = event_create;
  table.event_destroy = event_destroy;
  table.event_record = event_record;
  table.event_wait = event_wait;
  table.event_elapsed_ms = event_elapsed_ms;
  table.event_query = event_query;
  table.event_synchronize = event_synchronize;
  table.graph_begin = graph_begin;
  table.graph_end = graph_end;
  table.graph_launch = graph_launch;
  table.graph_destroy = graph_destroy;
  table.fill = fill;
  table.checksum = checksum;
  fill_operators(table);
  return table;
}

}  // namespace

const fathom_backend* backend_table(Driver& driver, uint32_t host_abi_version) {
  the_driver = &driver;
  static const fathom_backend table = make_table();
  return host_abi_version == FATHOM_ABI_VERSION ? &table : nullptr;
}

}  // namespace fathom::gpu
