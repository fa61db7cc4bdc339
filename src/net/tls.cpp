#include "net/tls.h"

#include <boost/asio/ssl/context.hpp>
#include <utility>

namespace fathom::net {
namespace {

namespace ssl = boost::asio::ssl;
using SystemError = boost::system::error_code;

Error file_error(const std::string& file, const char* expected, const SystemError& error) {
  return {ErrorCode::kDataCorrupt, file + ": expected " + expected + ", got: " + error.message(),
          file};
}

Result<std::shared_ptr<ssl::context>> make_context(const std::string& certificate_file,
                                                   const std::string& key_file) {
  auto context = std::make_shared<ssl::context>(ssl::context::tls_server);
  SSL_CTX* native = context->native_handle();
  SSL_CTX_set_min_proto_version(native, TLS1_2_VERSION);
  SSL_CTX_set_options(native, SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_mode(native, SSL_MODE_RELEASE_BUFFERS);  // of idle connections
  // A key with a password would be asked for on the terminal.
  context->set_password_callback([](std::size_t, ssl::context::password_purpose) { return ""; });

  SystemError error;
  context->use_certificate_chain_file(certificate_file, error);
  if (error) return file_error(certificate_file, "a PEM certificate chain", error);
  context->use_private_key_file(key_file, ssl::context::pem, error);
  if (error) return file_error(key_file, "the PEM private key of the certificate", error);
  if (SSL_CTX_check_private_key(native) != 1) {
    return Error{ErrorCode::kDataCorrupt,
                 key_file + ": expected the private key of " + certificate_file + ", got another",
                 key_file};
  }
  return context;
}

}  // namespace

Result<std::shared_ptr<TlsIdentity>> TlsIdentity::load(std::string certificate_file,
                                                       std::string key_file) {
  std::shared_ptr<TlsIdentity> identity(
      new TlsIdentity(std::move(certificate_file), std::move(key_file)));
  FATHOM_TRY(identity->reload());
  return identity;
}

Status TlsIdentity::reload() {
  FATHOM_ASSIGN(auto context, make_context(certificate_file_, key_file_));
  const std::scoped_lock lock(mutex_);
  context_ = std::move(context);
  return {};
}

std::shared_ptr<ssl::context> TlsIdentity::context() const {
  const std::scoped_lock lock(mutex_);
  return context_;
}

}  // namespace fathom::net
