// The hyper-parameters of a model as llama.cpp's architecture "deepseek2" keeps them.
#pragma once

#include "models/deepseek_v3/config/config.h"
#include "models/files/gguf.h"

namespace fathom::models::deepseek_v3 {

// The error names the field of config.json that the architecture cannot express.
Status add_gguf_config(const Config& config, GgufHeader& header);

// config.json of a file; the error names the file and the key.
Result<nlohmann::json> config_of_gguf(const GgufFile& file);

}  // namespace fathom::models::deepseek_v3
