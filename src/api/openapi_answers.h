// What the answers of each route look like, for the API's description.
#pragma once

#include <nlohmann/json.hpp>

#include "api/json_text.h"
#include "api/router.h"

namespace fathom::api {

// {"application/json": {"schema": ...}, ...}: one entry for each content type of a good answer.
Json answer_content(Route route);

// The schemas that answer_content() refers to, and those of errors, by name.
Json answer_schemas();

}  // namespace fathom::api
