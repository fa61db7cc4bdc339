// MPI, from the plug-in libfathom_mpi.so beside the binary.
#pragma once

#include "base/result.h"
#include "comm/transport.h"

namespace fathom::comm {

// Errors: kNotFound with what is missing and how to get it. The plug-in stays loaded.
Result<Transport*> load_transport();

}  // namespace fathom::comm
