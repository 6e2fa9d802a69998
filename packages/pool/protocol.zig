//! What users, boss, workers and children say to each other.

/// Jobs that one worker does at a time, each in a child of its own.
pub const max_children = 4;

pub const max_below = 1_000_000;

/// The sum of all primes below `below`. The child first rests for `rest` milliseconds, as if it were much work, and
/// with `trap` it then traps instead.
pub const Job = struct { number: u16, below: u32, rest: u32 = 0, trap: bool = false };

/// To boss, from its node's processes.
pub const Ask = union(enum) { Run: Run, Status };

pub const Run = struct {
    /// Their number; job k is the sum of all primes below `below` + 100 k.
    jobs: u16,
    below: u32 = 1000,
    /// Nodes with a `worker:pool:sys`.
    workers: []const []const u8,
    /// Seconds that one attempt at a job may take.
    timeout: u64,
    /// Attempts at one job.
    attempts: u16 = 20,
    rest: u32 = 0,
    /// Jobs whose child traps at the first attempt.
    trap: []const u16 = &.{},
};

/// From boss.
pub const Answer = union(enum) {
    /// Every job's result, in order; `retried`: how often a job was given out again.
    Done: struct { results: []const Result, retried: u32 },
    /// This job failed at every attempt.
    Failed: struct { job: u16, attempts: u16 },
    Status: Status,
    Err: []const u8,
};

pub const Result = struct { job: u16, sum: u64, worker: []const u8 };

/// Of the run that is under way, or of the last one.
pub const Status = struct {
    jobs: usize = 0,
    waiting: usize = 0,
    running: usize = 0,
    done: usize = 0,
    retried: u32 = 0,
};

/// To a worker from boss, and to a child from its worker.
pub const Order = union(enum) { Do: Job };

/// From a child, and from a worker.
pub const Outcome = union(enum) {
    Did: struct { job: u16, sum: u64 },
    /// The child ended without an answer.
    Crashed,
    /// The worker has as many children as it may.
    Busy,
    Err: []const u8,
};
