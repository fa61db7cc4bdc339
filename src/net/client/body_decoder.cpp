#include "net/client/body_decoder.h"

#include <algorithm>
#include <string_view>

#include "net/response_text.h"

namespace fathom::net {

BodyDecoder::BodyDecoder(const ResponseHead& head, bool to_head_request) {
  const bool has_body = !to_head_request && status_has_body(head.response.status);
  chunked_ = has_body && head.chunked;
  until_close_ = has_body && !head.chunked && !head.content_length;
  if (has_body && !chunked_) left_ = head.content_length.value_or(UINT64_MAX);
}

BodyDecoder::Outcome BodyDecoder::feed(std::string& input, std::string& body) {
  if (chunked_) {
    std::string_view rest = input;
    const ChunkedDecoder::Outcome outcome = chunks_.feed(rest, body);
    input.erase(0, input.size() - rest.size());
    if (outcome == ChunkedDecoder::Outcome::kDone) return Outcome::kDone;
    return outcome == ChunkedDecoder::Outcome::kNeedMore ? Outcome::kNeedMore : Outcome::kMalformed;
  }
  const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(left_, input.size()));
  body.append(input, 0, size);
  input.erase(0, size);
  if (!until_close_) left_ -= size;
  return left_ == 0 ? Outcome::kDone : Outcome::kNeedMore;
}

}  // namespace fathom::net
