// How ranks divide a model: pipeline x (attention: data x tensor) x (experts: expert-parallel), as
// DeepSeek deploys it (DeepSeek-V3 paper, section 3.4). Arithmetic only; docs/layouts.md shows it.
//
// A stage of the pipeline holds whole layers on dp x tp ranks, tensor index fastest:
//   rank = (stage * dp + data) * tp + tensor.
// Ranks of one data index share their tokens and split heads, MLPs and vocabulary by tp. The
// stage's routed experts are spread over ep of those ranks; where ep < dp * tp, each expert is
// split by its intermediate size over slices() neighbouring ranks of one data index, which see the
// same tokens.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "models/deepseek_v3/config/config.h"

namespace fathom::models::deepseek_v3 {

constexpr int64_t kMaxRanks = 4096;

struct ParallelLayout {
  int64_t pp = 1;  // stages
  int64_t dp = 1;  // groups of ranks with tokens of their own
  int64_t tp = 1;  // ranks of such a group
  int64_t ep = 1;  // groups of ranks with routed experts of their own; dp * tp where not said
  int64_t redundant = 0;  // routed experts held once more than once, for load
  // Copies of the shared expert that take the place of a routed one, so that its tokens travel too
  // (CloudMatrix-Infer's EP320: 256 routed + 32 redundant + 32 shared). 0: every rank has its part.
  int64_t shared = 0;

  int64_t stage_ranks() const { return dp * tp; }
  int64_t ranks() const { return pp * dp * tp; }
  int64_t slices() const { return dp * tp / ep; }
  // "pp=2,dp=1,tp=8,ep=8"; redundant and shared where they are not 0.
  std::string text() const;

  // As text() writes it, in any order; what is left out is as above. Ranks: at most kMaxRanks.
  static Result<ParallelLayout> parse(std::string_view text);
};

// Numbers that the formats of the weights allow, besides (shard_rules.h); null: any.
struct CutRules {
  std::function<bool(int64_t)> tp;
  std::function<bool(int64_t)> slices;
};
// Whether the layout divides the model; the error names the number that does not fit and the
// nearest that do and that the rules allow. The layout itself is not held against the rules.
Status check_layout(const ParallelLayout& layout, const Config& config, const CutRules& rules = {});
// Whether ep groups can have routed experts of their own beside the layout's dp and tp.
bool can_hold_experts(const ParallelLayout& layout, int64_t ep);
// Whether it is for `ranks` ranks.
Status check_ranks(const ParallelLayout& layout, int64_t ranks);

// "the nearest are 32 and 64": the whole numbers around `value` in [low, high] that fit; "none
// fits".
std::string nearest_fitting(int64_t value, int64_t low, int64_t high,
                            const std::function<bool(int64_t)>& fits);

// Where a rank is.
struct RankPlace {
  int64_t stage = 0;
  int64_t data = 0;    // below dp
  int64_t tensor = 0;  // below tp
  int64_t expert = 0;  // below ep: which experts
  int64_t slice = 0;   // below slices(): which part of each
};
RankPlace place_of(const ParallelLayout& layout, int64_t rank);

// The ranks of each communicator that `rank` is in, in order; itself among them.
std::vector<int64_t> tensor_group(const ParallelLayout& layout, int64_t rank);  // tp: same tokens
std::vector<int64_t> data_group(const ParallelLayout& layout, int64_t rank);    // dp: same weights
std::vector<int64_t> expert_group(const ParallelLayout& layout, int64_t rank);  // ep: same slice
std::vector<int64_t> stage_group(const ParallelLayout& layout,
                                 int64_t rank);  // dp * tp: same layers
std::vector<int64_t> pipeline_group(const ParallelLayout& layout, int64_t rank);  // pp: one a stage

struct Range {
  int64_t begin = 0;
  int64_t end = 0;

  int64_t size() const { return end - begin; }
  bool contains(int64_t value) const { return value >= begin && value < end; }
  bool operator==(const Range&) const = default;
};

// Part `index` of `count` of [0, size): equal parts, or as equal as can be with longer ones first.
Range part_of(int64_t size, int64_t index, int64_t count);

// The attention heads of a tensor index.
Range heads_of(const ParallelLayout& layout, const Config& config, int64_t tensor);

// The layers of each of `pp` stages, so that the fullest holds as little as can be. `bytes` is each
// layer's; `first` and `last` are what the first and the last stage hold besides.
std::vector<Range> balance_layers(std::span<const int64_t> bytes, int64_t first, int64_t last,
                                  int64_t pp);

// What takes an expert's place on a rank.
constexpr int64_t kSharedExpert = -1;
// For each expert index below ep: the routed experts there, its own (a range) before the redundant
// ones, and kSharedExpert last. All have equally many; none holds an expert twice. Until loads are
// known each expert has one more copy before any has two more.
std::vector<std::vector<int64_t>> place_experts(const ParallelLayout& layout, const Config& config);

}  // namespace fathom::models::deepseek_v3
