#include "models/deepseek_v3/step/staging.h"

#include "base/check.h"

namespace fathom::models::deepseek_v3 {

Result<Staging> Staging::make(device::Device& device, size_t bytes) {
  Staging staging;
  staging.device_ = &device;
  if (is_in_place(device)) return staging;
  FATHOM_ASSIGN(staging.copy_, device.alloc_host(bytes));
  return staging;
}

Status Staging::fetch(const void* memory, size_t bytes, size_t offset) {
  if (is_in_place(*device_) || bytes == 0) return {};
  FATHOM_CHECK(offset + bytes <= copy_.size(), "staging: expected what it was planned for");
  return device_->copy_to_host(static_cast<std::byte*>(copy_.data()) + offset,
                               static_cast<const std::byte*>(memory) + offset, bytes);
}

Status Staging::put(void* memory, size_t bytes, size_t offset) {
  if (is_in_place(*device_) || bytes == 0) return {};
  FATHOM_CHECK(offset + bytes <= copy_.size(), "staging: expected what it was planned for");
  return device_->copy_to_device(static_cast<std::byte*>(memory) + offset,
                                 static_cast<const std::byte*>(copy_.data()) + offset, bytes);
}

}  // namespace fathom::models::deepseek_v3
