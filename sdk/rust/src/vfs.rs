//! Files in the drives of packages, by `vfs:distro:sys`, which the manifest asks for.

use crate::json::object;
use crate::{get_blob, send_and_await, Address, Json, Outgoing};

/// Seconds for one action.
const PATIENCE: u64 = 60;

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    NotFound,
    Failed(String),
}

/// The path of a drive of our own package, which `create_drive` makes: `/package:publisher/name`.
pub fn drive(our: &Address, name: &str) -> String {
    format!("/{}:{}/{}", our.process.package, our.process.publisher, name)
}

/// Do any action that the vfs knows, and return its answer.
pub fn act(path: &str, action: Json, bytes: Option<&[u8]>) -> Result<Json, Error> {
    let body = object([("path", path.into()), ("action", action)]);
    let mut request = Outgoing::to(Address::local("vfs:distro:sys"), body).expecting(PATIENCE);
    if let Some(bytes) = bytes {
        request = request.with_blob(bytes);
    }
    let response = send_and_await(&request).map_err(|error| Error::Failed(error.kind.name().to_string()))?;
    let answer = Json::parse(&response.body).map_err(|_| Error::Failed("the answer is no JSON".to_string()))?;
    let reason = match answer.variant() {
        Some(("Err", reason)) => reason.clone(),
        _ => return Ok(answer),
    };
    let text = reason.to_string();
    let missing = matches!(reason.variant(), Some(("NotFound", _))) || text.contains("No such file");
    Err(if missing { Error::NotFound } else { Error::Failed(text) })
}

/// Make a drive, unless it is there.
pub fn create_drive(path: &str) -> Result<(), Error> {
    act(path, "CreateDrive".into(), None).map(|_| ())
}

/// A whole file, of at most 64 MiB.
pub fn read(path: &str) -> Result<Vec<u8>, Error> {
    act(path, "Read".into(), None)?;
    Ok(get_blob().unwrap_or_default().bytes)
}

/// Replace a file, or make it: whoever reads it finds the old or the new one, whole.
pub fn write(path: &str, bytes: &[u8]) -> Result<(), Error> {
    act(path, "Write".into(), Some(bytes)).map(|_| ())
}

/// Write at the end of a file that is there.
pub fn append(path: &str, bytes: &[u8]) -> Result<(), Error> {
    act(path, "Append".into(), Some(bytes)).map(|_| ())
}

/// Make what was written durable.
pub fn sync(path: &str) -> Result<(), Error> {
    act(path, "SyncAll".into(), None).map(|_| ())
}

pub fn remove(path: &str) -> Result<(), Error> {
    act(path, "RemoveFile".into(), None).map(|_| ())
}
