#include "models/deepseek_v3/gguf/gguf_source.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>

#include "models/deepseek_v3/gguf/gguf_names.h"
#include "models/files/mapped_pages.h"

namespace fathom::models::deepseek_v3 {
namespace {

fathom_dtype suitable_dtype(const std::string& name, GgmlType type) {
  const bool stays_float =
      name.ends_with("embed_tokens.weight") || name.ends_with("mlp.gate.weight");
  const bool sensitive = name == "lm_head.weight" || is_kv_b(name);
  switch (type) {
    case GgmlType::kF32:
      return FATHOM_F32;
    case GgmlType::kF16:
    case GgmlType::kBF16:
      return FATHOM_BF16;
    case GgmlType::kQ8_0:
    case GgmlType::kQ6_K:
      return stays_float ? FATHOM_BF16 : FATHOM_I8;
    case GgmlType::kQ4_0:
    case GgmlType::kQ4_K:
      break;
  }
  return stays_float ? FATHOM_BF16 : sensitive ? FATHOM_I8 : FATHOM_I4;
}

// Rows [begin, begin + count) of all rows of a tensor.
void decode_rows(const GgufTensor& tensor, int64_t begin, int64_t count, float* out) {
  const int64_t columns = tensor.columns();
  const std::byte* data = tensor.data + begin * ggml_bytes(tensor.type, columns);
  decode_ggml(tensor.type, data, count * columns, out);
}

}  // namespace

bool GgufSource::splits_kv_b(const std::string& name) const {
  return is_kv_b(name) && file_->tensor(gguf_place(name).tensor) == nullptr;
}

bool GgufSource::contains(std::string_view name) const {
  return file_->tensor(gguf_place(std::string(name)).tensor) != nullptr;
}

std::string GgufSource::describe(const std::string& name) const {
  return fmt::format("{}: tensor {}", file_->path(), gguf_place(name).tensor);
}

Result<const GgufTensor*> GgufSource::find(const std::string& name, const std::string& tensor_name,
                                           const std::vector<int64_t>& shape) const {
  const GgufTensor* tensor = file_->tensor(tensor_name);
  if (tensor == nullptr) {
    return Error{ErrorCode::kNotFound,
                 fmt::format("{}: tensor {}: is missing", file_->path(), tensor_name), name};
  }
  if (tensor->shape != shape) {
    return Error{ErrorCode::kDataCorrupt,
                 fmt::format("{}: tensor {}: expected shape [{}], got [{}]", file_->path(),
                             tensor_name, fmt::join(shape, ", "), fmt::join(tensor->shape, ", ")),
                 name};
  }
  return tensor;
}

Result<Weight> GgufSource::matrix(const std::string& name, int64_t n, int64_t k) const {
  if (splits_kv_b(name)) return split_matrix(name, n, k);
  const auto place = gguf_place(name);
  std::vector<int64_t> shape = {k, n};
  if (place.expert >= 0) shape.push_back(config_.n_routed_experts);
  FATHOM_ASSIGN(const GgufTensor* tensor, find(name, place.tensor, shape));
  return weight_in_rows(suitable_dtype(name, tensor->type), n, k);
}

Result<Weight> GgufSource::split_matrix(const std::string& name, int64_t n, int64_t k) const {
  const auto split = split_kv_b(name);
  const int64_t heads = config_.num_attention_heads;
  FATHOM_ASSIGN(const GgufTensor* key,
                find(name, split.k, {config_.qk_nope_head_dim, config_.kv_lora_rank, heads}));
  FATHOM_TRY(find(name, split.v, {config_.kv_lora_rank, config_.v_head_dim, heads}));
  return weight_in_rows(suitable_dtype(name, key->type), n, k);
}

Status GgufSource::check(const std::string&, const Weight&) const {
  return {};
}

Status GgufSource::read_rows(const std::string& name, const Weight& matrix, int64_t begin,
                             int64_t count, float* out) const {
  if (splits_kv_b(name)) {
    read_split_rows(name, begin, count, out);
    return {};
  }
  const auto place = gguf_place(name);
  const int64_t first = place.expert < 0 ? 0 : place.expert * matrix.n;
  decode_rows(*file_->tensor(place.tensor), first + begin, count, out);
  return {};
}

// Row i < nope of a head is column i of its part of attn_k_b; the others are rows of attn_v_b.
void GgufSource::read_split_rows(const std::string& name, int64_t begin, int64_t count,
                                 float* out) const {
  const auto split = split_kv_b(name);
  const int64_t nope = config_.qk_nope_head_dim;
  const int64_t lora = config_.kv_lora_rank;
  const int64_t height = nope + config_.v_head_dim;
  std::vector<float> keys(static_cast<size_t>(lora * nope));
  int64_t decoded_head = -1;
  for (int64_t row = begin; row < begin + count; ++row, out += lora) {
    const int64_t head = row / height;
    const int64_t within = row % height;
    if (within >= nope) {
      decode_rows(*file_->tensor(split.v), head * config_.v_head_dim + within - nope, 1, out);
      continue;
    }
    if (decoded_head != head) decode_rows(*file_->tensor(split.k), head * lora, lora, keys.data());
    decoded_head = head;
    for (int64_t i = 0; i < lora; ++i) out[i] = keys[static_cast<size_t>(i * nope + within)];
  }
}

Result<std::vector<float>> GgufSource::vector(const std::string& name, int64_t n) const {
  FATHOM_ASSIGN(const GgufTensor* tensor, find(name, gguf_place(name).tensor, {n}));
  std::vector<float> values(static_cast<size_t>(n));
  decode_rows(*tensor, 0, 1, values.data());
  for (const float value : values) {
    if (!std::isfinite(value)) {
      return Error{ErrorCode::kDataCorrupt, describe(name) + ": expected finite numbers", name};
    }
  }
  return values;
}

void GgufSource::release(const std::string& name) const {
  const auto place = gguf_place(name);
  const GgufTensor* tensor = file_->tensor(place.tensor);
  if (tensor == nullptr) return;
  const size_t bytes = place.expert < 0
                           ? tensor->bytes
                           : tensor->bytes / static_cast<size_t>(config_.n_routed_experts);
  const size_t begin = place.expert < 0 ? 0 : static_cast<size_t>(place.expert) * bytes;
  drop_pages(tensor->data + begin, bytes);
}

}  // namespace fathom::models::deepseek_v3
