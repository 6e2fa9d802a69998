//! A process that breeds: spawns two of its kind, and returns, so that nobody's child stays anybody's for long.
const nectar = @import("nectar");

pub fn init(_: nectar.Address) void {
    for (0..2) |_| {
        _ = nectar.spawn(.{ .wasm_path = "/breeder.wasm" }) catch {};
    }
}
