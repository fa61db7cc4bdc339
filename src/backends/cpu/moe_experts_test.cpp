#include <cmath>

#include "backends/cpu/kernel_sets.h"
#include "backends/cpu/test_support.h"

namespace fathom::cpu {
namespace {

using test::CpuDevice;
using test::Matrix;
using test::WeightData;

struct Layer {
  std::vector<WeightData> gate, up, down;

  static Layer random(std::mt19937& random, fathom_dtype dtype, int64_t experts, int64_t hidden,
                      int64_t inner) {
    Layer layer;
    for (int64_t e = 0; e < experts; ++e) {
      layer.gate.push_back(WeightData::random(random, dtype, inner, hidden));
      layer.up.push_back(WeightData::random(random, dtype, inner, hidden));
      layer.down.push_back(WeightData::random(random, dtype, hidden, inner));
    }
    return layer;
  }
};

std::vector<fathom_weight> views(const std::vector<WeightData>& weights) {
  std::vector<fathom_weight> result;
  for (const auto& weight : weights) result.push_back(weight.view());
  return result;
}

struct Choices {
  int32_t top_k;
  std::vector<int32_t> ids;
  std::vector<float> weights;

  // Ids in [-1, limit): some belong to nobody.
  static Choices random(std::mt19937& random, int64_t tokens, int32_t top_k, int32_t limit) {
    Choices choices = {top_k, {}, {}};
    std::uniform_int_distribution<int32_t> id(-1, limit - 1);
    std::uniform_real_distribution<float> weight(-1, 1);
    for (int64_t i = 0; i < tokens * top_k; ++i) {
      choices.ids.push_back(id(random));
      choices.weights.push_back(weight(random));
    }
    return choices;
  }
};

// Rows [begin, begin + count) of x through the layer, whose first expert has the id 2.
constexpr int64_t kFirstExpert = 2;

void run(CpuDevice& device, const Layer& layer, Matrix& x, const Choices& choices, Matrix& out,
         int32_t accumulate, int64_t begin, int64_t count) {
  const auto gate = views(layer.gate);
  const auto up = views(layer.up);
  const auto down = views(layer.down);
  fathom_moe_experts_args args = {};
  args.size = sizeof(args);
  args.x = x.rows_tensor(begin, count);
  args.expert_ids = choices.ids.data() + begin * choices.top_k;
  args.expert_weights = choices.weights.data() + begin * choices.top_k;
  args.top_k = choices.top_k;
  args.accumulate = accumulate;
  args.first_expert = kFirstExpert;
  args.num_experts = static_cast<int64_t>(gate.size());
  args.gate = gate.data();
  args.up = up.data();
  args.down = down.data();
  args.out = out.rows_tensor(begin, count);
  device.run_with_workspace(FATHOM_OP_MOE_EXPERTS, args);
}

// The formula in float64, and beside each result the sum of the absolute values it is made of.
struct Expected {
  Matrix out, magnitude;
};

Expected expected(const Layer& layer, const Matrix& x, const Choices& choices, const Matrix& before,
                  int32_t accumulate) {
  Expected result = {Matrix(x.rows(), x.columns()), Matrix(x.rows(), x.columns())};
  for (int64_t t = 0; t < x.rows(); ++t) {
    std::vector<double> sum(static_cast<size_t>(x.columns()));
    std::vector<double> magnitude(sum.size());
    for (int64_t i = 0; i < x.columns(); ++i) {
      if (accumulate != 0) sum[static_cast<size_t>(i)] = before.at(t, i);
      magnitude[static_cast<size_t>(i)] = std::abs(sum[static_cast<size_t>(i)]);
    }
    for (int64_t j = 0; j < choices.top_k; ++j) {
      const auto pair = static_cast<size_t>(t * choices.top_k + j);
      const int64_t e = choices.ids[pair] - kFirstExpert;
      if (e < 0 || e >= static_cast<int64_t>(layer.gate.size())) continue;
      const auto expert = static_cast<size_t>(e);
      for (int64_t i = 0; i < layer.gate[expert].view().n; ++i) {
        double g = 0, u = 0, g_size = 0, u_size = 0;
        for (int64_t c = 0; c < x.columns(); ++c) {
          const double g_part = layer.gate[expert].value(i, c) * x.at(t, c);
          const double u_part = layer.up[expert].value(i, c) * x.at(t, c);
          g += g_part;
          u += u_part;
          g_size += std::abs(g_part);
          u_size += std::abs(u_part);
        }
        const double hidden = g / (1 + std::exp(-g)) * u;
        // silu's slope is below 1.1 and |silu(g)| <= |g|.
        const double hidden_size = 1.1 * g_size * u_size;
        for (int64_t c = 0; c < x.columns(); ++c) {
          const double weight = choices.weights[pair] * layer.down[expert].value(c, i);
          sum[static_cast<size_t>(c)] += weight * hidden;
          magnitude[static_cast<size_t>(c)] += std::abs(weight) * hidden_size;
        }
      }
    }
    for (int64_t i = 0; i < x.columns(); ++i) {
      result.out.at(t, i) = static_cast<float>(sum[static_cast<size_t>(i)]);
      result.magnitude.at(t, i) = static_cast<float>(magnitude[static_cast<size_t>(i)]);
    }
  }
  return result;
}

void expect_matches(const KernelSet& kernels, std::mt19937& random, const Layer& layer,
                    int64_t hidden, const Choices& choices, int64_t tokens) {
  Matrix x = Matrix::random(random, tokens, hidden, 1);
  for (const int32_t accumulate : {0, 1}) {
    Matrix out = Matrix::random(random, tokens, hidden, 3);
    const Expected want = expected(layer, x, choices, out, accumulate);
    CpuDevice device(kernels, 2);
    run(device, layer, x, choices, out, accumulate, 0, tokens);
    EXPECT_TRUE(out.gaps_are_whole());
    // Three dot products after each other, and silu's few roundings.
    const int64_t inner = layer.gate.empty() ? 0 : layer.gate[0].view().n;
    test::expect_near(out, want.out, want.magnitude,
                      2 * test::dot_bound(hidden, 1) + test::dot_bound(inner, 1) +
                          (8.0 + choices.top_k) * test::kRounding);
  }
}

class MoeExperts : public test::NativeTest {};

TEST_P(MoeExperts, MatchesTheFormulaInEveryFormat) {
  for (const auto dtype : {FATHOM_F32, FATHOM_BF16, FATHOM_F8_E4M3}) {
    const Layer layer = Layer::random(random_, dtype, 6, 70, 53);
    for (const int64_t tokens : {1, 2, 9, 40}) {
      SCOPED_TRACE("type " + std::to_string(dtype) + ", tokens " + std::to_string(tokens));
      expect_matches(kernels(), random_, layer, 70, Choices::random(random_, tokens, 3, 10),
                     tokens);
    }
  }
}

TEST_P(MoeExperts, AllTokensMayChooseOneExpertEvenTwice) {
  const Layer layer = Layer::random(random_, FATHOM_F8_E4M3, 4, 129, 130);
  Choices choices = Choices::random(random_, 70, 2, 1);
  for (int32_t& id : choices.ids) id = 4;
  expect_matches(kernels(), random_, layer, 129, choices, 70);
}

TEST_P(MoeExperts, NoExpertHereAddsNothing) {
  const Layer layer = Layer::random(random_, FATHOM_BF16, 1, 16, 8);
  Choices choices = Choices::random(random_, 5, 2, 1);
  for (size_t i = 0; i < choices.ids.size(); ++i) choices.ids[i] = i % 2 == 0 ? 100 : -7;
  expect_matches(kernels(), random_, layer, 16, choices, 5);
  expect_matches(kernels(), random_, Layer{}, 16, choices, 5);
  expect_matches(kernels(), random_, layer, 16, Choices{2, {}, {}}, 0);
}

TEST_P(MoeExperts, ATokenHasTheSameBitsInAnyBatchAndWithAnyThreads) {
  if (&kernels() == &reference_kernels()) return;
  for (const auto dtype : {FATHOM_BF16, FATHOM_F8_E4M3}) {
    const Layer layer = Layer::random(random_, dtype, 5, 200, 136);
    Matrix x = Matrix::random(random_, 70, 200);
    const Choices choices = Choices::random(random_, 70, 4, 7);
    CpuDevice one(kernels(), 1);
    CpuDevice two(kernels(), 2);
    Matrix single(70, 200), all(70, 200), parallel(70, 200), parts(70, 200);
    for (int64_t t = 0; t < 70; ++t) run(one, layer, x, choices, single, 0, t, 1);
    run(one, layer, x, choices, all, 0, 0, 70);
    run(two, layer, x, choices, parallel, 0, 0, 70);
    run(two, layer, x, choices, parts, 0, 0, 13);
    run(two, layer, x, choices, parts, 0, 13, 57);
    EXPECT_TRUE(all.same_bits(single)) << dtype;
    EXPECT_TRUE(parallel.same_bits(single)) << dtype;
    EXPECT_TRUE(parts.same_bits(single)) << dtype;
  }
}

FATHOM_NATIVE_SUITE(MoeExperts);
INSTANTIATE_TEST_SUITE_P(Oracle, MoeExperts, ::testing::Values(&reference_kernels()),
                         test::set_name);

}  // namespace
}  // namespace fathom::cpu
