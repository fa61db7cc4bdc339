// A chip without kernels, for tests of loading: host memory or not, with a layout of its own or
// not.
#pragma once

#include <cstdlib>
#include <cstring>
#include <memory>

#include "device/checksum.h"
#include "device/device.h"

namespace fathom::models {

// What pack() of the chip below makes of a weight: this, then the rows and the scales as they were.
struct FakePacked {
  int64_t op;
  device::Weight rows;  // its pointers lead to what follows
};
constexpr int32_t kFakeLayout = 7;

inline size_t fake_data_bytes(const device::Weight& weight) {
  return static_cast<size_t>(weight.n) *
         device::weight_row_bytes(static_cast<fathom_dtype>(weight.dtype), weight.k);
}
inline size_t fake_scale_bytes(const device::Weight& weight) {
  if (weight.block_n == 0) return 0;
  const int64_t rows = (weight.n + weight.block_n - 1) / weight.block_n;
  return static_cast<size_t>(rows * ((weight.k + weight.block_k - 1) / weight.block_k)) * 4;
}
// Scales come first: they must be aligned.
inline size_t fake_pack_bytes(const device::Weight& weight) {
  return sizeof(FakePacked) + fake_scale_bytes(weight) + fake_data_bytes(weight);
}

struct FakeChip {
  uint32_t capabilities = FATHOM_CAP_HOST_MEMORY;
  bool packs = false;

  std::unique_ptr<device::Device> open();
  fathom_backend table = {};

  // Of this thread's chips: copies to the device, and bytes of them.
  static inline thread_local int64_t copies = 0;
  static inline thread_local size_t copied_bytes = 0;
};

inline std::unique_ptr<device::Device> FakeChip::open() {
  static thread_local uint32_t opened_with = 0;
  opened_with = capabilities;
  table.size = sizeof(table);
  table.abi_version = FATHOM_ABI_VERSION;
  table.name = "fake";
  table.version = "0";
  table.last_error = [] { return ""; };
  table.device_open = [](const fathom_device_options*, fathom_device**) { return FATHOM_OK; };
  table.device_close = [](fathom_device*) {};
  table.device_info = [](fathom_device*, fathom_device_info* info) {
    info->alignment = 64;
    info->capabilities = opened_with;
    info->activation_dtype = FATHOM_F32;
    info->kv_dtype = FATHOM_F32;
    return FATHOM_OK;
  };
  table.alloc = [](fathom_device*, size_t bytes, void** memory) {
    *memory = std::aligned_alloc(64, (bytes + 63) / 64 * 64);
    return FATHOM_OK;
  };
  table.free = [](fathom_device*, void* memory) { std::free(memory); };
  table.host_alloc = table.alloc;
  table.host_free = table.free;
  table.map_host = [](fathom_device*, const void* host, size_t, const void** mapped) {
    *mapped = host;
    return FATHOM_OK;
  };
  table.stream_create = [](fathom_device*, fathom_stream**) { return FATHOM_OK; };
  table.stream_destroy = [](fathom_device*, fathom_stream*) {};
  table.stream_synchronize = [](fathom_device*, fathom_stream*) { return FATHOM_OK; };
  table.copy_to_device = [](fathom_device*, fathom_stream*, void* to, const void* from,
                            size_t bytes) {
    std::memcpy(to, from, bytes);
    ++copies;
    copied_bytes += bytes;
    return FATHOM_OK;
  };
  table.copy_to_host = [](fathom_device*, fathom_stream*, void* to, const void* from,
                          size_t bytes) {
    std::memcpy(to, from, bytes);
    return FATHOM_OK;
  };
  table.event_create = [](fathom_device*, fathom_event**) { return FATHOM_OK; };
  table.event_destroy = [](fathom_device*, fathom_event*) {};
  table.event_record = [](fathom_device*, fathom_stream*, fathom_event*) { return FATHOM_OK; };
  table.event_query = [](fathom_device*, fathom_event*, int32_t* reached) {
    *reached = 1;
    return FATHOM_OK;
  };
  table.event_synchronize = [](fathom_device*, fathom_event*) { return FATHOM_OK; };
  table.fill = [](fathom_device*, fathom_stream*, void* to, uint8_t value, size_t bytes) {
    std::memset(to, value, bytes);
    return FATHOM_OK;
  };
  table.checksum = [](fathom_device*, fathom_stream*, const void* from, size_t bytes,
                      uint64_t* sum) {
    *sum = device::checksum(from, bytes);
    return FATHOM_OK;
  };
  if (packs) {
    table.pack_bytes = [](fathom_device*, int32_t, const fathom_weight* weight, size_t* bytes) {
      *bytes = fake_pack_bytes(*weight);
      return FATHOM_OK;
    };
    table.pack = [](fathom_device*, int32_t op, const fathom_weight* weight, void* memory,
                    fathom_weight* packed) {
      auto* begin = static_cast<std::byte*>(memory) + sizeof(FakePacked);
      FakePacked made = {op, *weight};
      if (weight->scale != nullptr) std::memcpy(begin, weight->scale, fake_scale_bytes(*weight));
      made.rows.scale = reinterpret_cast<const float*>(begin);
      begin += fake_scale_bytes(*weight);
      std::memcpy(begin, weight->data, fake_data_bytes(*weight));
      made.rows.data = begin;
      std::memcpy(memory, &made, sizeof(made));
      *packed = *weight;
      packed->layout = kFakeLayout;
      packed->data = memory;
      packed->scale = nullptr;
      return FATHOM_OK;
    };
  }
  return device::Device::open(table, {}).value();
}

}  // namespace fathom::models
