// Rotary position angles, with YaRN where the config asks for it.
#pragma once

#include <cstdint>
#include <vector>

#include "models/deepseek_v3/config/config.h"

namespace fathom::models::deepseek_v3 {

// YaRN's attention temperature: 0.1 m ln(factor) + 1 (paper section 3.4; released code's
// yarn_get_mscale).
double yarn_mscale(double factor, double mscale);

// Angle per position of each pair, [qk_rope_head_dim / 2].
std::vector<double> rope_frequencies(const Config& config);

// cos of each pair and then sin of each pair, F32 [positions, qk_rope_head_dim], as mla_prepare
// reads them (device/abi.h).
std::vector<float> rope_table(const Config& config, int64_t positions);

}  // namespace fathom::models::deepseek_v3
