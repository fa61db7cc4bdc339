// An engine's side: a stream for each gateway.
#include <fmt/format.h>

#include <fstream>
#include <mutex>
#include <utility>
#include <vector>

#include "rpc/bounded_queue.h"
#include "rpc/codec.h"
#include "rpc/engine.grpc.pb.h"
#include "rpc/grpc_streams.h"
#include "rpc/security.h"

namespace fathom::rpc {
namespace {

grpc::Status to_status(const Error& error) {
  const bool ours = error.code == ErrorCode::kUnavailable;
  return {ours ? grpc::StatusCode::UNAVAILABLE : grpc::StatusCode::INVALID_ARGUMENT, error.message};
}

// Lives until gRPC is done with it, and as long as somebody may send.
class GatewayStream final : public grpc::ServerBidiReactor<wire::ToEngine, wire::FromEngine>,
                            public ToGateway,
                            public std::enable_shared_from_this<GatewayStream> {
 public:
  GatewayStream(grpc::CallbackServerContext& context, size_t most_queued_bytes)
      : context_(&context), queue_(most_queued_bytes) {}

  void start(const AcceptGateway& accept) {
    self_ = shared_from_this();
    handler_ = accept(self_);
    StartRead(&incoming_);
  }
  // Never heard, nor sent to.
  void refuse(grpc::Status status) {
    self_ = shared_from_this();
    ended_ = true;
    finished_ = true;
    Finish(std::move(status));
  }

  bool send(const FromEngine& message) override {
    const std::lock_guard lock(mutex_);
    if (ended_) return false;
    const bool idle = queue_.empty();
    if (!queue_.push(to_wire(message))) {
      cut("the gateway reads too slowly");
      return false;
    }
    if (idle) StartWrite(&queue_.front());
    return true;
  }

  void end(std::optional<Error> reason) override {
    const std::lock_guard lock(mutex_);
    if (ended_) return;
    ended_ = true;
    status_ = reason ? to_status(*reason) : grpc::Status::OK;
    if (queue_.empty()) finish();
  }

 private:
  void OnReadDone(bool ok) override {
    if (!ok) return end(std::nullopt);
    auto message = from_wire(incoming_);
    if (!message) return end(message.error());
    handler_->message(std::move(*message));
    const std::lock_guard lock(mutex_);
    if (!ended_) StartRead(&incoming_);
  }

  void OnWriteDone(bool ok) override {
    const std::lock_guard lock(mutex_);
    if (!ok) {
      ended_ = true;
      return finish();
    }
    queue_.pop();
    if (!queue_.empty()) return StartWrite(&queue_.front());
    if (ended_) finish();
  }

  void OnCancel() override {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    if (queue_.empty()) finish();  // else when the write that is under way has failed
  }

  void OnDone() override {
    std::string reason;
    {
      const std::lock_guard lock(mutex_);
      context_ = nullptr;
      reason = cut_reason_.empty() ? "the gateway went away" : cut_reason_;
    }
    if (handler_) handler_->closed(reason);
    handler_ = nullptr;
    self_ = nullptr;  // may be the last reference
  }

  // With mutex_ held.
  void finish() {
    if (!std::exchange(finished_, true)) Finish(status_);
  }
  // With mutex_ held: what is queued is not sent.
  void cut(std::string reason) {
    ended_ = true;
    cut_reason_ = std::move(reason);
    status_ = {grpc::StatusCode::RESOURCE_EXHAUSTED, cut_reason_};
    if (context_ != nullptr) context_->TryCancel();
  }

  std::shared_ptr<GatewayStream> self_;
  std::unique_ptr<GatewayHandler> handler_;
  wire::ToEngine incoming_;

  std::mutex mutex_;  // guards all below
  grpc::CallbackServerContext* context_;
  BoundedQueue<wire::FromEngine> queue_;
  grpc::Status status_;
  std::string cut_reason_;
  bool ended_ = false;
  bool finished_ = false;
};

class FileStream final : public grpc::ServerWriteReactor<wire::FileChunk> {
 public:
  explicit FileStream(const std::string& path) : file_(path, std::ios::binary) { next(); }

 private:
  void OnWriteDone(bool ok) override {
    if (ok) return next();
    Finish(grpc::Status::CANCELLED);
  }
  void OnDone() override { delete this; }

  void next() {
    std::string& data = *chunk_.mutable_data();
    data.resize(kFileChunkBytes);
    file_.read(data.data(), static_cast<std::streamsize>(data.size()));
    data.resize(static_cast<size_t>(file_.gcount()));
    if (data.empty()) return Finish(grpc::Status::OK);
    StartWrite(&chunk_);
  }

  std::ifstream file_;
  wire::FileChunk chunk_;
};

class Refusal final : public grpc::ServerWriteReactor<wire::FileChunk> {
 public:
  explicit Refusal(grpc::Status status) { Finish(std::move(status)); }

 private:
  void OnDone() override { delete this; }
};

class EngineServer final : public wire::Engine::CallbackService {
 public:
  EngineServer(Security security, size_t most_queued_bytes, AcceptGateway accept,
               FindFile find_file)
      : security_(std::move(security)),
        most_queued_bytes_(most_queued_bytes),
        accept_(std::move(accept)),
        find_file_(std::move(find_file)) {}

  grpc::ServerBidiReactor<wire::ToEngine, wire::FromEngine>* Connect(
      grpc::CallbackServerContext* context) override {
    const auto stream = std::make_shared<GatewayStream>(*context, most_queued_bytes_);
    if (const Status known = check_secret(*context); !known) {
      stream->refuse({grpc::StatusCode::UNAUTHENTICATED, known.error().message});
    } else {
      stream->start(accept_);
    }
    return stream.get();
  }

  grpc::ServerWriteReactor<wire::FileChunk>* ReadFile(grpc::CallbackServerContext* context,
                                                      const wire::FileRequest* request) override {
    if (const Status known = check_secret(*context); !known) {
      return new Refusal({grpc::StatusCode::UNAUTHENTICATED, known.error().message});
    }
    const std::string path = find_file_(request->digest());
    if (path.empty()) {
      return new Refusal({grpc::StatusCode::NOT_FOUND, "no file of this manifest has that digest"});
    }
    return new FileStream(path);
  }

 private:
  Status check_secret(const grpc::CallbackServerContext& context) const {
    FATHOM_ASSIGN(const std::string secret, read_secret(security_));
    if (secret.empty()) return {};
    const auto& headers = context.client_metadata();
    const auto given = headers.find(kSecretHeader);
    if (given == headers.end()) {
      return invalid_argument("expected the engines' secret (--engine-secret), got none");
    }
    const std::string_view value(given->second.data(), given->second.size());
    if (equal_secrets(value, secret)) return {};
    return invalid_argument("expected the engines' secret (--engine-secret), got another one");
  }

  const Security security_;
  const size_t most_queued_bytes_;
  const AcceptGateway accept_;
  const FindFile find_file_;
};

class GrpcServer final : public Server {
 public:
  explicit GrpcServer(std::unique_ptr<EngineServer> service) : service_(std::move(service)) {}
  ~GrpcServer() override {
    if (server_) server_->Shutdown(std::chrono::system_clock::now());
  }

  Status start(const std::string& address, const Security& security) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort(address, server_credentials(security), &port_);
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
    builder.SetMaxReceiveMessageSize(kMaxMessageBytes);
    builder.RegisterService(service_.get());
    server_ = builder.BuildAndStart();
    if (server_ && port_ != 0) return {};
    return Error{ErrorCode::kIo,
                 fmt::format("{}: cannot listen there: expected a free address of this machine "
                             "and, with TLS, a certificate that fits its key",
                             address)};
  }
  uint16_t port() const override { return static_cast<uint16_t>(port_); }

 private:
  std::unique_ptr<EngineServer> service_;  // outlives server_
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace

Result<std::unique_ptr<Server>> listen_grpc(const std::string& address, const Security& security,
                                            size_t most_queued_bytes, AcceptGateway accept,
                                            FindFile find_file) {
  auto server = std::make_unique<GrpcServer>(std::make_unique<EngineServer>(
      security, most_queued_bytes, std::move(accept), std::move(find_file)));
  FATHOM_TRY(server->start(address, security));
  return std::unique_ptr<Server>(std::move(server));
}

}  // namespace fathom::rpc
