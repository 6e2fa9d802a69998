//! Write Nectar processes in Rust.
//!
//! ```ignore
//! use nectar::{receive, respond, Address, Event, Reply};
//!
//! nectar::process!(run);
//!
//! fn run(_our: Address) {
//!     loop {
//!         if let Event::Request(request) = receive() {
//!             if request.wants_answer() {
//!                 respond(Reply::of(request.body).inheriting());
//!             }
//!         }
//!     }
//! }
//! ```
//!
//! The kernel remembers which request a process would answer. Receiving a request that wants an answer makes it that one; a
//! response or an error puts back the one under which its request was sent. So `respond` there answers whoever has caused it.
//!
//! A process ends when its function returns, or panics: then the message is in the node's log, with file and line.

pub mod http;
pub mod json;
pub mod vfs;

mod abi;
mod convert;

use std::fmt;
use std::str::FromStr;

pub use json::Json;

/// `process:package:publisher`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ProcessId {
    pub process: String,
    pub package: String,
    pub publisher: String,
}

/// A process on a node; the node `our` is this one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    pub node: String,
    pub process: ProcessId,
}

impl Address {
    /// The same process on another node.
    pub fn on(&self, node: &str) -> Address {
        Address { node: node.to_string(), process: self.process.clone() }
    }

    /// A process of this node, such as `timer:distro:sys`. Panics if that is none.
    pub fn local(process: &str) -> Address {
        Address { node: "our".to_string(), process: process.parse().expect("process:package:publisher") }
    }
}

impl fmt::Display for ProcessId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.process, self.package, self.publisher)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.node, self.process)
    }
}

/// It is no address: only its shape is checked here, the kernel checks the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadAddress;

impl FromStr for ProcessId {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        match text.split(':').collect::<Vec<_>>()[..] {
            [process, package, publisher] => Ok(ProcessId {
                process: process.to_string(),
                package: package.to_string(),
                publisher: publisher.to_string(),
            }),
            _ => Err(BadAddress),
        }
    }
}

impl FromStr for Address {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        let (node, process) = text.split_once('@').ok_or(BadAddress)?;
        Ok(Address { node: node.to_string(), process: process.parse()? })
    }
}

/// Bytes beside a message, which enter a process only with `get_blob`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blob {
    pub mime: Option<String>,
    pub bytes: Vec<u8>,
}

/// The right to do what `params`, a JSON text, say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capability {
    pub issuer: Address,
    pub params: String,
}

#[derive(Clone, Debug)]
pub struct Request {
    /// On another node, only `source.node` is proven.
    pub source: Address,
    pub inherit: bool,
    /// For how many seconds the requester waits; None: no answer is wanted.
    pub expects_response: Option<u64>,
    pub body: Vec<u8>,
    pub metadata: Option<String>,
    pub capabilities: Vec<Capability>,
}

impl Request {
    /// Whether a `respond` now would reach somebody.
    pub fn wants_answer(&self) -> bool {
        self.expects_response.is_some() || self.inherit
    }
}

#[derive(Clone, Debug)]
pub struct Response {
    pub source: Address,
    pub inherit: bool,
    pub body: Vec<u8>,
    pub metadata: Option<String>,
    pub capabilities: Vec<Capability>,
    /// What the request was sent with.
    pub context: Option<Vec<u8>>,
}

/// Offline: the other node, or the process, cannot be reached. Timeout: nobody knows whether it was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Offline,
    Timeout,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Offline => "Offline",
            Kind::Timeout => "Timeout",
        }
    }
}

/// A message of ours that was not delivered, or not answered.
#[derive(Clone, Debug)]
pub struct SendError {
    pub kind: Kind,
    /// Whether it was a request; else a response.
    pub of_request: bool,
    pub body: Vec<u8>,
    pub context: Option<Vec<u8>>,
    pub blob: Option<Blob>,
}

#[derive(Clone, Debug)]
pub enum Event {
    Request(Request),
    Response(Response),
    SendError(SendError),
}

/// A request to send.
#[derive(Clone, Debug)]
pub struct Outgoing {
    pub target: Address,
    pub body: Vec<u8>,
    pub expects_response: Option<u64>,
    /// Comes back with the outcome.
    pub context: Option<Vec<u8>>,
    pub inherit: bool,
    pub metadata: Option<String>,
    pub capabilities: Vec<Capability>,
    pub blob: Option<Blob>,
}

impl Outgoing {
    pub fn to(target: Address, body: impl Into<Vec<u8>>) -> Self {
        Outgoing {
            target,
            body: body.into(),
            expects_response: None,
            context: None,
            inherit: false,
            metadata: None,
            capabilities: Vec::new(),
            blob: None,
        }
    }

    /// Want an answer within so many seconds.
    pub fn expecting(mut self, seconds: u64) -> Self {
        self.expects_response = Some(seconds);
        self
    }

    pub fn with_context(mut self, context: impl Into<Vec<u8>>) -> Self {
        self.context = Some(context.into());
        self
    }

    pub fn with_blob(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.blob = Some(Blob { mime: None, bytes: bytes.into() });
        self
    }
}

/// An answer to send.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    pub body: Vec<u8>,
    /// Hand on the blob of the message that is handled.
    pub inherit: bool,
    pub metadata: Option<String>,
    pub capabilities: Vec<Capability>,
    pub blob: Option<Blob>,
}

impl Reply {
    pub fn of(body: impl Into<Vec<u8>>) -> Self {
        Reply { body: body.into(), ..Reply::default() }
    }

    pub fn inheriting(mut self) -> Self {
        self.inherit = true;
        self
    }
}

/// Wait for the next message.
pub fn receive() -> Event {
    unsafe { convert::event(convert::result(|place| abi::receive(place))) }
}

/// Send a request. Its outcome, if one is expected, comes with `receive`.
pub fn send(request: &Outgoing) {
    let lent = convert::Lent::of(&request.capabilities);
    let params = abi::SendRequest {
        target: convert::to_address(&request.target),
        request: convert::to_request(request, &lent),
        context: convert::to_maybe(request.context.as_deref()),
        blob: convert::to_blob(request.blob.as_ref()),
    };
    unsafe { abi::send_request(&params) }
}

/// Send a request that expects a response, and wait for its outcome while other messages queue up.
pub fn send_and_await(request: &Outgoing) -> Result<Response, SendError> {
    let lent = convert::Lent::of(&request.capabilities);
    let params = abi::SendAndAwait {
        target: convert::to_address(&request.target),
        request: convert::to_request(request, &lent),
        blob: convert::to_blob(request.blob.as_ref()),
    };
    unsafe { convert::awaited(convert::result(|place| abi::send_and_await_response(&params, place))) }
}

/// Answer the request that is handled, or the one that caused the outcome that is.
pub fn respond(reply: Reply) {
    let lent = convert::Lent::of(&reply.capabilities);
    let metadata = reply.metadata.as_deref().unwrap_or("");
    let blob = reply.blob.as_ref();
    let mime = blob.and_then(|each| each.mime.as_deref());
    let bytes = blob.map_or(&[][..], |each| &each.bytes);
    unsafe {
        abi::send_response(
            reply.inherit.into(),
            reply.body.as_ptr(),
            reply.body.len(),
            reply.metadata.is_some().into(),
            metadata.as_ptr(),
            metadata.len(),
            lent.list().ptr,
            lent.list().len,
            blob.is_some().into(),
            mime.is_some().into(),
            mime.unwrap_or("").as_ptr(),
            mime.unwrap_or("").len(),
            bytes.as_ptr(),
            bytes.len(),
        )
    }
}

/// The blob of the message that is handled.
pub fn get_blob() -> Option<Blob> {
    unsafe { convert::result::<abi::Maybe<abi::Blob>>(|place| abi::get_blob(place)).get().map(|each| convert::blob(each)) }
}

/// What `set_state` has saved last, in this life or an earlier one.
pub fn get_state() -> Option<Vec<u8>> {
    unsafe { convert::result::<abi::Maybe<abi::Text>>(|place| abi::get_state(place)).get().map(|each| each.take()) }
}

/// Save bytes; they are durable when this returns.
pub fn set_state(bytes: &[u8]) {
    unsafe { abi::set_state(bytes.as_ptr(), bytes.len()) }
}

pub fn clear_state() {
    unsafe { abi::clear_state() }
}

/// Why a child was not started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpawnError {
    NameTaken,
    NoFileAtPath,
}

/// Start another file of the package as a child, such as `/worker.wasm`. `restart`: again when it ends.
pub fn spawn(
    name: Option<&str>, path: &str, restart: bool, asks: &[Capability], public: bool,
) -> Result<ProcessId, SpawnError> {
    let lent = convert::Lent::of(asks);
    let text = name.unwrap_or("");
    let made = unsafe {
        convert::result::<abi::Spawned>(|place| {
            abi::spawn(
                name.is_some().into(),
                text.as_ptr(),
                text.len(),
                path.as_ptr(),
                path.len(),
                restart.into(),
                std::ptr::null(),
                0,
                lent.list().ptr,
                lent.list().len,
                std::ptr::NonNull::dangling().as_ptr(),
                0,
                public.into(),
                place,
            )
        })
    };
    unsafe {
        match (made.tag, made.value) {
            (0, value) => Ok(convert::process_id(value.first)),
            (_, value) if value.second == 0 => Err(SpawnError::NameTaken),
            _ => Err(SpawnError::NoFileAtPath),
        }
    }
}

/// Say whether this process starts again when it ends.
pub fn restart_on_exit(restart: bool) {
    unsafe { abi::set_on_exit(restart.into(), std::ptr::null(), 0) }
}

/// What this process holds.
pub fn our_capabilities() -> Vec<Capability> {
    unsafe { convert::capabilities(convert::result(|place| abi::our_capabilities(place))) }
}

/// Keep capabilities that have come with a message.
pub fn save_capabilities(list: &[Capability]) {
    let lent = convert::Lent::of(list);
    unsafe { abi::save_capabilities(lent.list().ptr, lent.list().len) }
}

/// Write a line to the node's log: 0 is always shown, 3 only to those who look for everything. `log!` formats it.
pub fn print(verbosity: u8, line: &str) {
    unsafe { abi::print_to_terminal(verbosity.into(), line.as_ptr(), line.len()) }
}

/// `log!(0, "{} of {}", a, b)`: a line in the node's log.
#[macro_export]
macro_rules! log {
    ($verbosity:expr, $($text:tt)*) => { $crate::print($verbosity, &format!($($text)*)) };
}

/// Make a function `fn(Address)` the process.
#[macro_export]
macro_rules! process {
    ($run:path) => {
        #[export_name = "init"]
        extern "C" fn nectar_init(ptr: *mut u8, len: usize) {
            $run($crate::start(ptr, len))
        }

        #[export_name = "cabi_realloc"]
        unsafe extern "C" fn nectar_realloc(old: *mut u8, size: usize, align: usize, new: usize) -> *mut u8 {
            $crate::realloc(old, size, align, new)
        }
    };
}

/// Of `process!`: our own address, after a panic has been given a voice.
#[doc(hidden)]
pub fn start(ptr: *mut u8, len: usize) -> Address {
    std::panic::set_hook(Box::new(|panic| print(0, &panic.to_string())));
    let text = unsafe { convert::text(abi::List { ptr, len }) };
    text.parse().expect("the kernel gives a valid address")
}

/// Of `process!`: memory for what the host puts in.
///
/// # Safety
/// `old` is null or was returned by this, with `size` and `align`.
#[doc(hidden)]
pub unsafe fn realloc(old: *mut u8, size: usize, align: usize, new: usize) -> *mut u8 {
    use std::alloc::{alloc, handle_alloc_error, realloc, Layout};
    if new == 0 {
        return align as *mut u8;
    }
    let layout = Layout::from_size_align_unchecked(if old.is_null() || size == 0 { new } else { size }, align);
    let place = if old.is_null() || size == 0 { alloc(layout) } else { realloc(old, layout, new) };
    if place.is_null() {
        handle_alloc_error(layout)
    }
    place
}
