// UCX, from the plug-in libfathom_ucx.so (base/plug_in.h).
#pragma once

#include <memory>

#include "base/result.h"
#include "kvtransfer/transport.h"

namespace fathom::kvtransfer {

// Errors: kNotFound with what is missing and how to get it. The plug-in stays loaded.
Result<std::unique_ptr<Transport>> load_transport(size_t max_message);

}  // namespace fathom::kvtransfer
