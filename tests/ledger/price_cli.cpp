// Reads lines {"price": PRICE, "at": [MICROSECONDS], "tokens": [CACHED, PROMPT, COMPLETION]} and
// prints for each moment "BAND MICROS", or "error" where that is one.
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "ledger/prices/price_table.h"

int main() {
  using namespace fathom::ledger;
  std::string line;
  while (std::getline(std::cin, line)) {
    const auto question = nlohmann::json::parse(line);
    const auto table = parse_price_table(question["price"].dump());
    if (!table) {
      std::printf("error\n");
      continue;
    }
    const auto& counts = question["tokens"];
    const Tokens tokens{counts[0], counts[1], counts[2]};
    for (const Time at : question["at"]) {
      const PriceAt price = price_at(*table, at);
      const auto micros = charge(tokens, price.rates);
      if (micros) {
        std::printf("%s %lld\n", std::string(price.name).c_str(), static_cast<long long>(*micros));
      } else {
        std::printf("error\n");
      }
    }
  }
}
