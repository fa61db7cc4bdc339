// Every route there is.
#pragma once

#include "api/http/router.h"

namespace fathom::api {

const Router& routes();

}  // namespace fathom::api
