#include "backends/emulated/chip.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#include <type_traits>
#include <utility>

#include "backends/emulated/kernel_sets.h"
#include "device/last_error.h"

namespace fathom::emulated {
namespace {

constexpr size_t kHostAlignment = 4096;

Stream& stream_of(gpu::Queue& queue) {
  return static_cast<Stream&>(queue);
}

fathom_status no_memory(const char* what) {
  return device::fail(FATHOM_NO_MEMORY, fmt::format("emulated: no memory for {}", what));
}

fathom_status outside(const char* call, const void* address, size_t bytes) {
  return device::fail(FATHOM_INVALID,
                      fmt::format("emulated: {}: expected {} bytes of device memory at {}, not all "
                                  "of them are allocated",
                                  call, bytes, address));
}

uint64_t pages(int name) {
  return static_cast<uint64_t>(sysconf(name)) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

struct KernelCall {
  Grid grid;
  void (*body)(const void*);
  std::byte arguments[kMostLaunchBytes];
};

struct Fill {
  void* to;
  size_t bytes;
  uint8_t value;
};

struct Copy {
  void* to;
  const void* from;
  size_t bytes;
  bool is_to_device;
  bool is_from_device;
};

// The two ends of a copy as the host sees them; an error where one is not all there.
fathom_status find_ends(const DeviceMemory& memory, const Copy& copy, void*& to,
                        const void*& from) {
  to = copy.is_to_device ? memory.find(copy.to, copy.bytes) : copy.to;
  from = copy.is_from_device ? memory.find(copy.from, copy.bytes) : copy.from;
  if (to == nullptr) return outside("copy", copy.to, copy.bytes);
  if (from == nullptr) return outside("copy", copy.from, copy.bytes);
  return FATHOM_OK;
}

}  // namespace

// ------------------------------------------------------------------ the chip and its memory

EmulatedChip::EmulatedChip(const ChipOptions& options)
    : options_(options), machine_(options.threads) {}

EmulatedChip::~EmulatedChip() = default;

fathom_status EmulatedChip::info(gpu::ChipInfo& info) {
  info.name = fmt::format(
      "emulated GPU, warps of {}, lanes {}{}", options_.warp,
      options_.order_text == "rising" || options_.order_text == "falling" ? "" : "shuffled by ",
      options_.order_text);
  info.memory_bytes = pages(_SC_PHYS_PAGES);
  info.memory_free = pages(_SC_AVPHYS_PAGES);
  info.is_batch_invariant = true;
  return FATHOM_OK;
}

const gpu::KernelSet& EmulatedChip::kernels() const {
  return *kernel_set(options_.warp);
}

fathom_status EmulatedChip::alloc(size_t bytes, void** memory) {
  *memory = memory_.allocate(bytes);
  return *memory != nullptr ? FATHOM_OK
                            : no_memory(fmt::format("{} bytes of the chip's", bytes).c_str());
}

void EmulatedChip::free(void* memory) {
  memory_.release(memory);
}

fathom_status EmulatedChip::host_alloc(size_t bytes, void** memory) {
  const size_t padded =
      (std::max<size_t>(bytes, 1) + kHostAlignment - 1) / kHostAlignment * kHostAlignment;
  *memory = bytes > padded ? nullptr : std::aligned_alloc(kHostAlignment, padded);
  return *memory != nullptr ? FATHOM_OK
                            : no_memory(fmt::format("{} bytes of the host's", bytes).c_str());
}

void EmulatedChip::host_free(void* memory) {
  std::free(memory);
}

// ------------------------------------------------------------------ streams

fathom_status EmulatedChip::queue_create(gpu::Queue** queue) {
  *queue = new Stream(*this, ++streams_made_);
  return FATHOM_OK;
}

void EmulatedChip::queue_destroy(gpu::Queue* queue) {
  delete &stream_of(*queue);
}

fathom_status EmulatedChip::synchronize(gpu::Queue& queue) {
  Stream& stream = stream_of(queue);
  if (const auto status = stream.check_not_recording(); status != FATHOM_OK) return status;
  return stream.synchronize(stream.point());
}

fathom_status EmulatedChip::lose_if_due() {
  if (++pieces_ == options_.lose_at) is_lost_ = true;
  if (!is_lost_) return FATHOM_OK;
  return device::fail(FATHOM_DEVICE_LOST,
                      "emulated: the chip is lost, as FATHOM_EMULATED_LOSE wants it");
}

fathom_status EmulatedChip::run_kernel(const Grid& grid, void (*body)(const void*),
                                       const void* arguments) {
  if (const auto status = lose_if_due(); status != FATHOM_OK) return status;
  const Launch launch = {grid, body, arguments, &memory_, options_.order, options_.checks_races};
  const std::string report = machine_.run(launch);
  return report.empty() ? FATHOM_OK : device::fail(FATHOM_INTERNAL, "emulated: " + report);
}

fathom_status launch(gpu::Queue& queue, const Grid& grid, void (*body)(const void*),
                     const void* arguments, size_t bytes) {
  if (grid.x < 0 || grid.y < 0 || grid.z < 0 || grid.threads <= 0 || grid.threads > kMostThreads ||
      grid.threads % grid.warp != 0 || grid.shared_bytes < 0 || grid.shared_bytes > kSharedBytes) {
    return device::fail(
        FATHOM_INTERNAL,
        fmt::format("emulated: kernel {}: expected up to {} threads in whole warps of {} and up to "
                    "{} bytes of shared memory, got {} threads and {} bytes",
                    grid.kernel, kMostThreads, grid.warp, kSharedBytes, grid.threads,
                    grid.shared_bytes));
  }
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return FATHOM_OK;
  KernelCall call = {grid, body, {}};
  std::memcpy(call.arguments, arguments, bytes);
  const auto run = [](EmulatedChip& chip, const void* bytes_of_call) {
    const auto& queued = *static_cast<const KernelCall*>(bytes_of_call);
    return chip.run_kernel(queued.grid, queued.body, queued.arguments);
  };
  return stream_of(queue).push(run, call, Stream::Kind::kRecordable);
}

fathom_status EmulatedChip::copy(gpu::Queue& queue, Direction direction, void* to, const void* from,
                                 size_t bytes) {
  const Copy copy = {to, from, bytes, direction != Direction::kToHost,
                     direction != Direction::kToDevice};
  void* found_to = nullptr;
  const void* found_from = nullptr;
  if (const auto status = find_ends(memory_, copy, found_to, found_from); status != FATHOM_OK) {
    return status;
  }
  const auto run = [](EmulatedChip& chip, const void* arguments) {
    if (const auto status = chip.lose_if_due(); status != FATHOM_OK) return status;
    const Copy& queued = *static_cast<const Copy*>(arguments);
    void* there = nullptr;
    const void* here = nullptr;
    const auto status = find_ends(chip.memory(), queued, there, here);
    if (status == FATHOM_OK) std::memmove(there, here, queued.bytes);
    return status;
  };
  return stream_of(queue).push(
      run, copy,
      direction == Direction::kOnDevice ? Stream::Kind::kRecordable : Stream::Kind::kHosts);
}

fathom_status EmulatedChip::fill(gpu::Queue& queue, void* to, uint8_t value, size_t bytes) {
  if (memory_.find(to, bytes) == nullptr) return outside("fill", to, bytes);
  const auto run = [](EmulatedChip& chip, const void* arguments) {
    if (const auto status = chip.lose_if_due(); status != FATHOM_OK) return status;
    const Fill& queued = *static_cast<const Fill*>(arguments);
    std::byte* there = chip.memory().find(queued.to, queued.bytes);
    if (there == nullptr) return outside("fill", queued.to, queued.bytes);
    std::memset(there, queued.value, queued.bytes);
    return FATHOM_OK;
  };
  return stream_of(queue).push(run, Fill{to, bytes, value}, Stream::Kind::kRecordable);
}

// ------------------------------------------------------------------ events

struct EmulatedChip::Event : gpu::Event {
  Stream* stream = nullptr;  // that it was recorded on last
  uint64_t point = 0;
  std::atomic<std::chrono::steady_clock::time_point> reached = {};
};

fathom_status EmulatedChip::event_create(gpu::Event** event) {
  *event = new Event;
  return FATHOM_OK;
}

void EmulatedChip::event_destroy(gpu::Event* handle) {
  auto* event = static_cast<Event*>(handle);
  if (event->stream != nullptr) event->stream->wait_until(event->point);
  delete event;
}

fathom_status EmulatedChip::event_record(gpu::Queue& queue, gpu::Event& handle) {
  auto& event = static_cast<Event&>(handle);
  Stream& stream = stream_of(queue);
  const auto run = [](EmulatedChip&, const void* arguments) {
    (*static_cast<Event* const*>(arguments))->reached = std::chrono::steady_clock::now();
    return FATHOM_OK;
  };
  const auto status = stream.push(run, &event, Stream::Kind::kEvents);
  if (status != FATHOM_OK) return status;
  event.stream = &stream;
  event.point = stream.point();
  return FATHOM_OK;
}

fathom_status EmulatedChip::event_wait(gpu::Queue& queue, gpu::Event& handle) {
  const auto& event = static_cast<const Event&>(handle);
  if (event.stream == nullptr) return stream_of(queue).check_not_recording();
  struct Point {
    Stream* stream;
    uint64_t point;
  };
  const auto run = [](EmulatedChip&, const void* arguments) {
    const auto& point = *static_cast<const Point*>(arguments);
    point.stream->wait_until(point.point);
    return FATHOM_OK;
  };
  return stream_of(queue).push(run, Point{event.stream, event.point}, Stream::Kind::kEvents);
}

fathom_status EmulatedChip::event_query(gpu::Event& handle, bool& is_reached) {
  const auto& event = static_cast<const Event&>(handle);
  is_reached = event.stream == nullptr || event.stream->is_reached(event.point);
  return is_reached ? event_synchronize(handle) : FATHOM_OK;
}

fathom_status EmulatedChip::event_synchronize(gpu::Event& handle) {
  const auto& event = static_cast<const Event&>(handle);
  return event.stream == nullptr ? FATHOM_OK : event.stream->synchronize(event.point);
}

fathom_status EmulatedChip::event_elapsed_ms(gpu::Event& from, gpu::Event& to,
                                             float& milliseconds) {
  for (gpu::Event* handle : {&from, &to}) {
    const auto& event = static_cast<const Event&>(*handle);
    if (event.stream == nullptr) {
      return device::fail(FATHOM_INVALID,
                          "emulated: event_elapsed_ms: expected events that were recorded");
    }
    event.stream->wait_until(event.point);
  }
  const std::chrono::duration<float, std::milli> elapsed =
      static_cast<const Event&>(to).reached.load() - static_cast<const Event&>(from).reached.load();
  milliseconds = elapsed.count();
  return FATHOM_OK;
}

// ------------------------------------------------------------------ graphs

struct EmulatedChip::Graph : gpu::Graph {
  std::vector<Stream::Work> work;
  Stream* stream = nullptr;  // that it was launched on last
  uint64_t point = 0;
};

fathom_status EmulatedChip::graph_begin(gpu::Queue& queue) {
  return stream_of(queue).begin_recording();
}

fathom_status EmulatedChip::graph_end(gpu::Queue& queue, gpu::Graph** graph) {
  auto recorded = std::make_unique<Graph>();
  const auto status = stream_of(queue).end_recording(recorded->work);
  if (status == FATHOM_OK) *graph = recorded.release();
  return status;
}

fathom_status EmulatedChip::graph_launch(gpu::Queue& queue, gpu::Graph& handle) {
  auto& graph = static_cast<Graph&>(handle);
  Stream& stream = stream_of(queue);
  const auto run = [](EmulatedChip& chip, const void* arguments) {
    for (const Stream::Work& work : (*static_cast<Graph* const*>(arguments))->work) {
      if (const auto status = work.run(chip, work.arguments); status != FATHOM_OK) return status;
    }
    return FATHOM_OK;
  };
  const auto status = stream.push(run, &graph, Stream::Kind::kHosts);
  if (status != FATHOM_OK) return status;
  graph.stream = &stream;
  graph.point = stream.point();
  return FATHOM_OK;
}

void EmulatedChip::graph_destroy(gpu::Graph* handle) {
  auto* graph = static_cast<Graph*>(handle);
  if (graph->stream != nullptr) graph->stream->wait_until(graph->point);
  delete graph;
}

}  // namespace fathom::emulated
