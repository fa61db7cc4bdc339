// Addresses that only this machine reaches.
#pragma once

#include <string>

namespace fathom {

// Whether a name, or an address with or without brackets, is one of them.
bool is_loopback(const std::string& host);

}  // namespace fathom
