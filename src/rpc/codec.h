// Messages as engine.proto writes them. What a peer sends is checked: a wrong message is an error
// that says what was expected, and ends its stream.
#pragma once

#include "base/result.h"
#include "rpc/engine.pb.h"
#include "rpc/messages.h"

namespace fathom::rpc {

namespace wire = fathom::engine::v1;

wire::ToEngine to_wire(const ToEngine& message);
wire::FromEngine to_wire(const FromEngine& message);

Result<ToEngine> from_wire(const wire::ToEngine& message);
Result<FromEngine> from_wire(const wire::FromEngine& message);

}  // namespace fathom::rpc
