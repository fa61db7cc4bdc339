// The softmax of attention, 32 positions at a time: each row of scores has lanes of its own, which
// keep its greatest score and the sum of its weights from one time to the next.
#pragma once

#include "backends/gpu/words.h"

namespace fathom::gpu {
inline namespace FATHOM_GPU_DIALECT {

constexpr int kPositions = 32;                 // at a time
constexpr int kScoreStride = kPositions + 4;   // of scores in shared memory
constexpr int kWeightStride = kPositions + 8;  // of weights

// A warp's rows: kRowCount of them.
template <int kRowCount>
class OnlineSoftmax {
 public:
  static constexpr int kGroup = kWarp < kPositions ? kWarp : kPositions;  // lanes of a row
  static constexpr int kAtOnce = kWarp / kGroup;                          // rows
  static constexpr int kTurns = (kRowCount + kAtOnce - 1) / kAtOnce;
  static constexpr int kEach = kPositions / kGroup;  // positions of a lane

  GPU_DEVICE OnlineSoftmax() {
    for (int i = 0; i < kTurns; ++i) greatest_[i] = float_of(0xff800000);
  }

  // score(row, p): of a position p, -infinity where it does not see it; at the first time each row
  // sees one. Weights go to weights[row * kWeightStride + p]; factors[row] is what the row's sum
  // so far is to be multiplied by.
  template <typename Score>
  GPU_DEVICE void take(Shared<bf16> weights, Shared<float> factors, Score score) {
    for (int turn = 0; turn < kTurns; ++turn) {
      const int row = row_of(turn);
      const bool is_there = row < kRowCount;
      float scores[kEach];
      float greatest = greatest_[turn];
      for (int i = 0; i < kEach; ++i) {
        scores[i] = is_there ? score(row, position(i)) : 0.0f;
        greatest = scores[i] > greatest ? scores[i] : greatest;
      }
      greatest = warp_max<kGroup>(greatest);
      float sum = 0;
      for (int i = 0; i < kEach; ++i) {
        const bf16 weight = narrow<bf16>(exp(scores[i] - greatest));
        sum += widen(weight);
        if (is_there) store(weights, row * kWeightStride + position(i), weight);
      }
      const float factor = exp(greatest_[turn] - greatest);
      sum_[turn] = fma(sum_[turn], factor, warp_sum<kGroup>(sum));
      greatest_[turn] = greatest;
      if (is_there && lane() % kGroup == 0) store(factors, row, factor);
    }
  }

  // call(row, greatest score, sum) by one lane for each row.
  template <typename Call>
  GPU_DEVICE void each_row(Call call) const {
    for (int turn = 0; turn < kTurns; ++turn) {
      if (row_of(turn) < kRowCount && lane() % kGroup == 0) {
        call(row_of(turn), greatest_[turn], sum_[turn]);
      }
    }
  }

 private:
  GPU_DEVICE static int row_of(int turn) { return turn * kAtOnce + lane() / kGroup; }
  GPU_DEVICE static int position(int i) { return i * kGroup + lane() % kGroup; }

  float greatest_[kTurns];
  float sum_[kTurns] = {};
};

}  // namespace FATHOM_GPU_DIALECT
}  // namespace fathom::gpu
