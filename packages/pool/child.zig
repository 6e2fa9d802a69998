//! Does one job and ends.

const nectar = @import("nectar");
const protocol = @import("protocol.zig");

pub fn init(our: nectar.Address) void {
    while (true) switch (nectar.receive()) {
        .request => |request| if (request.source.samePackage(our)) {
            const order = nectar.json.parse(protocol.Order, request.body) catch continue;
            return work(order.Do);
        },
        .response, .send_error => {},
    };
}

fn work(job: protocol.Job) void {
    if (job.rest > 0) rest(job.rest);
    if (job.trap) @panic("a job that was to trap");
    const outcome: protocol.Outcome = .{ .Did = .{ .job = job.number, .sum = sumOfPrimes(job.below) } };
    nectar.respond(.{ .body = nectar.json.stringify(outcome) });
}

fn rest(milliseconds: u32) void {
    _ = nectar.sendAndAwait(.{
        .target = .local("timer:distro:sys"),
        .body = nectar.format("{{\"SetTimer\":{d}}}", .{milliseconds}),
        .expects_response = milliseconds / 1000 + 10,
    });
}

fn sumOfPrimes(below: u32) u64 {
    var sum: u64 = 0;
    for (2..@max(2, below)) |number| {
        if (isPrime(@intCast(number))) sum += number;
    }
    return sum;
}

fn isPrime(number: u32) bool {
    if (number < 4) return number > 1;
    if (number % 2 == 0) return false;
    var divisor: u32 = 3;
    while (divisor * divisor <= number) : (divisor += 2) if (number % divisor == 0) return false;
    return true;
}
