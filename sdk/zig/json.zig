//! Message bodies as JSON: between Zig values and the spelling that Rust's serde uses by default.
//!
//! bool, integers, floats, optionals (null), enums ("Name"), `[]const u8` (text), slices and arrays, structs (objects), and
//! tagged unions: a variant without payload is `"Name"`, one with a payload is `{"Name":payload}`. So
//!
//!     const Body = union(enum) { Stop, Greet: []const u8, Ask: struct { node: []const u8, timeout: u64 = 5 } };
//!
//! is `"Stop"`, `{"Greet":"Ada"}` or `{"Ask":{"node":"recv.nec","timeout":5}}`. A type with another spelling declares
//! `fn fromJson(*json.Scanner) json.Error!Self` and `fn toJson(Self, *std.Io.Writer) json.WriteError!void`.
//!
//! Integers and floats are different both ways: 1.0 is no integer, and a float is written with a point or an exponent, in
//! the fewest digits that read back as the same number. A field that is a float reads 1, too.
//!
//! Not `std.json`'s own conversion: that brings floating point of every width, which makes a guest twice as large. Here
//! only a process that has floats has them.

const std = @import("std");
const memory = @import("memory.zig");

/// What reads JSON piece by piece, for `fromJson`.
pub const Scanner = std.json.Scanner;
/// What `fromJson` may fail with.
pub const Error = Scanner.NextError || Scanner.AllocError || error{Unexpected};
/// What `toJson` may fail with.
pub const WriteError = std.Io.Writer.Error;

/// The value that `body` spells. Fields that T does not know are skipped; missing ones need a default. Its texts may
/// point into `body`; both live until the next message. Whatever is wrong with bytes from outside is `error.NotJson`.
pub fn parse(comptime T: type, body: []const u8) error{NotJson}!T {
    var scanner: Scanner = .initCompleteInput(memory.arena(), body);
    return parseAll(T, &scanner) catch |err| switch (err) {
        error.OutOfMemory => memory.outOfMemory(),
        else => error.NotJson,
    };
}

fn parseAll(comptime T: type, scanner: *Scanner) Error!T {
    const value = try read(T, scanner);
    return if (try scanner.next() == .end_of_document) value else error.Unexpected;
}

/// The value that comes next.
pub fn read(comptime T: type, scanner: *Scanner) Error!T {
    switch (@typeInfo(T)) {
        .@"struct", .@"union", .@"enum" => if (@hasDecl(T, "fromJson")) return T.fromJson(scanner),
        else => {},
    }
    return switch (@typeInfo(T)) {
        .bool => switch (try scanner.next()) {
            .true => true,
            .false => false,
            else => error.Unexpected,
        },
        .int => switch (try scanner.nextAlloc(memory.arena(), .alloc_if_needed)) {
            .number, .allocated_number => |digits| std.fmt.parseInt(T, digits, 10) catch error.Unexpected,
            else => error.Unexpected,
        },
        .float => switch (try scanner.nextAlloc(memory.arena(), .alloc_if_needed)) {
            .number, .allocated_number => |digits| readFloat(T, digits),
            else => error.Unexpected,
        },
        .optional => |optional| if (try scanner.peekNextTokenType() == .null) {
            _ = try scanner.next();
            return null;
        } else try read(optional.child, scanner),
        .@"enum" => std.meta.stringToEnum(T, try readText(scanner)) orelse error.Unexpected,
        .@"union" => readUnion(T, scanner),
        .@"struct" => readStruct(T, scanner),
        .array => readArray(T, scanner),
        .pointer => |pointer| if (pointer.child == u8) readText(scanner) else readList(pointer.child, scanner),
        else => @compileError("no JSON for " ++ @typeName(T)),
    };
}

fn readFloat(comptime T: type, digits: []const u8) Error!T {
    const value = std.fmt.parseFloat(T, digits) catch return error.Unexpected;
    return if (std.math.isFinite(value)) value else error.Unexpected;
}

fn readText(scanner: *Scanner) Error![]const u8 {
    return switch (try scanner.nextAlloc(memory.arena(), .alloc_if_needed)) {
        .string, .allocated_string => |text| text,
        else => error.Unexpected,
    };
}

fn readUnion(comptime T: type, scanner: *Scanner) Error!T {
    const alone = try scanner.peekNextTokenType() == .string;
    if (!alone) try expect(scanner, .object_begin);
    const name = try readText(scanner);
    const info = @typeInfo(T).@"union";
    inline for (info.field_names, info.field_types) |field, Payload| {
        if (std.mem.eql(u8, field, name)) {
            if (alone != (Payload == void)) return error.Unexpected;
            if (Payload == void) return @unionInit(T, field, {});
            const value = @unionInit(T, field, try read(Payload, scanner));
            try expect(scanner, .object_end);
            return value;
        }
    }
    return error.Unexpected;
}

fn readStruct(comptime T: type, scanner: *Scanner) Error!T {
    const info = @typeInfo(T).@"struct";
    var value: T = undefined;
    var seen: [info.field_names.len]bool = @splat(false);
    try expect(scanner, .object_begin);
    while (try scanner.peekNextTokenType() != .object_end) {
        const name = try readText(scanner);
        inline for (info.field_names, info.field_types, 0..) |field, Field, i| {
            if (std.mem.eql(u8, field, name)) {
                @field(value, field) = try read(Field, scanner);
                seen[i] = true;
                break;
            }
        } else try scanner.skipValue();
    }
    try expect(scanner, .object_end);
    inline for (info.field_names, info.field_types, info.field_attrs, 0..) |field, Field, attributes, i| {
        if (!seen[i]) @field(value, field) = attributes.defaultValue(Field) orelse return error.Unexpected;
    }
    return value;
}

fn readArray(comptime T: type, scanner: *Scanner) Error!T {
    var value: T = undefined;
    try expect(scanner, .array_begin);
    for (&value) |*item| item.* = try read(@TypeOf(item.*), scanner);
    try expect(scanner, .array_end);
    return value;
}

fn readList(comptime Item: type, scanner: *Scanner) Error![]const Item {
    var items: std.ArrayList(Item) = .empty;
    try expect(scanner, .array_begin);
    while (try scanner.peekNextTokenType() != .array_end) try items.append(memory.arena(), try read(Item, scanner));
    try expect(scanner, .array_end);
    return items.items;
}

fn expect(scanner: *Scanner, comptime token: std.meta.Tag(std.json.Token)) Error!void {
    if (try scanner.next() != token) return error.Unexpected;
}

/// The JSON of `value`, which lives until the next message.
pub fn stringify(value: anytype) []const u8 {
    var out: std.Io.Writer.Allocating = .init(memory.arena());
    write(value, &out.writer) catch memory.outOfMemory();
    return out.written();
}

/// Write the JSON of `value`, for `toJson`.
pub fn write(value: anytype, writer: *std.Io.Writer) WriteError!void {
    const T = @TypeOf(value);
    switch (@typeInfo(T)) {
        .@"struct", .@"union", .@"enum" => if (@hasDecl(T, "toJson")) return value.toJson(writer),
        else => {},
    }
    switch (@typeInfo(T)) {
        .bool => try writer.writeAll(if (value) "true" else "false"),
        .int, .comptime_int => try writer.print("{d}", .{value}),
        .float, .comptime_float => try writeFloat(value, writer),
        .optional => if (value) |some| try write(some, writer) else try writer.writeAll("null"),
        .@"enum" => try writeText(@tagName(value), writer),
        .@"union" => try writeUnion(value, writer),
        .@"struct" => try writeStruct(value, writer),
        .array => try writeList(&value, writer),
        .pointer => |pointer| switch (pointer.size) {
            .slice => if (pointer.child == u8) try writeText(value, writer) else try writeList(value, writer),
            .one => try writeText(value, writer), // a text that is known at compile time
            else => @compileError("no JSON for " ++ @typeName(T)),
        },
        else => @compileError("no JSON for " ++ @typeName(T)),
    }
}

/// What is not finite has no JSON: that is a mistake of the process.
fn writeFloat(value: f64, writer: *std.Io.Writer) WriteError!void {
    if (!std.math.isFinite(value)) @panic("a number that is not finite has no JSON");
    const size = @abs(value);
    if (value != 0 and (size < 1e-5 or size >= 1e17)) return writer.print("{e}", .{value});
    try writer.print("{d}", .{value});
    if (@trunc(value) == value) try writer.writeAll(".0");
}

fn writeText(text: []const u8, writer: *std.Io.Writer) WriteError!void {
    if (std.unicode.utf8ValidateSlice(text)) return std.json.Stringify.encodeJsonString(text, .{}, writer);
    // JSON has no other bytes: keep what is plain.
    const plain = memory.arena().dupe(u8, text) catch memory.outOfMemory();
    for (plain) |*byte| if (!std.ascii.isAscii(byte.*)) {
        byte.* = '?';
    };
    try std.json.Stringify.encodeJsonString(plain, .{}, writer);
}

fn writeUnion(value: anytype, writer: *std.Io.Writer) WriteError!void {
    switch (value) {
        inline else => |payload, tag| {
            if (@TypeOf(payload) == void) return writeText(@tagName(tag), writer);
            try writer.writeByte('{');
            try writeText(@tagName(tag), writer);
            try writer.writeByte(':');
            try write(payload, writer);
            try writer.writeByte('}');
        },
    }
}

fn writeStruct(value: anytype, writer: *std.Io.Writer) WriteError!void {
    inline for (@typeInfo(@TypeOf(value)).@"struct".field_names, 0..) |field, i| {
        try writer.writeAll((if (i == 0) "{\"" else ",\"") ++ field ++ "\":");
        try write(@field(value, field), writer);
    }
    try writer.writeAll(if (@typeInfo(@TypeOf(value)).@"struct".field_names.len == 0) "{}" else "}");
}

fn writeList(items: anytype, writer: *std.Io.Writer) WriteError!void {
    try writer.writeByte('[');
    for (items, 0..) |item, i| {
        if (i > 0) try writer.writeByte(',');
        try write(item, writer);
    }
    try writer.writeByte(']');
}

/// Any JSON value, kept as the text that spells it.
pub const Raw = struct {
    text: []const u8,

    /// Take the value that comes next as it is.
    pub fn fromJson(scanner: *Scanner) Error!Raw {
        _ = try scanner.peekNextTokenType(); // moves the cursor past blanks
        const start = scanner.cursor;
        try scanner.skipValue();
        return .{ .text = scanner.input[start..scanner.cursor] };
    }

    /// Write it as it is.
    pub fn toJson(self: Raw, writer: *std.Io.Writer) WriteError!void {
        try writer.writeAll(self.text);
    }
};
