// The bytes of an answer's head.
#pragma once

#include <string>

#include "net/http.h"

namespace fathom::net {

enum class BodyFraming { kContentLength, kChunked, kUntilClose };

struct HeadOptions {
  BodyFraming framing = BodyFraming::kContentLength;
  bool keep_alive = false;
  bool is_http_1_0 = false;
};

// Status line, headers and the empty line. CR, LF and NUL in a header's value become spaces, so no
// value can forge a header; a header whose name is no token, or which belongs to the framing, is
// left out.
std::string render_response_head(const HttpResponse& response, const HeadOptions& options);

// 1xx, 204 and 304 have none.
bool status_has_body(int status);

bool asks_to_close(const HttpResponse& response);

}  // namespace fathom::net
