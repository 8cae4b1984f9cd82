//! Any bytes at all, taken for a message about locks.

use tidelock_lock_proto::{Envelope, Malformed, ToClient, ToServer};

/// Takes `data` for a message in each direction: decoding never panics, no bytes are a message in both, and
/// what is a message is made of these bytes, as far as it goes.
pub fn lock_message_decode(data: &[u8]) {
    let to_server = ToServer::decode(data);
    let to_client = ToClient::decode(data);
    assert!(to_server.is_err() || to_client.is_err(), "a message goes one way");
    comes_back(data, &to_server, |message, envelope, bytes| message.encode(envelope, bytes));
    comes_back(data, &to_client, |message, envelope, bytes| message.encode(envelope, bytes));
}

fn comes_back<M>(
    data: &[u8],
    decoded: &Result<(Envelope, M), Malformed>,
    encode: impl Fn(&M, Envelope, &mut Vec<u8>),
) {
    let Ok((envelope, message)) = decoded else { return };
    let mut bytes = Vec::new();
    encode(message, *envelope, &mut bytes);
    assert!(bytes.len() <= data.len(), "what is appended is passed over, nothing is added");
    // The length alone may differ: what a later version appended is not repeated.
    assert_eq!(bytes[4..], data[4..bytes.len()]);
}
