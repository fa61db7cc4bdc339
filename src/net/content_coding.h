// Decodes the Content-Encoding of a body.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.h"

namespace fathom::net {

// Whether `coding`, a Content-Encoding, names gzip ("gzip" or "x-gzip", any case).
bool is_gzip(std::string_view coding);

// The text within one gzip member (RFC 1952) that is all of `data`. Errors: kResourceExhausted
// where it is longer than `max_bytes`, found out before more memory than that is taken;
// kInvalidArgument where `data` is no such member, ends early, goes on behind it or has another
// check sum.
Result<std::string> gunzip(std::string_view data, std::size_t max_bytes);

}  // namespace fathom::net
