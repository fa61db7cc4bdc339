#include "backends/cpu/testing/kernel_fixtures.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "backends/cpu/cpu_backend.h"
#include "backends/cpu/kernel_sets.h"
#include "backends/cpu/reference/formats.h"

namespace fathom::cpu {

// AVX-512 in plain loops (avx512_emulation.h), linked into the tests only.
namespace avx512_emulated {
const KernelSet& kernels();
}
namespace avx512_vnni_emulated {
const KernelSet& kernels();
}
namespace avx512_bf16_emulated {
const KernelSet& kernels();
}

namespace test {

std::vector<const KernelSet*> native_sets() {
  auto sets = native_kernels();
#ifdef FATHOM_CPU_EMULATES_avx512
  sets.push_back(&avx512_emulated::kernels());
#endif
#ifdef FATHOM_CPU_EMULATES_avx512_vnni
  sets.push_back(&avx512_vnni_emulated::kernels());
#endif
#ifdef FATHOM_CPU_EMULATES_avx512_bf16
  sets.push_back(&avx512_bf16_emulated::kernels());
#endif
  return sets;
}

std::string set_name(const ::testing::TestParamInfo<const KernelSet*>& info) {
  return info.param->name;
}

const fathom_backend& CpuDevice::table() {
  return *fathom_cpu_backend_entry(FATHOM_ABI_VERSION);
}

fathom_status CpuDevice::run(fathom_op op, const void* args) {
  return table().kernels[op](&device_, nullptr, args);
}

Matrix::Matrix(int64_t rows, int64_t columns, int64_t gap)
    : rows_(rows),
      columns_(columns),
      stride_(columns + gap),
      values_(static_cast<size_t>(rows * stride_), std::numeric_limits<float>::quiet_NaN()) {}

Matrix Matrix::random(std::mt19937& random, int64_t rows, int64_t columns, int64_t gap,
                      float deviation) {
  Matrix matrix(rows, columns, gap);
  std::normal_distribution<float> normal(0.0f, deviation);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < columns; ++c) matrix.at(r, c) = normal(random);
  }
  return matrix;
}

fathom_tensor Matrix::tensor() {
  return {values_.data(), FATHOM_F32, 2, {rows_, columns_, 1, 1}, {stride_, 1, 1, 1}};
}

fathom_tensor Matrix::rows_tensor(int64_t begin, int64_t count) {
  fathom_tensor view = tensor();
  view.data = values_.data() + begin * stride_;
  view.shape[0] = count;
  return view;
}

Matrix Matrix::absolute() const {
  Matrix result = *this;
  for (float& value : result.values_) value = std::abs(value);
  return result;
}

Matrix Matrix::in_bf16() const {
  Matrix result = *this;
  for (float& value : result.values_) {
    value = static_cast<float>(reference::bf16_value(reference::to_bf16(value)));
  }
  return result;
}

bool Matrix::gaps_are_whole() const {
  for (int64_t r = 0; r < rows_; ++r) {
    for (int64_t c = columns_; c < stride_; ++c) {
      if (!std::isnan(at(r, c))) return false;
    }
  }
  return true;
}

bool Matrix::same_bits(const Matrix& other) const {
  if (rows_ != other.rows_ || columns_ != other.columns_) return false;
  for (int64_t r = 0; r < rows_; ++r) {
    const auto bytes = static_cast<size_t>(columns_) * sizeof(float);
    if (std::memcmp(&values_[static_cast<size_t>(r * stride_)],
                    &other.values_[static_cast<size_t>(r * other.stride_)], bytes) != 0) {
      return false;
    }
  }
  return true;
}

WeightData WeightData::random(std::mt19937& random, fathom_dtype dtype, int64_t n, int64_t k,
                              int32_t block_n, int32_t block_k) {
  WeightData weight;
  weight.shape_ = {nullptr, nullptr, dtype, block_n, block_k, FATHOM_LAYOUT_ROWS, n, k};
  const auto count = static_cast<size_t>(n * k);
  std::normal_distribution<float> normal;
  if (dtype == FATHOM_I8 || dtype == FATHOM_I4) {
    weight.shape_.block_n = 1;
    weight.fill_integers(random);
    return weight;
  }
  if (dtype == FATHOM_F8_E4M3) {
    weight.bytes_.resize(count);
    for (uint8_t& code : weight.bytes_) {
      do {
        code = static_cast<uint8_t>(random());
      } while ((code & 0x7f) == 0x7f);
    }
    const int64_t blocks = ((n + block_n - 1) / block_n) * ((k + block_k - 1) / block_k);
    std::uniform_real_distribution<float> scale(0.001f, 0.01f);
    for (int64_t i = 0; i < blocks; ++i) weight.scales_.push_back(scale(random));
    return weight;
  }
  const size_t size = dtype == FATHOM_F32 ? sizeof(float) : sizeof(uint16_t);
  weight.bytes_.resize(count * size);
  for (size_t i = 0; i < count; ++i) {
    const float value = normal(random);
    const uint16_t half = reference::to_bf16(value);
    std::memcpy(&weight.bytes_[i * size],
                dtype == FATHOM_F32 ? static_cast<const void*>(&value) : &half, size);
  }
  return weight;
}

void WeightData::fill_integers(std::mt19937& random) {
  const bool i8 = shape_.dtype == FATHOM_I8;
  bytes_.resize(static_cast<size_t>(shape_.n * shape_.k / (i8 ? 1 : 2)));
  std::uniform_int_distribution<int> value(-127, 127);
  for (uint8_t& byte : bytes_) byte = static_cast<uint8_t>(i8 ? value(random) : random());
  const int64_t groups = (shape_.k + shape_.block_k - 1) / shape_.block_k;
  // Whole multiples of a power of two, so that half precision has them.
  std::uniform_int_distribution<int> scale(17, 1024);
  for (int64_t i = 0; i < shape_.n * groups; ++i) {
    scales_.push_back(std::ldexp(static_cast<float>(scale(random)), -16));
  }
}

fathom_weight WeightData::view() const {
  fathom_weight view = shape_;
  view.data = bytes_.data();
  view.scale = scales_.empty() ? nullptr : scales_.data();
  return view;
}

WeightData WeightData::absolute() const {
  WeightData result;
  result.shape_ = {nullptr, nullptr, FATHOM_F32, 0, 0, FATHOM_LAYOUT_ROWS, shape_.n, shape_.k};
  result.bytes_.resize(static_cast<size_t>(shape_.n * shape_.k) * sizeof(float));
  for (int64_t i = 0; i < shape_.n * shape_.k; ++i) {
    const auto magnitude = static_cast<float>(std::abs(value(i / shape_.k, i % shape_.k)));
    std::memcpy(&result.bytes_[static_cast<size_t>(i) * sizeof(float)], &magnitude,
                sizeof(magnitude));
  }
  return result;
}

double WeightData::value(int64_t row, int64_t column) const {
  return reference::weight_value(view(), row, column);
}

PackedWeight::PackedWeight(CpuDevice& device, fathom_op op, const fathom_weight& weight) {
  size_t bytes = 0;
  EXPECT_EQ(device.table().pack_bytes(device.handle(), op, &weight, &bytes), FATHOM_OK)
      << device.table().last_error();
  memory_.reset(std::aligned_alloc(64, bytes));
  EXPECT_EQ(device.table().pack(device.handle(), op, &weight, memory_.get(), &view_), FATHOM_OK)
      << device.table().last_error();
}

void expect_near(const Matrix& got, const Matrix& expected, const Matrix& bound, double factor) {
  ASSERT_EQ(got.rows(), expected.rows());
  ASSERT_EQ(got.columns(), expected.columns());
  for (int64_t r = 0; r < got.rows(); ++r) {
    for (int64_t c = 0; c < got.columns(); ++c) {
      const double allowed = bound.at(r, c) * factor + 1e-37;
      ASSERT_NEAR(got.at(r, c), expected.at(r, c), allowed) << "at [" << r << ", " << c << "]";
    }
  }
}

}  // namespace test
}  // namespace fathom::cpu
