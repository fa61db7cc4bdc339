#include <charconv>
#include <nlohmann/json.hpp>

#include "api/context/context.h"
#include "api/responses/handlers.h"

namespace fathom::api {

namespace {

constexpr size_t kDefaultLimit = 20;
constexpr size_t kMaxLimit = 100;

// A page of a list, as the query parameters limit, order and after ask for it.
struct PageRequest {
  size_t limit = kDefaultLimit;
  bool newest_first = true;
  std::optional<std::string> after;  // the id before the page
};

Result<PageRequest> read_page(const std::string& query) {
  PageRequest page;
  page.after = net::query_parameter(query, "after");
  if (const auto order = net::query_parameter(query, "order")) {
    if (*order != "asc" && *order != "desc") {
      return invalid_argument("order: expected asc or desc, got " + shorten(*order, 40), "order");
    }
    page.newest_first = *order == "desc";
  }
  if (const auto limit = net::query_parameter(query, "limit")) {
    const char* end = limit->data() + limit->size();
    const auto [stop, failure] = std::from_chars(limit->data(), end, page.limit);
    if (failure != std::errc{} || stop != end || page.limit < 1 || page.limit > kMaxLimit) {
      return invalid_argument(
          "limit: expected an integer from 1 to 100, got " + shorten(*limit, 40), "limit");
    }
  }
  return page;
}

Result<Json> page_of(const Json& items, const PageRequest& page) {
  std::vector<const Json*> order;
  for (const Json& item : items) order.push_back(&item);
  if (page.newest_first) std::reverse(order.begin(), order.end());
  auto first = order.begin();
  if (page.after) {
    first = std::find_if(order.begin(), order.end(),
                         [&](const Json* item) { return (*item)["id"] == *page.after; });
    if (first == order.end()) {
      return invalid_argument("after: expected the id of an item, got " + shorten(*page.after, 80),
                              "after");
    }
    ++first;
  }
  Json data = Json::array();
  for (; first != order.end() && data.size() < page.limit; ++first) data.push_back(**first);
  const auto id = [&data](bool last) {
    return data.empty() ? Json("") : (last ? data.back() : data.front())["id"];
  };
  Json body = {{"object", "list"}, {"has_more", first != order.end()}};
  body["first_id"] = id(false);
  body["last_id"] = id(true);
  body["data"] = std::move(data);
  return body;
}

Result<Json> list_items(const std::string& items, const std::string& query) {
  FATHOM_ASSIGN(const PageRequest page, read_page(query));
  FATHOM_ASSIGN(const Json all, parse_json(items));
  return page_of(all, page);
}

}  // namespace

void handle_response_input_items(HandlerContext& context, const Call& call, const ReplyPtr& reply) {
  const std::string& id = call.argument;
  const auto stored = context.responses->find(call.caller.owner, id);
  if (!stored) {
    return reply->send_error(
        to_api_error({ErrorCode::kNotFound, "Response with id '" + shorten(id, 100) + "' not found",
                      "response_id"}));
  }
  const auto list = list_items(stored->input, call.request.query);
  if (!list) return reply->send_error(to_api_error(list.error()));
  reply->send_json(*list);
}

Json input_items_query() {
  const auto parameter = [](const char* name, Json schema) {
    return Json{
        {"name", name}, {"in", "query"}, {"required", false}, {"schema", std::move(schema)}};
  };
  return Json::array(
      {parameter("limit", {{"type", "integer"}, {"minimum", 1}, {"maximum", kMaxLimit}}),
       parameter("order", {{"enum", {"asc", "desc"}}}), parameter("after", {{"type", "string"}})});
}

}  // namespace fathom::api
