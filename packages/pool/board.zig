//! Which job of the run is where. It only keeps account: who sends and who waits is in `boss.zig`.

const std = @import("std");
const nectar = @import("nectar");
const protocol = @import("protocol.zig");

const allocator = nectar.allocator;

pub const max_jobs = 256;
pub const max_workers = 16;

pub const Job = struct {
    state: enum { waiting, running, done } = .waiting,
    attempts: u16 = 0,
    /// Who had it last.
    worker: ?u8 = null,
    sum: u64 = 0,
};

pub const Worker = struct { node: []const u8, running: u8 = 0, resting: bool = false };

pub const Pair = struct { job: u16, worker: u8 };

pub var jobs: []Job = &.{};
pub var workers: []Worker = &.{};
pub var retried: u32 = 0;

/// Forget the last run and begin another.
pub fn begin(run: protocol.Run) !void {
    for (workers) |worker| allocator.free(worker.node);
    workers = try allocator.realloc(workers, run.workers.len);
    for (workers, run.workers) |*worker, node| worker.* = .{ .node = try allocator.dupe(u8, node) };
    jobs = try allocator.realloc(jobs, run.jobs);
    @memset(jobs, .{});
    retried = 0;
}

/// A job to give out, and to whom; null: nothing is to be done, or nobody can do it now. The job counts as running.
pub fn next() ?Pair {
    for (jobs, 0..) |*job, number| if (job.state == .waiting) if (free(job.worker)) |worker| {
        if (job.attempts > 0) retried += 1;
        job.state = .running;
        job.attempts += 1;
        job.worker = worker;
        workers[worker].running += 1;
        return .{ .job = @intCast(number), .worker = worker };
    };
    return null;
}

/// The worker with the least to do; not `last` again if there are others.
fn free(last: ?u8) ?u8 {
    var best: ?u8 = null;
    for (workers, 0..) |worker, place| {
        if (worker.resting or worker.running == protocol.max_children) continue;
        if (last) |worst| if (place == worst and workers.len > 1) continue;
        if (best == null or worker.running < workers[best.?].running) best = @intCast(place);
    }
    return best;
}

pub fn done(pair: Pair, sum: u64) void {
    const job = returned(pair);
    job.state = .done;
    job.sum = sum;
}

/// The attempt came to nothing.
pub fn failed(pair: Pair) void {
    returned(pair).state = .waiting;
}

/// The worker did not even begin: this was no attempt.
pub fn declined(pair: Pair) void {
    const job = returned(pair);
    job.state = .waiting;
    job.attempts -= 1;
    if (job.attempts > 0) retried -= 1;
}

/// A request has one outcome (G5), so whatever comes back was running.
fn returned(pair: Pair) *Job {
    const job = &jobs[pair.job];
    if (job.state != .running or job.worker != pair.worker) @panic("a job has come back twice");
    workers[pair.worker].running -= 1;
    return job;
}

pub fn status() protocol.Status {
    var counted: protocol.Status = .{ .jobs = jobs.len, .retried = retried };
    for (jobs) |job| switch (job.state) {
        .waiting => counted.waiting += 1,
        .running => counted.running += 1,
        .done => counted.done += 1,
    };
    return counted;
}

pub fn results() []const protocol.Result {
    const list = nectar.arena().alloc(protocol.Result, jobs.len) catch @panic("out of memory");
    for (list, jobs, 0..) |*result, job, number| result.* = .{
        .job = @intCast(number),
        .sum = job.sum,
        .worker = workers[job.worker.?].node,
    };
    return list;
}
