//! `echo TEXT…`: answers with the text.

const nectar = @import("nectar");
const script = @import("script.zig");

pub fn init(_: nectar.Address) void {
    script.answer("{s}", .{script.arguments()});
}
