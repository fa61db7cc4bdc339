// Errors for paths that are no model: what was given, and what to do instead.
#pragma once

#include <filesystem>

#include "base/result.h"

namespace fathom::serving {

// Whether the directory has the config.json of an architecture that is served; what is wrong within
// is for Config to find. Otherwise the error says what to give in its place: of a hub's name how to
// download the model, of a GGUF file how to convert it, of a directory too high the one below.
Status check_model_directory(const std::filesystem::path& model);

}  // namespace fathom::serving
