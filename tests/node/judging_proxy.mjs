// Stands between clients and a server. Judges every answer that passes by OpenAI's published
// schemas, and can refuse requests in the server's place, to see what a client makes of it.
import http from "node:http";
import { json } from "node:stream/consumers";
import { judge } from "./openai_schema/judge.mjs";

async function addTo(request, additions, upstream) {
  const body = await json(request);
  upstream.end(JSON.stringify({ ...body, ...additions }));
}

export class JudgingProxy {
  static async start(target) {
    const proxy = new JudgingProxy();
    proxy.target = new URL(target);
    proxy.problems = [];  // what was wrong with answers
    proxy.seen = [];      // "POST /v1/responses 200"
    proxy.refusals = [];
    proxy.additions = undefined;  // members that requests' bodies get on their way
    proxy.server = http.createServer((request, answer) => proxy.serve(request, answer));
    await new Promise((resolve) => proxy.server.listen(0, "127.0.0.1", resolve));
    proxy.url = `http://127.0.0.1:${proxy.server.address().port}`;
    return proxy;
  }

  // The next requests are answered in the server's place.
  refuseNext(times, status, headers = {}) {
    const error = { message: "try again", type: "server_error", param: null, code: null };
    for (let i = 0; i < times; ++i) {
      this.refusals.push({ status, headers: { "content-type": "application/json", ...headers },
                           body: JSON.stringify({ error }) });
    }
  }

  count(line) {
    return this.seen.filter((seen) => seen === line).length;
  }

  serve(request, answer) {
    const refusal = this.refusals.shift();
    if (refusal) {
      this.seen.push(`${request.method} ${request.url} ${refusal.status}`);
      request.resume();
      answer.writeHead(refusal.status, refusal.headers).end(refusal.body);
      return;
    }
    const headers = { ...request.headers, host: this.target.host };
    if (this.additions) delete headers["content-length"];
    const upstream = http.request({
      host: this.target.hostname, port: this.target.port, path: request.url, agent: false,
      method: request.method, headers });
    upstream.on("response", (from) => this.pass(request, from, answer));
    upstream.on("error", () => answer.destroy());
    answer.on("close", () => upstream.destroy());
    if (this.additions) addTo(request, this.additions, upstream);
    else request.pipe(upstream);
  }

  pass(request, from, answer) {
    const parts = [];
    this.seen.push(`${request.method} ${request.url} ${from.statusCode}`);
    answer.writeHead(from.statusCode, from.headers);
    from.on("data", (data) => { parts.push(data); answer.write(data); });
    from.on("end", () => answer.end());
    from.on("close", () => {
      const problems = judge(request.method, request.url, {
        status: from.statusCode, type: from.headers["content-type"], complete: from.complete,
        text: Buffer.concat(parts).toString() });
      this.problems.push(...problems.map((problem) =>
        `${request.method} ${request.url} ${from.statusCode}: ${problem}`));
    });
  }

  close() {
    this.server.closeAllConnections();
    this.server.close();
  }
}
