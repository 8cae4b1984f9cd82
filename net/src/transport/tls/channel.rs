//! TLS on one connection: plain bytes of frames on one side, records on the other.

use std::io::{self, Read, Write};

use rustls::pki_types::CertificateDer;
use rustls::server::ParsedCertificate;
use rustls::{ClientConnection, Connection, Error, InvalidMessage, ServerConnection};
use sha2::{Digest, Sha256};

use super::{ClientTls, ServerTls};
use crate::Principal;
use crate::transport::LinkError;
use crate::transport::inbox::Inbox;
use crate::transport::outbox::Outbox;
use crate::transport::socket::Socket;

/// Records that may wait for the socket: encrypting more would only take memory.
const RECORD_BYTES: usize = 64 << 10;

/// One connection's TLS. What is to be written goes from [`plain`](Self::plain) to records, as the socket takes them.
#[derive(Debug)]
pub(in crate::transport) struct Channel {
    tls: Connection,
    plain: Outbox,
}

/// What reading the socket once came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::transport) enum Got {
    /// Nothing is there at present.
    Nothing,
    /// Something, and nothing more is there at present.
    All,
    /// Something, and there may be more.
    Some,
    /// The end.
    End,
}

impl Channel {
    pub(in crate::transport) fn client(tls: &ClientTls) -> io::Result<Self> {
        let connection = ClientConnection::new(tls.config.clone(), tls.server.clone());
        Ok(Self::new(connection.map_err(io::Error::other)?.into()))
    }

    pub(in crate::transport) fn server(tls: &ServerTls) -> io::Result<Self> {
        let connection = ServerConnection::new(tls.config.clone());
        Ok(Self::new(connection.map_err(io::Error::other)?.into()))
    }

    fn new(tls: Connection) -> Self {
        Self { tls, plain: Outbox::default() }
    }

    /// Whether the two are still finding out who they are, and with which keys they talk.
    pub(in crate::transport) fn is_shaking_hands(&self) -> bool {
        self.tls.is_handshaking()
    }

    /// Where plain bytes that are to be written are appended.
    pub(in crate::transport) fn tail(&mut self) -> &mut Vec<u8> {
        self.plain.tail()
    }

    /// Plain bytes that are no records yet.
    pub(in crate::transport) fn unwritten(&self) -> usize {
        self.plain.unwritten().len()
    }

    /// Makes records of what is to be written, as far as they may wait.
    pub(in crate::transport) fn encrypt(&mut self, records: &mut Outbox) -> io::Result<()> {
        self.take_records(records)?;
        while !self.plain.is_empty() && records.unwritten().len() < RECORD_BYTES {
            let count = self.tls.writer().write(self.plain.unwritten())?;
            self.plain.wrote(count);
            self.take_records(records)?;
        }
        Ok(())
    }

    /// What TLS itself has to say: handshake, alerts, new keys.
    pub(in crate::transport) fn take_records(&mut self, records: &mut Outbox) -> io::Result<()> {
        while self.tls.wants_write() {
            self.tls.write_tls(records.tail())?;
        }
        Ok(())
    }

    /// Says that nothing more comes from here.
    pub(in crate::transport) fn end(&mut self) {
        self.tls.send_close_notify();
    }

    /// Reads the socket once, and decrypts what came.
    pub(in crate::transport) fn read(&mut self, socket: &Socket) -> Result<Got, LinkError> {
        let mut reading = Reading { socket, got: Got::Nothing };
        match self.tls.read_tls(&mut reading) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Got::Nothing),
            Err(error) => return Err(error.into()),
        }
        let got = reading.got;
        self.tls.process_new_packets().map_err(failure)?;
        // It reads nothing any more once the other end has said that it ends.
        Ok(if got == Got::Nothing { Got::End } else { got })
    }

    /// Moves decrypted bytes to the inbox, as far as there is room; tells whether some were moved.
    pub(in crate::transport) fn deliver(&mut self, inbox: &mut Inbox) -> io::Result<bool> {
        match self.tls.reader().read(inbox.space()) {
            Ok(count) => {
                inbox.filled(count);
                Ok(count > 0)
            }
            // The end is found when the socket is read: an end of TLS or of the connection, it is the same for frames.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Who the other end's certificate says it is. Both sides always have one (see [`super`]).
    pub(in crate::transport) fn principal(&self) -> Result<Principal, LinkError> {
        let certificate = self.tls.peer_certificates().and_then(<[CertificateDer<'_>]>::first);
        let certificate = certificate.ok_or_else(|| failure(Error::NoCertificatesPresented))?;
        let parsed = ParsedCertificate::try_from(certificate).map_err(failure)?;
        Ok(Principal::Certificate(Sha256::digest(parsed.subject_public_key_info()).into()))
    }
}

/// What went wrong, and what to do about it where that is known.
fn failure(error: Error) -> LinkError {
    LinkError::Tls(match error {
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "what comes in is no TLS: is the other end set up for TLS too?".into()
        }
        error => error.into(),
    })
}

/// The socket, as TLS reads it.
struct Reading<'a> {
    socket: &'a Socket,
    got: Got,
}

impl Read for Reading<'_> {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        let count = self.socket.recv(space)?.ok_or(io::ErrorKind::WouldBlock)?;
        self.got = match count {
            0 => Got::End,
            _ if count < space.len() => Got::All,
            _ => Got::Some,
        };
        Ok(count)
    }
}
