// A gateway's side: its stream to one engine.
#include <fmt/format.h>

#include <mutex>
#include <utility>

#include "rpc/bounded_queue.h"
#include "rpc/codec.h"
#include "rpc/engine.grpc.pb.h"
#include "rpc/grpc_streams.h"
#include "rpc/security.h"

namespace fathom::rpc {
namespace {

std::shared_ptr<grpc::Channel> make_channel(const std::string& address, const Security& security) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  // Each stream has its own connection, and whoever uses it decides when to try again.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  return grpc::CreateCustomChannel(address, channel_credentials(security), arguments);
}

Status add_secret(const Security& security, grpc::ClientContext& context) {
  FATHOM_ASSIGN(const std::string secret, read_secret(security));
  if (!secret.empty()) context.AddMetadata(kSecretHeader, secret);
  return {};
}

// Lives until gRPC is done with it, and as long as somebody may send.
class EngineStream final : public grpc::ClientBidiReactor<wire::ToEngine, wire::FromEngine>,
                           public ToEngineStream,
                           public std::enable_shared_from_this<EngineStream> {
 public:
  EngineStream(const std::string& address, const Security& security, size_t most_queued_bytes,
               std::unique_ptr<EngineHandler> handler)
      : address_(address),
        channel_(make_channel(address, security)),
        stub_(wire::Engine::NewStub(channel_)),
        handler_(std::move(handler)),
        queue_(most_queued_bytes) {}

  Status start(const Security& security) {
    FATHOM_TRY(add_secret(security, context_));
    self_ = shared_from_this();
    stub_->async()->Connect(&context_, this);
    AddHold();  // for those who send from elsewhere
    StartRead(&incoming_);
    StartCall();
    return {};
  }

  bool send(const ToEngine& message) override {
    const std::lock_guard lock(mutex_);
    if (ended_) return false;
    const bool idle = queue_.empty();
    if (!queue_.push(to_wire(message))) {
      ended_ = true;
      context_.TryCancel();
      return false;
    }
    if (idle) StartWrite(&queue_.front());
    return true;
  }

  void end(std::optional<Error> reason) override {
    const std::lock_guard lock(mutex_);
    if (std::exchange(ended_, true)) return;
    if (reason) return context_.TryCancel();
    if (queue_.empty()) StartWritesDone();
  }

 private:
  void OnReadDone(bool ok) override {
    if (ok) {
      auto message = from_wire(incoming_);
      if (message) {
        handler_->message(std::move(*message));
        return StartRead(&incoming_);
      }
      const std::lock_guard lock(mutex_);
      wrong_ = message.error().message;
      context_.TryCancel();
    }
    {
      const std::lock_guard lock(mutex_);
      ended_ = true;
    }
    RemoveHold();
  }

  void OnWriteDone(bool ok) override {
    const std::lock_guard lock(mutex_);
    if (!ok) {
      ended_ = true;  // the read fails too, and ends the stream
      return;
    }
    queue_.pop();
    if (!queue_.empty()) return StartWrite(&queue_.front());
    if (ended_) StartWritesDone();
  }

  void OnDone(const grpc::Status& status) override {
    std::string reason = status.error_message();
    {
      const std::lock_guard lock(mutex_);
      ended_ = true;
      if (!wrong_.empty()) reason = wrong_;
    }
    if (reason.empty()) reason = "the engine ended the stream";
    handler_->closed(fmt::format("engine {}: {}", address_, reason));
    handler_ = nullptr;
    self_ = nullptr;  // may be the last reference
  }

  const std::string address_;
  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<wire::Engine::Stub> stub_;
  std::shared_ptr<EngineStream> self_;
  std::unique_ptr<EngineHandler> handler_;
  grpc::ClientContext context_;
  wire::FromEngine incoming_;

  std::mutex mutex_;  // guards all below
  BoundedQueue<wire::ToEngine> queue_;
  std::string wrong_;  // why the peer's message was none
  bool ended_ = false;
};

constexpr std::chrono::seconds kFileDeadline{60};

}  // namespace

Result<std::shared_ptr<ToEngineStream>> connect_grpc(const std::string& address,
                                                     const Security& security,
                                                     size_t most_queued_bytes,
                                                     std::unique_ptr<EngineHandler> handler) {
  const auto stream =
      std::make_shared<EngineStream>(address, security, most_queued_bytes, std::move(handler));
  FATHOM_TRY(stream->start(security));
  return std::shared_ptr<ToEngineStream>(stream);
}

Result<std::string> read_file_grpc(const std::string& address, const Security& security,
                                   const std::string& digest, size_t most_bytes) {
  const auto stub = wire::Engine::NewStub(make_channel(address, security));
  grpc::ClientContext context;
  FATHOM_TRY(add_secret(security, context));
  context.set_deadline(std::chrono::system_clock::now() + kFileDeadline);
  wire::FileRequest request;
  request.set_digest(digest);
  const auto reader = stub->ReadFile(&context, request);
  std::string text;
  wire::FileChunk chunk;
  while (reader->Read(&chunk)) {
    if (chunk.data().size() > most_bytes - text.size()) {
      context.TryCancel();
      return Error{ErrorCode::kResourceExhausted,
                   fmt::format("engine {}: expected a file of at most {} bytes, got more", address,
                               most_bytes)};
    }
    text += chunk.data();
  }
  if (const grpc::Status status = reader->Finish(); !status.ok()) {
    return Error{ErrorCode::kUnavailable,
                 fmt::format("engine {}: {}", address, status.error_message())};
  }
  return text;
}

}  // namespace fathom::rpc
