// A server's TLS certificate and key, which may be replaced while it runs. TLS 1.2 and 1.3.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "base/result.h"

namespace boost::asio::ssl {
class context;
}

namespace fathom::net {

class TlsIdentity {
 public:
  // PEM files: the certificate with what chains it to a root, and its private key (RSA or ECDSA,
  // without a password). Errors name the file and say what is wrong with it.
  static Result<std::shared_ptr<TlsIdentity>> load(std::string certificate_file,
                                                   std::string key_file);

  // Reads the files again. New connections get the new certificate; if the files are bad, the old
  // one stays in use.
  Status reload();

  // Thread-safe; what a connection began with stays valid for it.
  std::shared_ptr<boost::asio::ssl::context> context() const;

 private:
  TlsIdentity(std::string certificate_file, std::string key_file)
      : certificate_file_(std::move(certificate_file)), key_file_(std::move(key_file)) {}

  const std::string certificate_file_;
  const std::string key_file_;
  mutable std::mutex mutex_;
  std::shared_ptr<boost::asio::ssl::context> context_;
};

}  // namespace fathom::net
