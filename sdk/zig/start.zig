//! The root of every guest: exports what the kernel calls, and hands over to the author's module, `process`.

const std = @import("std");
const nectar = @import("nectar");
const process = @import("process");

pub const panic = nectar.panic;
/// Which lines are shown is decided when they are printed.
pub const std_options: std.Options = .{ .logFn = nectar.logFn, .log_level = .debug };

/// The text comes from `cabi_realloc` and is ours for as long as the process runs.
export fn init(ptr: [*]const u8, len: usize) void {
    const our = nectar.Address.parse(ptr[0..len]) catch @panic("the kernel gave us no valid address");
    const result = process.init(our);
    if (@typeInfo(@TypeOf(result)) == .error_union) {
        result catch |err| {
            nectar.print(0, "init failed: {t}", .{err});
            @trap();
        };
    }
}
