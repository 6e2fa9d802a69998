//! Databases of our package, by `kv:distro:sys` and `sqlite:distro:sys`, which the manifest asks for.
//!
//!     const notes: nectar.Kv = .of(our, "notes");
//!     try notes.open();
//!     try notes.set("a", "x", null);
//!
//! What they return lives until the next message.

const std = @import("std");
const nectar = @import("nectar.zig");
const json = @import("json.zig");

const seconds = 60;

/// The node's log says why a database has failed.
pub const Error = error{ NotFound, Failed };
/// The number that `begin` has given; null: at once. What belongs to it is done by `commit`, or nothing of it.
pub const Transaction = ?u64;

/// Keys and values.
pub const Kv = struct {
    server: Server,

    /// A database of our package, `our` being what `init` was given.
    pub fn of(our: nectar.Address, name: []const u8) Kv {
        return .{ .server = .{ .address = .local("kv:distro:sys"), .our = our.process, .name = name } };
    }

    /// Open it, and make it if there is none.
    pub fn open(self: Kv) Error!void {
        return self.server.do("Open");
    }

    /// Remove it with all that is in it.
    pub fn remove(self: Kv) Error!void {
        return self.server.do("RemoveDb");
    }

    /// The value of a key; null: there is none.
    pub fn get(self: Kv, key: []const u8) Error!?[]const u8 {
        _ = self.server.ask(.{ .Get = .{ .key = Numbers{ .bytes = key } } }, null) catch |err|
            return if (err == error.NotFound) null else err;
        return if (nectar.getBlob()) |blob| blob.bytes else "";
    }

    /// Durable when it is over, or when its transaction is committed.
    pub fn set(self: Kv, key: []const u8, value: []const u8, transaction: Transaction) Error!void {
        _ = try self.server.ask(.{ .Set = .{ .key = Numbers{ .bytes = key }, .tx_id = transaction } }, value);
    }

    /// Remove a key.
    pub fn delete(self: Kv, key: []const u8, transaction: Transaction) Error!void {
        _ = try self.server.ask(.{ .Delete = .{ .key = Numbers{ .bytes = key }, .tx_id = transaction } }, null);
    }

    /// Begin a transaction.
    pub fn begin(self: Kv) Error!u64 {
        return self.server.begin();
    }

    /// Do what belongs to a transaction; durable when it is over.
    pub fn commit(self: Kv, transaction: u64) Error!void {
        return self.server.commit(transaction);
    }
};

/// A parameter of SQL, for each `?`.
pub const Value = union(enum) {
    null,
    integer: i64,
    real: f64,
    text: []const u8,
    boolean: bool,

    /// Write it as JSON.
    pub fn toJson(self: Value, writer: *std.Io.Writer) json.WriteError!void {
        switch (self) {
            .null => try writer.writeAll("null"),
            inline else => |value| try json.write(value, writer),
        }
    }
};

/// Tables.
pub const Sqlite = struct {
    server: Server,

    /// A database of our package, `our` being what `init` was given.
    pub fn of(our: nectar.Address, name: []const u8) Sqlite {
        return .{ .server = .{ .address = .local("sqlite:distro:sys"), .our = our.process, .name = name } };
    }

    /// Open it, and make it if there is none.
    pub fn open(self: Sqlite) Error!void {
        return self.server.do("Open");
    }

    /// Remove it with all that is in it.
    pub fn remove(self: Sqlite) Error!void {
        return self.server.do("RemoveDb");
    }

    /// The rows of a query, each a Row: a struct with a field for each column.
    pub fn read(self: Sqlite, comptime Row: type, query: []const u8, parameters: []const Value) Error![]const Row {
        _ = try self.server.ask(.{ .Read = .{ .query = query } }, given(parameters));
        const blob = nectar.getBlob() orelse return &.{};
        return json.parse([]const Row, blob.bytes) catch error.Failed;
    }

    /// Do a statement that changes something.
    pub fn write(self: Sqlite, statement: []const u8, parameters: []const Value, transaction: Transaction) Error!void {
        _ = try self.server.ask(.{ .Write = .{ .statement = statement, .tx_id = transaction } }, given(parameters));
    }

    /// Begin a transaction.
    pub fn begin(self: Sqlite) Error!u64 {
        return self.server.begin();
    }

    /// Do what belongs to a transaction; durable when it is over.
    pub fn commit(self: Sqlite, transaction: u64) Error!void {
        return self.server.commit(transaction);
    }

    fn given(parameters: []const Value) ?[]const u8 {
        return if (parameters.len > 0) json.stringify(parameters) else null;
    }
};

/// A key as JSON has it: numbers.
const Numbers = struct {
    bytes: []const u8,

    pub fn toJson(self: Numbers, writer: *std.Io.Writer) json.WriteError!void {
        for (self.bytes, 0..) |byte, i| try writer.print("{s}{d}", .{ if (i == 0) "[" else ",", byte });
        try writer.writeAll(if (self.bytes.len == 0) "[]" else "]");
    }
};

/// What both have in common.
const Server = struct {
    address: nectar.Address,
    our: nectar.ProcessId,
    name: []const u8,

    const Begun = union(enum) { BeginTx: struct { tx_id: u64 } };

    fn do(self: Server, action: []const u8) Error!void {
        _ = try self.ask(action, null);
    }

    fn begin(self: Server) Error!u64 {
        const answer = try self.ask(@as([]const u8, "BeginTx"), null);
        return (json.parse(Begun, answer) catch return error.Failed).BeginTx.tx_id;
    }

    fn commit(self: Server, transaction: u64) Error!void {
        _ = try self.ask(.{ .Commit = .{ .tx_id = transaction } }, null);
    }

    fn ask(self: Server, action: anytype, bytes: ?[]const u8) Error![]const u8 {
        const body = .{
            .package_id = .{ .package_name = self.our.package, .publisher_node = self.our.publisher },
            .db = self.name,
            .action = action,
        };
        const outcome = nectar.sendAndAwait(.{
            .target = self.address,
            .body = json.stringify(body),
            .expects_response = seconds,
            .blob = if (bytes) |some| .{ .bytes = some } else null,
        });
        const answer = switch (outcome) {
            .response => |response| response.body,
            .send_error => |failed| return self.fail(@tagName(failed.kind)),
        };
        if (!std.mem.startsWith(u8, answer, "{\"Err\"")) return answer;
        if (std.mem.indexOf(u8, answer, "KeyNotFound") != null) return error.NotFound;
        return self.fail(answer);
    }

    fn fail(self: Server, why: []const u8) Error {
        std.log.warn("the database {s}: {s}", .{ self.name, why });
        return error.Failed;
    }
};
