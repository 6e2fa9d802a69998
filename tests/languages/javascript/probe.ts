/** Does what tests of the SDK ask for. */

import * as nectar from "nectar";
import { Err, Kv, Sqlite, http, json, vfs } from "nectar";

type Test = (payload: any, request: nectar.Request) => unknown;

let released: (() => void) | undefined;
const seen: string[] = [];

const tests: Record<string, Test> = {
  Same: (value) => value,
  Bytes: () => new nectar.Reply({ bytes: new Uint8Array([0, 255]) }),
  NotANumber: () => {
    try {
      return json.stringify({ value: NaN });
    } catch (error) {
      return { Err: (error as Error).message };
    }
  },
  Throw: () => {
    throw new TypeError("this was to happen"); // test: the line of the error
  },
  ThrowLater: () => {
    setTimeout(() => {
      throw new TypeError("this was to happen later");
    }, 10);
    return "soon";
  },
  Err: (reason) => {
    throw new Err(reason);
  },
  Unanswered: async () => nectar.ask("nobody.nec@probe:probe:local", "Hi", { timeout: 2 }),
  // The first waits for the second, which is another handler and no answer of the node.
  First: async () => {
    await new Promise<void>((resolve) => (released = resolve));
    return "first";
  },
  Second: () => {
    released!();
    return "second";
  },
  BlobAtOnce: async (_, request) => {
    const size = request.blob()!.bytes.length;
    await nectar.sleep(1);
    return [size, request.blob()!.bytes.length];
  },
  BlobTooLate: async (_, request) => {
    await nectar.sleep(1);
    try {
      return request.blob();
    } catch (error) {
      return { Err: (error as Error).message };
    }
  },
  // Many steps in a row that wait for nothing, then one that does.
  Steps: async (count) => {
    for (let step = 0; step < count; step += 1) await null;
    return nectar.ask(nectar.our, { Same: { done: count } });
  },
  Timers: async () => {
    const order: string[] = [];
    const began = Date.now();
    setTimeout(() => order.push("later"), 40);
    setTimeout(() => order.push("sooner"), 10);
    clearTimeout(setTimeout(() => order.push("never"), 5) as unknown as number);
    await nectar.sleep(80);
    return { order, waited: Date.now() - began >= 80 };
  },
  Random: () => [Math.random(), Math.random(), ...crypto.getRandomValues(new Uint8Array(4))],
  Gone: async () => {
    try {
      return await nectar.ask("nobody.nec@probe:probe:local", "Hi", { timeout: 2 });
    } catch (error) {
      return [error instanceof nectar.Offline, error instanceof nectar.Unanswered, (error as Error).name];
    }
  },
  AnsweredErr: async () => {
    try {
      return await nectar.ask(nectar.our, { Err: { Because: [1] } });
    } catch (error) {
      return [error instanceof Err, (error as Err).reason];
    }
  },
  NoFile: () => {
    try {
      return nectar.spawn("/nothing.wasm");
    } catch (error) {
      return [error instanceof nectar.SpawnError, (error as nectar.SpawnError).kind];
    }
  },
  OnExit: () => {
    nectar.setOnExit({ Requests: [{ target: "probe:probe:local", body: "bye" }] });
    const set = nectar.getOnExit();
    nectar.setOnExit("Restart");
    return [json.parse((set as { Requests: nectar.OnExitRequest[] }).Requests[0]!.body as Uint8Array), nectar.getOnExit()];
  },
  Capabilities: () => nectar.ourCapabilities().map(({ issuer, params }) => `${issuer} ${params}`),
  Files: async () => {
    const drive = await vfs.createDrive("data");
    const file = `${drive}/a/b.txt`;
    await vfs.createDir(`${drive}/a`);
    await vfs.write(file, "one");
    await vfs.append(file, " two");
    const entries = [];
    for await (const { path, file_type } of vfs.list(`${drive}/a`)) entries.push([path, file_type]);
    const middle = new TextDecoder().decode(await vfs.readAt(file, 2, 3));
    const { len } = await vfs.metadata(file);
    const hash = (await vfs.hash(file)).length;
    await vfs.setLength(file, 3);
    if ((await vfs.readText(file)) !== "one") throw new Error("it is not cut off");
    await vfs.append(file, " two");
    return { hash, drive, entries, text: await vfs.readText(file), middle, len, there: await vfs.exists(file), not: await vfs.exists(`${drive}/c`) };
  },
  Watch: async () => {
    const drive = await vfs.createDrive("watched");
    await vfs.watch(drive, (changes) => seen.push(...changes));
    return "Ok";
  },
  Unwatch: async () => {
    await vfs.unwatch(vfs.drivePath("watched"));
    return "Ok";
  },
  Change: () => vfs.write(`${vfs.drivePath("watched")}/a.txt`, "changed"),
  Seen: () => seen,
  Keys: async () => {
    const database = await new Kv("keys").open();
    await database.set("a", new Uint8Array([1, 2]));
    await database.transaction(async (writes) => {
      await writes.set("b", new Uint8Array([3]));
      await writes.delete("a");
    });
    return { a: (await database.get("a")) ?? null, b: await database.get("b") };
  },
  Rows: async () => {
    const database = await new Sqlite("rows").open();
    await database.write("CREATE TABLE t (n INTEGER, x REAL, s TEXT)");
    await database.transaction(async (write) => {
      await write("INSERT INTO t VALUES (?, ?, ?)", 9007199254740993n, 0.5, "Zoë!");
      await write("INSERT INTO t VALUES (?, ?, ?)", 2, null, "b!");
    });
    let refused = "";
    try {
      await database.write("INSERT INTO nothing VALUES (1)");
    } catch (error) {
      refused = (error as Error).name;
    }
    return { rows: await database.query("SELECT n, x, s FROM t WHERE n > ? ORDER BY n", 1), refused };
  },
  Fetch: async (url) => {
    const answer = await nectar.fetch(url, { method: "POST", body: "hi", headers: { "X-Test": "1" } });
    return { status: answer.status, text: answer.text(), type: answer.headers["content-type"] };
  },
  Log: () => {
    console.error("to all:", { a: 1n }, [1]);
    console.debug("to few");
    return "Ok";
  },
};

export async function init(): Promise<void> {
  const sent = `${await vfs.createDrive("web")}/sent`;
  const options = { bodyTo: sent, bodyLimit: 5 };
  await http.route("/sent", async ({ bodyFile }) => (bodyFile ? `${bodyFile.length} ${await vfs.readText(bodyFile.path)}` : "nothing"), options);
  await http.route("/games/:id", async ({ method, params, query, body }) => {
    await nectar.sleep(1);
    if (params["id"] === "mistake") throw new TypeError("this page was to fail");
    if (params["id"] === "none") throw new Err("there is no such game");
    return { status: 201, headers: { "X-Probe": method }, body: `${params["id"]} ${query["q"]} ${body.length}` };
  });
}

nectar.onRequest((request) => {
  const [name, payload] = json.variant(request.json());
  const test = tests[name];
  if (!test) throw new Err("no such test");
  return test(payload, request);
});
