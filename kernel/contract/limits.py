"""Every bound that the kernel keeps: a name, a unit and the reason. Nothing that a guest can fill is unbounded."""

MIB = 1 << 20

MAX_BODY_BYTES = 10 * MIB
"""A message's body; the same bound as between nodes, so that a process need not know where its target runs."""
MAX_BLOB_BYTES = 64 * MIB
"""A message's blob; the same bound as between nodes, so that a process need not know where its target runs."""
MAX_CONTEXT_BYTES = MIB
"""A request's context: kept for as long as the request is outstanding."""
MAX_METADATA_BYTES = MIB
"""A message's metadata text."""
MAX_JSON_DEPTH = 64
"""Arrays and objects within each other in metadata and params: far below what any recursion on our stack may need."""
MAX_MIME_BYTES = 64 * 1024
"""A blob's mime."""
MAX_NAME_BYTES = 1024
"""One string of an address as a guest passes it, before anybody validates it."""
MAX_PRINT_BYTES = 64 * 1024
"""One print to the terminal; longer ones are cut."""
MAX_PARAMS_BYTES = 16 * 1024
"""The params of one capability, also in canonical form, which may be longer than what a guest wrote."""
MAX_CAPABILITIES = 1024
"""Capabilities in one list."""
MAX_REQUESTS = 1024
"""Requests in one send-requests call, and in one on-exit setting."""
MAX_STATE_BYTES = 64 * MIB
"""A process's saved state."""
MAX_MODULE_BYTES = 128 * MIB
"""A .wasm file."""
MAX_SECTIONS = 65536
"""Sections of a .wasm file; a real module has a dozen, a real component a few thousand."""
MAX_COMPILE_SECONDS = 60
"""Processor time for compiling one program, on all cores together; an 18 MB program needs nine."""
MAX_COMPILE_BYTES = 4096 * MIB
"""Address space of the process that compiles a program; an 18 MB program needs half a gigabyte."""
MAX_COMPILED_BYTES = 1024 * MIB
"""A program's compiled code."""
MAX_MEMORY_BYTES = 512 * MIB
"""A guest's linear memory, all of its memories together."""
MAX_TABLE_ELEMENTS = 1 << 20
"""A guest's tables."""
MAX_GUEST_FILES = 64
"""Files that one guest has open through WASI: each takes a descriptor, and the whole node shares those."""
MAX_WASM_STACK_BYTES = 512 * 1024
"""A guest's own stack; deeper recursion traps."""
MAX_EFFECT_BYTES = 64 * MIB
"""What a guest may emit within one poll before it is suspended until the kernel has applied it."""
MAX_EFFECTS = 1024
"""Effects that a guest may leave within one poll before it is suspended until the kernel has applied them."""

MAX_INBOX_MESSAGES = 4096
"""Messages that wait for one process."""
MAX_INBOX_BYTES = 256 * MIB
"""Bytes of body and blob that wait for one process."""
MAX_OUTSTANDING = 65536
"""Requests of one process that wait for an answer, and answers and errors that wait for it; one more traps."""
MAX_OUTSTANDING_BYTES = 512 * MIB
"""The outstanding requests of one process, with context and blob, and those whose error waits in its inbox."""
UNPAID_OUTSTANDING_BYTES = 16 << 10
"""How much the bytes outstanding may differ from what the process's account has been charged."""
LITTLE_OUTSTANDING_BYTES = 64 << 10
"""How much a process may have outstanding even when its package has used up its part of the memory."""
MAX_ANSWER_BYTES = 256 * MIB
"""Answers that wait for one process: when they are more, further ones become Timeout."""
SMALL_MESSAGE_BYTES = 16 << 10
"""A smaller message is always taken from a sender that has nothing else waiting. A larger one has to find memory: one
for each process, or for each name of a node, would exceed any budget."""
MESSAGE_MEMORY_BYTES = 512
"""Memory of a message that waits, beside its bytes: a dozen small objects."""
MAX_IN_FLIGHT_MESSAGES = 1024
"""Requests of one process that are in flight to one other node; more than enough to keep a distant one busy."""
MAX_IN_FLIGHT_ANSWERS = 16_384
"""Answers of one process that are in flight to one other node. A process that answers cannot wait, so this holds what
an honest node may ask at once: the requests of four full inboxes."""
MAX_IN_FLIGHT_BYTES = 64 * MIB
"""Bytes that these messages keep alive; one that is too large for the rest is still sent, or it could never be."""
MAX_PACKAGE_IN_FLIGHT_MESSAGES = 8192
"""Requests of all processes of a package that are in flight to one node: an eighth of what may wait for one peer."""
MAX_PACKAGE_IN_FLIGHT_ANSWERS = 32_768
"""Answers of all processes of a package that are in flight to one node: half of what may wait for one peer."""
MAX_PACKAGE_IN_FLIGHT_BYTES = 128 * MIB
"""Bytes of a package's messages in flight to one node: a quarter of what may wait for one peer."""
MAX_HELD_CAPABILITIES = 4096
"""Capabilities that one process holds because it or its user wanted that."""
MAX_HELD_BYTES = MIB
"""Bytes of these capabilities: their params, and CAPABILITY_OVERHEAD_BYTES for each."""
MAX_PACKAGE_HELD_BYTES = 8 * MIB
"""Bytes held by all processes of one package: the store is written whole, and a process can spawn others."""
MAX_GIVEN_CAPABILITIES = 1024
"""Capabilities, issued by the processes of one package, that others made a process hold without its asking."""
MAX_GIVEN_BYTES = MIB
"""Bytes of these capabilities."""
MAX_PACKAGE_GIVEN_BYTES = 8 * MIB
"""Bytes of capabilities, issued by one package's processes, that all processes were given."""
CAPABILITY_OVERHEAD_BYTES = 128
"""Added to the length of each capability's params: its address, and its place in the store."""
MAX_RECEIVED_CAPABILITIES = 1024
"""Capabilities that a process has received and may still save; the oldest go first."""
MAX_RECEIVED_BYTES = 2 * MIB
"""Bytes of these capabilities."""
MAX_REVOKED = 1024
"""Issuers of one package whose revocations are told apart; the oldest are merged into one of the whole package."""
MAX_REVOKED_PACKAGES = 4096
"""Packages with revocations; the oldest are merged into one of the whole node."""
MAX_PROCESSES = 11_000
"""Processes on one node. A guest takes five of the 65,530 memory mappings that Linux gives a process by default: at
about 13,000 none is left, not even for a thread's stack."""
MAX_PROCESSES_OF_PACKAGE = 10_500
"""Processes of one package, so that it leaves places to others."""
MAX_DEAD_LETTERS = 1000
"""Undeliverable messages that are remembered, without blob; the oldest go first."""
MAX_DEAD_LETTER_BODY = 1024
"""Bytes of a remembered message's body."""
MAX_FRAMES = 20
"""Functions of a guest that a trap tells of, the innermost ones, with those that were inlined."""
MAX_SAID_LINES = 40
"""Lines that a guest printed last, as they are told with its trap: a traceback has a few dozen."""
MAX_SAID_CHARACTERS = 4096
"""Characters of these lines together."""
MAX_LINEAGE = 16
"""Requests that are told with a trap: each was sent while the next one was handled."""
MAX_TRACED_REQUESTS = 10_000
"""Requests that a tracer remembers; the oldest go first."""
MAX_TRACE_RECORDS = 100_000
"""Records of a trace that nobody has read yet; the oldest go first."""
