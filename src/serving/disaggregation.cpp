#include "serving/disaggregation.h"

#include <fmt/format.h>

#include "base/log.h"
#include "base/loopback.h"
#include "kvtransfer/load_transport.h"
#include "kvtransfer/prefill_client.h"

namespace fathom::serving {

using kvtransfer::Address;

Status check_disaggregation(const DisaggregationOptions& options, bool prefix_cache) {
  const auto wrong = [](const char* flag, const char* expected) {
    return invalid_argument(fmt::format("{}: expected {}", flag, expected), flag);
  };
  const bool listens = !options.kv_listen.empty();
  const bool asks = !options.prefill.empty();
  switch (options.role) {
    case Role::kBoth:
      if (listens) return wrong("--kv-listen", "--role prefill with it, got none");
      if (asks) return wrong("--prefill", "--role decode with it, got none");
      return {};
    case Role::kPrefill:
      if (asks) return wrong("--prefill", "--role decode with it, got prefill");
      if (!listens) {
        return wrong("--role prefill", "--kv-listen HOST:PORT, where decode engines ask, got none");
      }
      if (const auto address = Address::parse(options.kv_listen, "--kv-listen"); !address) {
        return address.error();
      }
      return {};
    case Role::kDecode:
      break;
  }
  if (listens) return wrong("--kv-listen", "--role prefill with it, got decode");
  if (!asks) return wrong("--role decode", "--prefill HOST:PORT of a prefill engine, got none");
  if (!prefix_cache) {
    return wrong("--prefix-cache off", "on with --role decode: that is where KV blocks go");
  }
  for (const std::string& text : options.prefill) {
    const auto address = Address::parse(text, "--prefill");
    if (!address) return address.error();
    if (address->port == 0) return wrong("--prefill", "a port other than 0");
  }
  return {};
}

Result<std::unique_ptr<engine::KvSource>> make_source(const DisaggregationOptions& options,
                                                      const std::string& model_hash,
                                                      const models::CausalLm& model) {
  std::unique_ptr<engine::KvSource> none;
  if (options.role != Role::kDecode) return none;
  const models::KvBlockFormat format = model.kv_block_format();
  kvtransfer::PrefillClientOptions client = {
      .peers = {},
      .hello = {model_hash, format, model.limits().max_context},
      .deadline = static_cast<double>(options.deadline_seconds)};
  for (const std::string& text : options.prefill) {
    FATHOM_ASSIGN(Address address, Address::parse(text, "--prefill"));
    client.peers.push_back(std::move(address));
  }
  FATHOM_ASSIGN(auto transport, kvtransfer::load_transport(kvtransfer::max_message_bytes(
                                    format, model.limits().max_context)));
  return std::unique_ptr<engine::KvSource>(
      std::make_unique<kvtransfer::PrefillClient>(std::move(client), std::move(transport)));
}

Result<std::unique_ptr<kvtransfer::PrefillServer>> start_prefill_server(
    const DisaggregationOptions& options, const std::string& model_hash, engine::Engine& engine) {
  std::unique_ptr<kvtransfer::PrefillServer> none;
  if (options.role != Role::kPrefill) return none;
  FATHOM_ASSIGN(const Address address, Address::parse(options.kv_listen, "--kv-listen"));
  if (!is_loopback(address.host)) {
    log_warning("--kv-listen {}: whoever reaches it can have prompts computed, without a key",
                options.kv_listen);
  }
  FATHOM_ASSIGN(auto transport, kvtransfer::load_transport(kvtransfer::max_message_bytes(
                                    engine.kv_block_format(), engine.max_context())));
  FATHOM_ASSIGN(auto server, kvtransfer::PrefillServer::start(engine, model_hash, address,
                                                              std::move(transport)));
  log_info("computes prompts for those who ask at {}",
           Address{address.host, server->port()}.text());
  return server;
}

}  // namespace fathom::serving
