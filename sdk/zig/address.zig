//! Names of processes: parse, format, compare (promise G1 of the kernel). All are slices of somebody else's text:
//! `dupe` what outlives the message it came with.

const std = @import("std");

/// What a process is called on its node.
pub const ProcessId = struct {
    process: []const u8,
    package: []const u8,
    publisher: []const u8,

    /// `process:package:publisher`; the parts are slices of `text`. Only the shape is checked, the kernel checks the
    /// rest.
    pub fn parse(text: []const u8) error{BadAddress}!ProcessId {
        var parts = std.mem.splitScalar(u8, text, ':');
        const process = parts.next() orelse return error.BadAddress;
        const package = parts.next() orelse return error.BadAddress;
        const publisher = parts.next() orelse return error.BadAddress;
        if (parts.next() != null) return error.BadAddress;
        if (process.len == 0 or package.len == 0 or publisher.len == 0) return error.BadAddress;
        return .{ .process = process, .package = package, .publisher = publisher };
    }

    /// Whether both are the same.
    pub fn eql(a: ProcessId, b: ProcessId) bool {
        return std.mem.eql(u8, a.process, b.process) and std.mem.eql(u8, a.package, b.package) and
            std.mem.eql(u8, a.publisher, b.publisher);
    }

    /// Whether both belong to one package.
    pub fn samePackage(a: ProcessId, b: ProcessId) bool {
        return std.mem.eql(u8, a.package, b.package) and std.mem.eql(u8, a.publisher, b.publisher);
    }

    /// A copy that outlives the message; `deinit` frees it.
    pub fn dupe(self: ProcessId, allocator: std.mem.Allocator) std.mem.Allocator.Error!ProcessId {
        return .{
            .process = try allocator.dupe(u8, self.process),
            .package = try allocator.dupe(u8, self.package),
            .publisher = try allocator.dupe(u8, self.publisher),
        };
    }

    /// Free what `dupe` made.
    pub fn deinit(self: ProcessId, allocator: std.mem.Allocator) void {
        allocator.free(self.process);
        allocator.free(self.package);
        allocator.free(self.publisher);
    }

    /// For `{f}`.
    pub fn format(self: ProcessId, writer: *std.Io.Writer) std.Io.Writer.Error!void {
        try writer.print("{s}:{s}:{s}", .{ self.process, self.package, self.publisher });
    }
};

/// `node@process:package:publisher`.
pub const Address = struct {
    node: []const u8,
    process: ProcessId,

    /// `node@process:package:publisher`; `our` as the node means this node.
    pub fn parse(text: []const u8) error{BadAddress}!Address {
        const at = std.mem.indexOfScalar(u8, text, '@') orelse return error.BadAddress;
        if (at == 0) return error.BadAddress;
        return .{ .node = text[0..at], .process = try ProcessId.parse(text[at + 1 ..]) };
    }

    /// A process of this node.
    pub fn local(comptime process: []const u8) Address {
        return .{ .node = "our", .process = comptime ProcessId.parse(process) catch @compileError("bad process id") };
    }

    /// Whether both are processes of one package on one node. Of another node only its name is proven, and the process
    /// in a source is what it says (G3): never look at that alone.
    pub fn samePackage(a: Address, b: Address) bool {
        return std.mem.eql(u8, a.node, b.node) and a.process.samePackage(b.process);
    }

    /// Whether both are the same.
    pub fn eql(a: Address, b: Address) bool {
        return std.mem.eql(u8, a.node, b.node) and a.process.eql(b.process);
    }

    /// A copy that outlives the message; `deinit` frees it.
    pub fn dupe(self: Address, allocator: std.mem.Allocator) std.mem.Allocator.Error!Address {
        return .{ .node = try allocator.dupe(u8, self.node), .process = try self.process.dupe(allocator) };
    }

    /// Free what `dupe` made.
    pub fn deinit(self: Address, allocator: std.mem.Allocator) void {
        allocator.free(self.node);
        self.process.deinit(allocator);
    }

    /// For `{f}`.
    pub fn format(self: Address, writer: *std.Io.Writer) std.Io.Writer.Error!void {
        try writer.print("{s}@{f}", .{ self.node, self.process });
    }
};
