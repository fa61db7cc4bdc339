// The page at "/", for people who open the server's address in a browser. It is public, so it holds
// nothing private.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "api/context/context.h"
#include "api/info/handlers.h"

namespace fathom::api {

namespace {

constexpr const char* kPage = R"html(<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="color-scheme" content="light dark">
<title>{model} on Fathom</title>
<style>{style}</style>
</head>
<body>
<h1>{model}</h1>
<p>Served by Fathom {version} over the APIs of OpenAI, DeepSeek and Anthropic.</p>
<dl>
<dt>Base URL</dt><dd><code>{url}/v1</code> for OpenAI's clients, <code>{url}</code> for DeepSeek's and
Anthropic's{wants_key}</dd>
<dt>Chat</dt><dd><code>{chat_key}fathom chat --url {url}</code> in a terminal</dd>
<dt>API</dt><dd><a href="/openapi.json">/openapi.json</a> describes every route and field</dd>
<dt>Metrics</dt><dd><a href="/metrics">/metrics</a>, for Prometheus</dd>
<dt>Health</dt><dd><a href="/health">/health</a>; <a href="/version">/version</a></dd>
<dt>Documentation</dt><dd><code>docs/</code> beside the source: <code>api.md</code>,
<code>operations.md</code>, <code>security.md</code></dd>
</dl>
<pre>curl {url}/v1/chat/completions -H 'Content-Type: application/json' \
{curl_key}  -d '{{"model": {json_model}, "messages": [{{"role": "user", "content": "Who are you?"}}]}}'</pre>
</body>
</html>
)html";

constexpr const char* kStyle =
    "body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:3rem auto;padding:0 1rem;"
    "color:#1b1f24;background:#fff}"
    "dt{font-weight:600;margin-top:.8rem}dd{margin:0}"
    "code,pre{font-family:ui-monospace,monospace;font-size:.9em}"
    "pre{padding:1rem;overflow-x:auto;background:#f3f4f6;border-radius:.4rem}"
    "a{color:#0b57d0}"
    "@media(prefers-color-scheme:dark){body{color:#e6e8eb;background:#16181c}"
    "pre{background:#24272d}a{color:#8ab4f8}}";

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

bool is_authority(const std::string& host) {
  constexpr size_t kMaxBytes = 260;  // a name and a port
  return !host.empty() && host.size() <= kMaxBytes &&
         std::all_of(host.begin(), host.end(), [](unsigned char c) {
           return std::isalnum(c) != 0 || c == '.' || c == '-' || c == '_' || c == ':' ||
                  c == '[' || c == ']';
         });
}

// The server's URL as the browser used it, perhaps through a proxy.
std::string server_url(const net::HttpRequest& request, bool tls) {
  const std::string* forwarded = request.header("x-forwarded-proto");
  const bool secure = tls || (forwarded != nullptr && *forwarded == "https");
  const std::string* host = request.header("host");
  return std::string(secure ? "https://" : "http://") +
         (host != nullptr && is_authority(*host) ? *host : "localhost");
}

}  // namespace

void handle_home(HandlerContext& context, const Call& call, const ReplyPtr& reply) {
  const ApiOptions& options = context.options;
  const bool keys = options.edge.keys != nullptr;
  std::string page = fmt::format(
      kPage, fmt::arg("model", escaped(context.model.info.id)), fmt::arg("style", kStyle),
      fmt::arg("version", escaped(options.version)),
      fmt::arg("url", escaped(server_url(call.request, options.tls))),
      fmt::arg("wants_key", keys ? "; requests carry an API key" : ""),
      fmt::arg("chat_key", keys ? "FATHOM_API_KEY=… " : ""),
      fmt::arg("curl_key", keys ? "  -H \"Authorization: Bearer $FATHOM_API_KEY\" \\\n" : ""),
      fmt::arg("json_model", escaped(dump_json(Json(context.model.info.id)))));
  reply->send(200, "text/html; charset=utf-8", std::move(page));
}

}  // namespace fathom::api
