// Packed bodies: whatever comes is unpacked within the limit or refused.
#include "base/check.h"
#include "fuzz_target.h"
#include "net/content_coding.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fathom;
  constexpr size_t kMost = 1 << 16;
  const std::string_view packed = fuzz::as_text(data, size);
  const auto text = net::gunzip(packed, kMost);
  if (!text) return 0;
  FATHOM_CHECK(text->size() <= kMost, "a text keeps to its limit");
  FATHOM_CHECK(net::gunzip(packed, text->size()).ok(), "and fits where it just does");
  if (!text->empty()) {
    FATHOM_CHECK(!net::gunzip(packed, text->size() - 1).ok(), "but not in less");
  }
  return 0;
}
