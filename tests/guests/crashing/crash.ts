/** Throws three calls deep, as a request wants it; answers any other. */

import { type Request, onRequest } from "nectar";

interface Table {
  rows: string[];
}

onRequest((request: Request) => {
  return lookUp(request.json());
});

function lookUp(body: string): string {
  const table: Table | undefined = body === "bounds" ? undefined : { rows: [body] };
  return element(table as Table, 0);
}

function element(table: Table, index: number): string {
  return table.rows[index];
}
