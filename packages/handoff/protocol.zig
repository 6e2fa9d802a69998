//! What is said between users, guests and doors; all of it JSON.

/// Which door of a node; what a ticket says: `{"door":3}`.
pub const Ticket = struct { door: u32 };

/// To a door.
pub const AskDoor = union(enum) {
    /// Whoever asks gets a ticket for it, attached to the answer.
    Issue: Ticket,
    /// For whoever attaches a ticket for it.
    Open: Ticket,
    /// From this node's user.
    Openings,
};

/// From a door.
pub const DoorSays = union(enum) {
    Issued: Ticket,
    Opened: struct { door: u32, times: u32 },
    Refused: struct { door: u32, reason: []const u8 },
    Openings: struct { opened: []const Opening, refused: u32, left_out: u32 },
    Err: []const u8,
};

/// How often someone opened a door. Of a holder on another node only the node is proven.
pub const Opening = struct { holder: []const u8, door: u32, times: u32 };

/// A door on a node, and how long to wait for whoever is asked.
pub const Errand = struct { node: []const u8, door: u32, timeout: u64 = 10 };

/// To a guest; all but Take from its own node's user.
pub const AskGuest = union(enum) {
    /// Get a ticket from the door, and keep it.
    Fetch: Errand,
    /// Open the door, with the ticket for it.
    Open: Errand,
    /// Give a ticket for the door on `node` to the guest on `to`, to keep it.
    Pass: struct { node: []const u8, door: u32, to: []const u8, timeout: u64 = 10 },
    /// Open the door without having a ticket for it.
    BreakIn: struct { node: []const u8, door: u32, how: How, timeout: u64 = 10 },
    /// What tickets it holds.
    Tickets,
    /// Throw away the ticket for that door.
    Drop: struct { node: []const u8, door: u32 },
    /// From a guest: keep what is attached.
    Take,
};

pub const How = union(enum) {
    NoTicket,
    /// One that names the door as its issuer; it is also told to the kernel as something to keep.
    MadeUp,
    /// One for this door, issued by the guest itself.
    OfOurOwn,
    /// The one that it holds for this other door.
    OtherDoor: u32,
};

/// From a guest.
pub const GuestSays = union(enum) {
    /// The tickets that came with the door's answer, and that it could keep.
    Fetched: []const Held,
    /// The tickets that came with a Take, and that it could keep; also what Pass is answered with.
    Took: []const Held,
    /// What the door answered to Open or BreakIn.
    Door: @import("nectar").json.Raw,
    Tickets: []const Held,
    Dropped,
    Failed: struct { kind: enum { Offline, Timeout } },
    Err: []const u8,
};

/// A ticket, by the door that it opens.
pub const Held = struct { node: []const u8, door: u32 };

/// With a request of a guest: what it is about.
pub const Context = enum { Fetch, Open, Pass };
