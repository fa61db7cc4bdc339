#include "models/deepseek_v3/weight_loader.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <span>

namespace fathom::models::deepseek_v3 {
namespace {

constexpr size_t kPageBytes = 4096;
constexpr size_t kReportBytes = size_t{64} << 20;

Error wrong(const StoredTensor& tensor, const std::string& what) {
  return {ErrorCode::kDataCorrupt, fmt::format("{}: tensor {}: {}", tensor.file, tensor.name, what),
          tensor.name};
}

Status expect_shape(const StoredTensor& tensor, const std::vector<int64_t>& shape) {
  if (tensor.shape == shape) return {};
  return wrong(tensor, fmt::format("expected shape [{}], got [{}]", fmt::join(shape, ", "),
                                   fmt::join(tensor.shape, ", ")));
}

bool is_aligned(const StoredTensor& tensor) {
  return reinterpret_cast<uintptr_t>(tensor.data) % device::dtype_size(tensor.dtype) == 0;
}

// Whether kernels can read the tensor where it is mapped.
bool usable_in_place(const StoredTensor& tensor, const device::Device& device) {
  return device.host_memory() && is_aligned(tensor);
}

float read_float(const StoredTensor& tensor, size_t index) {
  if (tensor.dtype == FATHOM_F32) {
    float value = 0;
    std::memcpy(&value, tensor.data + index * sizeof(float), sizeof(float));
    return value;
  }
  uint16_t bits = 0;  // bf16: the upper half of an f32
  std::memcpy(&bits, tensor.data + index * sizeof(bits), sizeof(bits));
  return std::bit_cast<float>(uint32_t{bits} << 16);
}

Result<std::vector<float>> widen(const StoredTensor& tensor) {
  if (tensor.dtype != FATHOM_F32 && tensor.dtype != FATHOM_BF16) {
    return wrong(tensor,
                 fmt::format("expected f32 or bf16, got {}", device::dtype_name(tensor.dtype)));
  }
  std::vector<float> values(tensor.bytes / device::dtype_size(tensor.dtype));
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = read_float(tensor, i);
    if (!std::isfinite(values[i])) {
      return wrong(tensor, fmt::format("expected finite numbers, got {} at {}", values[i], i));
    }
  }
  return values;
}

}  // namespace

size_t WeightLoader::plan_bytes(const Checkpoint& checkpoint, const device::Device& device) {
  size_t bytes = 0;
  for (const auto& tensor : checkpoint.tensors()) {
    size_t needed = 0;
    if (tensor->shape.size() == 1) {
      needed = static_cast<size_t>(tensor->shape[0]) * sizeof(float);
    } else if (!usable_in_place(*tensor, device)) {
      needed = tensor->bytes;
    }
    bytes += device::Arena::padded(needed, device.info().alignment);
  }
  return bytes;
}

void WeightLoader::report(size_t bytes) {
  done_bytes_ += bytes;
  if (progress_) progress_(done_bytes_, checkpoint_.total_bytes());
}

Result<const void*> WeightLoader::place(const StoredTensor& tensor) {
  // Read every page now: a cold disk is waited for here, under the progress bar, and not in the
  // first request.
  for (size_t begin = 0; begin < tensor.bytes; begin += kReportBytes) {
    const size_t end = std::min(tensor.bytes, begin + kReportBytes);
    for (size_t at = begin; at < end; at += kPageBytes) {
      static_cast<void>(*const_cast<const volatile std::byte*>(tensor.data + at));
    }
    report(end - begin);
  }
  if (usable_in_place(tensor, device_)) return device_.map_host(tensor.data, tensor.bytes);
  void* memory = arena_.take(tensor.bytes);
  FATHOM_TRY(device_.copy_to_device(memory, tensor.data, tensor.bytes));
  return static_cast<const void*>(memory);
}

Result<Weight> WeightLoader::matrix(const std::string& name, int64_t n, int64_t k) {
  FATHOM_ASSIGN(const StoredTensor* tensor, checkpoint_.find(name));
  FATHOM_TRY(expect_shape(*tensor, {n, k}));
  Weight weight = {};
  weight.dtype = tensor->dtype;
  weight.n = n;
  weight.k = k;
  if (tensor->dtype == FATHOM_F8_E4M3) {
    weight.block_n = config_.fp8_block_n;
    weight.block_k = config_.fp8_block_k;
    FATHOM_ASSIGN(weight.scale, block_scales(name + "_scale_inv", n, k));
  } else if (tensor->dtype != FATHOM_F32 && tensor->dtype != FATHOM_BF16) {
    return wrong(*tensor, fmt::format("expected f32, bf16 or f8_e4m3, got {}",
                                      device::dtype_name(tensor->dtype)));
  }
  FATHOM_ASSIGN(weight.data, place(*tensor));
  return weight;
}

Result<const float*> WeightLoader::block_scales(const std::string& name, int64_t n, int64_t k) {
  FATHOM_ASSIGN(const StoredTensor* tensor, checkpoint_.find(name));
  const int64_t rows = (n + config_.fp8_block_n - 1) / config_.fp8_block_n;
  const int64_t columns = (k + config_.fp8_block_k - 1) / config_.fp8_block_k;
  FATHOM_TRY(expect_shape(*tensor, {rows, columns}));
  if (tensor->dtype != FATHOM_F32) {
    return wrong(*tensor, fmt::format("expected f32, got {}", device::dtype_name(tensor->dtype)));
  }
  FATHOM_TRY(widen(*tensor));  // for its check that all are finite
  FATHOM_ASSIGN(const void* placed, place(*tensor));
  return static_cast<const float*>(placed);
}

Result<const float*> WeightLoader::vector(const std::string& name, int64_t n) {
  FATHOM_ASSIGN(const StoredTensor* tensor, checkpoint_.find(name));
  FATHOM_TRY(expect_shape(*tensor, {n}));
  FATHOM_ASSIGN(const std::vector<float> values, widen(*tensor));
  const size_t bytes = values.size() * sizeof(float);
  void* memory = arena_.take(bytes);
  FATHOM_TRY(device_.copy_to_device(memory, values.data(), bytes));
  FATHOM_TRY(device_.synchronize());  // `values` ends here
  report(tensor->bytes);
  return static_cast<const float*>(memory);
}

}  // namespace fathom::models::deepseek_v3
