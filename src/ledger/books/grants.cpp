#include "ledger/books/grants.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "ledger/tenants/ids.h"

namespace fathom::ledger {

namespace {

Accounts change_of(const Grant& wanted) {
  Accounts change{.available = wanted.micros};
  switch (wanted.kind) {
    case GrantKind::kCredit:
      change.cash = -wanted.micros;
      break;
    case GrantKind::kRefund:
      change.revenue = -wanted.micros;
      break;
    case GrantKind::kAdjustment:
      change.adjustments = -wanted.micros;
      break;
  }
  return change;
}

Status check(const Grant& wanted, const Accounts& accounts) {
  FATHOM_TRY(check_text("reason", wanted.reason, 1024));
  constexpr Micros kMost = Micros{1} << 60;
  const bool sign = wanted.kind == GrantKind::kAdjustment ? wanted.micros != 0 : wanted.micros > 0;
  if (!sign || wanted.micros > kMost || wanted.micros < -kMost) {
    return invalid_argument(fmt::format("{}: expected an amount of 1 micro to 2^60, got {}",
                                        to_string(wanted.kind), wanted.micros),
                            "micros");
  }
  FATHOM_ASSIGN(const Micros after, add(accounts.available, wanted.micros));
  if (after < 0) {
    return invalid_argument(
        fmt::format("adjustment: expected at most the {} micros available, got {}",
                    accounts.available, -wanted.micros),
        "micros");
  }
  // What was written off was never paid.
  const Micros charged = accounts.revenue + accounts.written_off;
  if (wanted.kind == GrantKind::kRefund && wanted.micros > charged) {
    return invalid_argument(fmt::format("refund: expected at most the {} micros charged, got {}",
                                        charged, wanted.micros),
                            "micros");
  }
  return {};
}

std::string balance_json(const Accounts& accounts) {
  return nlohmann::json(
             {{"available_micros", accounts.available}, {"reserved_micros", accounts.reserved}})
      .dump();
}

}  // namespace

const char* to_string(GrantKind kind) {
  switch (kind) {
    case GrantKind::kCredit:
      return "credit";
    case GrantKind::kRefund:
      return "refund";
    case GrantKind::kAdjustment:
      return "adjustment";
  }
  return "";
}

Result<Granted> grant(Transaction& transaction, const Actor& actor, const Grant& wanted) {
  FATHOM_TRY(check_text("idempotency key", wanted.idempotency_key, 256));
  FATHOM_ASSIGN(const Accounts before, hold_accounts(transaction, wanted.organisation));
  FATHOM_ASSIGN(
      const Outcome earlier,
      transaction.sql.run("SELECT id, kind, micros, reason FROM grants WHERE org = $1 AND "
                          "idempotency_key = $2",
                          {wanted.organisation, wanted.idempotency_key}));
  if (!earlier.rows.empty()) {
    const Row& row = earlier.rows[0];
    if (text(row[1]) != to_string(wanted.kind) || number(row[2]) != wanted.micros ||
        text(row[3]) != wanted.reason) {
      return Error{ErrorCode::kCancelled,
                   "idempotency key: expected the request it was first used for, got another",
                   "idempotency_key"};
    }
    return Granted{text(row[0]), before, true};
  }
  FATHOM_TRY(check(wanted, before));
  const std::string id = new_id("grant");
  FATHOM_ASSIGN(
      const Outcome made,
      transaction.sql.run(
          "INSERT INTO grants (id, org, idempotency_key, kind, micros, reason, author, at) "
          "VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
          {id, wanted.organisation, wanted.idempotency_key, to_string(wanted.kind), wanted.micros,
           wanted.reason, actor.author, transaction.now}));
  FATHOM_TRY(post(transaction, {.organisation = wanted.organisation,
                                .kind = to_string(wanted.kind),
                                .source = id,
                                .change = change_of(wanted),
                                .author = actor.author,
                                .reason = wanted.reason}));
  FATHOM_ASSIGN(const Accounts after, accounts_of(transaction, wanted.organisation));
  FATHOM_TRY(record(transaction, {.actor = actor,
                                  .action = fmt::format("balance.{}", to_string(wanted.kind)),
                                  .subject = wanted.organisation,
                                  .before = balance_json(before),
                                  .after = balance_json(after)}));
  return Granted{id, after, false};
}

}  // namespace fathom::ledger
