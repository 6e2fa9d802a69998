//! Work for a pool of nodes: boss gives out jobs to the workers on them. A job whose worker is gone goes to another.
//!
//!     {"Run":{"jobs":3,"workers":["one.nec","two.nec"],"timeout":30}}
//!         →  {"Done":{"results":[{"job":0,"sum":76127,"worker":"one.nec"},…],"retried":0}}
//!     "Status"  →  {"Status":{"jobs":3,"waiting":0,"running":2,"done":1,"retried":0}}      at once, meanwhile
//!
//! The kernel tells boss what became of every job: an answer, Offline, or Timeout; exactly one of these. So there is
//! nothing to poll and no heartbeat. A job that was given out again may be done twice, as it is not known how far the
//! first worker came, but its result is taken once: the answer to a request that is over never arrives.
//!
//! A worker that was Offline or too slow is left alone for some seconds, then it gets jobs again. To see it: `nectar
//! start packages/pool` on some nodes, then `nectar message` to our@boss:pool:sys, with `"rest":5000` to see it happen.

const std = @import("std");
const nectar = @import("nectar");
const board = @import("board.zig");
const protocol = @import("protocol.zig");

/// What comes back with an outcome: of which run, and of what in it.
const Context = struct { run: u32, what: union(enum) { Job: board.Pair, Rested: u8 } };

const max_name_bytes = 253;
const max_timeout = 3600;
/// Seconds that a worker is left alone.
const rest_seconds = 5;

var our: nectar.Address = undefined;
/// The number of the run that is under way, or of the last one.
var number: u32 = 0;
var under_way = false;
/// What was asked for in it, but for the lists: those are in `board.workers` and `traps`.
var terms: protocol.Run = undefined;
/// By job: whether the child is to trap at the first attempt.
var traps: [board.max_jobs]bool = @splat(false);

pub fn init(address: nectar.Address) !void {
    our = address;
    while (true) switch (nectar.receive()) {
        .request => |request| if (request.wantsAnswer()) try handle(request),
        // An outcome puts back the prompt under which the job was given out. That was the Run's, or an outcome in turn:
        // it is always the Run that `reply` answers here.
        .response => |response| outcome(response.context.?, response.body),
        .send_error => |failed| if (failed.of_request) outcome(failed.context.?, null),
    };
}

const not_understood = "expected {\"Run\":{\"jobs\":N,\"workers\":[NODE,…],\"timeout\":SECONDS}} or \"Status\"";
const not_for_others = "only processes of this node may ask this";

fn handle(request: nectar.Request) !void {
    if (!std.mem.eql(u8, request.source.node, our.node)) return reply(.{ .Err = not_for_others });
    switch (nectar.json.parse(protocol.Ask, request.body) catch return reply(.{ .Err = not_understood })) {
        .Run => |run| if (refusal(run)) |reason| reply(.{ .Err = reason }) else try begin(run),
        .Status => reply(.{ .Status = board.status() }),
    }
}

/// Why the run cannot begin; null: it can.
fn refusal(run: protocol.Run) ?[]const u8 {
    if (under_way) return "a run is under way";
    if (run.jobs == 0 or run.jobs > board.max_jobs) return "a run has 1 to 256 jobs";
    if (run.below > protocol.max_below - 100 * @as(u32, run.jobs)) return "a job goes up to 1,000,000 at most";
    if (run.workers.len == 0 or run.workers.len > board.max_workers) return "a run has 1 to 16 workers";
    for (run.workers) |node| if (node.len == 0 or node.len > max_name_bytes) return "a worker is not a node's name";
    if (run.timeout == 0 or run.timeout > max_timeout) return "a job's timeout is 1 to 3600 seconds";
    if (run.attempts == 0) return "a job needs one attempt at least";
    for (run.trap) |job| if (job >= run.jobs) return "a job that is to trap does not exist";
    return null;
}

fn begin(run: protocol.Run) !void {
    try board.begin(run);
    number += 1;
    under_way = true;
    terms = run;
    terms.workers = &.{};
    terms.trap = &.{};
    traps = @splat(false);
    for (run.trap) |job| traps[job] = true;
    giveOut();
}

/// Give out what can be given out.
fn giveOut() void {
    while (board.next()) |pair| {
        const attempts = board.jobs[pair.job].attempts;
        const order: protocol.Order = .{ .Do = .{
            .number = pair.job,
            .below = terms.below + 100 * @as(u32, pair.job),
            .rest = terms.rest,
            .trap = traps[pair.job] and attempts == 1,
        } };
        send(.{ .node = board.workers[pair.worker].node, .process = worker }, order, terms.timeout, .{ .Job = pair });
    }
}

const worker = nectar.ProcessId.parse("worker:pool:sys") catch unreachable;
const timer = nectar.ProcessId.parse("timer:distro:sys") catch unreachable;

fn send(target: nectar.Address, body: anytype, timeout: u64, what: @FieldType(Context, "what")) void {
    nectar.send(.{
        .target = target,
        .body = nectar.json.stringify(body),
        .expects_response = timeout,
        .context = nectar.json.stringify(Context{ .run = number, .what = what }),
    });
}

/// What came of a job or of a rest; null: an error.
fn outcome(text: []const u8, body: ?[]const u8) void {
    const context = nectar.json.parse(Context, text) catch unreachable; // we wrote it
    if (!under_way or context.run != number) return;
    switch (context.what) {
        .Job => |pair| settle(pair, body),
        .Rested => |place| board.workers[place].resting = false,
    }
    if (board.status().done == board.jobs.len) {
        end(.{ .Done = .{ .results = board.results(), .retried = board.retried } });
    } else if (under_way) giveOut();
}

fn settle(pair: board.Pair, body: ?[]const u8) void {
    if (body) |bytes| switch (nectar.json.parse(protocol.Outcome, bytes) catch .Crashed) {
        .Did => |did| if (did.job == pair.job) return board.done(pair, did.sum),
        .Busy => {
            board.declined(pair);
            return leaveAlone(pair.worker);
        },
        .Crashed, .Err => {},
    } else leaveAlone(pair.worker);
    board.failed(pair);
    const attempts = board.jobs[pair.job].attempts;
    if (attempts >= terms.attempts) end(.{ .Failed = .{ .job = pair.job, .attempts = attempts } });
}

/// Give the worker nothing for some seconds.
fn leaveAlone(place: u8) void {
    if (board.workers[place].resting) return;
    board.workers[place].resting = true;
    const order = .{ .SetTimer = rest_seconds * 1000 };
    send(.{ .node = "our", .process = timer }, order, 2 * rest_seconds, .{ .Rested = place });
}

fn end(answer: protocol.Answer) void {
    under_way = false;
    reply(answer);
}

fn reply(answer: protocol.Answer) void {
    nectar.respond(.{ .body = nectar.json.stringify(answer) });
}
