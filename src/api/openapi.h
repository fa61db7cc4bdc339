// The description of the API at /openapi.json (OpenAPI 3.1), made of the tables that requests are
// read by (schema_*.cpp, router.cpp), so that the two cannot disagree.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "api/json_text.h"

namespace fathom::api {

Json openapi_document(const std::string& version);

}  // namespace fathom::api
