#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>

#include "backends/cpu/kernel_sets.h"
#include "backends/cpu/testing/kernel_fixtures.h"

namespace fathom::cpu {
namespace {

using test::CpuDevice;
using test::Matrix;

struct Choice {
  std::vector<int32_t> ids;
  std::vector<float> weights;
};

fathom_moe_gate_args gate_args(Matrix& logits, const std::vector<float>& bias, int32_t kind,
                               int32_t top_k, int32_t groups = 1, int32_t top_groups = 1) {
  fathom_moe_gate_args args = {};
  args.size = sizeof(args);
  args.logits = logits.tensor();
  args.bias = bias.empty() ? nullptr : bias.data();
  args.kind = kind;
  args.top_k = top_k;
  args.num_groups = groups;
  args.top_groups = top_groups;
  args.normalize = 1;
  args.scale = 2.5f;
  return args;
}

Choice choose(const KernelSet& kernels, fathom_moe_gate_args args) {
  const auto count = static_cast<size_t>(args.logits.shape[0] * args.top_k);
  Choice choice = {std::vector<int32_t>(count, -1), std::vector<float>(count)};
  args.expert_ids = choice.ids.data();
  args.expert_weights = choice.weights.data();
  CpuDevice device(kernels, 2);
  EXPECT_EQ(device.run(FATHOM_OP_MOE_GATE, &args), FATHOM_OK) << device.table().last_error();
  return choice;
}

// The definition, by sorting: float64 scores of one row.
std::vector<double> scores_of(const fathom_moe_gate_args& args, const Matrix& logits, int64_t t) {
  std::vector<double> scores;
  for (int64_t e = 0; e < logits.columns(); ++e) scores.push_back(logits.at(t, e));
  if (args.kind == FATHOM_GATE_NOAUX_TC) {
    for (double& score : scores) score = 1 / (1 + std::exp(-score));
    return scores;
  }
  for (double& score : scores) score = std::exp(score);
  const double sum = std::accumulate(scores.begin(), scores.end(), 0.0);
  for (double& score : scores) score /= sum;
  return scores;
}

std::vector<int32_t> best_first(const std::vector<double>& values, int32_t count) {
  std::vector<int32_t> order(values.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
    return values[static_cast<size_t>(a)] > values[static_cast<size_t>(b)];
  });
  order.resize(static_cast<size_t>(count));
  return order;
}

std::vector<int32_t> expected_ids(const fathom_moe_gate_args& args,
                                  const std::vector<double>& scores) {
  std::vector<double> choice = scores;
  const bool noaux = args.kind == FATHOM_GATE_NOAUX_TC;
  for (size_t e = 0; e < choice.size(); ++e) {
    if (noaux && args.bias != nullptr) choice[e] += args.bias[e];
  }
  if (args.kind == FATHOM_GATE_SOFTMAX) return best_first(choice, args.top_k);
  const size_t size = choice.size() / static_cast<size_t>(args.num_groups);
  std::vector<double> groups;
  for (size_t begin = 0; begin < choice.size(); begin += size) {
    std::vector<double> members(choice.begin() + static_cast<int64_t>(begin),
                                choice.begin() + static_cast<int64_t>(begin + size));
    std::sort(members.rbegin(), members.rend());
    groups.push_back(noaux && size > 1 ? members[0] + members[1] : members[0]);
  }
  const auto open = best_first(groups, args.top_groups);
  for (size_t e = 0; e < choice.size(); ++e) {
    const bool is_open =
        std::find(open.begin(), open.end(), static_cast<int32_t>(e / size)) != open.end();
    if (!is_open) choice[e] = -std::numeric_limits<double>::infinity();
  }
  return best_first(choice, args.top_k);
}

class MoeGate : public test::NativeTest {};

TEST_P(MoeGate, MatchesTheDefinitionByEveryKind) {
  struct Shape {
    int64_t experts;
    int32_t top_k, groups, top_groups;
  };
  for (const Shape shape : {Shape{256, 8, 8, 4}, Shape{16, 4, 4, 2}, Shape{9, 3, 3, 1},
                            Shape{6, 6, 6, 6}, Shape{1, 1, 1, 1}, Shape{64, 6, 1, 1}}) {
    for (const int32_t kind :
         {FATHOM_GATE_NOAUX_TC, FATHOM_GATE_SOFTMAX, FATHOM_GATE_SOFTMAX_GROUPS}) {
      Matrix logits = Matrix::random(random_, 12, shape.experts, 1);
      std::vector<float> bias;
      std::normal_distribution<float> normal(0, 0.3f);
      for (int64_t e = 0; e < shape.experts; ++e) bias.push_back(normal(random_));
      auto args = gate_args(logits, bias, kind, shape.top_k, shape.groups, shape.top_groups);
      for (const int32_t normalize : {0, 1}) {
        args.normalize = normalize;
        const Choice got = choose(kernels(), args);
        for (int64_t t = 0; t < 12; ++t) {
          const auto scores = scores_of(args, logits, t);
          const auto ids = expected_ids(args, scores);
          double sum = 1e-20;
          for (const int32_t id : ids) sum += scores[static_cast<size_t>(id)];
          for (size_t j = 0; j < ids.size(); ++j) {
            const size_t at = static_cast<size_t>(t) * ids.size() + j;
            ASSERT_EQ(got.ids[at], ids[j]) << "kind " << kind << " row " << t;
            const double score = scores[static_cast<size_t>(ids[j])];
            const double expected = (normalize != 0 ? score / sum : score) * 2.5;
            ASSERT_NEAR(got.weights[at], expected, expected * 1e-5);
          }
        }
      }
    }
  }
}

TEST_P(MoeGate, TheBiasChoosesButDoesNotWeigh) {
  Matrix logits(1, 4);
  for (int64_t e = 0; e < 4; ++e) logits.at(0, e) = 0;
  const std::vector<float> bias = {0, 10, 0, 20};
  const Choice got = choose(kernels(), gate_args(logits, bias, FATHOM_GATE_NOAUX_TC, 2));
  EXPECT_EQ(got.ids, (std::vector<int32_t>{3, 1}));
  EXPECT_FLOAT_EQ(got.weights[0], 1.25f);
  EXPECT_FLOAT_EQ(got.weights[1], 1.25f);
}

TEST_P(MoeGate, TiesGoToTheLowerIndexOfGroupsAndExperts) {
  Matrix logits(1, 12);
  for (int64_t e = 0; e < 12; ++e) logits.at(0, e) = 1;
  for (const int32_t kind : {FATHOM_GATE_NOAUX_TC, FATHOM_GATE_SOFTMAX_GROUPS}) {
    const Choice got = choose(kernels(), gate_args(logits, {}, kind, 5, 4, 2));
    EXPECT_EQ(got.ids, (std::vector<int32_t>{0, 1, 2, 3, 4}));
  }
}

TEST_P(MoeGate, BrokenLogitsStillChooseDistinctExperts) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (const int32_t kind :
       {FATHOM_GATE_NOAUX_TC, FATHOM_GATE_SOFTMAX, FATHOM_GATE_SOFTMAX_GROUPS}) {
    for (const float value : {kNan, kInfinity, -kInfinity}) {
      for (const int64_t broken : {1, 7, 16}) {
        Matrix logits = Matrix::random(random_, 1, 16);
        for (int64_t e = 0; e < broken; ++e) logits.at(0, e) = value;
        const Choice got = choose(kernels(), gate_args(logits, {}, kind, 8, 4, 2));
        const std::set<int32_t> distinct(got.ids.begin(), got.ids.end());
        EXPECT_EQ(distinct.size(), 8u);
        EXPECT_GE(*distinct.begin(), 0);
        EXPECT_LT(*distinct.rbegin(), 16);
      }
    }
  }
}

// Whatever stands in rows that are padding, the others choose as they do alone.
TEST_P(MoeGate, PaddingRowsChooseNothing) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  constexpr int64_t kRows = 50, kExperts = 16;
  Matrix logits = Matrix::random(random_, kRows, kExperts, 1);
  const Choice all = choose(kernels(), gate_args(logits, {}, FATHOM_GATE_NOAUX_TC, 4, 4, 2));
  for (const int32_t rows : {70, 50, 33, 1, 0}) {
    for (int64_t t = rows; t < kRows; ++t) logits.at(t, t % kExperts) = kNan;
    auto args = gate_args(logits, {}, FATHOM_GATE_NOAUX_TC, 4, 4, 2);
    args.rows = &rows;
    std::vector<int64_t> loads(kExperts, 100), expected = loads;
    args.loads = loads.data();
    const Choice got = choose(kernels(), args);
    for (int64_t i = 0; i < kRows * 4; ++i) {
      const auto at = static_cast<size_t>(i);
      const bool chooses = i < int64_t{rows} * 4;
      ASSERT_EQ(got.ids[at], chooses ? all.ids[at] : -1) << rows << " rows, choice " << i;
      ASSERT_EQ(got.weights[at], chooses ? all.weights[at] : 0.0f);
      if (chooses) ++expected[static_cast<size_t>(all.ids[at])];
    }
    EXPECT_EQ(loads, expected) << rows << " rows";
  }
}

TEST_P(MoeGate, LoadsAddUp) {
  Matrix logits = Matrix::random(random_, 9, 6, 1);
  std::vector<int64_t> loads(6);
  auto args = gate_args(logits, {}, FATHOM_GATE_SOFTMAX, 2);
  args.loads = loads.data();
  const Choice once = choose(kernels(), args);
  choose(kernels(), args);
  std::vector<int64_t> expected(6);
  for (const int32_t id : once.ids) expected[static_cast<size_t>(id)] += 2;
  EXPECT_EQ(loads, expected);
}

TEST_P(MoeGate, RefusesANegativeNumberOfRows) {
  Matrix logits = Matrix::random(random_, 1, 4, 1);
  auto args = gate_args(logits, {}, FATHOM_GATE_SOFTMAX, 1);
  const int32_t rows = -1;
  int32_t id = 0;
  float weight = 0;
  args.rows = &rows;
  args.expert_ids = &id;
  args.expert_weights = &weight;
  CpuDevice device(kernels(), 1);
  EXPECT_EQ(device.run(FATHOM_OP_MOE_GATE, &args), FATHOM_INVALID);
}

FATHOM_NATIVE_SUITE(MoeGate);
INSTANTIATE_TEST_SUITE_P(Oracle, MoeGate, ::testing::Values(&reference_kernels()), test::set_name);

}  // namespace
}  // namespace fathom::cpu
