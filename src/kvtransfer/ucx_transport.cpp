// Transport over UCX: active messages of a UCP worker. UCX itself chooses between shared memory,
// TCP and RDMA. The one file that knows ucp.h; it becomes a plug-in, so that the binary runs on
// machines without UCX.
#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <ucp/api/ucp.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <unordered_map>
#include <utility>

#include "kvtransfer/resolved_address.h"
#include "kvtransfer/transport.h"

namespace fathom::kvtransfer {
namespace {

constexpr unsigned kMessageId = 0;  // of active messages
constexpr size_t kMaxPeers = 1024;
constexpr int kProgressAtOnce = 64;

Error failed(const char* what, ucs_status_t status) {
  return {ErrorCode::kIo, fmt::format("ucx: {}: {}", what, ucs_status_string(status))};
}

class UcxTransport final : public Transport {
 public:
  explicit UcxTransport(size_t max_message) : max_message_(max_message) {}
  ~UcxTransport() override;
  Status start();

  Result<uint16_t> listen(const Address& address) override;
  Result<PeerId> connect(const Address& address) override;
  void send(PeerId peer, std::vector<std::byte> bytes) override;
  void close(PeerId peer) override;
  bool progress(TransportHandler& handler) override;
  void wait(std::chrono::milliseconds most) override;
  void wake() override;

 private:
  struct Event {
    PeerId peer = 0;
    std::vector<std::byte> bytes;
    std::optional<std::string> lost;
  };
  struct Sending {
    std::vector<std::byte> bytes;
  };
  struct Receiving {
    void finish(ucs_status_t status);  // and ends itself

    UcxTransport* transport;
    PeerId peer;
    std::vector<std::byte> bytes;
  };

  // UCX calls these from progress(); what they find waits in lists until it has returned.
  static void on_connection(ucp_conn_request_h connection, void* self);
  static void on_error(void* self, ucp_ep_h endpoint, ucs_status_t status);
  static ucs_status_t on_message(void* self, const void* header, size_t header_bytes, void* data,
                                 size_t bytes, const ucp_am_recv_param_t* param);
  static void on_sent(void* request, ucs_status_t status, void* sending);
  static void on_received(void* request, ucs_status_t status, size_t bytes, void* receiving);
  static void on_closed(void* request, ucs_status_t status, void* self);

  Result<PeerId> add_peer(ucp_ep_params_t params);
  ucs_status_t receive(PeerId peer, void* data, size_t bytes, const ucp_am_recv_param_t* param);
  void lose(PeerId peer, std::string reason);
  void accept();

  const size_t max_message_;
  ucp_context_h context_ = nullptr;
  ucp_worker_h worker_ = nullptr;
  ucp_listener_h listener_ = nullptr;
  int worker_fd_ = -1;
  int wake_fd_ = -1;
  PeerId last_peer_ = 0;
  std::unordered_map<PeerId, ucp_ep_h> endpoints_;
  std::unordered_map<ucp_ep_h, PeerId> peers_;
  std::vector<ucp_conn_request_h> connections_;  // not accepted yet
  std::vector<Event> events_;                    // not told yet
  size_t closing_ = 0;                           // endpoints
};

Status UcxTransport::start() {
  ucp_config_t* config = nullptr;
  auto status = ucp_config_read(nullptr, nullptr, &config);
  if (status != UCS_OK) return failed("configuration", status);
  ucp_params_t params = {};
  params.field_mask = UCP_PARAM_FIELD_FEATURES | UCP_PARAM_FIELD_NAME;
  params.features = UCP_FEATURE_AM | UCP_FEATURE_WAKEUP;
  params.name = "fathom";
  status = ucp_init(&params, config, &context_);
  ucp_config_release(config);
  if (status != UCS_OK) return failed("start", status);

  ucp_worker_params_t worker = {};
  worker.field_mask = UCP_WORKER_PARAM_FIELD_THREAD_MODE;
  worker.thread_mode = UCS_THREAD_MODE_SERIALIZED;
  status = ucp_worker_create(context_, &worker, &worker_);
  if (status != UCS_OK) return failed("worker", status);
  status = ucp_worker_get_efd(worker_, &worker_fd_);
  if (status != UCS_OK) return failed("events", status);
  wake_fd_ = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (wake_fd_ < 0) return Error{ErrorCode::kIo, "eventfd: expected a descriptor, got none"};

  ucp_am_handler_param_t handler = {};
  handler.field_mask = UCP_AM_HANDLER_PARAM_FIELD_ID | UCP_AM_HANDLER_PARAM_FIELD_FLAGS |
                       UCP_AM_HANDLER_PARAM_FIELD_CB | UCP_AM_HANDLER_PARAM_FIELD_ARG;
  handler.id = kMessageId;
  handler.flags = UCP_AM_FLAG_WHOLE_MSG;
  handler.cb = on_message;
  handler.arg = this;
  status = ucp_worker_set_am_recv_handler(worker_, &handler);
  if (status != UCS_OK) return failed("messages", status);
  return {};
}

UcxTransport::~UcxTransport() {
  while (!endpoints_.empty()) close(endpoints_.begin()->first);
  for (const auto connection : connections_) ucp_listener_reject(listener_, connection);
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(1);
  while (closing_ > 0 && std::chrono::steady_clock::now() < end) ucp_worker_progress(worker_);
  if (listener_ != nullptr) ucp_listener_destroy(listener_);
  if (worker_ != nullptr) ucp_worker_destroy(worker_);
  if (context_ != nullptr) ucp_cleanup(context_);
  if (wake_fd_ >= 0) ::close(wake_fd_);
}

Result<uint16_t> UcxTransport::listen(const Address& address) {
  FATHOM_ASSIGN(const ResolvedAddress resolved, ResolvedAddress::of(address));
  ucp_listener_params_t params = {};
  params.field_mask = UCP_LISTENER_PARAM_FIELD_SOCK_ADDR | UCP_LISTENER_PARAM_FIELD_CONN_HANDLER;
  params.sockaddr = {resolved.data(), resolved.size()};
  params.conn_handler = {on_connection, this};
  auto status = ucp_listener_create(worker_, &params, &listener_);
  if (status != UCS_OK) return failed("listen", status).with_context(address.text());
  ucp_listener_attr_t attributes = {};
  attributes.field_mask = UCP_LISTENER_ATTR_FIELD_SOCKADDR;
  status = ucp_listener_query(listener_, &attributes);
  if (status != UCS_OK) return failed("listen", status).with_context(address.text());
  const bool v6 = attributes.sockaddr.ss_family == AF_INET6;
  const in_port_t port = v6 ? reinterpret_cast<sockaddr_in6*>(&attributes.sockaddr)->sin6_port
                            : reinterpret_cast<sockaddr_in*>(&attributes.sockaddr)->sin_port;
  return ntohs(port);
}

Result<PeerId> UcxTransport::connect(const Address& address) {
  FATHOM_ASSIGN(const ResolvedAddress resolved, ResolvedAddress::of(address));
  ucp_ep_params_t params = {};
  params.field_mask = UCP_EP_PARAM_FIELD_FLAGS | UCP_EP_PARAM_FIELD_SOCK_ADDR;
  params.flags = UCP_EP_PARAMS_FLAGS_CLIENT_SERVER;
  params.sockaddr = {resolved.data(), resolved.size()};
  auto peer = add_peer(params);
  if (!peer) return peer.error().with_context(address.text());
  return peer;
}

Result<PeerId> UcxTransport::add_peer(ucp_ep_params_t params) {
  params.field_mask |= UCP_EP_PARAM_FIELD_ERR_HANDLER | UCP_EP_PARAM_FIELD_ERR_HANDLING_MODE;
  params.err_mode = UCP_ERR_HANDLING_MODE_PEER;  // a peer that dies is an error here, no more
  params.err_handler = {on_error, this};
  ucp_ep_h endpoint = nullptr;
  const auto status = ucp_ep_create(worker_, &params, &endpoint);
  if (status != UCS_OK) return failed("connect", status);
  const PeerId peer = ++last_peer_;
  endpoints_[peer] = endpoint;
  peers_[endpoint] = peer;
  return peer;
}

void UcxTransport::accept() {
  for (const auto connection : std::exchange(connections_, {})) {
    if (endpoints_.size() >= kMaxPeers) {
      ucp_listener_reject(listener_, connection);
      continue;
    }
    ucp_ep_params_t params = {};
    params.field_mask = UCP_EP_PARAM_FIELD_CONN_REQUEST;
    params.conn_request = connection;
    (void)add_peer(params).ok();  // one that is gone by now leaves nothing behind
  }
}

void UcxTransport::send(PeerId peer, std::vector<std::byte> bytes) {
  const auto found = endpoints_.find(peer);
  if (found == endpoints_.end()) return;
  auto* sending = new Sending{std::move(bytes)};
  ucp_request_param_t param = {};
  param.op_attr_mask =
      UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA | UCP_OP_ATTR_FIELD_FLAGS;
  param.flags = UCP_AM_SEND_FLAG_REPLY;  // tells the peer who sends
  param.cb.send = on_sent;
  param.user_data = sending;
  const auto* data = sending->bytes.data();
  auto* request =
      ucp_am_send_nbx(found->second, kMessageId, nullptr, 0, data, sending->bytes.size(), &param);
  if (UCS_PTR_IS_PTR(request)) return;
  delete sending;
  if (UCS_PTR_IS_ERR(request)) lose(peer, ucs_status_string(UCS_PTR_STATUS(request)));
}

void UcxTransport::close(PeerId peer) {
  const auto found = endpoints_.find(peer);
  if (found == endpoints_.end()) return;
  ucp_request_param_t param = {};
  param.op_attr_mask =
      UCP_OP_ATTR_FIELD_FLAGS | UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA;
  param.flags = UCP_EP_CLOSE_FLAG_FORCE;
  param.cb.send = on_closed;
  param.user_data = this;
  if (UCS_PTR_IS_PTR(ucp_ep_close_nbx(found->second, &param))) ++closing_;
  peers_.erase(found->second);
  endpoints_.erase(found);
}

bool UcxTransport::progress(TransportHandler& handler) {
  int done = 0;
  while (done < kProgressAtOnce && ucp_worker_progress(worker_) > 0) ++done;
  accept();
  bool told = false;
  for (Event& event : std::exchange(events_, {})) {
    if (!endpoints_.contains(event.peer)) continue;  // closed meanwhile
    told = true;
    if (!event.lost) {
      handler.message(event.peer, std::move(event.bytes));
      continue;
    }
    close(event.peer);
    handler.lost(event.peer, *event.lost);
  }
  return done > 0 || told;
}

void UcxTransport::wait(std::chrono::milliseconds most) {
  if (!events_.empty() || ucp_worker_arm(worker_) != UCS_OK) return;  // there is something to do
  pollfd files[] = {{worker_fd_, POLLIN, 0}, {wake_fd_, POLLIN, 0}};
  poll(files, 2, static_cast<int>(most.count()));
  uint64_t count = 0;
  [[maybe_unused]] const auto read_bytes = read(wake_fd_, &count, sizeof(count));
}

void UcxTransport::wake() {
  const uint64_t one = 1;
  [[maybe_unused]] const auto written = write(wake_fd_, &one, sizeof(one));
}

void UcxTransport::lose(PeerId peer, std::string reason) {
  events_.push_back({peer, {}, std::move(reason)});
}

void UcxTransport::on_connection(ucp_conn_request_h connection, void* self) {
  static_cast<UcxTransport*>(self)->connections_.push_back(connection);
}

void UcxTransport::on_error(void* self, ucp_ep_h endpoint, ucs_status_t status) {
  auto* transport = static_cast<UcxTransport*>(self);
  const auto found = transport->peers_.find(endpoint);
  if (found != transport->peers_.end()) transport->lose(found->second, ucs_status_string(status));
}

ucs_status_t UcxTransport::on_message(void* self, const void* /*header*/, size_t /*header_bytes*/,
                                      void* data, size_t bytes, const ucp_am_recv_param_t* param) {
  auto* transport = static_cast<UcxTransport*>(self);
  if ((param->recv_attr & UCP_AM_RECV_ATTR_FIELD_REPLY_EP) == 0) return UCS_OK;
  const auto found = transport->peers_.find(param->reply_ep);
  if (found == transport->peers_.end()) return UCS_OK;
  return transport->receive(found->second, data, bytes, param);
}

// What is not wanted is let go by returning UCS_OK.
ucs_status_t UcxTransport::receive(PeerId peer, void* data, size_t bytes,
                                   const ucp_am_recv_param_t* param) {
  if (bytes > max_message_) {
    lose(peer, fmt::format("expected messages of at most {} bytes, got {}", max_message_, bytes));
    return UCS_OK;
  }
  if ((param->recv_attr & UCP_AM_RECV_ATTR_FLAG_RNDV) == 0) {
    const auto* begin = static_cast<const std::byte*>(data);
    events_.push_back({peer, {begin, begin + bytes}, {}});
    return UCS_OK;
  }
  auto* receiving = new Receiving{this, peer, std::vector<std::byte>(bytes)};
  ucp_request_param_t receive = {};
  receive.op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA;
  receive.cb.recv_am = on_received;
  receive.user_data = receiving;
  auto* request = ucp_am_recv_data_nbx(worker_, data, receiving->bytes.data(), bytes, &receive);
  if (!UCS_PTR_IS_PTR(request)) receiving->finish(UCS_PTR_STATUS(request));
  return UCS_INPROGRESS;
}

void UcxTransport::Receiving::finish(ucs_status_t status) {
  const std::unique_ptr<Receiving> self(this);
  if (status == UCS_OK) {
    transport->events_.push_back({peer, std::move(bytes), {}});
  } else {
    transport->lose(peer, ucs_status_string(status));
  }
}

void UcxTransport::on_sent(void* request, ucs_status_t /*status*/, void* sending) {
  delete static_cast<Sending*>(sending);  // a failure is the endpoint's, which on_error() hears of
  ucp_request_free(request);
}

void UcxTransport::on_received(void* request, ucs_status_t status, size_t /*bytes*/,
                               void* receiving) {
  ucp_request_free(request);
  static_cast<Receiving*>(receiving)->finish(status);
}

void UcxTransport::on_closed(void* request, ucs_status_t /*status*/, void* self) {
  --static_cast<UcxTransport*>(self)->closing_;
  ucp_request_free(request);
}

}  // namespace
}  // namespace fathom::kvtransfer

extern "C" fathom::Result<std::unique_ptr<fathom::kvtransfer::Transport>>* fathom_kv_transport(
    int version, size_t max_message) {
  using fathom::kvtransfer::Transport;
  using Made = fathom::Result<std::unique_ptr<Transport>>;
  if (version != fathom::kvtransfer::kTransportVersion) return nullptr;
  auto transport = std::make_unique<fathom::kvtransfer::UcxTransport>(max_message);
  if (auto started = transport->start(); !started) return new Made(started.error());
  return new Made(std::unique_ptr<Transport>(std::move(transport)));
}
