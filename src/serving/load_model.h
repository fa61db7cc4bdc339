// From a model's files to memory on the chip: the weights, or this rank's part of them.
#pragma once

#include <memory>

#include "comm/group.h"
#include "models/deepseek_v3/model.h"
#include "serving/load_report.h"
#include "serving/model_input.h"
#include "serving/options.h"

namespace fathom::serving {

struct LoadedModel {
  std::unique_ptr<models::deepseek_v3::Model> model;
  LoadReport loading;
};

// Every rank of `ranks` calls it, of which ranks_here are on this host and share its memory. An
// error on one is an error on all.
Result<LoadedModel> load_model(const StackOptions& options, const ModelInput& input,
                               device::Device& device, comm::Group& ranks, int64_t ranks_here);

}  // namespace fathom::serving
