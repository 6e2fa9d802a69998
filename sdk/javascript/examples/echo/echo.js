/** Answers each request with its own body and blob. To inherit the blob costs no copy. */

import { Reply, onRequest } from "nectar";

onRequest((request) => new Reply(request.body, { inherit: true }));
