#include "device/device.h"

#include <fmt/format.h>

#include <algorithm>

#include "device/check_backend.h"

namespace fathom::device {

template <void (*fathom_backend::*kFree)(fathom_device*, void*)>
OwnedMemory<kFree>::~OwnedMemory() {
  if (data_ != nullptr) (device_->backend_.*kFree)(device_->device_, data_);
}
template class OwnedMemory<&fathom_backend::free>;
template class OwnedMemory<&fathom_backend::host_free>;

Event::~Event() {
  if (handle_ != nullptr) device_->backend_.event_destroy(device_->device_, handle_);
}

Graph::~Graph() {
  if (handle_ != nullptr) device_->backend_.graph_destroy(device_->device_, handle_);
}

size_t Arena::padded(size_t bytes, size_t alignment) {
  return (bytes + alignment - 1) / alignment * alignment;
}

void* Arena::take(size_t bytes) {
  const size_t begin = used_;
  FATHOM_CHECK(bytes <= buffer_.size() && begin <= buffer_.size() - bytes,
               fmt::format("arena: expected {} more bytes, have {}", bytes, size() - begin));
  used_ = begin + padded(bytes, alignment_);
  return static_cast<std::byte*>(buffer_.data()) + begin;
}

Tensor Arena::take_matrix(fathom_dtype dtype, int64_t rows, int64_t columns) {
  const size_t bytes = static_cast<size_t>(rows * columns) * dtype_size(dtype);
  return matrix(take(bytes), dtype, rows, columns);
}

Result<std::unique_ptr<Device>> Device::open(const fathom_backend& backend,
                                             const DeviceOptions& options) {
  const fathom_device_options c_options = {
      sizeof(fathom_device_options),
      options.index,
      options.threads,
      options.kernels.empty() ? nullptr : options.kernels.c_str(),
      options.pin_threads ? 1 : 0,
      options.share_index,
      options.share_count};
  fathom_device* handle = nullptr;
  if (backend.device_open(&c_options, &handle) != FATHOM_OK) {
    return Error{ErrorCode::kUnavailable,
                 fmt::format("open chip {}: {}", backend.name, backend.last_error())};
  }
  auto device = std::unique_ptr<Device>(new Device(backend, handle));
  device->info_.size = sizeof(fathom_device_info);
  FATHOM_TRY(device->check(backend.device_info(handle, &device->info_), "device_info"));
  device->info_.name[sizeof(device->info_.name) - 1] = '\0';
  FATHOM_TRY(check_info(backend, device->info_));
  FATHOM_TRY(device->check(backend.stream_create(handle, &device->stream_), "stream_create"));
  return device;
}

Device::~Device() {
  if (stream_ != nullptr) backend_.stream_destroy(device_, stream_);
  backend_.device_close(device_);
}

Status Device::check(fathom_status status, const char* what) const {
  if (status == FATHOM_OK) [[likely]]
    return {};
  if (status == FATHOM_DEVICE_LOST) lost_ = true;
  const ErrorCode code = status == FATHOM_NO_MEMORY     ? ErrorCode::kResourceExhausted
                         : status == FATHOM_UNSUPPORTED ? ErrorCode::kUnsupported
                                                        : ErrorCode::kInternal;
  return Error{code, fmt::format("{} on chip {}: {}", what, backend_.name, backend_.last_error())};
}

std::span<const int32_t> Device::kv_block_sizes() const {
  const std::span<const int32_t> all = info_.kv_block_sizes;
  return all.first(static_cast<size_t>(std::ranges::find(all, 0) - all.begin()));
}

Result<Buffer> Device::alloc(size_t bytes, std::string_view what) {
  void* memory = nullptr;
  const size_t wanted = bytes == 0 ? 1 : bytes;
  const auto allocated = check(backend_.alloc(device_, wanted, &memory), "alloc");
  if (allocated) return Buffer(this, memory, wanted);
  if (what.empty()) return allocated.error();
  return allocated.error().with_context(
      fmt::format("{}: expected room for {} MiB", what, (wanted >> 20) + 1));
}

Result<Arena> Device::alloc_arena(size_t bytes, std::string_view what) {
  FATHOM_ASSIGN(Buffer buffer, alloc(bytes, what));
  return Arena(std::move(buffer), info_.alignment);
}

Result<HostBuffer> Device::alloc_host(size_t bytes) {
  void* memory = nullptr;
  const size_t wanted = bytes == 0 ? 1 : bytes;
  FATHOM_TRY(check(backend_.host_alloc(device_, wanted, &memory), "host_alloc"));
  return HostBuffer(this, memory, wanted);
}

Result<const void*> Device::map_host(const void* host, size_t bytes) {
  if (backend_.map_host == nullptr) {
    return Error{ErrorCode::kUnsupported,
                 fmt::format("map_host: chip {} cannot read host memory", backend_.name)};
  }
  const void* mapped = nullptr;
  FATHOM_TRY(check(backend_.map_host(device_, host, bytes, &mapped), "map_host"));
  return mapped;
}

Status Device::copy_to_device(void* to, const void* host, size_t bytes) {
  return check(backend_.copy_to_device(device_, stream_, to, host, bytes), "copy_to_device");
}
Status Device::copy_to_host(void* host, const void* from, size_t bytes) {
  copied_to_host_ += bytes;
  return check(backend_.copy_to_host(device_, stream_, host, from, bytes), "copy_to_host");
}
Status Device::copy_on_device(void* to, const void* from, size_t bytes) {
  return check(backend_.copy_on_device(device_, stream_, to, from, bytes), "copy_on_device");
}
Status Device::synchronize() {
  return check(backend_.stream_synchronize(device_, stream_), "synchronize");
}

Status Device::fill(void* to, uint8_t value, size_t bytes) {
  return check(backend_.fill(device_, stream_, to, value, bytes), "fill");
}
Status Device::checksum(const void* from, size_t bytes, uint64_t* sum) {
  return check(backend_.checksum(device_, stream_, from, bytes, sum), "checksum");
}

Result<Event> Device::create_event() {
  fathom_event* handle = nullptr;
  FATHOM_TRY(check(backend_.event_create(device_, &handle), "event_create"));
  return Event(this, handle);
}
Status Device::record(Event& event) {
  return check(backend_.event_record(device_, stream_, event.handle_), "event_record");
}
Result<bool> Device::reached(const Event& event) {
  int32_t reached = 0;
  FATHOM_TRY(check(backend_.event_query(device_, event.handle_, &reached), "event_query"));
  return reached != 0;
}
Status Device::wait_for(const Event& event) {
  return check(backend_.event_synchronize(device_, event.handle_), "event_synchronize");
}
Result<double> Device::elapsed_ms(const Event& from, const Event& to) {
  float milliseconds = 0;
  FATHOM_TRY(check(backend_.event_elapsed_ms(device_, from.handle_, to.handle_, &milliseconds),
                   "event_elapsed_ms"));
  return double{milliseconds};
}

Result<Graph> Device::record_graph(const std::function<Status()>& queue) {
  FATHOM_TRY(check(backend_.graph_begin(device_, stream_), "graph_begin"));
  const Status queued = queue();
  fathom_graph* handle = nullptr;
  const Status ended = check(backend_.graph_end(device_, stream_, &handle), "graph_end");
  Graph graph(this, handle);
  if (!queued) return queued.error();
  if (!ended) return ended.error();
  return graph;
}
Status Device::launch(const Graph& graph) {
  ++launched_graphs_;
  return check(backend_.graph_launch(device_, stream_, graph.handle_), "graph_launch");
}

Status Device::run(fathom_op op, const void* args) {
  FATHOM_CHECK(has(op),
               fmt::format("operator {} is missing on chip {}", op_name(op), backend_.name));
  return check(backend_.kernels[op](device_, stream_, args), op_name(op));
}

bool Device::supports(fathom_op op, const void* args) const {
  if (!has(op)) return false;
  const fathom_status status = backend_.supports(device_, op, args);
  if (status == FATHOM_DEVICE_LOST) lost_ = true;
  return status == FATHOM_OK;
}

Result<size_t> Device::workspace_bytes(fathom_op op, const void* args) const {
  size_t bytes = 0;
  FATHOM_TRY(check(backend_.workspace_bytes(device_, op, args, &bytes), op_name(op)));
  return bytes;
}

std::string Device::describe(fathom_op op, const void* args) const {
  return backend_.describe == nullptr ? std::string() : backend_.describe(device_, op, args);
}

Result<size_t> Device::pack_bytes(fathom_op op, const Weight& weight) const {
  size_t bytes = 0;
  if (backend_.pack_bytes == nullptr) return bytes;
  FATHOM_TRY(check(backend_.pack_bytes(device_, op, &weight, &bytes), "pack_bytes"));
  return bytes;
}

Result<Weight> Device::pack(fathom_op op, const Weight& weight, void* memory) const {
  FATHOM_CHECK(backend_.pack != nullptr,
               fmt::format("pack: chip {} has no layout of its own", backend_.name));
  Weight packed = {};
  FATHOM_TRY(check(backend_.pack(device_, op, &weight, memory, &packed), "pack"));
  return packed;
}

std::vector<std::string> Device::self_tests() const {
  std::vector<std::string> names;
  if (backend_.self_test_name == nullptr) return names;
  while (const char* name = backend_.self_test_name(device_, static_cast<int32_t>(names.size()))) {
    names.emplace_back(name);
  }
  return names;
}

Status Device::self_test(const std::string& name) {
  return check(backend_.self_test(device_, name.c_str()), "self_test");
}

Result<fathom_limits> Device::measure_limits() {
  if (backend_.measure_limits == nullptr) {
    return Error{ErrorCode::kUnsupported,
                 fmt::format("measure_limits: chip {} cannot measure itself", backend_.name)};
  }
  fathom_limits limits = {};
  limits.size = sizeof(limits);
  FATHOM_TRY(check(backend_.measure_limits(device_, &limits), "measure_limits"));
  return limits;
}

const char* op_name(fathom_op op) {
  switch (op) {
    case FATHOM_OP_EMBED:
      return "embed";
    case FATHOM_OP_RMS_NORM:
      return "rms_norm";
    case FATHOM_OP_LINEAR:
      return "linear";
    case FATHOM_OP_SILU_MUL:
      return "silu_mul";
    case FATHOM_OP_MLA_PREPARE:
      return "mla_prepare";
    case FATHOM_OP_MLA_PREFILL:
      return "mla_prefill";
    case FATHOM_OP_MLA_DECODE:
      return "mla_decode";
    case FATHOM_OP_MOE_GATE:
      return "moe_gate";
    case FATHOM_OP_MOE_EXPERTS:
      return "moe_experts";
    case FATHOM_OP_ADD:
      return "add";
    case FATHOM_OP_LOGITS_STATS:
      return "logits_stats";
    case FATHOM_OP_SAMPLE:
      return "sample";
    case FATHOM_OP_TAKE_TOKENS:
      return "take_tokens";
    case FATHOM_OP_MOE_DISPATCH:
      return "moe_dispatch";
    case FATHOM_OP_MOE_COMBINE:
      return "moe_combine";
    case FATHOM_OP_COUNT:
      break;
  }
  return "unknown";
}

}  // namespace fathom::device
