// Who may speak to an engine: checks of addresses and secrets.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "rpc/transport.h"

namespace fathom::rpc {

// Errors: kInvalidArgument where `address` is not of this machine and neither certificates of peers
// nor a secret within TLS are asked for, or where what belongs together is given in part.
Status check_security(const std::string& address, const Security& security);

// The first line; empty without a file. Read at each use, so that it can be replaced.
Result<std::string> read_secret(const Security& security);

// In a time that does not depend on where they differ.
bool equal_secrets(std::string_view a, std::string_view b);

}  // namespace fathom::rpc
