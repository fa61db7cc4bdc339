// The description of the API at /openapi.json (OpenAPI 3.1), made of the routes and of the tables
// that requests are read by (body_schemas.h), so that they cannot disagree.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "api/http/route.h"
#include "api/text/json_text.h"

namespace fathom::api {

Json openapi_document(const std::vector<Route>& routes, const std::string& version);

}  // namespace fathom::api
