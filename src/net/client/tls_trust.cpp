#include "net/client/tls_trust.h"

namespace fathom::net {

namespace ssl = boost::asio::ssl;

Result<std::shared_ptr<ssl::context>> make_trust(const std::string& ca_file) {
  auto context = std::make_shared<ssl::context>(ssl::context::tls_client);
  SSL_CTX_set_min_proto_version(context->native_handle(), TLS1_2_VERSION);
  SSL_CTX_set_mode(context->native_handle(), SSL_MODE_RELEASE_BUFFERS);  // of idle connections
  boost::system::error_code error;
  if (ca_file.empty()) {
    context->set_default_verify_paths(error);
    if (!error) return context;
    return Error{ErrorCode::kIo, "certificates of this system: " + error.message()};
  }
  context->load_verify_file(ca_file, error);
  if (!error) return context;
  return Error{ErrorCode::kDataCorrupt,
               ca_file + ": expected PEM certificates, got: " + error.message(), ca_file};
}

}  // namespace fathom::net
