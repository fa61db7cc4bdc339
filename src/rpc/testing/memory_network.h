// Streams within a process: a network whose links a test can cut.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "rpc/transport.h"

namespace fathom::rpc {

class MemoryStream;

class MemoryNetwork final : public Transport {
 public:
  ~MemoryNetwork() override;

  Result<std::unique_ptr<Server>> listen(const std::string& address, const Security& security,
                                         size_t most_queued_bytes, AcceptGateway accept,
                                         FindFile find_file) override;
  Result<std::shared_ptr<ToEngineStream>> connect(const std::string& address,
                                                  const Security& security,
                                                  size_t most_queued_bytes,
                                                  std::unique_ptr<EngineHandler> handler) override;
  Result<std::string> read_file(const std::string& address, const Security& security,
                                const std::string& digest, size_t most_bytes) override;

  // Closes the streams to that address, and refuses new ones until restore().
  void cut(const std::string& address);
  // Nothing arrives from there any more, and nobody is told.
  void silence(const std::string& address);
  void restore(const std::string& address);

 private:
  class Listening;
  std::vector<std::shared_ptr<MemoryStream>> streams_to(const std::string& address) const;
  void stop_listening(const std::string& address);

  mutable std::mutex mutex_;
  std::map<std::string, AcceptGateway> listening_;
  std::set<std::string> cut_;
  std::multimap<std::string, std::shared_ptr<MemoryStream>> streams_;
};

}  // namespace fathom::rpc
