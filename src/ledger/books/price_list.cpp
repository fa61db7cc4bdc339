#include "ledger/books/price_list.h"

#include "ledger/tenants/ids.h"

namespace fathom::ledger {

namespace {

// A clock that is a little ahead of the store's makes no moment over.
constexpr Time kTolerance = 5 * kSecond;

Result<Price> price_of(const Row& row) {
  Price price{.model = text(row[0]), .version = number(row[1]), .valid_from = number(row[2])};
  FATHOM_ASSIGN(price.table, parse_price_table(text(row[3])));
  return price;
}

}  // namespace

Result<Price> set_price(Transaction& transaction, const Actor& actor, const std::string& model,
                        const PriceTable& table, Time valid_from) {
  FATHOM_TRY(check_text("model", model, 256));
  if (valid_from == 0) valid_from = transaction.now;
  if (valid_from < transaction.now - kTolerance) {
    return invalid_argument("price: expected a moment from now on, got one that is over",
                            "valid_from");
  }
  FATHOM_ASSIGN(
      const Outcome last,
      transaction.sql.run(
          "SELECT version, body FROM prices WHERE model = $1 ORDER BY version DESC LIMIT 1",
          {model}));
  // Of two that make the same version at once the second one fails, and may try again.
  Price price{.model = model,
              .version = last.rows.empty() ? 1 : number(last.rows[0][0]) + 1,
              .valid_from = valid_from,
              .table = table};
  FATHOM_ASSIGN(
      const Outcome made,
      transaction.sql.run("INSERT INTO prices (model, version, valid_from, body, created) "
                          "VALUES ($1, $2, $3, $4, $5)",
                          {model, price.version, valid_from, to_json(table), transaction.now}));
  FATHOM_TRY(record(transaction, {.actor = actor,
                                  .action = "price.set",
                                  .subject = model,
                                  .before = last.rows.empty() ? "" : text(last.rows[0][1]),
                                  .after = to_json(table)}));
  return price;
}

Result<std::optional<Price>> find_price(Transaction& transaction, const std::string& model,
                                        Time at) {
  FATHOM_ASSIGN(const Outcome found,
                transaction.sql.run(
                    "SELECT model, version, valid_from, body FROM prices WHERE model = $1 AND "
                    "valid_from <= $2 ORDER BY valid_from DESC, version DESC LIMIT 1",
                    {model, at}));
  if (found.rows.empty()) return std::optional<Price>();
  FATHOM_ASSIGN(Price price, price_of(found.rows[0]));
  return std::optional<Price>(std::move(price));
}

Result<std::vector<Price>> prices_of(Transaction& transaction, const std::string& model) {
  FATHOM_ASSIGN(
      const Outcome found,
      transaction.sql.run("SELECT model, version, valid_from, body FROM prices WHERE model "
                          "= $1 ORDER BY version",
                          {model}));
  std::vector<Price> prices;
  for (const Row& row : found.rows) {
    FATHOM_ASSIGN(Price price, price_of(row));
    prices.push_back(std::move(price));
  }
  return prices;
}

}  // namespace fathom::ledger
