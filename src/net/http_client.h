// Small blocking HTTP/1.1 client: one connection a request, for `fathom chat`, benchmarks and
// tests. https is TLS 1.2 or 1.3 with a server whose certificate is trusted and for its name.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "net/http.h"
#include "net/url.h"

namespace fathom::net {

struct ClientRequest {
  Url url;
  std::string method = "GET";
  // Host, Content-Length and Connection are added.
  std::vector<Header> headers;
  std::string body;
  std::string ca_file;  // PEM certificates to trust with https; "": the system's

  std::chrono::milliseconds connect_timeout{10'000};
  // The longest silence while waiting for, or within, the answer.
  std::chrono::milliseconds timeout{60'000};
  // request() refuses longer answers.
  std::size_t max_body_bytes = 64 * 1024 * 1024;
  // Asked about 20 times a second while waiting; true gives up with kCancelled.
  std::function<bool()> cancelled;
};

// The whole answer, whatever its status. Errors name the address: "connect to 127.0.0.1:8000:
// connection refused".
Result<HttpResponse> request(const ClientRequest& request);

// The answer piece by piece, chunked coding removed, as it arrives. `on_data` returning false
// closes the connection; that is no error. `on_head`, if given, is called before it with status and
// headers (its body is empty). Returns the status.
Result<int> stream(const ClientRequest& request,
                   const std::function<bool(std::string_view chunk)>& on_data,
                   const std::function<void(const HttpResponse& head)>& on_head = {});

}  // namespace fathom::net
