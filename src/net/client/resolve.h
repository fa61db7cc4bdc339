// The addresses of a host.
#pragma once

#include <memory>

#include "base/result.h"
#include "net/client/connection.h"
#include "net/client/deadline.h"
#include "net/client/event.h"
#include "net/url.h"

namespace fathom::net {

// At least one. Setting `done` from outside gives up, with an error. A system that does not answer
// keeps other names waiting, too, for it is asked for one after the other.
Awaitable<Result<Endpoints>> resolve(Executor executor, const Url& url, std::shared_ptr<Event> done,
                                     Deadline deadline);

}  // namespace fathom::net
