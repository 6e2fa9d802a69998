//! Timers and clocks. A timer is `timer:distro:sys`, which the manifest asks for; in a simulation all of this is its virtual
//! time.

const nectar = @import("nectar.zig");

/// Wait; other messages queue up.
pub fn sleep(milliseconds: u64) void {
    _ = nectar.sendAndAwait(request(milliseconds));
}

/// A response with that context arrives when the time is over.
pub fn timer(milliseconds: u64, context: []const u8) void {
    var asked = request(milliseconds);
    asked.context = context;
    nectar.send(asked);
}

fn request(milliseconds: u64) nectar.Outgoing {
    return .{
        .target = .local("timer:distro:sys"),
        .body = nectar.format("{{\"SetTimer\":{d}}}", .{milliseconds}),
        .expects_response = milliseconds / 1000 + 10,
    };
}

/// Nanoseconds since 1970.
pub fn now() u64 {
    return clock(0);
}

/// Nanoseconds of a clock that never goes back.
pub fn monotonic() u64 {
    return clock(1);
}

fn clock(id: u32) u64 {
    var time: u64 = 0;
    if (clockTimeGet(id, 1, &time) != 0) @panic("the node gives no time");
    return time;
}

const clockTimeGet = @extern(
    *const fn (id: u32, precision: u64, time: *u64) callconv(.c) u32,
    .{ .name = "clock_time_get", .library_name = "wasi_snapshot_preview1" },
);
