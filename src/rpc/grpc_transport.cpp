// The plug-in's entry, and the credentials of both sides.
#include <grpc/support/log.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>

#include "rpc/engine.grpc.pb.h"
#include "rpc/grpc_streams.h"
#include "rpc/security.h"

namespace fathom::rpc {
namespace {

using grpc::experimental::FileWatcherCertificateProvider;

constexpr unsigned kSecondsBetweenLooks = 1;  // at files that may have been replaced

std::shared_ptr<FileWatcherCertificateProvider> watch_files(const Security& security) {
  return std::make_shared<FileWatcherCertificateProvider>(
      security.key_file, security.certificate_file, security.authority_file, kSecondsBetweenLooks);
}

class GrpcTransport final : public Transport {
 public:
  Result<std::unique_ptr<Server>> listen(const std::string& address, const Security& security,
                                         size_t most_queued_bytes, AcceptGateway accept,
                                         FindFile find_file) override {
    FATHOM_TRY(check_security(address, security));
    return listen_grpc(address, security, most_queued_bytes, std::move(accept),
                       std::move(find_file));
  }
  Result<std::shared_ptr<ToEngineStream>> connect(const std::string& address,
                                                  const Security& security,
                                                  size_t most_queued_bytes,
                                                  std::unique_ptr<EngineHandler> handler) override {
    FATHOM_TRY(check_security(address, security));
    return connect_grpc(address, security, most_queued_bytes, std::move(handler));
  }
  Result<std::string> read_file(const std::string& address, const Security& security,
                                const std::string& digest, size_t most_bytes) override {
    FATHOM_TRY(check_security(address, security));
    return read_file_grpc(address, security, digest, most_bytes);
  }
};

}  // namespace

std::shared_ptr<grpc::ServerCredentials> server_credentials(const Security& security) {
  if (security.certificate_file.empty()) return grpc::InsecureServerCredentials();
  grpc::experimental::TlsServerCredentialsOptions options(watch_files(security));
  options.watch_identity_key_cert_pairs();
  if (!security.authority_file.empty()) {
    options.watch_root_certs();
    options.set_cert_request_type(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  }
  return grpc::experimental::TlsServerCredentials(options);
}

std::shared_ptr<grpc::ChannelCredentials> channel_credentials(const Security& security) {
  if (security.certificate_file.empty() && security.authority_file.empty()) {
    return grpc::InsecureChannelCredentials();
  }
  grpc::experimental::TlsChannelCredentialsOptions options;
  options.set_certificate_provider(watch_files(security));
  if (!security.authority_file.empty()) options.watch_root_certs();
  if (!security.certificate_file.empty()) options.watch_identity_key_cert_pairs();
  return grpc::experimental::TlsCredentials(options);
}

namespace {

namespace wire = fathom::engine::v1;

// What goes wrong with a peer is told once, by whoever called it or serves it.
void keep_quiet() {
  gpr_set_log_function([](gpr_log_func_args*) {});
}

// gRPC calls handlers on threads that end with its last server or channel, even where that goes on
// one of them, which then waits for itself. A server that nobody reaches keeps them.
void keep_threads() {
  static auto* const service = new wire::Engine::CallbackService();
  static auto* const server =
      grpc::ServerBuilder().RegisterService(service).BuildAndStart().release();
  (void)server;
}

}  // namespace
}  // namespace fathom::rpc

extern "C" fathom::rpc::Transport* fathom_rpc_transport(int version) {
  if (version != fathom::rpc::kTransportVersion) return nullptr;
  fathom::rpc::keep_quiet();
  fathom::rpc::keep_threads();
  return new fathom::rpc::GrpcTransport();
}
