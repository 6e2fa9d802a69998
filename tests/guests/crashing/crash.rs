//! Panics three calls deep, as a request wants it; answers any other.

use nectar::{receive, respond, Address, Event, Reply, Request};

nectar::process!(run);

fn run(_our: Address) {
    loop {
        if let Event::Request(request) = receive() {
            handle(&request);
        }
    }
}

fn handle(request: &Request) {
    let first = look_up(&request.body);
    if request.wants_answer() {
        respond(Reply::of(vec![first]));
    }
}

fn look_up(body: &[u8]) -> u8 {
    if body == b"trap" {
        core::arch::wasm32::unreachable();
    }
    element(body, if body == b"bounds" { body.len() } else { 0 })
}

#[inline(never)]
fn element(bytes: &[u8], index: usize) -> u8 {
    bytes[index]
}
