"""Every bound of this package: a name, a unit and the reason. Nothing that a peer can fill is unbounded."""

MIB = 1 << 20

# --- messages -------------------------------------------------------------------------------------------------------

MAX_HEADER_BYTES = 11 * MIB
"""A message's header: an envelope whose body may be 10 MiB, and space for the rest of the envelope."""
MAX_BLOB_BYTES = 64 * MIB
"""A message's blob."""
MESSAGE_OVERHEAD_BYTES = 128
"""Added to every message's size in all accounts of credit, so that a flood of empty messages costs credit too."""
MESSAGE_MEMORY_BYTES = 1024
"""Memory of a message that waits to be taken, beside its bytes: its place in our tables, and its envelope."""
MAX_PAIRS = 128
"""Pairs of processes that have a number on one connection, each way. With `MAX_PAIR_BYTES` a peer makes us keep less
than the incomplete record that each connection may keep anyway."""
MAX_PAIR_BYTES = 255
"""The longest name of a pair that gets a number."""
MAX_QUEUED_BYTES = 512 * MIB
"""Messages of this node that wait for one peer; beyond it a message fails at once (`FailureReason.QUEUE_FULL`)."""
MAX_QUEUED_MESSAGES = 65536
"""Messages of this node that wait for one peer; beyond it a message fails at once."""

# --- credit ---------------------------------------------------------------------------------------------------------

SESSION_CREDIT_BYTES = 128 * MIB
"""Messages of one peer that it has begun to send and our kernel has not taken; bounds our memory per peer. It holds the
largest message beside what a few stuck target processes hold (CREDIT_SHARES)."""
SESSION_CREDIT_MESSAGES = 2048
"""Messages of one peer that it has begun to send and our kernel has not taken; also bounds the lists in a resume
frame."""
MAX_CREDIT_BYTES = 1 << 40
"""The largest credit that a peer may announce: beyond any memory, far below any overflow."""
CREDIT_SHARES = 8
"""The sender lets one target process have at most one part in so many of the session's credit, and less, the less is
free (`net.session.credit`): a target that takes nothing must not stop the others. Also the part of the bytes that large
messages leave."""
FIRST_ALLOCATION_BYTES = 4 * MIB
"""Memory set aside when a message is announced; more only as its bytes arrive, not on the peer's word. Growing copies
what is there, so this holds a file's chunk; all that is announced counts against the peer's credit in any case."""

MAX_PEER_BYTES = SESSION_CREDIT_BYTES // 8 * 9 + MAX_BLOB_BYTES // 2 + 4 * MIB
"""Our memory that a peer can fill, whatever it sends, before our kernel takes it: its messages, whose headers grow with
an eighth to spare; a blob that is being enlarged, which is done by doubling; and the messages' places in our tables,
one incomplete record, and what the peer was answered and has not read (MAX_REPLY_BYTES)."""

# --- records and frames ---------------------------------------------------------------------------------------------

MAX_RECORD_BYTES = 65535
"""One Noise message (Noise section 3)."""
TAG_BYTES = 16
"""The authentication tag, of both ciphers."""
RECORDS_PER_KEY = 1 << 22
"""Records of one direction that are encrypted with one key of AES-GCM. A record is at most 4,095 blocks of 16 bytes and
one for its tag, so a key encrypts at most 2^34 blocks (256 GiB). The chance to tell what is encrypted from random bytes
is then below 2^-60: it grows with the square of the blocks, over 2^129. TLS 1.3 goes to 2^34.5 blocks (RFC 8446,
section 5.5), QUIC to 2^35 (RFC 9001, appendix B.1)."""
MAX_PLAINTEXT_BYTES = MAX_RECORD_BYTES - TAG_BYTES
"""What fits into one record."""
MAX_HANDSHAKE_BYTES = 8192
"""One handshake message: 96 bytes of keys and tags, and a payload with a name record."""
MAX_UNREAD_BYTES = 4 * (MAX_RECORD_BYTES + 2)
"""What a peer may send before it is decided whether its name is believed; it has to send no more than one resume
frame."""
HELD_PIECE_OVERHEAD_BYTES = 64
"""Added to each piece of unread bytes, for what Python needs to hold it: a flood of empty ones is bounded too."""
MAX_CONTROLS = 2048
"""Control frames in one record: twice as many as an honest node has to ask for at once (MAX_LOOKUPS). All of a record
are read before any of them is handled."""
MAX_CHUNK_WORTH_WAITING = 4096
"""A record is closed rather than filled with a piece of a large message that is smaller than this."""

PAUSE_REPLY_BYTES = 64 << 10
"""Control frames that wait to be written, in bytes with HELD_PIECE_OVERHEAD_BYTES for each, before nothing more is read
from a peer that asks and does not read; at half of that, it is read from again."""
MAX_REPLY_BYTES = 1 << 20
"""Bytes of control frames that wait to be written to a peer before its connection ends: only what it had sent before
the pause can make it so much. It holds the answers to all lookups that an honest node asks for at once (MAX_LOOKUPS).
"""

# --- names ----------------------------------------------------------------------------------------------------------

MAX_NAME_BYTES = 253
"""A node's name (G1)."""
MAX_LABEL_BYTES = 63
"""One label of a node's name (G1)."""
MAX_NAME_RECORD_BYTES = 4096
"""A signed name record, encoded."""
MAX_FIRST_RECORD_BYTES = 1024
"""The body of a record of a name that is new: enough for a name, an endpoint and a router of the longest names, or many
of usual ones. So names that are never used take a quarter of the registrar's space that they would otherwise."""
MAX_ENDPOINTS = 8
"""Endpoints in a name record; also the cap for its routers."""
MAX_CIPHERS = 8
"""Ciphers that a name record may list; there is one so far."""
MAX_HOST_BYTES = 255
"""A host in an endpoint."""
MAX_CACHED_RECORDS = 65536
"""Records that a node remembers; the oldest go first."""
MAX_REGISTERED_NAMES = 1 << 20
"""Names that a registrar grants."""
MAX_NAMES_PER_KEY = 8
"""Names that one key may hold: a node has one; a few more are for people who run several nodes under one key. Keys cost
nothing, so addresses bound the rest."""
NAMES_AT_ONCE = 64
"""New names that one public address (of IPv6: one network of 64 bits) may take at once..."""
NAME_SECONDS = 60.0
"""...and the time until it may take one more. A household, or an office, seldom brings so many nodes on one day; with
an invitation it can bring more."""
SITE_NAMES_AT_ONCE = 256
"""New names that one IPv6 site (48 bits), which has 65,536 such networks, may take at once..."""
SITE_NAME_SECONDS = 15.0
"""...and the time until it may take one more."""
LOCAL_NAMES_AT_ONCE = 4096
"""New names that this machine, or one address of a private network, may take at once: a testnet of some thousand
nodes..."""
LOCAL_NAME_SECONDS = 10.0
"""...and the time until it may take one more: a flood from there that never ends holds 73,000 names that are never used
(see UNUSED_NAME_SECONDS), far from MAX_REGISTERED_NAMES."""
CHANGES_AT_ONCE = 32
"""Changes of one name's record at once: a node registers at each boot, if it listens elsewhere than before..."""
CHANGE_SECONDS = 10.0
"""...and the time until it may change once more; each is a signature, and an entry in a file that is written anew when
most entries are superseded."""
MAX_REMEMBERED_ORIGINS = 65536
"""Addresses, and as many names, whose recent use a registrar remembers; about 10 MB each."""
MAX_READ_RECORDS = 4096
"""Records that a table also holds decoded, of those looked up last: 2 KB each."""
MAX_INVITATION_BYTES = 512
"""An invitation with a name of MAX_NAME_BYTES, and space to spare."""
MAX_INVITATION_USES = 1 << 20
"""Names that one invitation may be good for: all of a registrar's."""
MAX_RETRY_SECONDS = 24 * 3600
"""The longest pause that a registrar may ask a node to make."""
MAX_WAITING_GRANTS = 8
"""Registrations of one connection whose record is not on the registrar's disk yet; a node has one at a time."""
MAX_STATIC_FILE_BYTES = 64 * MIB
"""A static directory's file."""
MAX_KEY_FILE_BYTES = 4096
"""A node's key file."""

FORGET_SECONDS = 600.0
"""Pause between two checks of which peers are gone: one that is gone at both is forgotten, if that costs nothing. Until
then people see what became of it; names that attackers made up would stay for ever otherwise."""

# --- connections ----------------------------------------------------------------------------------------------------

MAX_HALF_OPEN_PER_HOST = 1024
"""Accepted connections from one address whose handshake is not finished: 500 nodes behind one address, as in a testnet,
may dial at once, beside an attacker there (`net.session.half_open`). Each takes 13 KiB with its tasks, and while it
sends, at most MAX_HANDSHAKE_BYTES more."""
MAX_HALF_OPEN = 2048
"""Accepted connections from all addresses whose handshake is not finished."""
DROPPED_SECONDS = 5.0
"""One line of the log for all connections that have ended within so many seconds before a name was proven."""
MAX_DROPPED_REASONS = 8
"""Reasons that such a line tells apart: a peer's bytes can cause any number of them."""
FIRST_MESSAGE_SECONDS = 0.1
"""How long a connection that has sent nothing is left alone; if one of these bounds is reached, an older one is the
first to give way to a newcomer. A dialer sends its first message with the packet that opens the connection, or right
behind it."""
HALF_OPEN_SECONDS = 1.0
"""How long a handshake that has begun is left alone: an honest one takes two round trips."""
HALF_OPEN_PART = 4
"""Unfinished connections are at most one part in so many of all that a node may have: neither they nor the finished
ones crowd out the others."""
MAX_CONNECTIONS = 1 << 14
"""Connections of a node, where descriptors are plenty: MAX_SESSIONS, with unfinished ones and legs of circuits."""
MAX_SESSIONS = 4096
"""Peers that are remembered at once; the idle one that was used longest ago goes first."""
MAX_PROBES = 16
"""Watchers of how peers are reached: each is a person with a command that waits."""
MAX_LOOKUPS = 1024
"""Names that are being looked up at the registrar at once."""

# --- routers --------------------------------------------------------------------------------------------------------

MAX_PLACES_PER_KEY = 2
"""Places of one key at a router: a node needs one."""
MAX_RESERVATIONS = 64
"""Nodes for which a router keeps a place; the default of `NetworkConfig.reservations`."""
MAX_CIRCUITS = 256
"""Circuits of a router at once, including those that wait for their second leg."""
MAX_CIRCUITS_PER_NODE = 64
"""Circuits of one node, as caller and as called: no node uses up a router alone."""
MAX_CALLS_PER_ROUTER = 2 * MAX_CIRCUITS_PER_NODE
"""Calls through one router that a node answers at once. The router counts circuits too; but when it ends some in favour
of others, these may call before the node has heard of the ends."""
MAX_CIRCUITS_PER_PAIR = 4
"""Circuits of one caller to one node, so that no caller keeps others from the node: their session needs one, and
another while it is renewed."""
RELAY_BYTES = 1 << 20
"""What a router keeps of each direction of a circuit before it stops reading; together with one receive more, its
memory. Each piece counts as HELD_PIECE_OVERHEAD_BYTES more."""
SCARCE_RELAY_BYTES = 64 << 10
"""RELAY_BYTES if the caller's account has no capacity for more."""
CIRCUIT_IDLE_SECONDS = 60.0
"""Silence after which a router ends a circuit; three keepalives of the session within have failed by then."""
ROUTER_RETRY_SECONDS = 1.0
"""Pause before a node tries again to reach a router of its own, or to get a place there."""

# --- times of name records, in seconds ------------------------------------------------------------------------------

RECORD_SECONDS = 30 * 24 * 3600
"""From a record's issue to its expiry, and the most that a registrar grants. A node is found for so long after it was
last there, and a key that was stolen, and changed since, deceives nodes that cannot ask the registrar at most for so
long."""
RENEWALS_AT_ONCE = 6
"""How often a node renews its record because it has revoked something, at once..."""
RENEWAL_SECONDS = 600.0
"""...and until it may do so once more: a registrar of a million such nodes writes 1,700 records a second at worst."""
COPY_SECONDS = 3600.0
"""From a record to the next one that is signed only to tell of a newer backup copy."""
OWN_CHECK_SECONDS = 600.0
"""Pause between two looks at a node's own record while it has no connection to its registrar, which would tell it of a
copy of it by taking that connection away."""
FIRST_RECORD_SECONDS = 7 * 24 * 3600
"""The lifetime of the record of a name that is new, so that a name that is registered once and never used is soon free
again."""
PROVEN_SECONDS = 8 * 3600
"""Age of the record of a new name at which its node asks for one of RECORD_SECONDS: a node that boots on two days gets
it, and an attacker that takes names by the thousand has to come back..."""
LEAST_PROVEN_SECONDS = 6 * 3600
"""...and at which the registrar grants it: the two clocks may differ, by less than the difference."""
UNUSED_NAME_SECONDS = 24 * 3600
"""From the expiry of a record of FIRST_RECORD_SECONDS, or less, until its name is free for everybody. More than clocks
differ: the old record is believed no more when there can be a new one."""
USED_NAME_SECONDS = 90 * 24 * 3600
"""From the expiry of a record that lasts longer, which its node has got after PROVEN_SECONDS, until its name is free
for everybody: a node that is off for a season keeps its name."""
SUDDEN_SECONDS = 60
"""If a name's time to be free has passed by more than this when that is noticed, it was not seen to run out: the clock
has jumped, or the node has just been started..."""
DOUBT_SECONDS = 3600
"""...and then it is kept for so long, in which a wrong clock may be set right."""
CLOCK_SKEW_SECONDS = 3600
"""How far a node's clock may be ahead of the registrar's."""
RENEWAL_SLACK_SECONDS = 1
"""A record with half its lifetime and less than this left is renewed: no rounding makes a timer fire twice."""

# --- times, in seconds ----------------------------------------------------------------------------------------------

FAREWELL_SECONDS = 1.0
"""How long a connection that is to be closed may take to write what was begun, and its farewell; and a node that ends,
to keep what it holds."""
HANDSHAKE_SECONDS = 5.0
"""From the start of a connection to the end of its handshake; a peer that is silent for longer is dropped."""
VERIFY_SECONDS = 2.0
"""Time for the registrar to answer who a dialer is; after that, the granted record that the dialer showed has to do.
Less than the dialer's patience."""
KEEPALIVE_SECONDS = 15.0
"""Silence after which a ping is sent."""
PING_SECONDS = 5.0
"""Time for an answer to a ping; then the connection is dead."""
PROBE_SECONDS = 30.0
"""Time for all of a probe: a lookup, the budget for reaching a peer, and a ping take half of it; the rest is for a peer
whose connections break as soon as they are there."""
RECOVERY_SECONDS = 5.0
"""Budget for reaching a peer, from the first attempt or the break of the connection; the default."""
LOOKUP_SECONDS = 5.0
"""Time for the registrar's answer."""
LOOK_UP_AGAIN_SECONDS = 1.0
"""Pause between two lookups of a peer whose connection broke and that does not answer where it was."""
REGISTRATION_RETRY_SECONDS = 5.0
"""Pause before a registration is tried again that found no registrar."""
MIN_ATTEMPT_SECONDS = 1.0
"""The least time that one endpoint of several gets."""
FIRST_BACKOFF_SECONDS = 0.05
"""Pause before the first redial; doubles from attempt to attempt."""
MAX_BACKOFF_SECONDS = 1.0
"""The longest pause between two redials."""
RECORD_GROWTH_BYTES = 64
"""Bytes of an incomplete record that come within PING_SECONDS and count as an answer: on a slow link a record takes
minutes, and what would answer is behind it. A packet is more; a byte now and then is less, and none of the times below
is longer for it."""
MURMUR_SECONDS = 5.0
"""Pause after which a node that receives one long record says something, so that the peer, whose own pings wait behind
that record, knows that it arrives: less than half of what a peer waits for (KEEPALIVE_SECONDS, PING_SECONDS)."""
LONG_RECORD_SECONDS = 1.0
"""Time after which a record that still arrives is a long one."""
STALL_SECONDS = 30.0
"""How long a live connection may stand still while its peer owes us something, however well it answers
(`net.session.liveness`, `net.session.progress`)."""
STALL_BYTES = 4096
"""Bytes of messages in STALL_SECONDS that count as going on, and of a record, which has to be whole in the time that
follows from this: a link that carries less is given up."""
WHOLE_SECONDS = 7200.0
"""What a peer has begun has to come at the rate at which all of it would be whole in so long, or its connection
ends."""
PROGRESS_SECONDS = 5.0
"""Pause between two checks of messages that are not whole, and the time over which the rate is taken while memory is
scarce; otherwise it is STALL_SECONDS."""
SCARCE_WHOLE_SECONDS = 60.0
"""WHOLE_SECONDS while memory is scarce: others wait for it."""
SCARCE_RATE = 16 << 10
"""Bytes a second that have to come of messages that are not whole while memory is scarce, at least."""
OLDEST_FACTOR = 10
"""No single message may take more than so many times as long as all of them together."""
DEFERRED_SECONDS = 5.0
"""How long a connection is not read whose next message finds no memory; then it ends, and what has come of its messages
is dropped: two that each wait for the other's memory would wait for ever."""
DEFERRED_RETRY_SECONDS = 0.05
"""Pause between two checks for memory."""
FRAMES_AT_ONCE = 128
"""Frames of one connection that are handled before others have their turn: a few milliseconds of work. The small
requests that an honest node has in flight pass at once, and their answers."""
FRAMES_IN_A_CROWD = 64
"""The same while others wait for their turn. With 16, a single request waits half as long (the 99th percentile beside
twenty hostile peers is 48 ms instead of 69), and a peer with 64 requests at a time gets a fifth of the speed, since it
waits for four turns."""
MAX_DEFERRED = 64
"""Connections that wait for memory at once, and those that wait for their turn; each keeps what was read and not
handled (MAX_DEFERRED_BYTES). Beyond it no connection waits for a turn."""
MAX_DEFERRED_BYTES = 2 * MIB
"""Bytes that one connection keeps: a driver reads half a MiB at a time, and nothing more from a connection that
waits."""
FIRST_PAUSE_SECONDS = 1.0
"""Pause after a peer has broken the protocol, in which it is not let in or dialed; doubles each time."""
MAX_PAUSE_SECONDS = 60.0
"""The longest such pause."""
FORGIVEN_SECONDS = 120.0
"""Good behaviour after which the pause is FIRST_PAUSE_SECONDS again; twice the longest pause."""
ACCEPTOR_GRACE_SECONDS = 0.2
"""How long the side that accepted a broken connection lets its dialer try first, to save a needless second
connection."""
