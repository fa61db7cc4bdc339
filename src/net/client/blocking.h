// The client for code without an event loop: `fathom chat` and tests. One connection a call.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "net/client/request.h"
#include "net/http.h"

namespace fathom::net {

struct BlockingRequest : ClientRequest {
  std::string ca_file;  // PEM certificates to trust with https; "": the system's
  // Asked about 20 times a second while waiting; true gives up with kCancelled.
  std::function<bool()> cancelled;
};

// The whole answer, whatever its status. Errors: as HttpCall's.
Result<HttpResponse> request(const BlockingRequest& request);

// The answer piece by piece, chunked coding removed, as it arrives. `on_data` returning false
// closes the connection; that is no error. `on_head`, if given, is called before it with status and
// headers (its body is empty). Returns the status.
Result<int> stream(const BlockingRequest& request,
                   const std::function<bool(std::string_view chunk)>& on_data,
                   const std::function<void(const HttpResponse& head)>& on_head = {});

}  // namespace fathom::net
