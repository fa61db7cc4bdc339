// The words on the emulated chip: what they do, and what is reported where a kernel uses them
// wrong.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "backends/emulated/chip.h"
#include "backends/emulated/faults.h"
#include "backends/emulated/testing/word_kernels.h"
#include "device/last_error.h"

namespace fathom::gpu {
namespace emulated_32 {
const emulated::test::WordKernels& word_kernels();
}
namespace emulated_64 {
const emulated::test::WordKernels& word_kernels();
}
namespace emulated_128 {
const emulated::test::WordKernels& word_kernels();
}
}  // namespace fathom::gpu

namespace fathom::emulated::test {

const WordKernels& word_kernels(int warp) {
  if (warp == 32) return gpu::emulated_32::word_kernels();
  return warp == 64 ? gpu::emulated_64::word_kernels() : gpu::emulated_128::word_kernels();
}

namespace {

using ::testing::HasSubstr;

constexpr size_t kWords = 4096;
constexpr size_t kBytes = kWords * sizeof(uint32_t);

struct Ran {
  fathom_status status;
  std::string error;
  std::vector<uint32_t> out;
};

Ran run_word(int warp, const char* order, WordKernel kernel, const std::vector<uint32_t>& in) {
  ChipOptions options;
  options.warp = warp;
  options.order = *LaneOrder::parse(order);
  EmulatedChip chip(options);
  gpu::Queue* queue = nullptr;
  void* from = nullptr;
  void* to = nullptr;
  EXPECT_EQ(chip.queue_create(&queue), FATHOM_OK);
  EXPECT_EQ(chip.alloc(kBytes, &from), FATHOM_OK);
  EXPECT_EQ(chip.alloc(kBytes, &to), FATHOM_OK);
  EXPECT_EQ(chip.copy(*queue, gpu::Chip::Direction::kToDevice, from, in.data(),
                      in.size() * sizeof(uint32_t)),
            FATHOM_OK);
  EXPECT_EQ(kernel(*queue, {static_cast<const uint32_t*>(from), static_cast<uint32_t*>(to)}),
            FATHOM_OK);
  Ran ran = {chip.synchronize(*queue), device::last_error(), std::vector<uint32_t>(kWords)};
  EXPECT_EQ(chip.copy(*queue, gpu::Chip::Direction::kToHost, ran.out.data(), to, kBytes),
            FATHOM_OK);
  EXPECT_EQ(chip.synchronize(*queue), FATHOM_OK);
  chip.queue_destroy(queue);
  return ran;
}

std::vector<uint32_t> counted() {
  std::vector<uint32_t> words(kWords);
  for (size_t i = 0; i < kWords; ++i) words[i] = static_cast<uint32_t>(i);
  return words;
}

class Words : public ::testing::TestWithParam<int> {
 protected:
  static constexpr std::array<const char*, 4> kOrders = {"rising", "falling", "1", "2"};

  int warp() const { return GetParam(); }
  size_t threads() const { return 2 * static_cast<size_t>(warp()); }
  const WordKernels& kernels() const { return word_kernels(warp()); }

  void expect_report(WordKernel kernel, const char* report) {
    for (const char* order : kOrders) {
      const Ran ran = run_word(warp(), order, kernel, counted());
      EXPECT_EQ(ran.status, FATHOM_INTERNAL) << order;
      EXPECT_THAT(ran.error, HasSubstr("kernel word, block (0, 0, 0), thread ")) << order;
      EXPECT_THAT(ran.error, HasSubstr(report)) << order;
    }
  }

  // Dropping the barrier of that line must be reported in every order.
  void expect_needed(WordKernel kernel, int line, const char* report) {
    drop_barrier("word_kernels.cpp", line);
    expect_report(kernel, report);
    drop_barrier("", 0);
  }
};

INSTANTIATE_TEST_SUITE_P(Widths, Words, ::testing::Values(32, 64, 128));

TEST_P(Words, BarriersOfABlockOrderItsThreads) {
  for (const char* order : kOrders) {
    const Ran ran = run_word(warp(), order, kernels().reverse, counted());
    ASSERT_EQ(ran.status, FATHOM_OK) << ran.error;
    for (size_t i = 0; i < threads(); ++i) EXPECT_EQ(ran.out[i], threads() - 1 - i);
  }
  EXPECT_THAT(barriers_seen(),
              ::testing::Contains("word_kernels.cpp:" + std::to_string(kernels().reverse_barrier)));
  expect_needed(kernels().reverse, kernels().reverse_barrier, "no barrier between");
}

TEST_P(Words, BarriersOfAWarpOrderItsLanes) {
  for (const char* order : kOrders) {
    const Ran ran = run_word(warp(), order, kernels().reverse_in_warp, counted());
    ASSERT_EQ(ran.status, FATHOM_OK) << ran.error;
    const auto lanes = static_cast<size_t>(warp());
    for (size_t i = 0; i < threads(); ++i) {
      EXPECT_EQ(ran.out[i], i / lanes * lanes + lanes - 1 - i % lanes);
    }
  }
  expect_needed(kernels().reverse_in_warp, kernels().reverse_in_warp_barrier, "no barrier between");
}

TEST_P(Words, CopiesAreThereOnceTheyAreWaitedFor) {
  for (const char* order : kOrders) {
    const Ran ran = run_word(warp(), order, kernels().copies, counted());
    ASSERT_EQ(ran.status, FATHOM_OK) << ran.error;
    for (size_t i = 0; i + 1 < threads(); ++i) EXPECT_EQ(ran.out[i], i);
    EXPECT_EQ(ran.out[threads() - 1], 0u);
  }
  drop_barrier("word_kernels.cpp", kernels().copies_wait);
  const Ran ran = run_word(warp(), "rising", kernels().copies, counted());
  drop_barrier("", 0);
  EXPECT_EQ(ran.out[0], 0xffffffffu);  // no number, yet
}

TEST_P(Words, LanesExchangeNumbers) {
  const auto lanes = static_cast<uint32_t>(warp());
  for (const char* order : kOrders) {
    const Ran ran = run_word(warp(), order, kernels().lanes, counted());
    ASSERT_EQ(ran.status, FATHOM_OK) << ran.error;
    for (uint32_t i = 0; i < threads(); ++i) {
      const uint32_t lane = i % lanes;
      const std::vector<uint32_t> got(ran.out.begin() + i * 8, ran.out.begin() + i * 8 + 8);
      EXPECT_THAT(got, ::testing::ElementsAre(lanes * (lanes - 1) / 2, lane / 4 * 4 + 3, 3,
                                              lane ^ 1, lanes / 4, (lane + 3) / 4, 1, 0));
    }
  }
}

TEST_P(Words, MistakesAreReportedWithTheirPlace) {
  expect_report(kernels().overwrites, "no barrier between");
  expect_report(kernels().comes_elsewhere, "comes to another place than others");
  expect_report(kernels().ends_early, "threads wait for each other; thread ");
  expect_report(kernels().ends_early, "; 1 have ended");
  expect_report(kernels().reads_outside, "where no memory is allocated");
  expect_report(kernels().reads_unaligned, "expected an aligned address");
  expect_report(kernels().reads_outside_shared, "of shared memory");
}

// Operands whose products and sums are exact in any order.
template <typename Narrow>
void expect_product(const Ran& ran, int depth, bool is_deep, const std::vector<int>& operands,
                    Narrow&& number) {
  ASSERT_EQ(ran.status, FATHOM_OK) << ran.error;
  const auto at = [&](int which, int row, int k) {
    const int index = is_deep ? k * 16 + row : row * depth + k;
    return operands[static_cast<size_t>(which * 16 * depth + index)];
  };
  for (int m = 0; m < 16; ++m) {
    for (int n = 0; n < 16; ++n) {
      int wanted = 0;
      for (int k = 0; k < depth; ++k) wanted += at(0, m, k) * at(1, n, k);
      ASSERT_EQ(number(ran.out[static_cast<size_t>(m * 16 + n)]), wanted) << m << ", " << n;
    }
  }
}

std::vector<int> small_numbers(int count) {
  std::vector<int> numbers;
  for (int i = 0; i < count; ++i) numbers.push_back((i * 7 + i / 5) % 9 - 4);
  return numbers;
}

template <typename T>
std::vector<uint32_t> packed(const std::vector<int>& numbers, const std::function<T(int)>& narrow) {
  std::vector<T> narrowed;
  for (const int number : numbers) narrowed.push_back(narrow(number));
  std::vector<uint32_t> words(narrowed.size() * sizeof(T) / sizeof(uint32_t));
  std::memcpy(words.data(), narrowed.data(), words.size() * sizeof(uint32_t));
  return words;
}

float as_float(uint32_t bits) {
  float value = 0;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

uint16_t bf16_of(int number) {
  const auto value = static_cast<float>(number);
  uint32_t bits = 0;
  std::memcpy(&bits, &value, sizeof(bits));
  return static_cast<uint16_t>(bits >> 16);
}

// 0 to 4 in E4M3.
uint8_t e4m3_of(int number) {
  constexpr std::array<uint8_t, 5> kBits = {0x00, 0x38, 0x40, 0x44, 0x48};
  const auto bits = kBits[static_cast<size_t>(std::abs(number))];
  return static_cast<uint8_t>(number < 0 ? bits | 0x80 : bits);
}

TEST_P(Words, TilesMultiply) {
  const auto short_rows = small_numbers(2 * 16 * 16);
  const auto long_rows = small_numbers(2 * 16 * 32);
  const auto bf16_words = packed<uint16_t>(short_rows, bf16_of);
  expect_product(run_word(warp(), "1", kernels().multiply_bf16, bf16_words), 16, false, short_rows,
                 as_float);
  expect_product(run_word(warp(), "1", kernels().multiply_deep_bf16, bf16_words), 16, true,
                 short_rows, as_float);
  expect_product(
      run_word(warp(), "2", kernels().multiply_e4m3, packed<uint8_t>(long_rows, e4m3_of)), 32,
      false, long_rows, as_float);
  const auto int8_words =
      packed<int8_t>(long_rows, [](int number) { return static_cast<int8_t>(number); });
  expect_product(run_word(warp(), "falling", kernels().multiply_int8, int8_words), 32, false,
                 long_rows, [](uint32_t bits) { return static_cast<int>(bits); });
}

}  // namespace
}  // namespace fathom::emulated::test
