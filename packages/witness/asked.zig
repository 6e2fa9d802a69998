//! The requests that we send: runs of numbered Notes, and what came of each of them.
//!
//! Each is sent with a context that names run, target and number. An outcome must fit its context, its context must name
//! a request that was sent and has had no outcome yet, and an answer must have come the whole way that it was sent.

const std = @import("std");
const nectar = @import("nectar");
const blob = @import("blob.zig");
const protocol = @import("protocol.zig");
const texts = @import("texts.zig");
const wrong = @import("wrong.zig");

const allocator = nectar.allocator;

/// Requests of one run that have no outcome yet; the next one then waits for one. All runs together stay below what the
/// kernel lets a process have outstanding.
const max_under_way = 512;

/// Seconds after which a timer is late enough to go on without it.
const timer_patience = 60;

var runs: std.ArrayList(*Run) = .empty;

const Target = struct {
    node: []const u8,
    /// It, and the nodes after it.
    way: []const []const u8,
    answered: u32 = 0,
    returned: u32 = 0,
    offline: u32 = 0,
    timeout: u32 = 0,
    /// The numbers that have had their outcome.
    over: std.DynamicBitSetUnmanaged,
};

const Run = struct {
    name: []const u8,
    targets: []Target,
    path: []const []const u8,
    count: u32,
    gap_ms: u32,
    timeout: u64,
    blob: u32,
    /// Requests sent so far, to all targets in turn.
    sent: u32 = 0,
    under_way: u32 = 0,

    fn init(wanted: protocol.Begin) !Run {
        const targets = try allocator.alloc(Target, wanted.targets.len);
        for (targets, wanted.targets) |*target, node| target.* = .{
            .node = texts.keep(node),
            .way = try way(node, wanted.path),
            .over = try .initEmpty(allocator, wanted.count),
        };
        return .{
            .name = texts.keep(wanted.run),
            .targets = targets,
            .path = texts.keepAll(wanted.path),
            .count = wanted.count,
            .gap_ms = wanted.gap_ms,
            .timeout = wanted.timeout,
            .blob = wanted.blob,
        };
    }

    fn way(node: []const u8, path: []const []const u8) ![]const []const u8 {
        const nodes = try allocator.alloc([]const u8, path.len + 1);
        nodes[0] = texts.keep(node);
        for (nodes[1..], path) |*to, from| to.* = texts.keep(from);
        return nodes;
    }

    fn deinit(self: *Run) void {
        for (self.targets) |*target| {
            allocator.free(target.node);
            texts.freeAll(target.way);
            target.over.deinit(allocator);
        }
        allocator.free(self.targets);
        allocator.free(self.name);
        texts.freeAll(self.path);
    }

    fn complete(self: Run) bool {
        return self.sent == self.count * self.targets.len;
    }

    fn sentTo(self: Run, index: usize) u32 {
        const width: u32 = @intCast(self.targets.len);
        return self.sent / width + @intFromBool(index < self.sent % width);
    }

    fn note(self: Run, author: []const u8, number: u32) protocol.Note {
        return .{ .run = self.name, .author = author, .number = number, .path = self.path, .blob = self.blob };
    }

    fn sendNext(self: *Run, our: nectar.Address, life: u32) void {
        const width: u32 = @intCast(self.targets.len);
        const target = self.targets[self.sent % width];
        const number = self.sent / width;
        self.sent += 1;
        self.under_way += 1;
        const asked = self.note(our.node, number);
        nectar.send(.{
            .target = .{ .node = target.node, .process = our.process },
            .body = nectar.json.stringify(protocol.Request{ .Note = asked }),
            .expects_response = self.timeout,
            .context = nectar.json.stringify(protocol.Context{
                .Ask = .{ .life = life, .run = self.name, .target = target.node, .number = number },
            }),
            .blob = blob.of(asked),
        });
    }
};

/// Begin a run for which there is no refusal. Frees what belongs to the current message.
pub fn begin(our: nectar.Address, life: u32, wanted: protocol.Begin) void {
    const run = allocator.create(Run) catch @panic("out of memory");
    run.* = Run.init(wanted) catch @panic("out of memory");
    runs.append(allocator, run) catch @panic("out of memory");
    goOn(our, life, run);
}

/// Why a Begin cannot be done; null: it can.
pub fn refusal(wanted: protocol.Begin) ?[]const u8 {
    if (runs.items.len == protocol.max_runs) return "too many runs: Forget some";
    if (find(wanted.run) != null) return "there is a run of that name";
    if (wanted.run.len > protocol.max_run) return "the name of the run is too long";
    if (wanted.targets.len == 0 or wanted.targets.len > protocol.max_targets) return "1 to 200 targets";
    if (wanted.path.len > protocol.max_hops - 1) return "at most 7 nodes in the path";
    if (!texts.allWithin(wanted.targets, protocol.max_node)) return "the name of a target is too long";
    if (!texts.allWithin(wanted.path, protocol.max_node)) return "the name of a node in the path is too long";
    if (repeats(wanted.targets)) return "each target once";
    if (wanted.count > protocol.max_count) return "count is at most 100000";
    if (wanted.gap_ms > protocol.max_gap_ms) return "gap_ms is at most 600000";
    if (wanted.timeout > protocol.max_timeout) return "timeout is at most 86400";
    if (wanted.blob > protocol.max_blob) return "blob is at most 16777216";
    return null;
}

fn repeats(list: []const []const u8) bool {
    for (list, 0..) |text, i| for (list[0..i]) |before| if (std.mem.eql(u8, text, before)) return true;
    return false;
}

fn find(name: []const u8) ?*Run {
    for (runs.items) |run| if (std.mem.eql(u8, run.name, name)) return run;
    return null;
}

/// Send what may be sent now. Frees what belongs to the current message.
fn goOn(our: nectar.Address, life: u32, run: *Run) void {
    if (run.gap_ms > 0) return tick(our, life, run);
    while (!run.complete() and run.under_way < max_under_way) {
        run.sendNext(our, life);
        nectar.reset(); // or all blobs of the run are in memory at a time
    }
}

fn tick(our: nectar.Address, life: u32, run: *Run) void {
    if (!run.complete() and run.under_way < max_under_way) run.sendNext(our, life);
    if (run.complete()) return;
    nectar.send(.{
        .target = .local("timer:distro:sys"),
        .body = nectar.format("{{\"SetTimer\":{d}}}", .{run.gap_ms}),
        .expects_response = run.gap_ms / 1000 + timer_patience,
        .context = nectar.json.stringify(protocol.Context{ .Tick = .{ .life = life, .run = run.name } }),
    });
}

/// A run's timer is over.
pub fn ticked(our: nectar.Address, life: u32, name: []const u8) void {
    if (find(name)) |run| tick(our, life, run);
}

pub const Outcome = union(enum) { response: nectar.Response, send_error: nectar.SendError };

/// One of our requests has come to its end.
pub fn over(our: nectar.Address, life: u32, context: @FieldType(protocol.Context, "Ask"), outcome: Outcome) void {
    const run = find(context.run) orelse
        return wrong.say("an outcome for the run {s}, which never began", .{context.run});
    const index = indexOf(run, context.target) orelse
        return wrong.say("an outcome for {s} in run {s}, which never asks it", .{ context.target, run.name });
    const target = &run.targets[index];
    const asked = run.note(our.node, context.number);
    const place: Place = .of(asked, target);
    if (asked.number >= run.sentTo(index)) return wrong.say("an outcome for {f}, which was never sent", .{place});
    if (target.over.isSet(asked.number)) return wrong.say("a second outcome for {f}", .{place});
    target.over.set(asked.number);
    run.under_way -= 1;
    switch (outcome) {
        .response => |response| answered(asked, target, response),
        .send_error => |failed| failedTo(asked, target, failed),
    }
    if (run.gap_ms == 0) goOn(our, life, run);
}

fn indexOf(run: *Run, node: []const u8) ?usize {
    for (run.targets, 0..) |target, i| if (std.mem.eql(u8, target.node, node)) return i;
    return null;
}

fn answered(asked: protocol.Note, target: *Target, response: nectar.Response) void {
    const place: Place = .of(asked, target);
    const answer = nectar.json.parse(protocol.Answer, response.body) catch
        return wrong.say("the answer to {f} is not an answer", .{place});
    const handled = switch (answer) {
        .Noted, .Returned => |handled| handled,
        else => return wrong.say("the answer to {f} is {t}", .{ place, answer }),
    };
    if (answer == .Noted) target.answered += 1 else target.returned += 1;
    const about = handled.note();
    if (!about.same(asked)) wrong.say("the answer to {f} is for {f}", .{ place, about });
    const passed = texts.with(handled.trail, handled.by);
    if (!texts.startsWith(target.way, passed) or (answer == .Noted and passed.len != target.way.len))
        wrong.say("the answer to {f} came another way, from {s}", .{ place, handled.by });
    if (nectar.getBlob() != null) wrong.say("the answer to {f} has a blob that nobody sent", .{place});
    if (!std.mem.eql(u8, response.source.node, handled.by))
        wrong.say("the answer to {f} is {s}'s, and came from {s}", .{ place, handled.by, response.source.node });
}

/// The error must bring back what was sent.
fn failedTo(asked: protocol.Note, target: *Target, failed: nectar.SendError) void {
    const place: Place = .of(asked, target);
    switch (failed.kind) {
        .offline => target.offline += 1,
        .timeout => target.timeout += 1,
    }
    const sent = nectar.json.stringify(protocol.Request{ .Note = asked });
    if (!std.mem.eql(u8, failed.body, sent)) wrong.say("the {t} of {f} has another body", .{ failed.kind, place });
    if (blob.fault(asked, failed.blob)) |fault| wrong.say("the {t} of {f} {s}", .{ failed.kind, place, fault });
}

/// One request, in a sentence.
const Place = struct {
    number: u32,
    target: []const u8,
    run: []const u8,

    fn of(asked: protocol.Note, target: *const Target) Place {
        return .{ .number = asked.number, .target = target.node, .run = asked.run };
    }

    pub fn format(self: Place, writer: *std.Io.Writer) std.Io.Writer.Error!void {
        try writer.print("number {d} to {s} in run {s}", .{ self.number, self.target, self.run });
    }
};

pub fn all() []const protocol.Asked {
    var list: std.ArrayList(protocol.Asked) = .empty;
    for (runs.items) |run| for (run.targets, 0..) |target, i| list.append(nectar.arena(), .{
        .run = run.name,
        .target = target.node,
        .sent = run.sentTo(i),
        .answered = target.answered,
        .returned = target.returned,
        .offline = target.offline,
        .timeout = target.timeout,
    }) catch @panic("out of memory");
    return list.items;
}

pub fn forget() void {
    for (runs.items) |run| {
        run.deinit();
        allocator.destroy(run);
    }
    runs.clearRetainingCapacity();
}
