#include "backends/gpu/kernels/testing/chips.h"

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "backends/cpu/cpu_backend.h"
#include "backends/emulated/emulated_backend.h"

namespace fathom::gpu::test {

std::vector<std::string> lane_orders() {
  const std::vector<std::string> all = {"rising", "falling", "1", "2"};
  const char* is_long = std::getenv("FATHOM_LONG");
  if (is_long != nullptr && std::strcmp(is_long, "1") == 0) return all;
  constexpr std::time_t kDay = 24 * 60 * 60;
  return {all[static_cast<size_t>(std::time(nullptr) / kDay) % all.size()]};
}

TestChip::TestChip(const fathom_backend* backend, const char* kernels) {
  device::DeviceOptions options;
  options.kernels = kernels;
  auto opened = device::Device::open(*backend, options);
  if (opened.ok()) device_ = std::move(*opened);
  EXPECT_TRUE(device_ != nullptr) << opened.error().message;
}

TestChip TestChip::emulated(int warp, const std::string& order) {
  setenv("FATHOM_EMULATED_WARP", std::to_string(warp).c_str(), 1);
  setenv("FATHOM_EMULATED_ORDER", order.c_str(), 1);
  return TestChip(fathom_emulated_backend_entry(FATHOM_ABI_VERSION), "");
}

TestChip TestChip::reference() {
  return TestChip(fathom_cpu_backend_entry(FATHOM_ABI_VERSION), "reference");
}

void* TestChip::alloc(size_t bytes) {
  auto buffer = device_->alloc(bytes);
  EXPECT_TRUE(buffer.ok()) << buffer.error().message;
  memory_.push_back(std::move(*buffer));
  return memory_.back().data();
}

void* TestChip::upload(const void* data, size_t bytes) {
  void* memory = alloc(bytes);
  EXPECT_TRUE(device_->copy_to_device(memory, data, bytes).ok());
  EXPECT_TRUE(device_->synchronize().ok());
  return memory;
}

void TestChip::download(void* to, const void* from, size_t bytes) {
  EXPECT_TRUE(device_->copy_to_host(to, from, bytes).ok());
  const auto ended = device_->synchronize();
  EXPECT_TRUE(ended.ok()) << ended.error().message;
}

fathom_tensor TestChip::alloc_matrix(int64_t rows, int64_t columns, int64_t stride) {
  const int64_t apart = stride == 0 ? columns : stride;
  const auto dtype = device_->activation_dtype();
  fathom_tensor tensor = device::matrix(nullptr, dtype, rows, columns);
  tensor.stride[0] = apart;
  tensor.data = alloc(static_cast<size_t>(rows * apart) * device::dtype_size(dtype));
  return tensor;
}

fathom_tensor TestChip::alloc_f32(int64_t rows, int64_t columns) {
  return device::matrix(alloc(static_cast<size_t>(rows * columns) * sizeof(float)), FATHOM_F32,
                        rows, columns);
}

fathom_tensor TestChip::upload_matrix(const std::vector<float>& values, int64_t rows,
                                      int64_t columns, int64_t stride) {
  const fathom_tensor tensor = alloc_matrix(rows, columns, stride);
  const size_t element = device::dtype_size(device_->activation_dtype());
  // Gaps are no numbers: whoever reads one is found out.
  std::vector<uint8_t> bytes(static_cast<size_t>(rows * tensor.stride[0]) * element, 0xff);
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t column = 0; column < columns; ++column) {
      const float value = values[static_cast<size_t>(row * columns + column)];
      const uint16_t narrow = to_bf16(value);
      uint8_t* at = bytes.data() + static_cast<size_t>(row * tensor.stride[0] + column) * element;
      std::memcpy(at, element == sizeof(float) ? static_cast<const void*>(&value) : &narrow,
                  element);
    }
  }
  EXPECT_TRUE(device_->copy_to_device(tensor.data, bytes.data(), bytes.size()).ok());
  EXPECT_TRUE(device_->synchronize().ok());
  return tensor;
}

std::vector<float> TestChip::download_matrix(const fathom_tensor& tensor) {
  const auto elements = static_cast<size_t>(tensor.shape[0] * tensor.stride[0]);
  std::vector<float> wide(elements);
  if (tensor.dtype == FATHOM_F32) {
    wide = download<float>(tensor.data, elements);
  } else {
    const auto narrow = download<uint16_t>(tensor.data, elements);
    for (size_t i = 0; i < elements; ++i) wide[i] = from_bf16(narrow[i]);
  }
  std::vector<float> values;
  for (int64_t row = 0; row < tensor.shape[0]; ++row) {
    const auto begin = wide.begin() + row * tensor.stride[0];
    values.insert(values.end(), begin, begin + tensor.shape[1]);
  }
  return values;
}

void TestChip::run(fathom_op op, const void* args) {
  const auto queued = device_->run(op, args);
  ASSERT_TRUE(queued.ok()) << queued.error().message;
  const auto ended = device_->synchronize();
  ASSERT_TRUE(ended.ok()) << ended.error().message;
}

uint16_t to_bf16(float value) {
  uint32_t bits = 0;
  std::memcpy(&bits, &value, sizeof(bits));
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

float from_bf16(uint16_t narrow) {
  const uint32_t bits = static_cast<uint32_t>(narrow) << 16;
  float value = 0;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

std::vector<float> random_bf16(std::mt19937& random, int64_t count, float deviation) {
  std::normal_distribution<float> normal(0.0f, deviation);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = from_bf16(to_bf16(normal(random)));
  return values;
}

void expect_near(const std::vector<float>& got, const std::vector<float>& wanted, double relative,
                 double absolute) {
  ASSERT_EQ(got.size(), wanted.size());
  for (size_t i = 0; i < got.size(); ++i) {
    const double bound = absolute + relative * std::abs(static_cast<double>(wanted[i]));
    const double error = std::abs(static_cast<double>(got[i]) - static_cast<double>(wanted[i]));
    ASSERT_TRUE(error <= bound) << "at " << i << ": expected " << wanted[i] << " within " << bound
                                << ", got " << got[i];
  }
}

}  // namespace fathom::gpu::test
