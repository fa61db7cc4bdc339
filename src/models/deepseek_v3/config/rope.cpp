#include "models/deepseek_v3/config/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace fathom::models::deepseek_v3 {

double yarn_mscale(double factor, double mscale) {
  return factor <= 1 ? 1.0 : 0.1 * mscale * std::log(factor) + 1.0;
}

namespace {

// The (fractional) pair index whose wave turns `rotations` times in the original context.
double pair_of_rotations(const Config& config, double rotations) {
  const double dim = config.qk_rope_head_dim;
  const double context = static_cast<double>(config.yarn->original_max_positions);
  return dim * std::log(context / (rotations * 2 * std::numbers::pi)) /
         (2 * std::log(config.rope_theta));
}

// 0 for pairs that keep their frequency, 1 for pairs slowed by `factor`, a ramp between.
double interpolation(const Config& config, int64_t pair) {
  const double last = config.qk_rope_head_dim - 1;
  const double low = std::max(std::floor(pair_of_rotations(config, config.yarn->beta_fast)), 0.0);
  double high = std::min(std::ceil(pair_of_rotations(config, config.yarn->beta_slow)), last);
  if (low == high) high += 0.001;  // the released code's guard against dividing by zero
  return std::clamp((static_cast<double>(pair) - low) / (high - low), 0.0, 1.0);
}

}  // namespace

std::vector<double> rope_frequencies(const Config& config) {
  std::vector<double> frequencies;
  for (int64_t pair = 0; pair < config.qk_rope_head_dim / 2; ++pair) {
    const double exponent = 2.0 * static_cast<double>(pair) / config.qk_rope_head_dim;
    const double plain = std::pow(config.rope_theta, -exponent);
    if (!config.yarn) {
      frequencies.push_back(plain);
      continue;
    }
    const double slowed = interpolation(config, pair);
    frequencies.push_back(plain / config.yarn->factor * slowed + plain * (1 - slowed));
  }
  return frequencies;
}

std::vector<float> rope_table(const Config& config, int64_t positions) {
  const auto frequencies = rope_frequencies(config);
  double amplitude = 1;
  if (config.yarn) {
    amplitude = yarn_mscale(config.yarn->factor, config.yarn->mscale) /
                yarn_mscale(config.yarn->factor, config.yarn->mscale_all_dim);
  }
  std::vector<float> table;
  table.reserve(static_cast<size_t>(positions * config.qk_rope_head_dim));
  for (int64_t position = 0; position < positions; ++position) {
    for (const double frequency : frequencies) {
      table.push_back(
          static_cast<float>(std::cos(static_cast<double>(position) * frequency) * amplitude));
    }
    for (const double frequency : frequencies) {
      table.push_back(
          static_cast<float>(std::sin(static_cast<double>(position) * frequency) * amplitude));
    }
  }
  return table;
}

}  // namespace fathom::models::deepseek_v3
