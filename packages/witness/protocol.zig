//! What is said between users and witnesses, and between witnesses. All of it is JSON, and any of it may come from a node
//! that lies: whatever is kept has a bound here.

const std = @import("std");

pub const max_runs = 64;
pub const max_targets = 200;
pub const max_hops = 8;
pub const max_count = 100_000;
pub const max_gap_ms = 600_000;
pub const max_timeout = 86_400;
pub const max_blob = 16 << 20;
/// Bytes of a run's name.
pub const max_run = 64;
/// Bytes of a node's name.
pub const max_node = 253;

pub const Request = union(enum) {
    /// From this node's user: ask `targets`. Answered Begun at once.
    Begin: Begin,
    /// From a witness on another node or this one. Answered Noted by the last of the path.
    Note: Note,
    /// From a witness to itself, while it handles a Note with a blob: inherits nothing, and so must come without.
    Bare,
    /// From this node's user: what was seen so far.
    Report,
    /// From this node's user: forget all of that, and end all runs. Outcomes that are still to come count no more.
    Forget,
};

pub const Begin = struct {
    /// Told apart by name for as long as the processes live: use each once.
    run: []const u8,
    targets: []const []const u8,
    /// Requests for each target.
    count: u32,
    /// Milliseconds from one request to the next, whatever its target; 0: as many as may be under way, at once.
    gap_ms: u32 = 0,
    /// Seconds until a request is given up.
    timeout: u64,
    /// Nodes to which a target passes a Note on, one after another; the last one answers.
    path: []const []const u8 = &.{},
    /// Bytes of the blob that goes with each request.
    blob: u32 = 0,
};

pub const Note = struct {
    run: []const u8,
    author: []const u8,
    /// From 0, for each target.
    number: u32,
    /// Nodes that have passed it on so far, in order; so the last of them, or the author, has sent it.
    trail: []const []const u8 = &.{},
    /// Nodes still to go.
    path: []const []const u8 = &.{},
    /// Bytes of the blob that comes with it.
    blob: u32 = 0,

    /// The node that must have sent it.
    pub fn from(self: Note) []const u8 {
        return if (self.trail.len == 0) self.author else self.trail[self.trail.len - 1];
    }

    /// Whether both are one, wherever they are on their way.
    pub fn same(self: Note, other: Note) bool {
        return self.number == other.number and std.mem.eql(u8, self.run, other.run) and
            std.mem.eql(u8, self.author, other.author);
    }

    /// For `{f}`.
    pub fn format(self: Note, writer: *std.Io.Writer) std.Io.Writer.Error!void {
        try writer.print("number {d} of {s}'s run {s}", .{ self.number, self.author, self.run });
    }
};

pub const Answer = union(enum) {
    Begun,
    Noted: Handled,
    /// It could not be passed on to the next node of its path.
    Returned: Handled,
    Report: Report,
    Forgotten,
    /// Why a request was refused.
    Err: []const u8,
};

/// What became of a Note.
pub const Handled = struct {
    run: []const u8,
    author: []const u8,
    number: u32,
    /// As in the Note.
    trail: []const []const u8,
    /// The node that answers.
    by: []const u8,

    /// As it came to the node that answers, without its path and its blob.
    pub fn note(self: Handled) Note {
        return .{ .run = self.run, .author = self.author, .number = self.number, .trail = self.trail };
    }
};

pub const Report = struct {
    asked: []const Asked,
    noted: []const Noted,
    /// A sentence for everything that should never happen.
    wrong: []const []const u8,
    /// Sentences that found no place there.
    wrong_left_out: u64,
    /// Notes that were answered, but found no place in `noted`.
    notes_left_out: u64,
};

/// Requests to one target in one run. What is missing from their sum is still under way.
pub const Asked = struct {
    run: []const u8,
    target: []const u8,
    sent: u32,
    answered: u32,
    /// Answered, but by a node that could not pass it on.
    returned: u32,
    offline: u32,
    timeout: u32,
};

/// Notes of one author in one run that came the same way.
pub const Noted = struct {
    run: []const u8,
    author: []const u8,
    from: []const u8,
    trail: []const []const u8,
    /// Answered here, because the path ended here.
    noted: u32,
    /// Passed on to the next node.
    passed: u32,
    /// Of those, how many came back.
    returned: u32,
    /// Answers of ours that came back: whoever waits for them may wait in vain.
    lost: u32,
    /// The last number that came.
    last: u32,
    /// Numbers that had come before.
    doubled: u32,
    /// Numbers that came after a higher one.
    disordered: u32,
};

/// What a request is sent with; see `asked.zig` and `noted.zig`.
pub const Context = union(enum) {
    Ask: struct { life: u32, run: []const u8, target: []const u8, number: u32 },
    Tick: struct { life: u32, run: []const u8 },
    Pass: struct { life: u32, row: u32 },
};
