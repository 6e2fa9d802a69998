//! What is said between users, main, jobs and the registry.

/// From users to main, which hands a Run on to a job.
pub const Ask = union(enum) { Run: struct { order: []const u8 }, Status };

/// From main and jobs to users.
pub const Answer = union(enum) {
    Ran: struct { order: []const u8, customer: []const u8, city: []const u8, courier: []const u8 },
    Status: struct { started: u32 },
    Err: []const u8,
};

/// From jobs to the registry.
pub const Lookup = union(enum) { Lookup: struct { key: []const u8 } };

/// From the registry to jobs.
pub const Found = union(enum) { Found: struct { value: []const u8 }, Unknown };
