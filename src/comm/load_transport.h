// MPI, from the plug-in libfathom_mpi.so (base/plug_in.h).
#pragma once

#include "base/result.h"
#include "comm/transport.h"

namespace fathom::comm {

// Errors: kNotFound with what is missing and how to get it. The plug-in stays loaded.
Result<Transport*> load_transport();

}  // namespace fathom::comm
