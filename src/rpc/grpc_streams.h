// The parts of the gRPC transport: what serves gateways, what calls engines, and their credentials.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

#include "rpc/transport.h"

namespace fathom::rpc {

// Of a message, a file's chunk among them. A step's events are split below it.
inline constexpr int kMaxMessageBytes = 64 << 20;
inline constexpr size_t kFileChunkBytes = size_t{256} << 10;
inline constexpr const char* kSecretHeader = "fathom-secret";

std::shared_ptr<grpc::ServerCredentials> server_credentials(const Security& security);
std::shared_ptr<grpc::ChannelCredentials> channel_credentials(const Security& security);

Result<std::unique_ptr<Server>> listen_grpc(const std::string& address, const Security& security,
                                            size_t most_queued_bytes, AcceptGateway accept,
                                            FindFile find_file);
Result<std::shared_ptr<ToEngineStream>> connect_grpc(const std::string& address,
                                                     const Security& security,
                                                     size_t most_queued_bytes,
                                                     std::unique_ptr<EngineHandler> handler);
Result<std::string> read_file_grpc(const std::string& address, const Security& security,
                                   const std::string& digest, size_t most_bytes);

}  // namespace fathom::rpc
