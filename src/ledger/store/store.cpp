#include "ledger/store/store.h"

#include <algorithm>
#include <chrono>

#include "ledger/sql/connector.h"
#include "ledger/store/schema.h"

namespace fathom::ledger {

namespace {

Time system_time() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace

Result<std::unique_ptr<Store>> Store::open(const std::string& where, StoreOptions options) {
  if (!options.worker.own_clock) options.worker.own_clock = system_time;
  FATHOM_ASSIGN(Connect connect, connector(where));
  FATHOM_ASSIGN(auto connection, connect());
  FATHOM_TRY(migrate(*connection));
  std::unique_ptr<Store> store(new Store);
  options.worker.writes = true;
  store->writer_ = std::make_unique<Worker>(connect, std::move(connection), options.worker);
  options.worker.writes = false;
  for (int i = 0; i < std::max(options.readers, 1); ++i) {
    FATHOM_ASSIGN(auto own, connect());
    store->readers_.push_back(std::make_unique<Worker>(connect, std::move(own), options.worker));
  }
  return store;
}

Store::~Store() = default;

Worker& Store::next_reader() {
  return *readers_[turn_++ % readers_.size()];
}

}  // namespace fathom::ledger
