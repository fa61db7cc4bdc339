// What the ranks of a job must agree on before the first step (docs/parallel.md).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "comm/group.h"
#include "comm/world.h"
#include "device/device.h"
#include "serving/model_input.h"
#include "serving/options.h"

namespace fathom::serving {

// A hash of the config, and of the files' sizes and samples.
std::string model_hash(const StackOptions& options, const ModelInput& input);

// The values that must be equal on all ranks.
comm::Identity identity_of(const StackOptions& options, const ModelInput& input,
                           const device::Device& device);

// The least of all ranks' values. Collective.
Result<int64_t> least_of(comm::Group& ranks, std::string_view name, int64_t value);
// Whether all ranks are well; the error names one that is not, and says why. Collective: returns
// when all have called it, however long they load.
Status agree(comm::Group& ranks, std::string_view name, const Status& own);

}  // namespace fathom::serving
