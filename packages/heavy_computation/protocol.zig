//! What users and workers say to main, and main to workers.

/// To main.
pub const Ask = union(enum) {
    // From users.
    Run: struct { below: u32 },
    Status,
    // From workers; no answer is wanted.
    Report: struct { job: u8, tested: u32 },
    /// Anything else.
    Unknown,
};

/// To a worker, from main: count the primes below that number. Answered Ran.
pub const Order = union(enum) { Count: struct { job: u8, below: u32 } };

pub const Answer = union(enum) {
    Ran: struct { below: u32, primes: u32 },
    Status: struct { jobs: []const Job },
    Err: []const u8,
};

/// `tested`: the numbers below this are done.
pub const Job = struct { below: u32, tested: u32 = 0 };
