#include "backends/cuda/chip.h"

#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include <string>

#include "backends/cuda/cuda_backend.h"
#include "backends/cuda/queue.h"
#include "device/last_error.h"

namespace fathom::gpu::cuda_sm {
const KernelSet& kernel_set();
}

namespace fathom::cuda {
namespace {

constexpr int kPlainSharedBytes = 48 * 1024;  // more a kernel must ask for

struct Stream : gpu::Queue {
  cudaStream_t stream = nullptr;
};

struct Event : gpu::Event {
  cudaEvent_t event = nullptr;
  bool is_recorded = false;
};

struct Graph : gpu::Graph {
  cudaGraphExec_t graph = nullptr;
};

Stream& stream_of(gpu::Queue& queue) {
  return static_cast<Stream&>(queue);
}

// Errors that leave the context unusable: only a new process gets the device back.
bool is_loss(cudaError_t error) {
  switch (error) {
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchFailure:
    case cudaErrorMisalignedAddress:
    case cudaErrorIllegalInstruction:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorHardwareStackError:
    case cudaErrorAssert:
    case cudaErrorECCUncorrectable:
    case cudaErrorNvlinkUncorrectable:
    case cudaErrorContextIsDestroyed:
    case cudaErrorDevicesUnavailable:
      return true;
    default:
      return false;
  }
}

fathom_status told(cudaError_t error, const char* what) {
  if (error == cudaSuccess) return FATHOM_OK;
  (void)cudaGetLastError();  // it is told now, and not once more by the next call
  const auto status = error == cudaErrorMemoryAllocation ? FATHOM_NO_MEMORY
                      : is_loss(error)                   ? FATHOM_DEVICE_LOST
                                                         : FATHOM_INTERNAL;
  return device::fail(status, fmt::format("cuda: {}: {} ({})", what, cudaGetErrorString(error),
                                          cudaGetErrorName(error)));
}

}  // namespace

fathom_status launch(gpu::Queue& queue, const Launch& what, void** arguments) {
  if (what.grid_x == 0 || what.grid_y == 0 || what.grid_z == 0) return FATHOM_OK;
  if (what.shared_bytes > kPlainSharedBytes) {
    const auto allowed = cudaFuncSetAttribute(
        what.kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, what.shared_bytes);
    if (allowed != cudaSuccess) return told(allowed, what.name);
  }
  const dim3 grid(static_cast<unsigned>(what.grid_x), static_cast<unsigned>(what.grid_y),
                  static_cast<unsigned>(what.grid_z));
  const dim3 block(static_cast<unsigned>(what.threads));
  return told(cudaLaunchKernel(what.kernel, grid, block, arguments,
                               static_cast<size_t>(what.shared_bytes), stream_of(queue).stream),
              what.name);
}

fathom_status missing_driver(cudaError_t error) {
  if (error == cudaErrorInsufficientDriver || error == cudaErrorInitializationError ||
      error == cudaErrorStubLibrary) {
    int driver = 0;
    (void)cudaDriverGetVersion(&driver);
    (void)cudaGetLastError();
    if (driver == 0) {
      return device::fail(FATHOM_UNSUPPORTED,
                          "cuda: this machine has no NVIDIA driver (libcuda.so.1): install one");
    }
    return device::fail(
        FATHOM_UNSUPPORTED,
        fmt::format("cuda: expected a driver for CUDA {}.{} or newer, got one for {}.{}: update it",
                    CUDART_VERSION / 1000, CUDART_VERSION % 1000 / 10, driver / 1000,
                    driver % 1000 / 10));
  }
  if (error == cudaErrorNoDevice) {
    (void)cudaGetLastError();
    return device::fail(FATHOM_UNSUPPORTED, "cuda: the driver finds no NVIDIA GPU");
  }
  return told(error, "devices");
}

fathom_status CudaChip::choose() const {
  return told(cudaSetDevice(index_), "device");
}

fathom_status CudaChip::info(gpu::ChipInfo& info) {
  if (const auto status = choose(); status != FATHOM_OK) return status;
  cudaDeviceProp properties = {};
  if (const auto status = told(cudaGetDeviceProperties(&properties, index_), "properties");
      status != FATHOM_OK) {
    return status;
  }
  size_t free = 0;
  size_t total = 0;
  if (const auto status = told(cudaMemGetInfo(&free, &total), "memory"); status != FATHOM_OK) {
    return status;
  }
  info.name = fmt::format("{}, compute capability {}.{}", properties.name, properties.major,
                          properties.minor);
  info.memory_bytes = total;
  info.memory_free = free;
  return FATHOM_OK;  // that rows do not depend on their batch is to be shown on the chip first
}

const gpu::KernelSet& CudaChip::kernels() const {
  return gpu::cuda_sm::kernel_set();
}

fathom_status CudaChip::alloc(size_t bytes, void** memory) {
  if (const auto status = choose(); status != FATHOM_OK) return status;
  return told(cudaMalloc(memory, bytes == 0 ? 1 : bytes), "memory");
}

void CudaChip::free(void* memory) {
  (void)cudaFree(memory);
}

fathom_status CudaChip::host_alloc(size_t bytes, void** memory) {
  if (const auto status = choose(); status != FATHOM_OK) return status;
  return told(cudaHostAlloc(memory, bytes == 0 ? 1 : bytes, cudaHostAllocDefault), "pinned memory");
}

void CudaChip::host_free(void* memory) {
  (void)cudaFreeHost(memory);
}

fathom_status CudaChip::queue_create(gpu::Queue** queue) {
  if (const auto status = choose(); status != FATHOM_OK) return status;
  auto created = std::make_unique<Stream>();
  const auto status =
      told(cudaStreamCreateWithFlags(&created->stream, cudaStreamNonBlocking), "stream");
  if (status == FATHOM_OK) *queue = created.release();
  return status;
}

void CudaChip::queue_destroy(gpu::Queue* queue) {
  auto* stream = static_cast<Stream*>(queue);
  (void)cudaStreamDestroy(stream->stream);
  delete stream;
}

fathom_status CudaChip::synchronize(gpu::Queue& queue) {
  return told(cudaStreamSynchronize(stream_of(queue).stream), "stream");
}

fathom_status CudaChip::copy(gpu::Queue& queue, Direction direction, void* to, const void* from,
                             size_t bytes) {
  if (const auto status = choose(); status != FATHOM_OK) return status;
  const auto kind = direction == Direction::kToDevice ? cudaMemcpyHostToDevice
                    : direction == Direction::kToHost ? cudaMemcpyDeviceToHost
                                                      : cudaMemcpyDeviceToDevice;
  return told(cudaMemcpyAsync(to, from, bytes, kind, stream_of(queue).stream), "copy");
}

fathom_status CudaChip::fill(gpu::Queue& queue, void* to, uint8_t value, size_t bytes) {
  if (const auto status = choose(); status != FATHOM_OK) return status;
  return told(cudaMemsetAsync(to, value, bytes, stream_of(queue).stream), "fill");
}

fathom_status CudaChip::event_create(gpu::Event** event) {
  if (const auto status = choose(); status != FATHOM_OK) return status;
  auto created = std::make_unique<Event>();
  const auto status = told(cudaEventCreate(&created->event), "event");
  if (status == FATHOM_OK) *event = created.release();
  return status;
}

void CudaChip::event_destroy(gpu::Event* handle) {
  auto* event = static_cast<Event*>(handle);
  (void)cudaEventDestroy(event->event);
  delete event;
}

fathom_status CudaChip::event_record(gpu::Queue& queue, gpu::Event& handle) {
  auto& event = static_cast<Event&>(handle);
  const auto status = told(cudaEventRecord(event.event, stream_of(queue).stream), "event");
  event.is_recorded = event.is_recorded || status == FATHOM_OK;
  return status;
}

fathom_status CudaChip::event_wait(gpu::Queue& queue, gpu::Event& handle) {
  const auto& event = static_cast<const Event&>(handle);
  if (!event.is_recorded) return FATHOM_OK;
  return told(cudaStreamWaitEvent(stream_of(queue).stream, event.event, 0), "event");
}

fathom_status CudaChip::event_query(gpu::Event& handle, bool& is_reached) {
  const auto& event = static_cast<const Event&>(handle);
  const auto answer = event.is_recorded ? cudaEventQuery(event.event) : cudaSuccess;
  is_reached = answer != cudaErrorNotReady;
  return is_reached ? told(answer, "event") : FATHOM_OK;
}

fathom_status CudaChip::event_synchronize(gpu::Event& handle) {
  const auto& event = static_cast<const Event&>(handle);
  return event.is_recorded ? told(cudaEventSynchronize(event.event), "event") : FATHOM_OK;
}

fathom_status CudaChip::event_elapsed_ms(gpu::Event& from, gpu::Event& to, float& milliseconds) {
  if (const auto status = event_synchronize(to); status != FATHOM_OK) return status;
  return told(cudaEventElapsedTime(&milliseconds, static_cast<const Event&>(from).event,
                                   static_cast<const Event&>(to).event),
              "event");
}

fathom_status CudaChip::graph_begin(gpu::Queue& queue) {
  if (const auto status = choose(); status != FATHOM_OK) return status;
  return told(cudaStreamBeginCapture(stream_of(queue).stream, cudaStreamCaptureModeThreadLocal),
              "graph");
}

fathom_status CudaChip::graph_end(gpu::Queue& queue, gpu::Graph** graph) {
  cudaGraph_t recorded = nullptr;
  if (const auto status = told(cudaStreamEndCapture(stream_of(queue).stream, &recorded), "graph");
      status != FATHOM_OK) {
    return status;
  }
  auto created = std::make_unique<Graph>();
  const auto status = told(cudaGraphInstantiate(&created->graph, recorded, 0), "graph");
  (void)cudaGraphDestroy(recorded);
  if (status == FATHOM_OK) *graph = created.release();
  return status;
}

fathom_status CudaChip::graph_launch(gpu::Queue& queue, gpu::Graph& graph) {
  if (const auto status = choose(); status != FATHOM_OK) return status;
  return told(cudaGraphLaunch(static_cast<Graph&>(graph).graph, stream_of(queue).stream), "graph");
}

void CudaChip::graph_destroy(gpu::Graph* handle) {
  auto* graph = static_cast<Graph*>(handle);
  (void)cudaGraphExecDestroy(graph->graph);
  delete graph;
}

}  // namespace fathom::cuda
