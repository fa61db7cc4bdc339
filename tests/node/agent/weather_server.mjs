// A tool server for the agent (Model Context Protocol over standard input and output). The agent
// calls its tool by the server's and the tool's name: get_weather.
import { createInterface } from "node:readline";

const tool = {
  name: "weather", description: "Get the weather of a city.",
  inputSchema: { type: "object", required: ["city"],
                 properties: { city: { type: "string", description: "The city" } } } };

function answer(method, params) {
  if (method === "initialize") {
    return { protocolVersion: params.protocolVersion, capabilities: { tools: {} },
             serverInfo: { name: "get", version: "1" } };
  }
  if (method === "tools/list") return { tools: [tool] };
  if (method !== "tools/call") return {};
  const { city } = params.arguments;
  return { content: [{ type: "text",
                       text: JSON.stringify({ city, temperature: 31, condition: "sunny" }) }] };
}

for await (const line of createInterface({ input: process.stdin })) {
  const { id, method, params } = JSON.parse(line);
  if (id === undefined) continue;  // a notification
  console.log(JSON.stringify({ jsonrpc: "2.0", id, result: answer(method, params) }));
}
