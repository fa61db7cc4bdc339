#include "rpc/testing/memory_network.h"

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <thread>
#include <utility>

namespace fathom::rpc {

// Both ends of a stream, each called by a thread of its own.
class MemoryStream : public std::enable_shared_from_this<MemoryStream> {
 public:
  using Call = std::function<void()>;

  class GatewayEnd final : public ToEngineStream {
   public:
    explicit GatewayEnd(std::shared_ptr<MemoryStream> stream) : stream_(std::move(stream)) {}
    bool send(const ToEngine& message) override {
      return stream_->to_engine_.post(
          [stream = stream_, message] { stream->engine_->message(message); });
    }
    void end(std::optional<Error> reason) override {
      stream_->close(reason ? reason->message : "the gateway ended the stream");
    }

   private:
    const std::shared_ptr<MemoryStream> stream_;
  };

  class EngineEnd final : public ToGateway {
   public:
    explicit EngineEnd(std::shared_ptr<MemoryStream> stream) : stream_(std::move(stream)) {}
    bool send(const FromEngine& message) override {
      if (stream_->silent_) return true;
      return stream_->to_gateway_.post(
          [stream = stream_, message] { stream->gateway_->message(message); });
    }
    void end(std::optional<Error> reason) override {
      stream_->close(reason ? reason->message : "the engine ended the stream");
    }

   private:
    const std::shared_ptr<MemoryStream> stream_;
  };

  void start(const AcceptGateway& accept, std::unique_ptr<EngineHandler> gateway) {
    gateway_ = std::move(gateway);
    engine_ = accept(std::make_shared<EngineEnd>(shared_from_this()));
    to_engine_.start();
    to_gateway_.start();
  }

  void silence() { silent_ = true; }
  void close(const std::string& reason) {
    to_engine_.close([stream = shared_from_this(), reason] { stream->engine_->closed(reason); });
    to_gateway_.close([stream = shared_from_this(), reason] {
      if (!stream->silent_) stream->gateway_->closed(reason);
    });
  }
  // Waits until no handler is called any more, nor ever will be; frees them.
  void join() {
    to_engine_.join();
    to_gateway_.join();
    engine_ = nullptr;
    gateway_ = nullptr;
  }

 private:
  class Lane {
   public:
    ~Lane() { join(); }
    void start() {
      thread_ = std::thread([this] { run(); });
    }
    bool post(Call call) {
      const std::lock_guard lock(mutex_);
      if (closed_) return false;
      calls_.push_back(std::move(call));
      changed_.notify_one();
      return true;
    }
    void close(Call last) {
      const std::lock_guard lock(mutex_);
      if (std::exchange(closed_, true)) return;
      calls_.clear();
      calls_.push_back(std::move(last));
      changed_.notify_one();
    }
    void join() {
      if (thread_.joinable() && thread_.get_id() != std::this_thread::get_id()) thread_.join();
    }

   private:
    void run() {
      for (;;) {
        Call call;
        bool last = false;
        {
          std::unique_lock lock(mutex_);
          changed_.wait(lock, [this] { return !calls_.empty(); });
          call = std::move(calls_.front());
          calls_.pop_front();
          last = closed_ && calls_.empty();
        }
        call();
        if (last) return;
      }
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<Call> calls_;
    bool closed_ = false;
    std::thread thread_;
  };

  std::unique_ptr<EngineHandler> gateway_;
  std::unique_ptr<GatewayHandler> engine_;
  std::atomic<bool> silent_ = false;
  Lane to_engine_;
  Lane to_gateway_;
};

class MemoryNetwork::Listening final : public Server {
 public:
  Listening(MemoryNetwork& network, std::string address)
      : network_(network), address_(std::move(address)) {}
  ~Listening() override { network_.stop_listening(address_); }
  uint16_t port() const override { return 1; }

 private:
  MemoryNetwork& network_;
  const std::string address_;
};

MemoryNetwork::~MemoryNetwork() {
  for (const auto& [address, stream] : streams_) {
    stream->close("the network is gone");
    stream->join();
  }
}

Result<std::unique_ptr<Server>> MemoryNetwork::listen(const std::string& address, const Security&,
                                                      size_t, AcceptGateway accept, FindFile) {
  const std::lock_guard lock(mutex_);
  listening_[address] = std::move(accept);
  return std::unique_ptr<Server>(std::make_unique<Listening>(*this, address));
}

Result<std::shared_ptr<ToEngineStream>> MemoryNetwork::connect(
    const std::string& address, const Security&, size_t, std::unique_ptr<EngineHandler> handler) {
  const auto stream = std::make_shared<MemoryStream>();
  AcceptGateway accept;
  {
    const std::lock_guard lock(mutex_);
    const auto found = listening_.find(address);
    if (found == listening_.end() || cut_.contains(address)) {
      return Error{ErrorCode::kUnavailable, address + ": nobody is there"};
    }
    accept = found->second;
    streams_.emplace(address, stream);
  }
  stream->start(accept, std::move(handler));
  return std::shared_ptr<ToEngineStream>(std::make_shared<MemoryStream::GatewayEnd>(stream));
}

Result<std::string> MemoryNetwork::read_file(const std::string& address, const Security&,
                                             const std::string&, size_t) {
  return Error{ErrorCode::kNotFound, address + ": no files here"};
}

std::vector<std::shared_ptr<MemoryStream>> MemoryNetwork::streams_to(
    const std::string& address) const {
  const std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<MemoryStream>> found;
  const auto [begin, end] = streams_.equal_range(address);
  for (auto each = begin; each != end; ++each) found.push_back(each->second);
  return found;
}

void MemoryNetwork::cut(const std::string& address) {
  {
    const std::lock_guard lock(mutex_);
    cut_.insert(address);
  }
  for (const auto& stream : streams_to(address)) stream->close(address + ": cut");
}

void MemoryNetwork::silence(const std::string& address) {
  {
    const std::lock_guard lock(mutex_);
    cut_.insert(address);
  }
  for (const auto& stream : streams_to(address)) stream->silence();
}

void MemoryNetwork::restore(const std::string& address) {
  const std::lock_guard lock(mutex_);
  cut_.erase(address);
}

void MemoryNetwork::stop_listening(const std::string& address) {
  {
    const std::lock_guard lock(mutex_);
    listening_.erase(address);
  }
  for (const auto& stream : streams_to(address)) {
    stream->close(address + ": the engine is gone");
    stream->join();
  }
  const std::lock_guard lock(mutex_);
  streams_.erase(address);
}

}  // namespace fathom::rpc
