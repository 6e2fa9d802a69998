"""Every bound that the kernel keeps: a name, a unit and the reason. Nothing a guest can fill is without one."""

MIB = 1 << 20

MAX_BODY_BYTES = 10 * MIB
"""A message's body; the same bound as between nodes, so that a process need not know where its target runs."""
MAX_BLOB_BYTES = 64 * MIB
"""A message's blob; see MAX_BODY_BYTES."""
MAX_CONTEXT_BYTES = MIB
"""A request's context: kept for as long as the request is outstanding."""
MAX_METADATA_BYTES = MIB
"""A message's metadata text."""
MAX_NAME_BYTES = 1024
"""One string of an address as a guest passes it, before anybody validates it."""
MAX_PRINT_BYTES = 64 * 1024
"""One print to the terminal; longer ones are cut."""
MAX_CAPABILITIES = 1024
"""Capabilities in one list."""
MAX_REQUESTS = 1024
"""Requests in one send-requests call, and in one on-exit setting."""
MAX_STATE_BYTES = 64 * MIB
"""A process's saved state."""
MAX_MODULE_BYTES = 128 * MIB
"""A .wasm file."""
MAX_MEMORY_BYTES = 512 * MIB
"""A guest's linear memory, all of its memories together."""
MAX_TABLE_ELEMENTS = 1 << 20
"""A guest's tables."""
MAX_WASM_STACK_BYTES = 512 * 1024
"""A guest's own stack; deeper recursion traps."""
MAX_EFFECT_BYTES = 64 * MIB
"""What a guest may emit within one poll before it is suspended until the kernel has applied it."""
MAX_EFFECTS = 1024
"""See MAX_EFFECT_BYTES, counted in effects."""

MAX_INBOX_MESSAGES = 4096
"""Messages that wait for one process."""
MAX_INBOX_BYTES = 256 * MIB
"""Bytes of body and blob that wait for one process."""
MAX_OUTSTANDING = 65536
"""Requests of one process that wait for an answer, and answers and errors that wait for it; one more traps."""
MAX_OUTSTANDING_BYTES = 512 * MIB
"""Body, context and blob of the outstanding requests of one process, and of those whose outcome waits in its inbox."""
MAX_HELD_CAPABILITIES = 4096
"""Capabilities that one process holds."""
MAX_PROCESSES = 65536
"""Processes on one node."""
MAX_DEAD_LETTERS = 1000
"""Undeliverable messages that are remembered, without blob; the oldest go first."""
MAX_DEAD_LETTER_BODY = 1024
"""Bytes of a remembered message's body."""
