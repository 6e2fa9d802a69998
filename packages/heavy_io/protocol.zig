//! What users and copiers say to main; main hands a Run on to the copier as it is.

pub const Ask = union(enum) {
    // From users, and from main to a copier.
    Run: Run,
    // From users.
    Status,
    // From copiers; no answer is wanted.
    Report: struct { bytes: u64 },
    /// Anything else.
    Unknown,
};

pub const Run = struct { from: []const u8, to: []const u8 };

pub const Answer = union(enum) {
    /// `hash`: in hexadecimal, the same of both files.
    Ran: struct { bytes: u64, hash: []const u8 },
    Status: struct { running: u32, copied: u64 },
    Err: []const u8,
};
