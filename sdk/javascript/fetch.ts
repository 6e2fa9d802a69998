/** Servers of the internet. The process needs the capability to message `http_client:distro:sys`. */

import * as json from "./json.ts";
import { Err } from "./errors.ts";
import { request } from "./node.ts";

/** What to ask a server. */
export interface Fetch {
  /** "GET" unless said. */
  method?: string;
  headers?: Record<string, string>;
  /** Bytes, a text, or a JSON value. */
  body?: unknown;
  /** Seconds for the whole answer, redirects included; 30 unless said. */
  timeout?: number;
}

/** What a server has answered, whatever its status. */
export class Fetched {
  constructor(
    readonly status: number,
    /** By name in lower case. */
    readonly headers: Record<string, string>,
    readonly body: Uint8Array,
  ) {}

  /** Whether the status is 200 to 299. */
  get ok(): boolean {
    return this.status >= 200 && this.status < 300;
  }

  text(): string {
    return new TextDecoder().decode(this.body);
  }

  /** Throws NotJson. */
  json(): any {
    return json.parse(this.body);
  }
}

/** Ask a server. Throws Err if it cannot be asked, and Timeout. */
export async function fetch(url: string | URL, options: Fetch = {}): Promise<Fetched> {
  const { method = "GET", headers = {}, body, timeout = 30 } = options;
  const order = { Http: { method, version: null, url: String(url), headers } };
  const response = await request("http_client:distro:sys", order, { timeout, blob: body === undefined ? undefined : { bytes: bytesOf(body) } });
  const bytes = response.blob()?.bytes ?? new Uint8Array(0);
  const [name, value] = json.variant(response.json());
  if (name !== "Ok") throw new Err(value);
  return new Fetched(value.Http.status, value.Http.headers, bytes);
}

function bytesOf(body: unknown): Uint8Array {
  return typeof body === "string" ? new TextEncoder().encode(body) : json.bytesOf(body);
}
