#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "backends/cpu/kernel_sets.h"
#include "backends/cpu/reference/formats.h"
#include "backends/cpu/testing/kernel_fixtures.h"

namespace fathom::cpu {
namespace {

using test::CpuDevice;
using test::kRounding;
using test::Matrix;
using test::WeightData;

// One sequence in a paged cache whose blocks lie in any order. Every cache entry that is not the
// sequence's is NaN, so that reading one shows.
class MlaCase {
 public:
  MlaCase(std::mt19937& random, const fathom_mla_shape& shape, fathom_dtype weights,
          fathom_dtype cache, int64_t positions, int32_t block_size)
      : shape_(shape),
        positions_(positions),
        block_size_(block_size),
        cache_dtype_(cache),
        q_(Matrix::random(random, positions, shape.num_heads * q_size())),
        latents_(Matrix::random(random, positions, latent_size())),
        wkv_b_(WeightData::random(random, weights, shape.num_heads * (shape.nope_dim + shape.v_dim),
                                  shape.kv_lora_rank)) {
    lay_out(random);
  }

  // The same entries in one row or in two planes, in blocks of another size.
  MlaCase laid_out(std::mt19937& random, int32_t planes, int32_t block_size) const {
    MlaCase result = *this;
    result.planes_ = planes;
    result.block_size_ = block_size;
    result.lay_out(random);
    return result;
  }

  // The same with latents as int8 holds them, with one scale for each group that wkv_b has scales
  // for.
  MlaCase in_int8() const {
    MlaCase result = *this;
    result.cache_dtype_ = FATHOM_F32;
    const int64_t group = wkv_b_.view().block_k;
    for (int64_t p = 0; p < positions_; ++p) {
      for (int64_t begin = 0; begin < shape_.kv_lora_rank; begin += group) {
        float greatest = 0;
        for (int64_t i = begin; i < begin + group; ++i) {
          greatest = std::max(greatest, std::abs(latents_.at(p, i)));
        }
        for (int64_t i = begin; i < begin + group; ++i) {
          result.latents_.at(p, i) =
              std::nearbyint(latents_.at(p, i) * (127 / greatest)) * (greatest / 127);
        }
      }
    }
    result.fill_cache();
    return result;
  }

  int64_t q_size() const { return shape_.nope_dim + shape_.rope_dim; }
  int64_t latent_size() const { return shape_.kv_lora_rank + shape_.rope_dim; }

  // How the sequence stands in a call: alone and with no more room than it takes, or behind others
  // that have no queries, with room for more.
  enum class Room { kTight, kSpare };

  // Queries at positions [begin, begin + count) into the same rows of `out`.
  void attend(CpuDevice& device, fathom_op op, int64_t begin, int64_t count, Matrix& out,
              Room room = Room::kTight) {
    const auto first = static_cast<int32_t>(begin);
    const auto queries = static_cast<int32_t>(count);
    std::vector<fathom_sequence> sequences = {{first, queries, first, 0}};
    std::vector<int32_t> blocks = table_;
    int32_t spare = 0;
    if (room == Room::kSpare) {
      spare = 5;
      blocks.insert(blocks.begin(), static_cast<size_t>(spare), -1);
      blocks.resize(blocks.size() + static_cast<size_t>(spare), -1);
      sequences[0].block_begin = spare;
      sequences.insert(sequences.begin(), 2, fathom_sequence{0, 0, 0, 0});
    }
    const auto present = static_cast<int32_t>(sequences.size());
    fathom_mla_attention_args args = {};
    args.size = sizeof(args);
    args.shape = shape_;
    args.q = q_.tensor();
    args.wkv_b = wkv_b_.view();
    args.cache = {cache_.data(), cache_dtype_, block_size_, static_cast<int64_t>(table_.size()),
                  planes_ == 2 ? rope_.data() : nullptr};
    args.sequences = {.sequences = sequences.data(),
                      .count = &present,
                      .blocks = blocks.data(),
                      .max_sequences = present + spare,
                      .max_queries = queries + spare,
                      .max_positions = begin + count + spare,
                      .max_blocks = static_cast<int64_t>(blocks.size())};
    args.out = out.tensor();
    device.run_with_workspace(op, args);
  }

  // Calls of so many queries each, over and over until all positions have been queried.
  Matrix attend_in_chunks(const KernelSet& kernels, fathom_op op,
                          const std::vector<int64_t>& chunks, int threads = 1) {
    CpuDevice device(kernels, threads);
    Matrix out(positions_, shape_.num_heads * shape_.v_dim);
    int64_t begin = 0;
    for (size_t i = 0; begin < positions_; ++i) {
      const int64_t count = std::min(chunks[i % chunks.size()], positions_ - begin);
      attend(device, op, begin, count, out);
      begin += count;
    }
    return out;
  }
  Matrix attend_at_once(const KernelSet& kernels, fathom_op op, int threads = 1) {
    return attend_in_chunks(kernels, op, {positions_}, threads);
  }

  // The greatest magnitudes of what the query at each position sees: of each head's scores and
  // values.
  struct Magnitudes {
    Matrix scores, values;  // [positions, heads]
  };
  Magnitudes magnitudes() const {
    const Matrix expanded = expanded_magnitudes();
    Magnitudes result = {Matrix(positions_, shape_.num_heads),
                         Matrix(positions_, shape_.num_heads)};
    for (int64_t head = 0; head < shape_.num_heads; ++head) {
      float value = 0;
      for (int64_t t = 0; t < positions_; ++t) {
        float score = 0;
        for (int64_t p = 0; p <= t; ++p) {
          score = std::max(score, score_magnitude(expanded, t, p, head));
        }
        value = std::max(value, value_magnitude(expanded, t, head));
        result.scores.at(t, head) = score;
        result.values.at(t, head) = value;
      }
    }
    return result;
  }

  void expect_near(const Matrix& got, const Matrix& expected, const Magnitudes& magnitudes,
                   bool in_bf16) const {
    for (int64_t t = 0; t < positions_; ++t) {
      for (int64_t head = 0; head < shape_.num_heads; ++head) {
        const double allowed =
            bound(t, magnitudes.scores.at(t, head), magnitudes.values.at(t, head), in_bf16);
        for (int64_t i = 0; i < shape_.v_dim; ++i) {
          const int64_t column = head * shape_.v_dim + i;
          ASSERT_NEAR(got.at(t, column), expected.at(t, column), allowed)
              << "position " << t << ", head " << head << ", value " << i;
        }
      }
    }
  }

 private:
  // Blocks in any order, and as many more that are nobody's.
  void lay_out(std::mt19937& random) {
    const int64_t blocks = (positions_ + block_size_ - 1) / block_size_;
    table_.clear();
    for (int32_t i = 0; i < 2 * blocks; ++i) table_.push_back(i);
    std::shuffle(table_.begin(), table_.end(), random);
    fill_cache();
  }

  void fill_cache() {
    const bool half = cache_dtype_ == FATHOM_BF16;
    const size_t size = half ? sizeof(uint16_t) : sizeof(float);
    const auto slots = static_cast<int64_t>(table_.size()) * block_size_;
    const int64_t width = planes_ == 2 ? shape_.kv_lora_rank : latent_size();
    cache_.assign(static_cast<size_t>(slots * width) * size, 0xff);  // NaN
    rope_.assign(static_cast<size_t>(slots * (latent_size() - width)) * size, 0xff);
    for (int64_t p = 0; p < positions_; ++p) {
      const int64_t block = table_[static_cast<size_t>(p / block_size_)];
      const int64_t slot = block * block_size_ + p % block_size_;
      for (int64_t i = 0; i < latent_size(); ++i) {
        float& value = latents_.at(p, i);
        const uint16_t bits = reference::to_bf16(value);
        if (half) value = static_cast<float>(reference::bf16_value(bits));
        uint8_t* number =
            i < width
                ? &cache_[static_cast<size_t>(slot * width + i) * size]
                : &rope_[static_cast<size_t>(slot * (latent_size() - width) + i - width) * size];
        std::memcpy(number, half ? static_cast<const void*>(&bits) : &value, size);
      }
    }
  }

  // What rounding may add to a head's output for the query at `position`: the scores' errors move
  // the softmax by twice as much, relatively, and the values and their weighted sum round too.
  // With products in bf16, each of the four factors of a score and of a value is rounded to 2^-9.
  double bound(int64_t position, double score, double value, bool in_bf16) const {
    const int64_t length = q_size() + shape_.kv_lora_rank;
    const double score_error = shape_.softmax_scale * test::dot_bound(length, score) +
                               kRounding * shape_.softmax_scale * score;
    const double narrow = in_bf16 ? 4 * 0x1p-9 : 0;
    return value * (2 * (score_error + narrow * shape_.softmax_scale * score) + narrow +
                    test::dot_bound(shape_.kv_lora_rank + position + 1, 1.0) + 16 * kRounding);
  }

  // |W_KVb| times each position's |latent|: [positions, rows of W_KVb].
  Matrix expanded_magnitudes() const {
    Matrix result(positions_, wkv_b_.view().n);
    std::vector<float> weights(static_cast<size_t>(shape_.kv_lora_rank));
    for (int64_t row = 0; row < result.columns(); ++row) {
      for (size_t j = 0; j < weights.size(); ++j) {
        weights[j] = static_cast<float>(std::abs(wkv_b_.value(row, static_cast<int64_t>(j))));
      }
      for (int64_t p = 0; p < positions_; ++p) {
        float sum = 0;
        for (size_t j = 0; j < weights.size(); ++j) {
          sum += weights[j] * std::abs(latents_.at(p, static_cast<int64_t>(j)));
        }
        result.at(p, row) = sum;
      }
    }
    return result;
  }
  float score_magnitude(const Matrix& expanded, int64_t query, int64_t position,
                        int64_t head) const {
    const int64_t row = head * (shape_.nope_dim + shape_.v_dim);
    float sum = 0;
    for (int64_t i = 0; i < shape_.nope_dim; ++i) {
      sum += std::abs(q_.at(query, head * q_size() + i)) * expanded.at(position, row + i);
    }
    for (int64_t i = 0; i < shape_.rope_dim; ++i) {
      sum += std::abs(q_.at(query, head * q_size() + shape_.nope_dim + i) *
                      latents_.at(position, shape_.kv_lora_rank + i));
    }
    return sum;
  }
  float value_magnitude(const Matrix& expanded, int64_t position, int64_t head) const {
    const int64_t row = head * (shape_.nope_dim + shape_.v_dim) + shape_.nope_dim;
    float greatest = 0;
    for (int64_t i = 0; i < shape_.v_dim; ++i) {
      greatest = std::max(greatest, expanded.at(position, row + i));
    }
    return greatest;
  }

  fathom_mla_shape shape_;
  int64_t positions_;
  int32_t block_size_;
  int32_t planes_ = 1;
  fathom_dtype cache_dtype_;
  Matrix q_, latents_;
  WeightData wkv_b_;
  std::vector<int32_t> table_;
  std::vector<uint8_t> cache_, rope_;
};

const std::vector<fathom_op> kForms = {FATHOM_OP_MLA_PREFILL, FATHOM_OP_MLA_DECODE};
// heads, kv_lora_rank, nope, rope, v, scale: tidy sizes, and sizes that fit no vector.
constexpr fathom_mla_shape kTidy = {2, 32, 16, 8, 16, 0.1f};
constexpr fathom_mla_shape kWide = {3, 64, 16, 32, 48, 0.1f};
// Whole blocks of FP8 weights and of what few queries take at once.
constexpr fathom_mla_shape kBlocks = {3, 256, 32, 32, 48, 0.1f};
constexpr fathom_mla_shape kUneven = {3, 37, 11, 6, 13, 0.05f};
constexpr fathom_mla_shape kOneHead = {1, 16, 5, 2, 1, 0.2f};

// Whether a set's attention may be in bf16 products: only where weights were rounded more than
// that.
bool attends_in_bf16(const KernelSet& kernels, fathom_dtype weights) {
  return std::string(kernels.name).find("bf16") != std::string::npos &&
         (weights == FATHOM_I8 || weights == FATHOM_I4);
}

class MlaSets : public test::AllSetsTest {
 protected:
  // Every set in these forms, all positions at once.
  void expect_match_reference(MlaCase& mla, fathom_dtype weights,
                              const std::vector<fathom_op>& forms, int threads) {
    const auto magnitudes = mla.magnitudes();
    for (const auto op : forms) {
      const Matrix expected = mla.attend_at_once(reference_kernels(), op);
      for (const KernelSet* set : test::native_sets()) {
        SCOPED_TRACE(std::string(set->name) + ", operator " + std::to_string(op));
        mla.expect_near(mla.attend_at_once(*set, op, threads), expected, magnitudes,
                        attends_in_bf16(*set, weights));
      }
    }
  }
};

TEST_F(MlaSets, BothFormsMatchTheReference) {
  for (const auto& shape : {kTidy, kWide, kBlocks, kUneven, kOneHead}) {
    for (const auto weights : {FATHOM_F32, FATHOM_BF16, FATHOM_F8_E4M3, FATHOM_I8, FATHOM_I4}) {
      if (weights == FATHOM_I4 && shape.kv_lora_rank % 2 != 0) continue;
      auto forms = kForms;
      if (weights == FATHOM_I8 && shape.kv_lora_rank == kBlocks.kv_lora_rank) {
        forms = {FATHOM_OP_MLA_DECODE};  // see PromptsOfInt8WeightsMayRoundLatentsToInt8
      }
      for (const auto cache : {FATHOM_F32, FATHOM_BF16}) {
        SCOPED_TRACE("weights " + std::to_string(weights) + ", cache " + std::to_string(cache));
        MlaCase mla(random_, shape, weights, cache, 23, 16);
        expect_match_reference(mla, weights, forms, 2);
      }
    }
  }
}

// Sets that multiply bf16 and int8 expand latents in int8 where W_KVb is: as if they were rounded
// so.
TEST_F(MlaSets, PromptsOfInt8WeightsMayRoundLatentsToInt8) {
  MlaCase mla(random_, kBlocks, FATHOM_I8, FATHOM_BF16, 80, 32);
  MlaCase in_int8 = mla.in_int8();
  for (const bool in_bf16 : {false, true}) {
    MlaCase& rounded = in_bf16 ? in_int8 : mla;
    const auto magnitudes = rounded.magnitudes();
    const Matrix expected = rounded.attend_at_once(reference_kernels(), FATHOM_OP_MLA_PREFILL);
    for (const KernelSet* set : test::native_sets()) {
      if (attends_in_bf16(*set, FATHOM_I8) != in_bf16) continue;
      SCOPED_TRACE(set->name);
      rounded.expect_near(mla.attend_at_once(*set, FATHOM_OP_MLA_PREFILL, 2), expected, magnitudes,
                          in_bf16);
    }
  }
}

TEST_F(MlaSets, LongContextsOverManyShuffledBlocks) {
  const auto expect = [this](const fathom_mla_shape& shape, fathom_dtype weights,
                             fathom_dtype cache, int64_t positions, int32_t block_size) {
    SCOPED_TRACE("weights " + std::to_string(weights) + ", block " + std::to_string(block_size));
    MlaCase mla(random_, shape, weights, cache, positions, block_size);
    expect_match_reference(mla, weights, kForms, 1);
  };
  for (const int32_t block_size : {16, 32, 64}) {
    expect(kUneven, FATHOM_F32, FATHOM_F32, 150, block_size);
  }
  for (const auto cache : {FATHOM_BF16, FATHOM_F32}) {
    expect(kWide, FATHOM_I8, cache, 80, 32);
    expect(kBlocks, FATHOM_F8_E4M3, cache, 80, 32);
  }
}

class Mla : public test::NativeTest {};

TEST_P(Mla, APositionHasTheSameBitsHoweverItsSequenceWasCut) {
  constexpr int64_t kPositions = 200;
  // Where tiles of rows, tiles of positions and segments begin and end, and others.
  static constexpr int64_t kAlone[] = {0,   1,   3,   4,   17,  31,  32,  63,  64, 65,
                                       127, 128, 129, 150, 191, 192, 193, 198, 199};
  const auto expect = [this](const fathom_mla_shape& shape, fathom_dtype weights,
                             fathom_dtype cache) {
    MlaCase mla(random_, shape, weights, cache, kPositions, 32);
    for (const auto op : kForms) {
      Matrix whole = mla.attend_at_once(kernels(), op);
      for (const auto& chunks : std::vector<std::vector<int64_t>>{{7, 57}, {64}, {65}}) {
        EXPECT_TRUE(mla.attend_in_chunks(kernels(), op, chunks).same_bits(whole))
            << "operator " << op << ", chunks of " << chunks[0];
      }
      EXPECT_TRUE(mla.attend_at_once(kernels(), op, 2).same_bits(whole)) << "two threads";
      EXPECT_TRUE(mla.attend_in_chunks(kernels(), op, {3, 61}, 3).same_bits(whole))
          << "three threads";
      CpuDevice device(kernels());
      Matrix alone(kPositions, whole.columns());
      for (const int64_t position : kAlone) {
        mla.attend(device, op, position, 1, alone);
        EXPECT_EQ(
            std::memcmp(alone.rows_tensor(position, 1).data, whole.rows_tensor(position, 1).data,
                        static_cast<size_t>(whole.columns()) * sizeof(float)),
            0)
            << "operator " << op << ", position " << position << " alone";
      }
    }
  };
  expect(kUneven, FATHOM_F8_E4M3, FATHOM_BF16);
  expect(kBlocks, FATHOM_F8_E4M3, FATHOM_BF16);
  expect(kBlocks, FATHOM_BF16, FATHOM_F32);
  expect(kBlocks, FATHOM_I8, FATHOM_BF16);
  expect(kWide, FATHOM_I4, FATHOM_F32);
}

TEST_P(Mla, RoomForMoreAndSequencesWithoutQueriesChangeNoBit) {
  for (const auto weights : {FATHOM_F32, FATHOM_I8}) {
    MlaCase mla(random_, kWide, weights, FATHOM_BF16, 90, 32);
    for (const KernelSet* set : {&kernels(), &reference_kernels()}) {
      for (const auto op : kForms) {
        CpuDevice device(*set, 2);
        Matrix tight(90, kWide.num_heads * kWide.v_dim), spare = tight;
        mla.attend(device, op, 70, 20, tight);
        mla.attend(device, op, 70, 20, spare, MlaCase::Room::kSpare);
        for (int64_t t = 0; t < 70; ++t) {
          for (int64_t i = 0; i < spare.columns(); ++i) {
            ASSERT_TRUE(std::isnan(spare.at(t, i))) << "rows of no sequence are left alone";
          }
        }
        EXPECT_EQ(std::memcmp(tight.rows_tensor(70, 20).data, spare.rows_tensor(70, 20).data,
                              static_cast<size_t>(20 * spare.columns()) * sizeof(float)),
                  0)
            << set->name << ", operator " << op;
      }
    }
  }
}

// Whichever way a chip wants them: the bits are those of one row and the smallest blocks.
void expect_same_bits_in_any_cache(std::mt19937& random, const KernelSet& kernels,
                                   const fathom_mla_shape& shape, fathom_dtype weights,
                                   fathom_dtype cache) {
  constexpr int64_t kPositions = 150, kFirst = 125;  // in blocks of 128, too
  CpuDevice device(kernels, 2);
  MlaCase mla(random, shape, weights, cache, kPositions, 16);
  for (const auto op : kForms) {
    Matrix expected(kPositions, shape.num_heads * shape.v_dim);
    mla.attend(device, op, kFirst, kPositions - kFirst, expected);
    for (const int32_t planes : {1, 2}) {
      for (const int32_t block_size : {16, 17, 32, 64, 128}) {
        Matrix got(kPositions, shape.num_heads * shape.v_dim);
        mla.laid_out(random, planes, block_size)
            .attend(device, op, kFirst, kPositions - kFirst, got);
        EXPECT_TRUE(got.same_bits(expected))
            << kernels.name << ", operator " << op << ", weights " << weights << ", cache " << cache
            << ", " << planes << " planes, blocks of " << block_size;
      }
    }
  }
}

TEST_P(Mla, PlanesAndBlockSizesChangeNoBit) {
  for (const auto cache : {FATHOM_F32, FATHOM_BF16}) {
    expect_same_bits_in_any_cache(random_, kernels(), kWide, FATHOM_F32, cache);
    expect_same_bits_in_any_cache(random_, kernels(), kWide, FATHOM_I4, cache);
    expect_same_bits_in_any_cache(random_, kernels(), kBlocks, FATHOM_I8, cache);
    expect_same_bits_in_any_cache(random_, kernels(), kUneven, FATHOM_F32, cache);
    expect_same_bits_in_any_cache(random_, kernels(), kOneHead, FATHOM_BF16, cache);
  }
}

// Sixteen queries leave room for the results of fewer segments of the context than one does.
TEST_P(Mla, APositionHasTheSameBitsInHoweverManyRoundsItsContextIsRead) {
  constexpr int64_t kPositions = 2900, kLast = 16;
  const auto expect = [this](const fathom_mla_shape& shape, fathom_dtype weights) {
    MlaCase mla(random_, shape, weights, FATHOM_BF16, kPositions, 64);
    CpuDevice device(kernels(), 2);
    Matrix together(kPositions, shape.num_heads * shape.v_dim);
    Matrix alone(kPositions, shape.num_heads * shape.v_dim);
    mla.attend(device, FATHOM_OP_MLA_DECODE, kPositions - kLast, kLast, together);
    for (int64_t i = kPositions - kLast; i < kPositions; ++i) {
      mla.attend(device, FATHOM_OP_MLA_DECODE, i, 1, alone);
    }
    EXPECT_TRUE(together.same_bits(alone));
  };
  expect(kWide, FATHOM_I8);
  expect(kUneven, FATHOM_F32);
}

FATHOM_NATIVE_SUITE(Mla);

TEST(MlaReference, PlanesAndBlockSizesChangeNoBit) {
  std::mt19937 random(9);
  for (const auto cache : {FATHOM_F32, FATHOM_BF16}) {
    expect_same_bits_in_any_cache(random, reference_kernels(), kUneven, FATHOM_F32, cache);
    expect_same_bits_in_any_cache(random, reference_kernels(), kTidy, FATHOM_I8, cache);
  }
}

// The two forms are the same mathematics: in float64 they may differ by rounding to float32 only.
TEST(MlaReference, ExpandedEqualsAbsorbed) {
  std::mt19937 random(7);
  MlaCase mla(random, kUneven, FATHOM_BF16, FATHOM_F32, 40, 16);
  const Matrix expanded = mla.attend_at_once(reference_kernels(), FATHOM_OP_MLA_PREFILL);
  const Matrix absorbed = mla.attend_at_once(reference_kernels(), FATHOM_OP_MLA_DECODE);
  for (int64_t t = 0; t < expanded.rows(); ++t) {
    for (int64_t i = 0; i < expanded.columns(); ++i) {
      const double allowed = 4 * kRounding * std::max(1.0f, std::abs(expanded.at(t, i)));
      ASSERT_NEAR(expanded.at(t, i), absorbed.at(t, i), allowed);
    }
  }
}

// The first position sees only itself: its output is its own value, whatever the scores.
TEST(MlaReference, TheFirstPositionIsItsOwnValue) {
  std::mt19937 random(8);
  const fathom_mla_shape shape = {1, 2, 1, 2, 1, 1.0f};
  const float wkv_b[] = {9, 9, 3, -2};  // the key's row, then the value's
  const float cache[] = {5, 7, 0, 0};
  const int32_t table[] = {0};
  Matrix q = Matrix::random(random, 1, 3);
  Matrix out(1, 1);
  const fathom_sequence sequence = {0, 1, 0, 0};
  const int32_t count = 1;
  fathom_mla_attention_args args = {};
  args.size = sizeof(args);
  args.shape = shape;
  args.q = q.tensor();
  args.wkv_b = {wkv_b, nullptr, FATHOM_F32, 0, 0, 0, 2, 2};
  args.cache = {const_cast<float*>(cache), FATHOM_F32, 1, 1, nullptr};
  args.sequences = {&sequence, &count, table, 1, 1, 1, 1};
  args.out = out.tensor();
  CpuDevice device(reference_kernels());
  device.run_with_workspace(FATHOM_OP_MLA_PREFILL, args);
  EXPECT_EQ(out.at(0, 0), 3 * 5 - 2 * 7);
}

struct Prepared {
  Matrix q;
  std::vector<float> cache;
};

Prepared prepare(const KernelSet& kernels, const fathom_mla_shape& shape, Matrix q, Matrix kv_a,
                 const std::vector<float>& norm, const std::vector<float>& cos_sin) {
  const auto rows = q.rows();
  const int64_t size = shape.kv_lora_rank + shape.rope_dim;
  std::vector<float> cache(static_cast<size_t>(2 * rows * size), -1.0f);
  std::vector<int32_t> positions;
  std::vector<int64_t> slots;
  for (int64_t t = 0; t < rows; ++t) {
    positions.push_back(static_cast<int32_t>(t));
    slots.push_back(2 * rows - 1 - 2 * t);  // backwards, every other one
  }
  const fathom_mla_prepare_args args = {sizeof(args),
                                        shape,
                                        q.tensor(),
                                        kv_a.tensor(),
                                        norm.data(),
                                        1e-6f,
                                        static_cast<int32_t>(rows),
                                        cos_sin.data(),
                                        positions.data(),
                                        slots.data(),
                                        {cache.data(), FATHOM_F32, 2, rows, nullptr}};
  CpuDevice device(kernels, 2);
  EXPECT_EQ(device.run(FATHOM_OP_MLA_PREPARE, &args), FATHOM_OK) << device.table().last_error();
  return {std::move(q), std::move(cache)};
}

TEST_P(Mla, PrepareMatchesTheReference) {
  for (const auto& shape : {kTidy, kWide, kBlocks, kUneven, kOneHead}) {
    const int64_t size = shape.kv_lora_rank + shape.rope_dim;
    const Matrix q =
        Matrix::random(random_, 9, shape.num_heads * (shape.nope_dim + shape.rope_dim), 1);
    const Matrix kv_a = Matrix::random(random_, 9, size, 2);
    const Matrix norm = Matrix::random(random_, 1, shape.kv_lora_rank);
    std::vector<float> weight;
    for (int64_t i = 0; i < shape.kv_lora_rank; ++i) weight.push_back(norm.at(0, i));
    std::vector<float> cos_sin;
    for (int64_t p = 0; p < 9; ++p) {
      for (int i = 0; i < shape.rope_dim; ++i) {
        const double angle = static_cast<double>(p) * (i % (shape.rope_dim / 2) + 1);
        cos_sin.push_back(
            static_cast<float>(i < shape.rope_dim / 2 ? std::cos(angle) : std::sin(angle)));
      }
    }
    const auto got = prepare(kernels(), shape, q, kv_a, weight, cos_sin);
    const auto expected = prepare(reference_kernels(), shape, q, kv_a, weight, cos_sin);
    // Rotations are two products and a sum; the norm is a dot product's root.
    for (int64_t t = 0; t < 9; ++t) {
      for (int64_t i = 0; i < q.columns(); ++i) {
        ASSERT_NEAR(got.q.at(t, i), expected.q.at(t, i), 16 * kRounding * 4);
      }
    }
    const double bound = test::dot_bound(shape.kv_lora_rank, 16.0);
    for (size_t i = 0; i < got.cache.size(); ++i) {
      ASSERT_NEAR(got.cache[i], expected.cache[i], bound) << i;
    }
  }
}

// The entries that five tokens leave, whole rows of them, and what was there before.
std::vector<uint8_t> prepared_entries(const KernelSet& kernels, const fathom_mla_shape& shape,
                                      fathom_dtype dtype, int32_t planes, int32_t block_size) {
  constexpr int64_t kTokens = 5;
  std::mt19937 random(3);
  const int64_t width = shape.kv_lora_rank + shape.rope_dim;
  Matrix q = Matrix::random(random, kTokens, shape.num_heads * (shape.nope_dim + shape.rope_dim));
  Matrix kv_a = Matrix::random(random, kTokens, width);
  Matrix norm = Matrix::random(random, 1, shape.kv_lora_rank);
  Matrix cos_sin = Matrix::random(random, kTokens, shape.rope_dim);
  const std::vector<int32_t> positions = {0, 1, 2, 3, 4};
  const std::vector<int64_t> slots = {127, 3, 0, 16, 31};
  const int64_t blocks = 128 / block_size;
  const size_t size = dtype == FATHOM_BF16 ? 2 : 4;
  const size_t first = size * static_cast<size_t>(planes == 2 ? shape.kv_lora_rank : width);
  const size_t second = size * static_cast<size_t>(width) - first;
  std::vector<uint8_t> data(128 * first, 0xff), rope(128 * second, 0xff);
  const fathom_mla_prepare_args args = {
      sizeof(args),
      shape,
      q.tensor(),
      kv_a.tensor(),
      static_cast<float*>(norm.tensor().data),
      1e-6f,
      kTokens,
      static_cast<float*>(cos_sin.tensor().data),
      positions.data(),
      slots.data(),
      {data.data(), dtype, block_size, blocks, planes == 2 ? rope.data() : nullptr}};
  CpuDevice device(kernels, 2);
  EXPECT_EQ(device.run(FATHOM_OP_MLA_PREPARE, &args), FATHOM_OK) << device.table().last_error();
  std::vector<uint8_t> entries;
  for (size_t row = 0; row < 128; ++row) {
    const auto add = [&](const std::vector<uint8_t>& plane, size_t bytes) {
      const auto begin = plane.begin() + static_cast<std::ptrdiff_t>(row * bytes);
      entries.insert(entries.end(), begin, begin + static_cast<std::ptrdiff_t>(bytes));
    };
    add(data, first);
    add(rope, second);
  }
  return entries;
}

TEST_P(Mla, PlanesHoldWhatRowsHold) {
  for (const KernelSet* set : {&kernels(), &reference_kernels()}) {
    for (const auto& shape : {kTidy, kUneven, kOneHead}) {
      for (const auto dtype : {FATHOM_F32, FATHOM_BF16}) {
        const auto expected = prepared_entries(*set, shape, dtype, 1, 16);
        EXPECT_TRUE(std::ranges::any_of(expected, [](uint8_t byte) { return byte != 0xff; }));
        for (const int32_t block_size : {16, 32, 64, 128}) {
          EXPECT_EQ(prepared_entries(*set, shape, dtype, 2, block_size), expected)
              << set->name << ", numbers " << dtype << ", blocks of " << block_size;
        }
      }
    }
  }
}

}  // namespace
}  // namespace fathom::cpu
