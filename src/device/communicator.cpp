#include "device/communicator.h"

namespace fathom::device {

Result<fathom_comm_id> Communicator::make_id(Device& device) {
  fathom_comm_id id = {};
  FATHOM_TRY(device.check(device.backend_.comm_id(device.device_, &id), "comm_id"));
  return id;
}

Result<Communicator> Communicator::join(Device& device, const fathom_comm_id& id, int rank,
                                        int ranks, std::chrono::milliseconds deadline) {
  fathom_comm* handle = nullptr;
  FATHOM_TRY(
      device.check(device.backend_.comm_create(device.device_, &id, rank, ranks,
                                               static_cast<int32_t>(deadline.count()), &handle),
                   "comm_create"));
  return Communicator(device, handle);
}

Communicator::~Communicator() {
  if (handle_ != nullptr) device_->backend_.comm_destroy(device_->device_, handle_);
}

Status Communicator::all_reduce(fathom_dtype dtype, const void* in, void* out, int64_t count) {
  return device_->check(device_->backend_.comm_all_reduce(device_->device_, device_->stream_,
                                                          handle_, dtype, in, out, count),
                        "comm_all_reduce");
}

Status Communicator::reduce_scatter(fathom_dtype dtype, const void* in, void* out,
                                    std::span<const int64_t> counts) {
  return device_->check(
      device_->backend_.comm_reduce_scatter(device_->device_, device_->stream_, handle_, dtype, in,
                                            out, counts.data()),
      "comm_reduce_scatter");
}

Status Communicator::all_gather(const void* in, void* out, std::span<const size_t> bytes) {
  return device_->check(device_->backend_.comm_all_gather(device_->device_, device_->stream_,
                                                          handle_, in, out, bytes.data()),
                        "comm_all_gather");
}

Status Communicator::all_to_all(const void* in, std::span<const size_t> in_bytes, void* out,
                                std::span<const size_t> out_bytes) {
  return device_->check(
      device_->backend_.comm_all_to_all(device_->device_, device_->stream_, handle_, in,
                                        in_bytes.data(), out, out_bytes.data()),
      "comm_all_to_all");
}

Status Communicator::broadcast(int root, void* data, size_t bytes) {
  return device_->check(device_->backend_.comm_broadcast(device_->device_, device_->stream_,
                                                         handle_, root, data, bytes),
                        "comm_broadcast");
}

Status Communicator::send(int to, const void* data, size_t bytes) {
  return device_->check(
      device_->backend_.comm_send(device_->device_, device_->stream_, handle_, to, data, bytes),
      "comm_send");
}

Status Communicator::receive(int from, void* data, size_t bytes) {
  return device_->check(device_->backend_.comm_receive(device_->device_, device_->stream_, handle_,
                                                       from, data, bytes),
                        "comm_receive");
}

// What it cannot end on a lost device, the device's own end does.
void Communicator::abort() {
  (void)device_->backend_.comm_abort(device_->device_, handle_);
}

}  // namespace fathom::device
