//! Computations that take seconds, in workers, so that the process that people talk to always answers at once.
//!
//! A process handles one message at a time: if it computed itself, whoever asks meanwhile would wait. So each job gets a
//! worker (`worker.zig`), which may use a processor of its own. The worker reports how far it is by messages, which
//! wait in main's inbox like any others; that it has finished is its answer.
//!
//!     {"Run":{"below":1000000}}  →  {"Ran":{"below":1000000,"primes":78498}}      after some seconds
//!     "Status"                   →  {"Status":{"jobs":[{"below":1000000,"tested":250000}]}}      at once, meanwhile
//!
//! To see it: `nectar start packages/heavy_computation`, then `nectar message` to
//! our@heavy_computation:heavy_computation:sys from two terminals.

const nectar = @import("nectar");
const protocol = @import("protocol.zig");

const Answer = protocol.Answer;

const max_jobs = 16;
const max_below = 100_000_000;
/// Seconds that a computation may take.
const patience = 3600;

/// The jobs that run now. A job's place is its number, and the context of the order to its worker.
var jobs: [max_jobs]?protocol.Job = @splat(null);

pub fn init(our: nectar.Address) void {
    while (true) switch (nectar.receive()) {
        .request => |request| handle(request, request.source.samePackage(our)),
        // A response or an error puts back the prompt: the answer goes to whoever sent that Run.
        .response => |response| {
            jobs[response.context.?[0]] = null;
            nectar.respond(.{ .body = response.body });
        },
        .send_error => |failed| if (failed.of_request) {
            jobs[failed.context.?[0]] = null;
            reply(.{ .Err = "the worker has crashed, or took more than an hour" });
        },
    };
}

fn handle(request: nectar.Request, from_worker: bool) void {
    const ask = nectar.json.parse(protocol.Ask, request.body) catch protocol.Ask.Unknown;
    if (ask == .Report) {
        if (from_worker and ask.Report.job < max_jobs) if (jobs[ask.Report.job]) |*job| {
            job.tested = ask.Report.tested;
        };
    } else if (request.wantsAnswer()) switch (ask) {
        .Run => |job| run(job.below),
        .Status => reply(.{ .Status = .{ .jobs = running() } }),
        else => reply(.{ .Err = "expected {\"Run\":{\"below\":N}} or \"Status\"" }),
    };
}

fn run(below: u32) void {
    if (below > max_below) return reply(.{ .Err = "N must be at most 100,000,000" });
    const number = free() orelse return reply(.{ .Err = "too many jobs are running; ask again when one has ended" });
    const worker = nectar.spawn(.{ .wasm_path = "/worker.wasm" }) catch
        return reply(.{ .Err = "no worker could be started" });
    jobs[number] = .{ .below = below };
    nectar.send(.{
        .target = .{ .node = "our", .process = worker },
        .body = nectar.json.stringify(protocol.Order{ .Count = .{ .job = number, .below = below } }),
        .expects_response = patience,
        .context = &.{number},
    });
}

fn free() ?u8 {
    for (jobs, 0..) |job, number| if (job == null) return @intCast(number);
    return null;
}

fn running() []const protocol.Job {
    const list = nectar.arena().alloc(protocol.Job, max_jobs) catch @panic("out of memory");
    var length: usize = 0;
    for (jobs) |job| if (job) |some| {
        list[length] = some;
        length += 1;
    };
    return list[0..length];
}

fn reply(answer: Answer) void {
    nectar.respond(.{ .body = nectar.json.stringify(answer) });
}
