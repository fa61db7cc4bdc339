#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "ledger/books/price_list.h"
#include "ledger/books/requests.h"
#include "ledger/tenants/ids.h"

namespace fathom::ledger {

namespace {

// Whom a key's requests are counted for, and whether it may make this one.
struct Holder {
  std::string organisation;
  std::string project;
  std::optional<Refusal> refusal;
};

Error conflict(const std::string& message) {
  return {ErrorCode::kCancelled, message, "id"};
}

Status check(const Transaction& transaction, const Reservation& wanted) {
  FATHOM_TRY(check_text("id", wanted.id, 256));
  FATHOM_TRY(check_text("model", wanted.model, 256));
  if (!wanted.client_id.empty()) FATHOM_TRY(check_text("X-Request-Id", wanted.client_id, 512));
  for (const int64_t count : {wanted.prompt, wanted.completion}) {
    if (count < 0 || count > kMaxTokens) {
      return invalid_argument(fmt::format("tokens: expected 0 to {}, got {}", kMaxTokens, count));
    }
  }
  if (std::abs(transaction.clock_ahead) > kMaxClockDifference) {
    return Error{ErrorCode::kUnavailable,
                 fmt::format("clock: expected at most 2 s from the store's, got {:.1f} s: set it "
                             "right",
                             static_cast<double>(transaction.clock_ahead) / kSecond)};
  }
  return {};
}

Status check_lease(Transaction& transaction, const std::string& gateway) {
  FATHOM_ASSIGN(const Outcome found,
                transaction.sql.run("SELECT lease_end FROM gateways WHERE id = $1", {gateway}));
  if (!found.rows.empty() && number(found.rows[0][0]) > transaction.now) return {};
  return Error{ErrorCode::kUnavailable, "lease: expected one that has not ended: renew it first"};
}

Result<Holder> find_holder(Transaction& transaction, const Reservation& wanted) {
  FATHOM_ASSIGN(const Outcome found,
                transaction.sql.run(
                    "SELECT org, project, revoked, expires, models FROM api_keys WHERE id = $1",
                    {wanted.key}));
  const auto refuse = [](const char* why) {
    return Holder{"", "", Refusal{.kind = Refusal::Kind::kKey, .message = why}};
  };
  if (found.rows.empty()) return refuse("key: expected one of this store's");
  const Row& row = found.rows[0];
  if (text(row[0]).empty()) return refuse("key: expected one of a project, got an operator's");
  if (number(row[2]) != 0) return refuse("key: expected one that is not revoked");
  if (number(row[3]) != 0 && number(row[3]) <= transaction.now) {
    return refuse("key: expected one that has not expired");
  }
  const auto models = nlohmann::json::parse(text(row[4]), nullptr, false);
  if (!models.empty() && std::find(models.begin(), models.end(), wanted.model) == models.end()) {
    return refuse("key: expected one that may use this model");
  }
  return Holder{text(row[0]), text(row[1]), std::nullopt};
}

// What an earlier call with this id was answered.
Result<std::optional<Reserved>> earlier(Transaction& transaction, const Reservation& wanted,
                                        Micros available) {
  FATHOM_ASSIGN(
      const Outcome found,
      transaction.sql.run("SELECT state, gateway, api_key, model, prompt_most, completion_most, "
                          "reserved, price_version, band, rate_cached, rate_prompt, "
                          "rate_completion FROM requests WHERE id = $1",
                          {wanted.id}));
  if (found.rows.empty()) return std::optional<Reserved>();
  const Row& row = found.rows[0];
  if (text(row[1]) != wanted.gateway || text(row[2]) != wanted.key ||
      text(row[3]) != wanted.model || number(row[4]) != wanted.prompt ||
      number(row[5]) != wanted.completion) {
    return conflict("id: expected the request it was first used for, got another");
  }
  if (text(row[0]) != "open") return conflict("id: expected a request that is open, got one over");
  return std::optional<Reserved>(
      Reserved{.micros = number(row[6]),
               .price_version = number(row[7]),
               .band = text(row[8]),
               .rates = {number(row[9]), number(row[10]), number(row[11])},
               .available = available});
}

// The first limit that leaves no room; the windows that end last are told first.
std::optional<Refusal> refused_by(const std::vector<LimitState>& limits, const LimitUse& use) {
  const LimitState* refuses = nullptr;
  for (const LimitState& state : limits) {
    // What is used and most fit into 62 bits each: they are sums of what was reserved.
    if (part(use, state.limit.kind) <= state.limit.most - state.used) continue;
    if (refuses == nullptr || state.resets > refuses->resets) refuses = &state;
  }
  if (refuses == nullptr) return std::nullopt;
  const Limit& limit = refuses->limit;
  return Refusal{.kind = Refusal::Kind::kLimit,
                 .message = fmt::format(
                     "limit: expected at most {} {}{} of {} {}, got {} and {} more", limit.most,
                     to_string(limit.kind), limit.model.empty() ? "" : " for " + limit.model,
                     refuses->level, limit.owner, refuses->used, part(use, limit.kind)),
                 .limit = *refuses};
}

Status write_down(Transaction& transaction, const Reservation& wanted, const Counted& counted,
                  const Reserved& made) {
  const auto done = transaction.sql.run(
      "INSERT INTO requests (id, client_id, gateway, org, project, api_key, model, state, at, "
      "closed, prompt_most, completion_most, reserved, price_version, band, rate_cached, "
      "rate_prompt, rate_completion, cached, prompt, completion, charged, written_off) VALUES ($1, "
      "$2, $3, $4, $5, $6, $7, 'open', $8, 0, $9, $10, $11, $12, $13, $14, $15, $16, 0, 0, 0, 0, "
      "0)",
      {wanted.id, wanted.client_id, wanted.gateway, counted.organisation, counted.project,
       wanted.key, wanted.model, counted.at, wanted.prompt, wanted.completion, made.micros,
       made.price_version, made.band, made.rates.cached, made.rates.prompt, made.rates.completion});
  if (!done) return done.error();
  return post(transaction, {.organisation = counted.organisation,
                            .kind = "reserve",
                            .source = wanted.id,
                            .change = {.available = -made.micros, .reserved = made.micros}});
}

}  // namespace

Status renew_lease(Transaction& transaction, const std::string& gateway, Time duration) {
  FATHOM_TRY(check_text("gateway", gateway, 256));
  const auto done = transaction.sql.run(
      "INSERT INTO gateways (id, lease_end) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET "
      "lease_end "
      "= excluded.lease_end",
      {gateway, transaction.now + duration});
  if (!done) return done.error();
  return {};
}

Result<Reserved> reserve(Transaction& transaction, const Reservation& wanted) {
  FATHOM_TRY(check(transaction, wanted));
  FATHOM_TRY(check_lease(transaction, wanted.gateway));
  FATHOM_ASSIGN(const Holder holder, find_holder(transaction, wanted));
  if (holder.refusal) return Reserved{.refusal = holder.refusal};
  FATHOM_ASSIGN(const Accounts accounts, hold_accounts(transaction, holder.organisation));
  FATHOM_ASSIGN(auto known, earlier(transaction, wanted, accounts.available));
  const Counted counted{holder.organisation, holder.project, wanted.key, wanted.model,
                        transaction.now};
  FATHOM_ASSIGN(auto limits, limits_met(transaction, counted));
  if (known) {
    known->limits = std::move(limits);
    return std::move(*known);
  }
  FATHOM_ASSIGN(const auto price, find_price(transaction, wanted.model, transaction.now));
  if (!price) {
    return Reserved{
        .refusal = Refusal{.kind = Refusal::Kind::kPrice,
                           .message = fmt::format("model: expected one with a price, got \"{}\"",
                                                  wanted.model)},
        .available = accounts.available,
        .limits = std::move(limits)};
  }
  const PriceAt at = price_at(price->table, transaction.now);
  Reserved made{.price_version = price->version,
                .band = std::string(at.name),
                .rates = at.rates,
                .available = accounts.available};
  // A price may make what is cached cost more: whichever it turns out to be is reserved.
  const Rates most{.prompt = std::max(at.rates.cached, at.rates.prompt),
                   .completion = at.rates.completion};
  FATHOM_ASSIGN(made.micros,
                charge({.prompt = wanted.prompt, .completion = wanted.completion}, most));
  const LimitUse use{.requests = 1,
                     .tokens = wanted.prompt + wanted.completion,
                     .concurrency = 1,
                     .money = made.micros};
  made.refusal = refused_by(limits, use);
  if (!made.refusal && made.micros > accounts.available) {
    made.refusal =
        Refusal{.kind = Refusal::Kind::kBalance,
                .message = fmt::format("balance: expected {} micros, which this may cost, got {}",
                                       made.micros, accounts.available)};
  }
  if (made.refusal) {
    made.limits = std::move(limits);
    return made;
  }
  if (!limits.empty()) FATHOM_TRY(count_new(transaction, counted, use));
  FATHOM_TRY(write_down(transaction, wanted, counted, made));
  made.available -= made.micros;
  for (LimitState& state : limits) state.used += part(use, state.limit.kind);
  made.limits = std::move(limits);
  return made;
}

}  // namespace fathom::ledger
