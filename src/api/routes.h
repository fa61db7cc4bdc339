// Every route there is.
#pragma once

#include "api/router.h"

namespace fathom::api {

const Router& routes();

}  // namespace fathom::api
