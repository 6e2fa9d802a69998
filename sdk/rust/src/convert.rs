//! Between the values of `lib.rs` and those of the canonical ABI. What comes from the host becomes ours; what goes there is lent
//! for the call.

use std::mem::MaybeUninit;

use crate::abi::{self, List, Maybe};
use crate::{Address, Blob, Capability, Event, Kind, Outgoing, ProcessId, Request, Response, SendError};

/// What a host function writes through its pointer.
pub unsafe fn result<T>(call: impl FnOnce(*mut T)) -> T {
    let mut place = MaybeUninit::uninit();
    call(place.as_mut_ptr());
    place.assume_init()
}

// --- from the host

/// The host has checked that it is UTF-8.
pub unsafe fn text(list: abi::Text) -> String {
    String::from_utf8_unchecked(list.take())
}

pub unsafe fn process_id(id: abi::ProcessId) -> ProcessId {
    ProcessId { process: text(id.process), package: text(id.package), publisher: text(id.publisher) }
}

unsafe fn address(address: abi::Address) -> Address {
    Address { node: text(address.node), process: process_id(address.process) }
}

pub unsafe fn blob(blob: abi::Blob) -> Blob {
    Blob { mime: blob.mime.get().map(|each| text(each)), bytes: blob.bytes.take() }
}

pub unsafe fn capabilities(list: List<abi::Capability>) -> Vec<Capability> {
    let found = list.take();
    found.iter().map(|each| Capability { issuer: address(each.issuer), params: text(each.params) }).collect()
}

unsafe fn request(source: Address, request: abi::Request) -> Request {
    Request {
        source,
        inherit: request.inherit != 0,
        expects_response: request.expects_response.get(),
        body: request.body.take(),
        metadata: request.metadata.get().map(|each| text(each)),
        capabilities: capabilities(request.capabilities),
    }
}

unsafe fn response(source: Address, found: abi::ResponseAndContext) -> Response {
    Response {
        source,
        inherit: found.response.inherit != 0,
        body: found.response.body.take(),
        metadata: found.response.metadata.get().map(|each| text(each)),
        capabilities: capabilities(found.response.capabilities),
        context: found.context.get().map(|each| each.take()),
    }
}

unsafe fn send_error(error: abi::SendError, context: Option<abi::Text>) -> SendError {
    let nobody = Address { node: String::new(), process: ProcessId { process: String::new(), package: String::new(), publisher: String::new() } };
    let of_request = error.message.tag == 0;
    // Also what is not shown is ours now.
    let body = if of_request {
        request(nobody, error.message.value.first).body
    } else {
        response(nobody, error.message.value.second).body
    };
    SendError {
        kind: if error.kind == 0 { Kind::Offline } else { Kind::Timeout },
        of_request,
        body,
        context: context.map(|each| each.take()),
        blob: error.blob.get().map(|each| blob(each)),
    }
}

pub unsafe fn event(received: abi::Received) -> Event {
    if received.tag != 0 {
        let failure = received.value.second;
        return Event::SendError(send_error(failure.error, failure.context.get()));
    }
    let arrival = received.value.first;
    let source = address(arrival.source);
    match arrival.message.tag {
        0 => Event::Request(request(source, arrival.message.value.first)),
        _ => Event::Response(response(source, arrival.message.value.second)),
    }
}

pub unsafe fn awaited(found: abi::Awaited) -> Result<Response, SendError> {
    if found.tag != 0 {
        return Err(send_error(found.value.second, None));
    }
    let arrival = found.value.first;
    Ok(response(address(arrival.source), arrival.message.value.second))
}

// --- to the host

pub fn to_maybe(bytes: Option<&[u8]>) -> Maybe<abi::Text> {
    Maybe::of(bytes.map(List::of))
}

fn to_process_id(id: &ProcessId) -> abi::ProcessId {
    abi::ProcessId {
        process: List::of(id.process.as_bytes()),
        package: List::of(id.package.as_bytes()),
        publisher: List::of(id.publisher.as_bytes()),
    }
}

pub fn to_address(address: &Address) -> abi::Address {
    abi::Address { node: List::of(address.node.as_bytes()), process: to_process_id(&address.process) }
}

pub fn to_blob(blob: Option<&Blob>) -> Maybe<abi::Blob> {
    Maybe::of(blob.map(|each| abi::Blob {
        mime: to_maybe(each.mime.as_deref().map(str::as_bytes)),
        bytes: List::of(&each.bytes),
    }))
}

/// Capabilities as the host has them, whose texts are the lender's.
pub struct Lent(Vec<abi::Capability>);

impl Lent {
    pub fn of(list: &[Capability]) -> Self {
        Lent(
            list.iter()
                .map(|each| abi::Capability {
                    issuer: to_address(&each.issuer),
                    params: List::of(each.params.as_bytes()),
                })
                .collect(),
        )
    }

    pub fn list(&self) -> List<abi::Capability> {
        List::of(&self.0)
    }
}

pub fn to_request(request: &Outgoing, lent: &Lent) -> abi::Request {
    abi::Request {
        inherit: request.inherit.into(),
        expects_response: Maybe::of(request.expects_response),
        body: List::of(&request.body),
        metadata: to_maybe(request.metadata.as_deref().map(str::as_bytes)),
        capabilities: lent.list(),
    }
}
