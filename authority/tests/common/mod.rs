//! What the tests of both authorities share.
#![allow(dead_code, reason = "each test program uses its part")]

use tidelock_authority::{
    Authority, AuthorityError, Campaign, Candidate, ClientRecord, Leader, Meta, OpenSession, OperationId,
    SqliteAuthority, Tombstone,
};
use tidelock_format::{ClientId, Fsid};

pub(crate) fn client(number: u128) -> ClientId {
    ClientId::new(number).unwrap()
}

pub(crate) fn greeting(number: u128, operation: u128) -> OpenSession {
    let operation = OperationId(operation);
    OpenSession { client: client(number), operation, label: format!("host-{number}"), now_ms: 1000 }
}

pub(crate) fn lead(authority: &dyn Authority) -> Leader {
    match authority.campaign(&Candidate::new("a", "10.0.0.1:7400")).unwrap() {
        Campaign::Won(leader) => leader,
        Campaign::Lost(leader) => panic!("{leader:?} leads"),
    }
}

/// An authority in a folder that goes with it.
#[derive(Debug)]
pub(crate) struct InFolder {
    authority: SqliteAuthority,
    _folder: tempfile::TempDir,
}

impl InFolder {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = SqliteAuthority::create(folder.path().join("authority.db")).unwrap();
        Self { authority, _folder: folder }
    }
}

impl Authority for InFolder {
    fn campaign(&self, candidate: &Candidate) -> Result<Campaign, AuthorityError> {
        self.authority.campaign(candidate)
    }

    fn service(&self) -> Result<Fsid, AuthorityError> {
        self.authority.service()
    }

    fn meta(&self) -> Result<Meta, AuthorityError> {
        self.authority.meta()
    }

    fn client(&self, client: ClientId) -> Result<Option<ClientRecord>, AuthorityError> {
        self.authority.client(client)
    }

    fn clients(&self) -> Result<Vec<ClientRecord>, AuthorityError> {
        self.authority.clients()
    }

    fn tombstones(&self) -> Result<Vec<Tombstone>, AuthorityError> {
        self.authority.tombstones()
    }
}
