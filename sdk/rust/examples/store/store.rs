//! A small key-value store on two nodes: the primary takes what is put, and keeps a replica equal to itself.
//!
//!     {"Lead":{"replica":"two.nec"}}      →  "Ok"      on one.nec, the primary
//!     {"Follow":{"primary":"one.nec"}}    →  "Ok"      on two.nec, the replica
//!     {"Put":{"key":"a","value":"x"}}     →  {"Put":{"version":1,"replicated":true}}      on the primary
//!     {"Get":{"key":"a"}}                 →  {"Value":{"value":"x","version":1}} or "Missing"      on either
//!     "Dump"                              →  {"Dump":{"version":1,"entries":[{"key":"a","value":"x","version":1}]}}
//!
//! A Put is answered when it is durable here and the replica has made it durable (`replicated`), or when it is known that the
//! replica could not be reached, or did not answer in time. Then the primary sends what is missing with the next Put, and
//! every few seconds until there has been an answer.
//!
//! The replica says in every answer which version it has. So it does not matter which Copy or which answer was lost, or came
//! late; whatever the two have forgotten in a crash, they find where to go on.

use nectar::json::{object, tagged};
use nectar::{get_state, log, receive, respond, send, set_state, Address, Event, Json, Outgoing, Reply, Request};

/// Seconds for a Copy: long enough to learn that the replica is Offline.
const PATIENCE: u64 = 30;
/// Seconds between attempts while the replica is behind.
const WATCH_EVERY: u64 = 5;
const MAX_ENTRIES: usize = 256;
const MAX_KEY_BYTES: usize = 100;
const MAX_VALUE_BYTES: usize = 1000;
const MAX_NAME_BYTES: usize = 253;
const WANTED: &str = "expected {\"Lead\":{\"replica\":NODE}}, {\"Follow\":{\"primary\":NODE}}, \
    {\"Put\":{\"key\":TEXT,\"value\":TEXT}}, {\"Get\":{\"key\":TEXT}} or \"Dump\"";

#[derive(Clone)]
struct Entry {
    key: String,
    value: String,
    version: u64,
}

impl Entry {
    fn json(&self) -> Json {
        let version = self.version.into();
        object([("key", self.key.as_str().into()), ("value", self.value.as_str().into()), ("version", version)])
    }

    fn parse(value: &Json) -> Option<Entry> {
        Some(Entry {
            key: value.get("key").text()?.to_string(),
            value: value.get("value").text()?.to_string(),
            version: value.get("version").u64()?,
        })
    }
}

struct Store {
    our: Address,
    /// Lead or Follow, for good; empty: neither yet.
    role: String,
    /// The other node.
    other: String,
    /// Ordered by version: whatever a replica lacks is a tail of this list.
    entries: Vec<Entry>,
    /// What the replica said it has; None: it has not said so in this life of ours.
    confirmed: Option<u64>,
    /// The version up to which everything is on its way to the replica; None: go by `confirmed`.
    sent: Option<u64>,
    /// Whether a timer runs.
    watching: bool,
}

/// Why a Copy was sent: so that the replica has the version `wanted`; with `put` somebody waits to hear of it. `again`: it goes
/// on from where the replica said it was.
#[derive(Clone, Copy)]
struct Copying {
    wanted: u64,
    put: bool,
    again: bool,
}

nectar::process!(run);

fn run(our: Address) {
    let mut store = Store::load(our);
    if store.role == "Lead" {
        // An empty Copy is answered with what the replica has.
        let version = store.version();
        store.copy(version, Copying { wanted: version, put: false, again: false });
    }
    loop {
        match receive() {
            Event::Request(request) if request.wants_answer() => store.handle(&request),
            // An outcome puts back the prompt of the Put that caused the Copy, so `reply` answers that Put.
            Event::Response(response) => store.outcome(response.context, Some(&response.body)),
            Event::SendError(error) if error.of_request => store.outcome(error.context, None),
            _ => {}
        }
    }
}

fn reply(answer: impl Into<Json>) {
    respond(Reply::of(answer.into()))
}

impl Store {
    fn load(our: Address) -> Store {
        let saved = get_state().map_or(Json::Null, |bytes| Json::parse(&bytes).expect("the saved store can be read"));
        let word = |key: &str| saved.get(key).text().unwrap_or("").to_string();
        let entries = saved.get("entries").items().iter().filter_map(Entry::parse).collect();
        let (role, other) = (word("role"), word("other"));
        Store { our, role, other, entries, confirmed: None, sent: None, watching: false }
    }

    /// Make durable what there is. If the disk cannot, this process ends here, and nothing has been promised.
    fn save(&self) {
        let fields = [("role", self.role.as_str().into()), ("other", self.other.as_str().into()), ("entries", self.after(0))];
        set_state(object(fields).to_string().as_bytes());
    }

    /// Of the last change; 0: there was none.
    fn version(&self) -> u64 {
        self.entries.last().map_or(0, |entry| entry.version)
    }

    fn after(&self, version: u64) -> Json {
        self.entries.iter().filter(|entry| entry.version > version).map(Entry::json).collect::<Vec<_>>().into()
    }

    fn find(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    fn insert(&mut self, entry: Entry) {
        self.entries.retain(|each| each.key != entry.key);
        self.entries.push(entry);
    }

    fn check(&self, key: &str, value: &str) -> Result<(), String> {
        if key.is_empty() || key.len() > MAX_KEY_BYTES {
            return Err("a key has 1 to 100 bytes".to_string());
        }
        if value.len() > MAX_VALUE_BYTES {
            return Err("a value has at most 1,000 bytes".to_string());
        }
        if self.entries.len() >= MAX_ENTRIES && self.find(key).is_none() {
            return Err("the store is full: it has 256 keys".to_string());
        }
        Ok(())
    }

    /// Answer, unless that is to wait for the replica.
    fn handle(&mut self, request: &Request) {
        match self.answer(request) {
            Ok(Some(answer)) => reply(answer),
            Ok(None) => {}
            Err(why) => reply(tagged("Err", why)),
        }
    }

    fn answer(&mut self, request: &Request) -> Result<Option<Json>, String> {
        let ask = Json::parse(&request.body).map_err(|_| WANTED.to_string())?;
        let (name, wanted) = ask.variant().ok_or(WANTED)?;
        let word = |key: &str| wanted.get(key).text().ok_or_else(|| WANTED.to_string());
        if name == "Copy" {
            if self.role != "Follow" || self.other != request.source.node {
                return Err("we do not follow you".to_string());
            }
            let after = wanted.get("after").u64().ok_or(WANTED)?;
            return Ok(Some(self.apply(after, wanted.get("entries").items())));
        }
        if request.source.node != self.our.node {
            return Err("only processes of this node may ask this".to_string());
        }
        match name {
            "Lead" => self.take("Lead", word("replica")?),
            "Follow" => self.take("Follow", word("primary")?),
            "Put" => self.put(word("key")?, word("value")?).map(|_| None),
            "Get" => Ok(Some(match self.find(word("key")?) {
                Some(entry) => {
                    let fields = [("value", entry.value.as_str().into()), ("version", entry.version.into())];
                    tagged("Value", object(fields))
                }
                None => "Missing".into(),
            })),
            "Dump" => {
                let fields = [("version", self.version().into()), ("entries", self.after(0))];
                Ok(Some(tagged("Dump", object(fields))))
            }
            _ => Err(WANTED.to_string()),
        }
    }

    /// A role is for good: two stores that have each gone their own way could not be made equal without a loss.
    fn take(&mut self, role: &str, other: &str) -> Result<Option<Json>, String> {
        if other.is_empty() || other.len() > MAX_NAME_BYTES {
            return Err("that is not a node's name".to_string());
        }
        if other == self.our.node {
            return Err("the two must be different nodes".to_string());
        }
        if self.role.is_empty() {
            self.role = role.to_string();
            self.other = other.to_string();
            self.save();
        } else if self.role != role || self.other != other {
            let what = if self.role == "Lead" { "primary" } else { "replica" };
            return Err(format!("this is the {} of {} already", what, self.other));
        }
        Ok(Some("Ok".into()))
    }

    // --- the primary's part

    fn put(&mut self, key: &str, value: &str) -> Result<(), String> {
        match self.role.as_str() {
            "Lead" => {}
            "Follow" => return Err(format!("this is the replica: put to {}", self.other)),
            _ => return Err("this node has no role yet: ask it to Lead or to Follow".to_string()),
        }
        self.check(key, value)?;
        let before = self.version();
        self.insert(Entry { key: key.to_string(), value: value.to_string(), version: before + 1 });
        self.save();
        let after = self.sent.or(self.confirmed).unwrap_or(before);
        self.copy(after, Copying { wanted: before + 1, put: true, again: false });
        Ok(())
    }

    /// Send all that changed after a version.
    fn copy(&mut self, after: u64, why: Copying) {
        self.sent = Some(self.version());
        let body = tagged("Copy", object([("after", after.into()), ("entries", self.after(after))]));
        let context = object([("wanted", why.wanted.into()), ("put", why.put.into()), ("again", why.again.into())]);
        send(&Outgoing::to(self.our.on(&self.other), body).expecting(PATIENCE).with_context(context));
    }

    /// What came of a Copy or of the timer; None: an error.
    fn outcome(&mut self, context: Option<Vec<u8>>, body: Option<&[u8]>) {
        let context = context.and_then(|bytes| Json::parse(&bytes).ok()).unwrap_or(Json::Null);
        let why = match context.get("wanted").u64() {
            Some(wanted) => {
                let flag = |key: &str| context.get(key).bool() == Some(true);
                Copying { wanted, put: flag("put"), again: flag("again") }
            }
            None => return self.look(),
        };
        match self.copied(body) {
            Some(version) => {
                self.confirmed = Some(version);
                if version >= why.wanted {
                    self.told(why, true);
                } else if !why.again {
                    // It lacks more than we thought: an earlier Copy never arrived.
                    self.copy(version, Copying { again: true, ..why });
                } else {
                    self.failed(why);
                }
            }
            None => self.failed(why),
        }
    }

    /// The timer has run down.
    fn look(&mut self) {
        self.watching = false;
        let version = self.version();
        if self.confirmed != Some(version) {
            self.copy(self.confirmed.unwrap_or(version), Copying { wanted: version, put: false, again: false });
        }
    }

    /// The version that the replica says it has.
    fn copied(&self, body: Option<&[u8]>) -> Option<u64> {
        let answer = Json::parse(body?).ok()?;
        match answer.variant()? {
            ("Copied", has) => {
                let version = has.get("version").u64()?;
                if version <= self.version() {
                    return Some(version);
                }
                log!(0, "{} has changes that are not ours: it is left alone", self.other);
            }
            (_, reason) => log!(1, "{} takes no copy: {}", self.other, reason),
        }
        None
    }

    fn failed(&mut self, why: Copying) {
        self.sent = None;
        self.told(why, false);
        if self.watching {
            return;
        }
        self.watching = true;
        let timer = Outgoing::to(Address::local("timer:distro:sys"), tagged("SetTimer", WATCH_EVERY * 1000));
        send(&timer.expecting(2 * WATCH_EVERY).with_context("\"Watch\""));
    }

    fn told(&self, why: Copying, replicated: bool) {
        if why.put {
            reply(tagged("Put", object([("version", why.wanted.into()), ("replicated", replicated.into())])));
        }
    }

    // --- the replica's part

    /// Take over what is new to us, unless something is missing before it, and say how far we are.
    fn apply(&mut self, after: u64, entries: &[Json]) -> Json {
        let before = self.version();
        if after <= before {
            for entry in entries.iter().map_while(Entry::parse) {
                if entry.version <= self.version() {
                    continue; // it has come before
                }
                if self.check(&entry.key, &entry.value).is_err() {
                    break; // the primary would not have taken it either
                }
                self.insert(entry);
            }
        }
        if self.version() > before {
            self.save();
        }
        tagged("Copied", object([("version", self.version().into())]))
    }
}
