// What good answers and errors look like, for the API's description.
#pragma once

#include <nlohmann/json.hpp>

#include "api/text/json_text.h"

namespace fathom::api {

// JSON schemas by the names that AnswerShape::schema has.
Json answer_schemas();

}  // namespace fathom::api
