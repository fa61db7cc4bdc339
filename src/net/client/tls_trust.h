// A client's TLS settings: TLS 1.2 and 1.3, with servers whose certificate is trusted and issued
// for their name.
#pragma once

#include <boost/asio/ssl/context.hpp>
#include <memory>
#include <string>

#include "base/result.h"

namespace fathom::net {

// `ca_file`: PEM certificates to trust; "": the system's. Errors name the file.
Result<std::shared_ptr<boost::asio::ssl::context>> make_trust(const std::string& ca_file);

}  // namespace fathom::net
