// HTTP heads and bodies: the same whether they come at once or byte by byte.
#include "base/check.h"
#include "fuzz_target.h"
#include "net/chunked.h"
#include "net/head_scanner.h"
#include "net/http_head.h"

namespace fathom::net {
namespace {

constexpr size_t kMaxBody = 1 << 16;

void decode_chunks(std::string_view text) {
  ChunkedDecoder whole(kMaxBody);
  std::string_view rest = text;
  std::string body;
  const auto outcome = whole.feed(rest, body);

  ChunkedDecoder slow(kMaxBody);
  std::string slow_body;
  auto slow_outcome = ChunkedDecoder::Outcome::kNeedMore;
  size_t fed = 0;
  while (fed < text.size() && slow_outcome == ChunkedDecoder::Outcome::kNeedMore) {
    std::string_view one = text.substr(fed++, 1);
    slow_outcome = slow.feed(one, slow_body);
  }
  FATHOM_CHECK(outcome == slow_outcome, "chunks decode the same byte by byte");
  FATHOM_CHECK(body == slow_body, "and give the same body");
  FATHOM_CHECK(body.size() <= kMaxBody, "a body keeps to its limit");
}

}  // namespace
}  // namespace fathom::net

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fathom;
  const std::string_view text = fuzz::as_text(data, size);
  net::HeadScanner scanner;
  const auto outcome = scanner.scan(text);
  net::HeadScanner slow;
  auto slow_outcome = net::HeadScanner::Outcome::kIncomplete;
  for (size_t end = 1; end <= size && slow_outcome == net::HeadScanner::Outcome::kIncomplete;
       ++end) {
    slow_outcome = slow.scan(text.substr(0, end));
  }
  FATHOM_CHECK(outcome == slow_outcome || size == 0, "heads end at the same place byte by byte");
  net::decode_chunks(text);
  if (outcome != net::HeadScanner::Outcome::kComplete) return 0;
  net::RequestHead request;
  const bool good = !net::parse_request_head(scanner.head(text), request);
  net::ResponseHead response;
  (void)net::parse_response_head(scanner.head(text), response);
  if (good && request.chunked) {
    FATHOM_CHECK(request.content_length == 0, "a body has one length");
    net::decode_chunks(text.substr(scanner.end()));
  }
  return 0;
}
