//! State that has a version: a struct that is loaded, migrated if an earlier version of the process has saved it, and
//! saved. See `State`.

const std = @import("std");
const json = @import("json.zig");
const memory = @import("memory.zig");
const nectar = @import("nectar.zig");

/// What saves and loads a T as JSON, `{"version":2,"count":5}`. T is a struct whose fields have defaults:
///
///     const Counted = struct {
///         count: u64 = 0,
///
///         pub const version = 2;
///
///         pub fn migrate(from: u32, saved: []const u8) error{BadState}!@This() {
///             if (from != 1 or saved.len != 8) return error.BadState;
///             return .{ .count = std.mem.readInt(u64, saved[0..8], .little) };
///         }
///     };
///     var total = try nectar.State(Counted).load();
///     total.count += 1;
///     nectar.State(Counted).save(total);
///
/// `migrate` makes a T of what version `from` has saved: JSON of that version or, of version 1, any bytes that are no
/// object with a version, as a process has saved them before it had such a state. Without `migrate` there is nothing to
/// be migrated.
pub fn State(comptime T: type) type {
    return struct {
        /// What is saved, migrated and saved again if it is of an earlier version; the defaults if nothing is. Its texts
        /// live until the next message. error.BadState: it is of a later version, or cannot be read.
        pub fn load() error{BadState}!T {
            const saved = nectar.getState() orelse return .{};
            const from = versionOf(saved);
            if (from == T.version) return json.parse(T, saved) catch error.BadState;
            if (from > T.version or !@hasDecl(T, "migrate")) return error.BadState;
            const value = try T.migrate(from, saved);
            save(value);
            return value;
        }

        /// Save `value`; it is durable when this returns.
        pub fn save(value: T) void {
            var out: std.Io.Writer.Allocating = .init(memory.arena());
            write(value, &out.writer) catch memory.outOfMemory();
            nectar.setState(out.written());
        }

        fn write(value: T, writer: *std.Io.Writer) json.WriteError!void {
            try writer.print("{{\"version\":{d}", .{T.version});
            inline for (@typeInfo(T).@"struct".field_names) |name| {
                try writer.writeAll(",\"" ++ name ++ "\":");
                try json.write(@field(value, name), writer);
            }
            try writer.writeAll("}");
        }
    };
}

fn versionOf(saved: []const u8) u32 {
    const Versioned = struct { version: u32 };
    return (json.parse(Versioned, saved) catch return 1).version;
}
