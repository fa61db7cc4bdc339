// gRPC, from the plug-in libfathom_grpc.so (base/plug_in.h).
#pragma once

#include <memory>

#include "base/result.h"
#include "rpc/transport.h"

namespace fathom::rpc {

// Errors: kNotFound with what is missing and how to get it. The plug-in stays loaded.
Result<std::unique_ptr<Transport>> load_transport();

}  // namespace fathom::rpc
