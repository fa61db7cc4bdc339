#include "models/deepseek_v3/weights/checkpoint_source.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <span>

#include "models/files/mapped_pages.h"
#include "models/number_formats.h"
#include "models/quantize/quantize.h"

namespace fathom::models::deepseek_v3 {
namespace {

constexpr size_t kPageBytes = 4096;

Error wrong(const StoredTensor& tensor, const std::string& what) {
  return {ErrorCode::kDataCorrupt, fmt::format("{}: tensor {}: {}", tensor.file, tensor.name, what),
          tensor.name};
}

Status expect_shape(const StoredTensor& tensor, const std::vector<int64_t>& shape) {
  if (tensor.shape == shape) return {};
  return wrong(tensor, fmt::format("expected shape [{}], got [{}]", fmt::join(shape, ", "),
                                   fmt::join(tensor.shape, ", ")));
}

bool is_weight_type(fathom_dtype dtype) {
  switch (dtype) {
    case FATHOM_F32:
    case FATHOM_BF16:
    case FATHOM_F8_E4M3:
    case FATHOM_I8:
    case FATHOM_I4:
      return true;
    default:
      return false;
  }
}

// A file's pages, touched: a cold disk is waited for while loading, not in the first request.
void touch(const void* data, size_t bytes) {
  const auto* at = static_cast<const volatile std::byte*>(data);
  for (size_t i = 0; i < bytes; i += kPageBytes) static_cast<void>(at[i]);
}

bool in_half_precision(float value) {
  return f16_to_f32(f32_to_f16(value)) == value;
}

}  // namespace

std::string scale_name(const std::string& name, fathom_dtype dtype) {
  if (dtype == FATHOM_F8_E4M3) return name + "_scale_inv";
  return dtype == FATHOM_I8 || dtype == FATHOM_I4 ? name + "_scale" : "";
}

Result<std::shared_ptr<const CheckpointSource>> CheckpointSource::open(
    const std::filesystem::path& directory, const Config& config) {
  FATHOM_ASSIGN(Checkpoint checkpoint, Checkpoint::open(directory));
  return std::shared_ptr<const CheckpointSource>(
      new CheckpointSource(std::move(checkpoint), config));
}

std::string CheckpointSource::describe(const std::string& name) const {
  const auto tensor = checkpoint_.find(name);
  return tensor ? fmt::format("{}: tensor {}", (*tensor)->file, name) : "tensor " + name;
}

Result<Weight> CheckpointSource::matrix(const std::string& name, int64_t n, int64_t k) const {
  FATHOM_ASSIGN(const StoredTensor* tensor, checkpoint_.find(name));
  if (!is_weight_type(tensor->dtype)) {
    return wrong(*tensor, fmt::format("expected f32, bf16, f8_e4m3, i8 or u8, got {}",
                                      device::dtype_name(tensor->dtype)));
  }
  FATHOM_TRY(expect_shape(*tensor, {n, k}));
  Weight weight = weight_in_rows(tensor->dtype, n, k);
  if (tensor->dtype == FATHOM_F8_E4M3) {
    weight.block_n = config_.fp8_block_n;
    weight.block_k = config_.fp8_block_k;
  }
  weight.data = tensor->data;
  if (weight.block_n > 0) {
    FATHOM_ASSIGN(weight.scale, scales(name, weight));
  }
  return weight;
}

Result<const float*> CheckpointSource::scales(const std::string& name, const Weight& matrix) const {
  const auto stored_as = scale_name(name, static_cast<fathom_dtype>(matrix.dtype));
  FATHOM_ASSIGN(const StoredTensor* tensor, checkpoint_.find(stored_as));
  FATHOM_TRY(expect_shape(*tensor, {scale_rows(matrix), scale_columns(matrix)}));
  if (tensor->dtype != FATHOM_F32) {
    return wrong(*tensor, fmt::format("expected f32, got {}", device::dtype_name(tensor->dtype)));
  }
  if (reinterpret_cast<uintptr_t>(tensor->data) % alignof(float) == 0) {
    return reinterpret_cast<const float*>(tensor->data);
  }
  std::vector<float> copy(tensor->bytes / sizeof(float));
  std::memcpy(copy.data(), tensor->data, tensor->bytes);
  const std::lock_guard lock(mutex_);
  return aligned_.emplace_back(std::move(copy)).data();
}

Status CheckpointSource::check(const std::string& name, const Weight& matrix) const {
  if (matrix.dtype == FATHOM_I8 && holds_minus_128(matrix)) {
    return Error{ErrorCode::kDataCorrupt,
                 describe(name) + ": expected numbers from -127 to 127, got -128", name};
  }
  touch(matrix.data, data_bytes(matrix));
  if (matrix.scale == nullptr) return {};
  const auto stored_as = scale_name(name, static_cast<fathom_dtype>(matrix.dtype));
  const std::span scales(matrix.scale, scale_bytes(matrix) / sizeof(float));
  for (size_t i = 0; i < scales.size(); ++i) {
    const char* expected = nullptr;
    if (!std::isfinite(scales[i])) expected = "finite numbers";
    if (matrix.dtype == FATHOM_I4 && expected == nullptr && !in_half_precision(scales[i])) {
      expected = "scales that half precision holds exactly";
    }
    if (expected != nullptr) {
      return Error{
          ErrorCode::kDataCorrupt,
          fmt::format("{}: expected {}, got {} at {}", describe(stored_as), expected, scales[i], i),
          stored_as};
    }
  }
  return {};
}

Status CheckpointSource::read_rows(const std::string&, const Weight& matrix, int64_t begin,
                                   int64_t count, float* out) const {
  for (int64_t row = 0; row < count; ++row)
    dequantize_row(matrix, begin + row, out + row * matrix.k);
  return {};
}

Result<std::vector<float>> CheckpointSource::vector(const std::string& name, int64_t n) const {
  FATHOM_ASSIGN(const StoredTensor* tensor, checkpoint_.find(name));
  FATHOM_TRY(expect_shape(*tensor, {n}));
  if (tensor->dtype != FATHOM_F32 && tensor->dtype != FATHOM_BF16) {
    return wrong(*tensor,
                 fmt::format("expected f32 or bf16, got {}", device::dtype_name(tensor->dtype)));
  }
  Weight row = weight_in_rows(tensor->dtype, 1, n);
  row.data = tensor->data;
  std::vector<float> values(static_cast<size_t>(n));
  dequantize_row(row, 0, values.data());
  for (size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i])) {
      return wrong(*tensor, fmt::format("expected finite numbers, got {} at {}", values[i], i));
    }
  }
  return values;
}

void CheckpointSource::release(const std::string& name) const {
  const auto matrix = checkpoint_.find(name);
  if (!matrix) return;
  drop_pages((*matrix)->data, (*matrix)->bytes);
  const auto scales = checkpoint_.find(scale_name(name, (*matrix)->dtype));
  if (scales) drop_pages((*scales)->data, (*scales)->bytes);
}

}  // namespace fathom::models::deepseek_v3
