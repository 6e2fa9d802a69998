//! A counter that goes on counting after a restart.
//!
//!     {"Add": 5}  →  {"Count": 5}
//!     "Get"       →  {"Count": 5}
//!
//! What is saved is `{"version": 2, "count": 5, "adds": 1}`.

const std = @import("std");
const nectar = @import("nectar");

const Ask = union(enum) { Add: u64, Get };
const Answer = union(enum) { Count: u64, Err: []const u8 };

const Counted = struct {
    count: u64 = 0,
    /// How often something was added; the first version did not know that.
    adds: u64 = 0,

    pub const version = 2;

    /// Version 1 was the count alone, as eight bytes.
    pub fn migrate(from: u32, saved: []const u8) error{BadState}!Counted {
        if (from != 1 or saved.len != 8) return error.BadState;
        return .{ .count = std.mem.readInt(u64, saved[0..8], .little) };
    }
};

const state = nectar.State(Counted);
const max_add = 1_000_000_000;

pub fn init(_: nectar.Address) !void {
    var counted = try state.load();
    while (true) switch (nectar.receive()) {
        .request => |request| if (request.wantsAnswer()) {
            const answer = handle(&counted, request.body);
            nectar.respond(.{ .body = nectar.json.stringify(answer) });
        },
        .response, .send_error => {},
    };
}

fn handle(counted: *Counted, body: []const u8) Answer {
    const wrong: Answer = .{ .Err = "expected {\"Add\": NUMBER} or \"Get\"" };
    switch (nectar.json.parse(Ask, body) catch return wrong) {
        .Add => |number| {
            if (number > max_add) return wrong;
            counted.count += number;
            counted.adds += 1;
            state.save(counted.*);
        },
        .Get => {},
    }
    return .{ .Count = counted.count };
}
