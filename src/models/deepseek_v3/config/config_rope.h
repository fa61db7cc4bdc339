// Rotary positions as config.json says them: rope_theta and rope_scaling, or rope_parameters, which
// transformers 5 writes instead of both.
#pragma once

#include "models/deepseek_v3/config/config.h"
#include "models/deepseek_v3/config/config_fields.h"

namespace fathom::models::deepseek_v3 {

// Sets rope_theta and yarn of `config`. Errors (kUnsupported) name the field: a kind of scaling, or
// a field of it, that is not known, and places that contradict each other.
Status read_rope(FieldReader& in, Config& config);

}  // namespace fathom::models::deepseek_v3
