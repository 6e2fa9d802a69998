/** Databases of our package, or of one that has given us its capabilities. Errors are `Err`s. */

import * as json from "./json.ts";
import { Err } from "./errors.ts";
import { ask, our, request } from "./node.ts";

const seconds = 60;

/** What all databases have in common. */
export abstract class Database {
  protected abstract readonly address: string;

  constructor(
    readonly name: string,
    /** Whose it is: `[package, publisher]`; ours unless said. */
    readonly owner: readonly [string, string] = [our.process.package_, our.process.publisher],
  ) {}

  protected body(action: unknown): unknown {
    const [package_name, publisher_node] = this.owner;
    return { package_id: { package_name, publisher_node }, db: this.name, action };
  }

  protected act(action: unknown, bytes?: Uint8Array): Promise<any> {
    return ask(this.address, this.body(action), { timeout: seconds, blob: bytes && { bytes } });
  }

  protected async load(action: unknown): Promise<Uint8Array> {
    const response = await request(this.address, this.body(action), { timeout: seconds });
    const bytes = response.blob()?.bytes;
    const [name, reason] = json.variant(response.json());
    if (name === "Err") throw new Err(reason);
    return bytes ?? new Uint8Array(0);
  }

  /** Open it; it is made if there is none. */
  async open(): Promise<this> {
    await this.act("Open");
    return this;
  }

  /** Remove it with all that is in it. */
  async remove(): Promise<void> {
    await this.act("RemoveDb");
  }

  protected async begin(): Promise<number> {
    return (await this.act("BeginTx")).BeginTx.tx_id;
  }

  protected async commit(tx_id: number): Promise<void> {
    await this.act({ Commit: { tx_id } });
  }
}

/** What writes keys, at once or in a transaction. A key is bytes or text. */
export interface Writes {
  set(key: Uint8Array | string, value: Uint8Array): Promise<void>;
  delete(key: Uint8Array | string): Promise<void>;
}

/** Keys and values. The process needs the capability to message `kv:distro:sys`. */
export class Kv extends Database implements Writes {
  protected readonly address = "kv:distro:sys";

  /** The value of a key; undefined: there is none. */
  async get(key: Uint8Array | string): Promise<Uint8Array | undefined> {
    try {
      return await this.load({ Get: { key: bytes(key) } });
    } catch (error) {
      if (error instanceof Err && text(error.reason).includes("KeyNotFound")) return undefined;
      throw error;
    }
  }

  /** Durable when it is over. */
  set = (key: Uint8Array | string, value: Uint8Array): Promise<void> => this.writes(null).set(key, value);
  delete = (key: Uint8Array | string): Promise<void> => this.writes(null).delete(key);

  /** Do all that `change` writes, or nothing if it throws. */
  async transaction(change: (writes: Writes) => unknown): Promise<void> {
    const tx_id = await this.begin();
    await change(this.writes(tx_id));
    await this.commit(tx_id);
  }

  private writes(tx_id: number | null): Writes {
    return {
      set: (key, value) => this.act({ Set: { key: bytes(key), tx_id } }, value),
      delete: (key) => this.act({ Delete: { key: bytes(key), tx_id } }),
    };
  }
}

/** The value of a parameter or of a column. */
export type Value = string | number | bigint | boolean | null;

/** SQL. The process needs the capability to message `sqlite:distro:sys`. */
export class Sqlite extends Database {
  protected readonly address = "sqlite:distro:sys";

  /** The rows of a query, as `{column: value}`. */
  async query(query: string, ...parameters: Value[]): Promise<Record<string, Value>[]> {
    const blob = { bytes: json.stringify(parameters) };
    const response = await request(this.address, this.body({ Read: { query } }), { timeout: seconds, blob });
    const rows = response.blob()?.bytes;
    const [name, reason] = json.variant(response.json());
    if (name === "Err") throw new Err(reason);
    return rows ? json.parse(rows) : [];
  }

  /** One statement that writes; durable when it is over. */
  write = (statement: string, ...parameters: Value[]): Promise<void> => this.writeIn(null, statement, parameters);

  /** Do all that `change` writes, or nothing if it throws. */
  async transaction(change: (write: Sqlite["write"]) => unknown): Promise<void> {
    const tx_id = await this.begin();
    await change((statement, ...parameters) => this.writeIn(tx_id, statement, parameters));
    await this.commit(tx_id);
  }

  private async writeIn(tx_id: number | null, statement: string, parameters: Value[]): Promise<void> {
    await this.act({ Write: { statement, tx_id } }, json.stringify(parameters));
  }
}

function bytes(key: Uint8Array | string): Uint8Array {
  return typeof key === "string" ? new TextEncoder().encode(key) : key;
}

function text(reason: unknown): string {
  return typeof reason === "string" ? reason : json.text(reason);
}
