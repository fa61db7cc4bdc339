// The addresses of a host.
#pragma once

#include <memory>

#include "base/result.h"
#include "net/client/connection.h"
#include "net/client/deadline.h"
#include "net/client/event.h"
#include "net/url.h"

namespace fathom::net {

// At least one. Setting `done` from outside cancels, with an error. Names are looked up one after
// the other, so one that hangs delays the others.
Awaitable<Result<Endpoints>> resolve(Executor executor, const Url& url, std::shared_ptr<Event> done,
                                     Deadline deadline);

}  // namespace fathom::net
