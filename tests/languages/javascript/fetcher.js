// Asks servers by the engine's own `fetch`, without the SDK: each request's body is an order, or several at once.

import { receive, sendResponse } from "nectar:process/standard@0.7.0";

const text = (bytes) => new TextDecoder().decode(bytes);
const bytes = (value) => new TextEncoder().encode(value);

async function obey({ url, ...options }) {
  try {
    const response = await fetch(url, options);
    const body = await response.text();
    return { status: response.status, header: response.headers.get("x-a"), size: body.length, start: body.slice(0, 20) };
  } catch (error) {
    return { error: String(error) };
  }
}

export async function init(our) {
  for (;;) {
    const [, message] = receive();
    if (message.tag !== "request") continue;
    const order = JSON.parse(text(message.val.body));
    const answer = Array.isArray(order) ? await Promise.all(order.map(obey)) : await obey(order);
    sendResponse({ inherit: false, body: bytes(JSON.stringify(answer)), metadata: undefined, capabilities: [] }, undefined);
  }
}
