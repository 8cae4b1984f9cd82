//! Who is at the other end of a connection, as far as the connection itself proves it.
//!
//! Identity comes from the connection, never from a message: who could name itself could name another, and act for it
//! . So a client's name is made of two parts. The [`Principal`] is proved; the instance is said in the greeting and
//! only tells the clients of that principal apart. They are hashed together, so that no instance that anybody can choose
//! leads to the name of another principal's client.

use sha2::{Digest, Sha256};
use tidelock_format::ClientId;

/// What a hashed name begins with, so that it is no hash of anything else.
const DOMAIN: [u8; 16] = *b"tidelock client\0";

/// Who a connection proved to be at its other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Principal {
    /// A user of this machine, by number: the kernel says so of whoever is at the other end of a Unix socket.
    User(u32),
    /// Whoever has the private key of a certificate: the SHA-256 of its subject's public key info, as DER. It is the key
    /// and not the certificate, so a client whose certificate is renewed for the same key remains itself.
    Certificate([u8; 32]),
    /// Nobody proved anything: plain TCP. Whoever can reach the port can act for any client that comes this way.
    Anonymous,
}

impl Principal {
    /// The name of this principal's client with this `instance`.
    ///
    /// It is the first 128 bits of a SHA-256 over 65 bytes: "tidelock client" and a zero; a byte, 1 for a user, 2 for a
    /// certificate, 3 for nobody; the proof, 32 bytes, a user's number in the first four of them, little-endian, and zeroes
    /// behind; the instance, 16 bytes, little-endian. Every part has its place, so no two names are made of the same bytes.
    pub fn client_id(&self, instance: u128) -> ClientId {
        let (kind, proof) = self.kind_and_proof();
        let hash = Sha256::new()
            .chain_update(DOMAIN)
            .chain_update([kind])
            .chain_update(proof)
            .chain_update(instance.to_le_bytes())
            .finalize();
        let first = hash.first_chunk().expect("a SHA-256 has 32 bytes");
        // Zero is nobody's; nobody will see it happen either.
        ClientId::new(u128::from_be_bytes(*first).max(1)).expect("at least one")
    }

    fn kind_and_proof(&self) -> (u8, [u8; 32]) {
        let mut proof = [0; 32];
        match self {
            Principal::User(user) => {
                proof[..4].copy_from_slice(&user.to_le_bytes());
                (1, proof)
            }
            Principal::Certificate(hash) => (2, *hash),
            Principal::Anonymous => (3, proof),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    const PAGE: &str = include_str!("../../docs/transports.md");

    #[test]
    fn the_page_about_connections_shows_how_clients_are_named() {
        for (who, principal) in [("user 1000", Principal::User(1000)), ("nobody", Principal::Anonymous)] {
            let row = format!("| {who} | `{}` |", principal.client_id(0x0102));
            assert!(PAGE.contains(&row), "docs/transports.md has no row {row}");
        }
    }

    /// Computed apart from this code: records of clients outlive its versions, so it may never change.
    #[test]
    fn a_name_stays_what_it_is() {
        let name = |principal: Principal| principal.client_id(0x0102).to_string();
        assert_eq!(name(Principal::User(1000)), "033dc2855e19e33597e1ef3cce032112");
        assert_eq!(name(Principal::Certificate([0xab; 32])), "32b8682f26624c14952460fe387e59c9");
        assert_eq!(name(Principal::Anonymous), "fae2c1118cbde94b0c2c2b5bddb1280e");
    }

    /// a client names others of its own principal at the most, whatever instance it says.
    #[test]
    fn principals_share_no_client() {
        let mut proof = [0; 32];
        proof[0] = 7;
        // The same proof, byte by byte, under each kind.
        let principals = [
            Principal::User(0),
            Principal::User(7),
            Principal::Certificate([0; 32]),
            Principal::Certificate(proof),
            Principal::Anonymous,
        ];
        let instances = [0, 1, 7, u128::MAX];
        let names: HashSet<ClientId> =
            principals.iter().flat_map(|who| instances.map(|instance| who.client_id(instance))).collect();
        assert_eq!(names.len(), principals.len() * instances.len());
    }
}
