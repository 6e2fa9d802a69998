//! Who frees what the host puts into our memory.
//!
//! The host allocates every string and list of a result with `cabi_realloc` and leaves it to us. Each import's result
//! is handed to `own`, which notes every allocation in it; `reset` frees them all, and empties the arena in which
//! values are built and parsed while a message is handled. So a handler loop runs in constant memory without freeing
//! anything. Only what was found in results is freed, never "everything since": the host may keep an allocation of
//! its own.

const std = @import("std");

/// For what outlives a message.
pub const lasting = std.heap.wasm_allocator;

/// Arena capacity that is kept from message to message.
const retained_bytes = 64 * 1024;

var arena_state: std.heap.ArenaAllocator = .init(lasting);
var owned: std.ArrayList(Block) = .empty;

const Block = struct { ptr: [*]u8, len: usize, alignment: std.mem.Alignment };

/// For what is needed until the next `reset`.
pub fn arena() std.mem.Allocator {
    return arena_state.allocator();
}

/// Free what `own` was given and what came from `arena` since the last call.
pub fn reset() void {
    for (owned.items) |block| lasting.rawFree(block.ptr[0..block.len], block.alignment, 0);
    owned.clearRetainingCapacity();
    _ = arena_state.reset(.{ .retain_with_limit = retained_bytes });
}

/// Note every allocation reachable from `result`, which the host has just written, for the next `reset`.
pub fn own(result: anytype) void {
    const T = @typeInfo(@TypeOf(result)).pointer.child;
    if (comptime !holdsLists(T)) return;
    if (@hasDecl(T, "Item")) {
        if (result.len == 0) return;
        if (comptime holdsLists(T.Item)) for (result.slice()) |*item| own(item);
        note(.{
            .ptr = @ptrCast(@constCast(result.ptr)),
            .len = result.len * @sizeOf(T.Item),
            .alignment = .of(T.Item),
        });
    } else if (@hasDecl(T, "visit")) {
        result.visit(own);
    } else {
        inline for (@typeInfo(T).@"struct".field_names) |name| own(&@field(result, name));
    }
}

fn holdsLists(comptime T: type) bool {
    return @typeInfo(T) == .@"struct";
}

fn note(block: Block) void {
    owned.append(lasting, block) catch outOfMemory();
}

pub fn outOfMemory() noreturn {
    @panic("out of memory");
}

/// The canonical ABI's allocator: the host calls it for each string and list of a result.
export fn cabi_realloc(old: ?[*]u8, old_len: usize, alignment: usize, len: usize) ?[*]u8 {
    const log2: std.mem.Alignment = .fromByteUnits(alignment);
    if (len == 0) return @ptrFromInt(alignment);
    if (old == null or old_len == 0) return lasting.rawAlloc(len, log2, 0) orelse outOfMemory();
    const before = old.?[0..old_len];
    if (lasting.rawRemap(before, log2, len, 0)) |same| return same;
    const moved = lasting.rawAlloc(len, log2, 0) orelse outOfMemory();
    @memcpy(moved[0..@min(old_len, len)], before[0..@min(old_len, len)]);
    lasting.rawFree(before, log2, 0);
    return moved;
}
