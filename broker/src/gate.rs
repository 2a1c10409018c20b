//! Who may come in: keys, and what the system says about whoever is at the other end.

use std::collections::HashMap;

use crate::key::{Key, KeyKind, Side};
use crate::message::{Challenge, Code, Fault, Hello, PROTOCOL_MAX, PROTOCOL_MIN, Proof, check_name};
use crate::seal::{Offer, Seal};
use crate::tree::Role;

/// The process at the other end, as the system says; what it does not say is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// Its effective user.
    pub uid: Option<u32>,
    /// Its effective group.
    pub gid: Option<u32>,
    /// Its number.
    pub pid: Option<u32>,
}

/// Who published a message: what they have proved, and what the system says of them. Only the broker makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publisher {
    /// The name that its connection gave; letters, digits, `-`, `_` and `.`.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// The process; nothing is known of one that is the broker's own.
    pub peer: Peer,
}

/// What a connection has to show.
#[derive(Debug)]
pub struct Gate {
    key: Key,
    /// Keys of processes that were started here, by their number.
    spawned: HashMap<u32, Key>,
    /// Users that may show the installation's key; none where the system does not tell who connects.
    users: Option<Vec<u32>>,
    /// Operators may be of any user: the system tells who may open the socket and read the key.
    has_group: bool,
    /// Connections are encrypted.
    seals: bool,
}

/// A client that has said hello and has to prove it.
#[derive(Debug)]
pub(crate) struct Claim {
    hello: Hello,
    challenge: Challenge,
    role: Role,
    key: Key,
    /// The exchange of keys that was begun with it.
    offer: Option<Offer>,
}

/// A client that has proved what it said.
pub(crate) struct Admitted {
    pub(crate) name: String,
    pub(crate) role: Role,
    /// What its connection is encrypted with from now on.
    pub(crate) seal: Option<Seal>,
}

impl Gate {
    /// Lets in who holds `key` and is one of `users`; where there are none, whoever the system lets open the socket and
    /// read the key.
    pub fn new(key: Key, users: Option<Vec<u32>>) -> Self {
        Self { key, spawned: HashMap::new(), users, has_group: false, seals: false }
    }

    /// Operators need not be of these users: the socket and the key are open to a group, and to no one else. What a
    /// collector says is believed, so collectors need to be.
    #[must_use]
    pub fn open_to_group(self) -> Self {
        Self { has_group: true, ..self }
    }

    /// Connections are encrypted, and who cannot do that does not come in.
    #[must_use]
    pub fn encrypted(self) -> Self {
        Self { seals: true, ..self }
    }

    /// Lets in the process of this number as a collector, if it holds this key.
    pub(crate) fn expect(&mut self, pid: u32, key: Key) {
        self.spawned.insert(pid, key);
    }

    pub(crate) fn is_expected(&self, pid: u32) -> bool {
        self.spawned.contains_key(&pid)
    }

    /// The process of this number is no more.
    pub(crate) fn forget(&mut self, pid: u32) {
        self.spawned.remove(&pid);
    }

    /// Answers a hello.
    pub(crate) fn challenge(&self, peer: Peer, hello: Hello, nonce: bytes::Bytes) -> Result<Claim, Fault> {
        let Hello { protocol_min, protocol_max, .. } = hello;
        let protocol = protocol_max.min(PROTOCOL_MAX);
        if protocol < protocol_min.max(PROTOCOL_MIN) {
            let text = format!(
                "protocol {protocol_min} to {protocol_max} offered, this broker speaks {PROTOCOL_MIN} to {PROTOCOL_MAX}"
            );
            return Err(Fault::new(Code::Version, text));
        }
        check_name(&hello.name).map_err(|text| Fault::new(Code::Protocol, text))?;
        let unknown = |error: prost::UnknownEnumValue| Fault::new(Code::Protocol, error.to_string());
        let role = Role::try_from(hello.role).map_err(unknown)?;
        let key = self.key(peer, role, KeyKind::try_from(hello.key).map_err(unknown)?)?.clone();
        if self.seals && !hello.can_seal {
            let text = "connections to this agent are encrypted, and the client offers none; install both from the \
                        same release, or set the agent's `encryption` to off";
            return Err(Fault::new(Code::Denied, text));
        }
        let (offer, seal) = self.seals.then(|| Offer::new(&key)).transpose()?.unzip();
        let mut challenge = Challenge { protocol, nonce, seal: seal.unwrap_or_default(), ..Challenge::default() };
        challenge.proof = key.prove(Side::Broker, &hello, &challenge, &[]);
        Ok(Claim { hello, challenge, role, key, offer })
    }

    fn key(&self, peer: Peer, role: Role, kind: KeyKind) -> Result<&Key, Fault> {
        let denied = |text: String| Err(Fault::new(Code::Denied, text));
        match (role, kind) {
            (Role::Agent, _) => denied("nobody is the agent but the process that the broker is in".to_owned()),
            (Role::Collector, KeyKind::Spawn) => {
                let key = peer.pid.and_then(|pid| self.spawned.get(&pid));
                key.map_or_else(|| denied("no collector of this process number was started here".to_owned()), Ok)
            }
            (Role::Operator, KeyKind::Spawn) => denied("only collectors are given keys at their start".to_owned()),
            (Role::Operator, KeyKind::Installation) if self.has_group => Ok(&self.key),
            (_, KeyKind::Installation) => match (&self.users, peer.uid) {
                (Some(users), Some(uid)) if !users.contains(&uid) => {
                    denied(format!("user {uid} may not connect; be the agent's user or root"))
                }
                (Some(_), None) => denied("the system does not say which user connects".to_owned()),
                _ => Ok(&self.key),
            },
        }
    }
}

impl Claim {
    pub(crate) fn challenge(&self) -> Challenge {
        self.challenge.clone()
    }

    /// Who it is, once proved.
    pub(crate) fn admit(self, proof: &Proof) -> Result<Admitted, Fault> {
        let exchanged = self.offer.map(|offer| offer.complete(&proof.seal)).transpose()?;
        let (seal, hash) = exchanged.unzip();
        let said = (&self.hello, &self.challenge);
        if self.key.holds(Side::Client, said, &hash.unwrap_or_default(), &proof.proof) {
            return Ok(Admitted { name: self.hello.name, role: self.role, seal });
        }
        Err(Fault::new(Code::Denied, "the client does not hold the broker's key"))
    }
}
