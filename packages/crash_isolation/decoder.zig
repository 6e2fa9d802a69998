//! Decodes one text and ends. It trusts its input on purpose: what is not a digit, or ends too early, is an overflow or an
//! index out of bounds, and traps.

const nectar = @import("nectar");

pub fn init(_: nectar.Address) void {
    while (true) switch (nectar.receive()) {
        .request => |request| if (request.wantsAnswer()) return nectar.respond(.{ .body = decode(request.body) }),
        .response, .send_error => {},
    };
}

fn decode(data: []const u8) []const u8 {
    // A digit is at most 9, and comes with a character.
    const text = nectar.arena().alloc(u8, data.len / 2 * 9) catch @panic("out of memory");
    var length: usize = 0;
    var i: usize = 0;
    while (i < data.len) : (i += 2) {
        const repeat = data[i] - '0';
        const character = data[i + 1];
        @memset(text[length..][0..repeat], character);
        length += repeat;
    }
    return text[0..length];
}
