#include <algorithm>
#include <cmath>

#include "backends/cpu/kernel_sets.h"
#include "backends/cpu/testing/kernel_fixtures.h"

namespace fathom::cpu {
namespace {

using test::CpuDevice;
using test::Matrix;
using test::PackedWeight;
using test::WeightData;

struct Layer {
  std::vector<WeightData> gate, up, down;

  static Layer random(std::mt19937& random, fathom_dtype dtype, int64_t experts, int64_t hidden,
                      int64_t inner, int32_t group = 128) {
    Layer layer;
    for (int64_t e = 0; e < experts; ++e) {
      layer.gate.push_back(WeightData::random(random, dtype, inner, hidden, 128, group));
      layer.up.push_back(WeightData::random(random, dtype, inner, hidden, 128, group));
      layer.down.push_back(WeightData::random(random, dtype, hidden, inner, 128, group));
    }
    return layer;
  }
};

// The experts' weights, of one format each.
struct Weights {
  std::vector<fathom_weight> gate, up, down;

  // As a kernel gets them; `places` outlives the arguments.
  void put_into(fathom_moe_experts_args& args, std::vector<fathom_expert>& places) const {
    for (size_t e = 0; e < gate.size(); ++e) {
      places.push_back(
          {gate[e].data, up[e].data, down[e].data, gate[e].scale, up[e].scale, down[e].scale});
    }
    args.num_experts = static_cast<int64_t>(places.size());
    args.experts = places.data();
    if (places.empty()) return;
    args.gate = format_of(gate[0]);
    args.up = format_of(up[0]);
    args.down = format_of(down[0]);
  }

 private:
  static fathom_weight format_of(fathom_weight weight) {
    weight.data = nullptr;
    weight.scale = nullptr;
    return weight;
  }
};

std::vector<fathom_weight> views(const std::vector<WeightData>& weights) {
  std::vector<fathom_weight> result;
  for (const auto& weight : weights) result.push_back(weight.view());
  return result;
}

Weights in_rows(const Layer& layer) {
  Weights weights;
  weights.gate = views(layer.gate);
  weights.up = views(layer.up);
  weights.down = views(layer.down);
  return weights;
}

// The layer's weights packed, or only those of one side of the hidden values.
enum class Packed { kAll, kGateAndUp, kDown };

class PackedLayer {
 public:
  PackedLayer(const KernelSet& kernels, const Layer& layer, Packed which) {
    CpuDevice device(kernels);
    weights_ = in_rows(layer);
    if (which != Packed::kDown) {
      pack(device, weights_.gate);
      pack(device, weights_.up);
    }
    if (which != Packed::kGateAndUp) pack(device, weights_.down);
  }

  const Weights& weights() const { return weights_; }

 private:
  void pack(CpuDevice& device, std::vector<fathom_weight>& weights) {
    for (fathom_weight& weight : weights) {
      owners_.push_back(std::make_unique<PackedWeight>(device, FATHOM_OP_MOE_EXPERTS, weight));
      weight = owners_.back()->view();
    }
  }

  std::vector<std::unique_ptr<PackedWeight>> owners_;
  Weights weights_;
};

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

void run(CpuDevice& device, const Weights& weights, Matrix& x, const Choices& choices, Matrix& out,
         int32_t accumulate, int64_t begin, int64_t count) {
  fathom_moe_experts_args args = {};
  args.size = sizeof(args);
  args.x = x.rows_tensor(begin, count);
  args.expert_ids = choices.ids.data() + begin * choices.top_k;
  args.expert_weights = choices.weights.data() + begin * choices.top_k;
  args.top_k = choices.top_k;
  args.accumulate = accumulate;
  args.first_expert = kFirstExpert;
  std::vector<fathom_expert> places;
  weights.put_into(args, places);
  args.out = out.rows_tensor(begin, count);
  device.run_with_workspace(FATHOM_OP_MOE_EXPERTS, args);
}

// A weight's numbers in float64.
class Numbers {
 public:
  explicit Numbers(const WeightData& weight) : n(weight.view().n), k(weight.view().k) {
    group = weight.view().block_k;
    for (int64_t j = 0; j < n; ++j) {
      for (int64_t i = 0; i < k; ++i) values_.push_back(weight.value(j, i));
    }
  }

  const double* row(int64_t j) const { return values_.data() + j * k; }

  int64_t n, k, group;

 private:
  std::vector<double> values_;
};

std::vector<Numbers> numbers_of(const std::vector<WeightData>& weights) {
  return {weights.begin(), weights.end()};
}

struct LayerNumbers {
  explicit LayerNumbers(const Layer& layer)
      : gate(numbers_of(layer.gate)), up(numbers_of(layer.up)), down(numbers_of(layer.down)) {}

  // Of a choice: the expert's index here, or -1.
  int64_t expert_of(const Choices& choices, size_t choice) const {
    const int64_t e = choices.ids[choice] - kFirstExpert;
    return e < static_cast<int64_t>(gate.size()) ? std::max<int64_t>(e, -1) : -1;
  }

  std::vector<Numbers> gate, up, down;
};

// Sums of products, and of their absolute values.
struct Dot {
  double sum = 0, magnitude = 0;
};

template <typename T>
Dot dot(const Numbers& weight, int64_t row, const T* values) {
  const double* w = weight.row(row);
  Dot dot;
  for (int64_t i = 0; i < weight.k; ++i) {
    dot.sum += w[i] * values[i];
    dot.magnitude += std::abs(w[i] * values[i]);
  }
  return dot;
}

// Results, and beside each the sum of the absolute values it is made of.
struct Expected {
  Matrix out, magnitude;

  Expected added_to(const Matrix& before) const {
    Expected result = *this;
    for (int64_t t = 0; t < before.rows(); ++t) {
      for (int64_t i = 0; i < before.columns(); ++i) {
        result.out.at(t, i) += before.at(t, i);
        result.magnitude.at(t, i) += std::abs(before.at(t, i));
      }
    }
    return result;
  }
};

// The formula in float64.
Expected expected(const LayerNumbers& layer, Matrix& x, const Choices& choices) {
  Expected result = {Matrix(x.rows(), x.columns()), Matrix(x.rows(), x.columns())};
  for (int64_t t = 0; t < x.rows(); ++t) {
    std::vector<double> sum(static_cast<size_t>(x.columns())), magnitude(sum.size());
    for (int64_t j = t * choices.top_k; j < (t + 1) * choices.top_k; ++j) {
      const auto choice = static_cast<size_t>(j);
      if (layer.expert_of(choices, choice) < 0) continue;
      const auto expert = static_cast<size_t>(layer.expert_of(choices, choice));
      std::vector<double> hidden, hidden_size;
      for (int64_t i = 0; i < layer.gate[expert].n; ++i) {
        const Dot g = dot(layer.gate[expert], i, &x.at(t, 0));
        const Dot u = dot(layer.up[expert], i, &x.at(t, 0));
        hidden.push_back(g.sum / (1 + std::exp(-g.sum)) * u.sum);
        // silu's slope is below 1.1 and |silu(g)| <= |g|.
        hidden_size.push_back(1.1 * g.magnitude * u.magnitude);
      }
      for (int64_t i = 0; i < x.columns(); ++i) {
        const double weight = choices.weights[choice];
        sum[static_cast<size_t>(i)] += weight * dot(layer.down[expert], i, hidden.data()).sum;
        magnitude[static_cast<size_t>(i)] +=
            std::abs(weight) * dot(layer.down[expert], i, hidden_size.data()).magnitude;
      }
    }
    for (int64_t i = 0; i < x.columns(); ++i) {
      result.out.at(t, i) = static_cast<float>(sum[static_cast<size_t>(i)]);
      result.magnitude.at(t, i) = static_cast<float>(magnitude[static_cast<size_t>(i)]);
    }
  }
  return result;
}

class MoeExpertsSets : public test::AllSetsTest {
 protected:
  // By every set, and by the reference.
  void expect_match(const Layer& layer, int64_t hidden, const Choices& choices, int64_t tokens,
                    double rounding = 0) {
    Matrix x = Matrix::random(random_, tokens, hidden, 1);
    const Matrix before = Matrix::random(random_, tokens, hidden, 3);
    const Expected alone = expected(LayerNumbers(layer), x, choices);
    const Expected added = alone.added_to(before);
    // Three dot products after each other, silu's few roundings, and what is expected rounds too.
    const int64_t inner = layer.gate.empty() ? 0 : layer.gate[0].view().n;
    const double factor = 2 * test::dot_bound(hidden, 1) + test::dot_bound(inner, 1) +
                          (9.0 + choices.top_k) * test::kRounding + rounding;
    auto sets = test::native_sets();
    sets.push_back(&reference_kernels());
    for (const KernelSet* set : sets) {
      for (const int32_t accumulate : {0, 1}) {
        SCOPED_TRACE(std::string(set->name) + ", accumulate " + std::to_string(accumulate));
        Matrix out = before;
        CpuDevice device(*set, 2);
        run(device, in_rows(layer), x, choices, out, accumulate, 0, tokens);
        EXPECT_TRUE(out.gaps_are_whole());
        const Expected& want = accumulate != 0 ? added : alone;
        test::expect_near(out, want.out, want.magnitude, factor);
      }
    }
  }
};

TEST_F(MoeExpertsSets, MatchTheFormulaInEveryFormat) {
  for (const auto dtype : {FATHOM_F32, FATHOM_BF16, FATHOM_F8_E4M3, FATHOM_I8, FATHOM_I4}) {
    const Layer layer = Layer::random(random_, dtype, 6, 70, dtype == FATHOM_I4 ? 54 : 53);
    for (const int64_t tokens : {1, 2, 9, 40}) {
      SCOPED_TRACE("type " + std::to_string(dtype) + ", tokens " + std::to_string(tokens));
      expect_match(layer, 70, Choices::random(random_, tokens, 3, 10), tokens);
    }
  }
}

// Sets that multiply bf16 take 16 bits of what goes into each projection.
TEST_F(MoeExpertsSets, MatchTheFormulaInWholeBlocksOfFp8) {
  const Layer layer = Layer::random(random_, FATHOM_F8_E4M3, 6, 192, 128);
  for (const int64_t tokens : {1, 2, 9, 70}) {
    SCOPED_TRACE("tokens " + std::to_string(tokens));
    expect_match(layer, 192, Choices::random(random_, tokens, 3, 10), tokens, 0x1p-16);
  }
}

TEST_F(MoeExpertsSets, AllTokensMayChooseOneExpertEvenTwice) {
  const Layer layer = Layer::random(random_, FATHOM_F8_E4M3, 4, 129, 130);
  Choices choices = Choices::random(random_, 70, 2, 1);
  for (int32_t& id : choices.ids) id = 4;
  expect_match(layer, 129, choices, 70);
}

TEST_F(MoeExpertsSets, NoExpertHereAddsNothing) {
  const Layer layer = Layer::random(random_, FATHOM_BF16, 1, 16, 8);
  Choices choices = Choices::random(random_, 5, 2, 1);
  for (size_t i = 0; i < choices.ids.size(); ++i) choices.ids[i] = i % 2 == 0 ? 100 : -7;
  expect_match(layer, 16, choices, 5);
  expect_match(Layer{}, 16, choices, 5);
  expect_match(layer, 16, Choices{2, {}, {}}, 0);
}

class MoeExperts : public test::NativeTest {};

TEST_P(MoeExperts, ATokenHasTheSameBitsInAnyBatchAndWithAnyThreads) {
  using Case = std::pair<fathom_dtype, int64_t>;
  for (const auto& [dtype, hidden] :
       {Case{FATHOM_BF16, 200}, {FATHOM_F8_E4M3, 200}, {FATHOM_F8_E4M3, 192}, {FATHOM_I4, 200}}) {
    const Layer layer = Layer::random(random_, dtype, 5, hidden, hidden == 192 ? 128 : 136);
    const Weights weights = in_rows(layer);
    Matrix x = Matrix::random(random_, 70, hidden);
    const Choices choices = Choices::random(random_, 70, 4, 7);
    CpuDevice one(kernels(), 1);
    CpuDevice two(kernels(), 2);
    Matrix single(70, hidden), all(70, hidden), parallel(70, hidden), parts(70, hidden);
    for (int64_t t = 0; t < 70; ++t) run(one, weights, x, choices, single, 0, t, 1);
    run(one, weights, x, choices, all, 0, 0, 70);
    run(two, weights, x, choices, parallel, 0, 0, 70);
    run(two, weights, x, choices, parts, 0, 0, 13);
    run(two, weights, x, choices, parts, 0, 13, 57);
    EXPECT_TRUE(all.same_bits(single)) << dtype;
    EXPECT_TRUE(parallel.same_bits(single)) << dtype;
    EXPECT_TRUE(parts.same_bits(single)) << dtype;
  }
}

// What rounding values to int8 may add to a dot product with each row of a weight: half a step of
// the largest in the group for each value, and what the values were off by before.
std::vector<double> rounding_errors(const Numbers& weight, const std::vector<double>& values,
                                    const std::vector<double>& errors) {
  std::vector<double> off = errors;
  for (int64_t begin = 0; begin < weight.k; begin += weight.group) {
    const auto from = static_cast<size_t>(begin);
    const auto end = static_cast<size_t>(std::min(weight.k, begin + weight.group));
    double largest = 0;
    for (size_t i = from; i < end; ++i) {
      largest = std::max(largest, std::abs(values[i]) + errors[i]);
    }
    for (size_t i = from; i < end; ++i) off[i] += largest / 254 * 1.0001;
  }
  std::vector<double> result;
  for (int64_t j = 0; j < weight.n; ++j) result.push_back(dot(weight, j, off.data()).magnitude);
  return result;
}

// What one expert's result for a token may be off by.
std::vector<double> expert_errors(const LayerNumbers& layer, size_t expert,
                                  const std::vector<double>& x) {
  const std::vector<double> exact(x.size());
  const auto g_errors = rounding_errors(layer.gate[expert], x, exact);
  const auto u_errors = rounding_errors(layer.up[expert], x, exact);
  std::vector<double> hidden(g_errors.size()), errors(g_errors.size());
  for (size_t i = 0; i < hidden.size(); ++i) {
    const double g = dot(layer.gate[expert], static_cast<int64_t>(i), x.data()).sum;
    const double u = dot(layer.up[expert], static_cast<int64_t>(i), x.data()).sum;
    const double activated = g / (1 + std::exp(-g));
    hidden[i] = activated * u;
    // silu's slope is below 1.1.
    errors[i] = 1.1 * g_errors[i] * (std::abs(u) + u_errors[i]) + std::abs(activated) * u_errors[i];
  }
  return rounding_errors(layer.down[expert], hidden, errors);
}

// What each result of packed experts may be off by.
Matrix allowed_errors(const LayerNumbers& layer, const Matrix& x, const Choices& choices,
                      const Expected& want) {
  Matrix allowed(x.rows(), x.columns());
  for (int64_t t = 0; t < x.rows(); ++t) {
    std::vector<double> row, sum(static_cast<size_t>(x.columns()));
    for (int64_t i = 0; i < x.columns(); ++i) row.push_back(x.at(t, i));
    for (int64_t j = t * choices.top_k; j < (t + 1) * choices.top_k; ++j) {
      const auto choice = static_cast<size_t>(j);
      const int64_t expert = layer.expert_of(choices, choice);
      if (expert < 0) continue;
      const auto errors = expert_errors(layer, static_cast<size_t>(expert), row);
      for (size_t i = 0; i < sum.size(); ++i) {
        sum[i] += std::abs(choices.weights[choice]) * errors[i];
      }
    }
    for (int64_t i = 0; i < x.columns(); ++i) {
      allowed.at(t, i) =
          static_cast<float>(sum[static_cast<size_t>(i)] + 1e-5 * want.magnitude.at(t, i));
    }
  }
  return allowed;
}

struct GroupedFormat {
  fathom_dtype dtype;
  int32_t group;
};
constexpr GroupedFormat kPackedFormats[] = {{FATHOM_I8, 128}, {FATHOM_I4, 32}};

TEST_F(MoeExpertsSets, PackedOnesMatchTheFormulaWithinTheRoundingOfActivations) {
  for (const auto [dtype, group] : kPackedFormats) {
    const Layer layer = Layer::random(random_, dtype, 6, 150, 70, group);
    const LayerNumbers numbers(layer);
    for (const int64_t tokens : {0, 1, 2, 9, 40}) {
      const Choices choices = Choices::random(random_, tokens, 3, 10);
      Matrix x = Matrix::random(random_, tokens, 150, 1);
      const Matrix before = Matrix::random(random_, tokens, 150, 3);
      const Expected want = expected(numbers, x, choices).added_to(before);
      const Matrix allowed = allowed_errors(numbers, x, choices, want);
      for (const KernelSet* set : test::native_sets()) {
        for (const auto which : {Packed::kAll, Packed::kGateAndUp, Packed::kDown}) {
          SCOPED_TRACE(std::string(set->name) + ", type " + std::to_string(dtype) + ", tokens " +
                       std::to_string(tokens) + ", packed " +
                       std::to_string(static_cast<int>(which)));
          const PackedLayer packed(*set, layer, which);
          Matrix out = before;
          CpuDevice device(*set, 2);
          run(device, packed.weights(), x, choices, out, 1, 0, tokens);
          EXPECT_TRUE(out.gaps_are_whole());
          test::expect_near(out, want.out, allowed, 1);
        }
      }
    }
  }
}

class MoeExpertsPacked : public test::NativeTest {};

TEST_P(MoeExpertsPacked, ATokenHasTheSameBitsInAnyBatchAndWithAnyThreads) {
  for (const auto [dtype, group] : kPackedFormats) {
    const Layer layer = Layer::random(random_, dtype, 5, 200, 136, group);
    const PackedLayer packed(kernels(), layer, Packed::kAll);
    const Weights& weights = packed.weights();
    Matrix x = Matrix::random(random_, 140, 200);
    Choices choices = Choices::random(random_, 140, 4, 7);
    // More of one expert's tokens than go through at once.
    for (size_t i = 0; i < choices.ids.size(); i += 4) choices.ids[i] = 3;
    CpuDevice one(kernels(), 1);
    CpuDevice two(kernels(), 2);
    Matrix single(140, 200), all(140, 200), parallel(140, 200), parts(140, 200);
    for (int64_t t = 0; t < 140; ++t) run(one, weights, x, choices, single, 0, t, 1);
    run(one, weights, x, choices, all, 0, 0, 140);
    run(two, weights, x, choices, parallel, 0, 0, 140);
    run(two, weights, x, choices, parts, 0, 0, 13);
    run(two, weights, x, choices, parts, 0, 13, 127);
    EXPECT_TRUE(all.same_bits(single)) << dtype;
    EXPECT_TRUE(parallel.same_bits(single)) << dtype;
    EXPECT_TRUE(parts.same_bits(single)) << dtype;
  }
}

TEST_P(MoeExpertsPacked, RefusesGateAndUpThatDiffer) {
  const Layer layer = Layer::random(random_, FATHOM_I8, 2, 64, 64, 32);
  const Layer coarse = Layer::random(random_, FATHOM_I8, 2, 64, 64, 64);
  const PackedLayer packed(kernels(), layer, Packed::kAll);
  const PackedLayer other(kernels(), coarse, Packed::kAll);
  Matrix x = Matrix::random(random_, 1, 64);
  const int32_t id = 0;
  const float share = 1;
  const auto status = [&](const Weights& weights) {
    CpuDevice device(kernels());
    fathom_moe_experts_args args = {};
    args.size = sizeof(args);
    args.x = args.out = x.tensor();
    args.expert_ids = &id;
    args.expert_weights = &share;
    args.top_k = 1;
    std::vector<fathom_expert> places;
    weights.put_into(args, places);
    return device.table().supports(device.handle(), FATHOM_OP_MOE_EXPERTS, &args);
  };
  EXPECT_EQ(status(packed.weights()), FATHOM_OK);
  Weights mixed = packed.weights();
  mixed.up = other.weights().up;
  EXPECT_EQ(status(mixed), FATHOM_UNSUPPORTED);
  mixed = packed.weights();
  mixed.gate = in_rows(layer).gate;
  EXPECT_EQ(status(mixed), FATHOM_UNSUPPORTED);
}

FATHOM_NATIVE_SUITE(MoeExpertsPacked);
FATHOM_NATIVE_SUITE(MoeExperts);

}  // namespace
}  // namespace fathom::cpu
