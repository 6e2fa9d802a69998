/** How a process ends that has made a mistake: WASI's, with an exit code. */
declare module "wasi:cli/exit@0.2.3" {
  export function exit(status: { tag: "ok" } | { tag: "err" }): never;
}
