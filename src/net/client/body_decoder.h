// Finds the end of an answer's body and removes its chunked coding.
#pragma once

#include <cstdint>
#include <string>

#include "net/chunked.h"
#include "net/http_head.h"

namespace fathom::net {

class BodyDecoder {
 public:
  enum class Outcome { kNeedMore, kDone, kMalformed };

  // `to_head_request`: the answer to a HEAD request, which has no body whatever its headers say.
  BodyDecoder(const ResponseHead& head, bool to_head_request);

  // Moves what `input` has of the body to the end of `body`. After kDone, what is left in `input`
  // is not part of this answer.
  Outcome feed(std::string& input, std::string& body);

  // Whether the body ends where the connection does; feed() then never says kDone.
  bool ends_with_connection() const { return until_close_; }

 private:
  bool chunked_;
  bool until_close_;
  std::uint64_t left_ = 0;  // bytes to come, where neither chunked nor until the connection closes
  ChunkedDecoder chunks_{UINT64_MAX};
};

}  // namespace fathom::net
