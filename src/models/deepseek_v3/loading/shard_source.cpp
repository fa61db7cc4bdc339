#include "models/deepseek_v3/loading/shard_source.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"

namespace fathom::models::deepseek_v3 {
namespace {

bool is_whole(const Range& range, int64_t size) {
  return range.begin == 0 && range.end == size;
}

// Whether the range begins and ends where blocks of `block` do.
bool is_aligned(const Range& range, int64_t size, int32_t block) {
  if (block <= 1) return true;
  return range.begin % block == 0 && (range.end % block == 0 || range.end == size);
}

size_t row_bytes(const Weight& weight, int64_t columns) {
  return device::weight_row_bytes(static_cast<fathom_dtype>(weight.dtype), columns);
}

// Rows of `bytes` each, `from_stride` apart, one behind the other.
void copy_rows(const void* from, size_t from_stride, void* to, size_t bytes, int64_t rows) {
  const auto* source = static_cast<const std::byte*>(from);
  auto* target = static_cast<std::byte*>(to);
  for (int64_t row = 0; row < rows; ++row) {
    std::memcpy(target, source, bytes);
    source += from_stride;
    target += bytes;
  }
}

}  // namespace

Result<std::shared_ptr<const ShardSource>> ShardSource::make(
    std::shared_ptr<const TensorSource> whole, const std::vector<TensorPart>& parts) {
  auto source = std::shared_ptr<ShardSource>(new ShardSource(std::move(whole)));
  for (const TensorPart& each : parts) {
    TensorSpec spec = each.tensor->spec;
    Part part;
    part.rows = each.rows;
    part.columns = each.columns;
    if (!spec.is_vector()) {
      FATHOM_ASSIGN(part.whole, source->whole_->matrix(spec.name, spec.n, spec.k));
      place(part);
      spec.k = part.columns.size();
    }
    spec.n = part.rows.size();
    source->parts_.emplace(spec.name, std::move(part));
    source->specs_.push_back(std::move(spec));
  }
  return std::shared_ptr<const ShardSource>(std::move(source));
}

// Decides where the part's numbers are.
void ShardSource::place(Part& part) {
  const Weight& whole = part.whole;
  Weight& own = part.own;
  own = whole;
  own.n = part.rows.size();
  own.k = part.columns.size();
  own.data = nullptr;
  own.scale = nullptr;
  if (whole.data == nullptr || !is_aligned(part.rows, whole.n, whole.block_n) ||
      !is_aligned(part.columns, whole.k, whole.block_k)) {
    return;
  }
  if (!is_whole(part.columns, whole.k)) {
    part.data = std::make_unique_for_overwrite<std::byte[]>(data_bytes(own));
    own.data = part.data.get();
    if (whole.scale == nullptr) return;
    part.scale = std::make_unique_for_overwrite<float[]>(scale_bytes(own) / sizeof(float));
    own.scale = part.scale.get();
    return;
  }
  own.data = static_cast<const std::byte*>(whole.data) +
             static_cast<size_t>(part.rows.begin) * row_bytes(whole, whole.k);
  if (whole.scale != nullptr) {
    own.scale = whole.scale + part.rows.begin / whole.block_n * scale_columns(whole);
  }
}

void ShardSource::copy_columns(const Part& part) {
  const Weight& whole = part.whole;
  const size_t stride = row_bytes(whole, whole.k);
  copy_rows(static_cast<const std::byte*>(whole.data) +
                static_cast<size_t>(part.rows.begin) * stride +
                row_bytes(whole, part.columns.begin),
            stride, part.data.get(), row_bytes(whole, part.own.k), part.own.n);
  if (whole.scale == nullptr) return;
  const auto columns = static_cast<size_t>(scale_columns(part.own));
  copy_rows(whole.scale + part.rows.begin / whole.block_n * scale_columns(whole) +
                part.columns.begin / whole.block_k,
            static_cast<size_t>(scale_columns(whole)) * sizeof(float), part.scale.get(),
            columns * sizeof(float), scale_rows(part.own));
}

const ShardSource::Part& ShardSource::part(const std::string& name) const {
  const auto found = parts_.find(name);
  FATHOM_CHECK(found != parts_.end(), "shard: expected one of the rank's tensors");
  return found->second;
}

Result<Weight> ShardSource::matrix(const std::string& name, int64_t n, int64_t k) const {
  const Weight& own = part(name).own;
  FATHOM_CHECK(own.n == n && own.k == k, "shard: expected the part's size");
  return own;
}

Status ShardSource::check(const std::string& name, const Weight& matrix) const {
  const Part& its = part(name);
  if (its.data != nullptr) copy_columns(its);
  return whole_->check(name, matrix);
}

Status ShardSource::read_rows(const std::string& name, const Weight&, int64_t begin, int64_t count,
                              float* out) const {
  const Part& its = part(name);
  const int64_t first = its.rows.begin + begin;
  if (is_whole(its.columns, its.whole.k)) {
    return whole_->read_rows(name, its.whole, first, count, out);
  }
  std::vector<float> rows(static_cast<size_t>(count * its.whole.k));
  FATHOM_TRY(whole_->read_rows(name, its.whole, first, count, rows.data()));
  copy_rows(rows.data() + its.columns.begin, static_cast<size_t>(its.whole.k) * sizeof(float), out,
            static_cast<size_t>(its.columns.size()) * sizeof(float), count);
  return {};
}

Result<std::vector<float>> ShardSource::vector(const std::string& name, int64_t n) const {
  return whole_->vector(name, n);
}

void ShardSource::release(const std::string& name) const {
  whole_->release(name);
  const Part& its = part(name);
  its.data.reset();
  its.scale.reset();
}

}  // namespace fathom::models::deepseek_v3
