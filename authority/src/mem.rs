//! An authority in memory, for tests and simulations: the same rules, no clock, no thread, and faults on demand.
//!
//! Clones of a [`MemAuthority`] are servers at one store. [`storage`](MemAuthority::storage) copies what is in it: make a new
//! authority of the copy, forget the old one, and a crash and a restart have happened.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use tidelock_format::{ClientId, Fsid, GraceEpoch, Incarnation, Term};

use crate::record::{ClientRecord, Meta, Tombstone};
use crate::rows::{Marks, Result, Rows, Session};
use crate::{
    Authority, AuthorityError, Campaign, Candidate, Change, Leader, OperationId, Outcome, Seat, rules,
};

/// Records in memory. Nobody is provably alive here: whoever campaigns next leads.
#[derive(Clone, Debug, Default)]
pub struct MemAuthority {
    store: Arc<Mutex<Store>>,
}

#[derive(Debug, Default)]
struct Store {
    storage: MemStorage,
    fault: Option<Fault>,
    is_leader_alive: bool,
}

#[derive(Debug)]
enum Fault {
    Refuse,
    LoseAnswer,
}

/// What would be on the disk. A clone is a copy of its own.
#[derive(Clone, Debug, Default)]
pub struct MemStorage {
    meta: Meta,
    marks: BTreeMap<ClientId, Marks>,
    sessions: BTreeMap<ClientId, Session>,
    operations: BTreeMap<(ClientId, OperationId), Incarnation>,
    lists: BTreeMap<GraceEpoch, BTreeSet<ClientId>>,
    tombstones: BTreeMap<(ClientId, Incarnation), Tombstone>,
}

impl MemAuthority {
    /// One without records.
    pub fn new() -> Self {
        Self::default()
    }

    /// One that finds these records.
    pub fn from_storage(storage: MemStorage) -> Self {
        let store = Store { storage, ..Store::default() };
        Self { store: Arc::new(Mutex::new(store)) }
    }

    /// A copy of the records as they are now.
    pub fn storage(&self) -> MemStorage {
        self.store().storage.clone()
    }

    /// Fault: the next write, a campaign's too, fails as if the disk were full.
    pub fn refuse_next_write(&self) {
        self.store().fault = Some(Fault::Refuse);
    }

    /// Fault: the next write happens, and its caller is told that this is unknown.
    pub fn lose_next_answer(&self) {
        self.store().fault = Some(Fault::LoseAnswer);
    }

    /// Fault: whoever leads is deposed now, by a stranger who resigns at once.
    pub fn depose(&self) {
        let meta = &mut self.store().storage.meta;
        meta.term = meta.term.next();
        meta.leader = None;
    }

    /// Fault: as long as this is set, whoever leads is provably alive, and campaigns are lost.
    pub fn set_leader_alive(&self, is_alive: bool) {
        self.store().is_leader_alive = is_alive;
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        // A panic inside is a bug in the rules; a test that goes on would only hide it.
        self.store.lock().expect("a change panicked")
    }
}

impl Store {
    fn write<T>(&mut self, change: impl FnOnce(&mut MemStorage) -> Result<T>) -> Result<T> {
        let path = PathBuf::from("memory");
        match self.fault.take() {
            None => change(&mut self.storage),
            Some(Fault::Refuse) => Err(AuthorityError::Full(path)),
            Some(Fault::LoseAnswer) => {
                change(&mut self.storage)?;
                Err(AuthorityError::Unknown { path, why: "a test lost the answer".into() })
            }
        }
    }
}

impl Authority for MemAuthority {
    fn campaign(&self, candidate: &Candidate) -> Result<Campaign> {
        let mut store = self.store();
        if store.is_leader_alive && store.storage.meta.leader.is_some() {
            return Ok(Campaign::Lost(store.storage.meta.leader.clone()));
        }
        let term = store.write(|rows| rules::campaign(rows, candidate))?;
        Ok(Campaign::Won(Leader::new(term, Arc::new(self.clone()))))
    }

    /// The same for all: there is no randomness here.
    fn service(&self) -> Result<Fsid> {
        Ok(Fsid(1))
    }

    fn meta(&self) -> Result<Meta> {
        self.store().storage.meta()
    }

    fn client(&self, client: ClientId) -> Result<Option<ClientRecord>> {
        rules::record(&self.store().storage, client)
    }

    fn clients(&self) -> Result<Vec<ClientRecord>> {
        rules::records(&self.store().storage)
    }

    fn tombstones(&self) -> Result<Vec<Tombstone>> {
        self.store().storage.tombstones()
    }
}

impl Seat for MemAuthority {
    fn apply(&self, term: Term, change: Change) -> Result<Outcome> {
        self.store().write(|rows| rules::apply(rows, term, &change))
    }
}

impl Rows for MemStorage {
    fn meta(&self) -> Result<Meta> {
        Ok(self.meta.clone())
    }

    fn put_meta(&mut self, meta: &Meta) -> Result<()> {
        self.meta = meta.clone();
        Ok(())
    }

    fn marks(&self, client: ClientId) -> Result<Option<Marks>> {
        Ok(self.marks.get(&client).copied())
    }

    fn put_marks(&mut self, client: ClientId, marks: Marks) -> Result<()> {
        self.marks.insert(client, marks);
        Ok(())
    }

    fn session(&self, client: ClientId) -> Result<Option<Session>> {
        Ok(self.sessions.get(&client).cloned())
    }

    fn sessions(&self) -> Result<Vec<(ClientId, Session)>> {
        Ok(self.sessions.iter().map(|(client, session)| (*client, session.clone())).collect())
    }

    fn put_session(&mut self, client: ClientId, session: &Session) -> Result<()> {
        self.sessions.insert(client, session.clone());
        Ok(())
    }

    fn delete_session(&mut self, client: ClientId) -> Result<()> {
        self.sessions.remove(&client);
        Ok(())
    }

    fn operation(&self, client: ClientId, operation: OperationId) -> Result<Option<Incarnation>> {
        Ok(self.operations.get(&(client, operation)).copied())
    }

    fn put_operation(
        &mut self,
        client: ClientId,
        operation: OperationId,
        incarnation: Incarnation,
    ) -> Result<()> {
        self.operations.insert((client, operation), incarnation);
        Ok(())
    }

    fn delete_operations(&mut self, client: ClientId, to: Incarnation) -> Result<()> {
        self.operations.retain(|(of, _), incarnation| *of != client || *incarnation > to);
        Ok(())
    }

    fn lists(&self, client: ClientId) -> Result<Vec<GraceEpoch>> {
        let with = self.lists.iter().filter(|(_, list)| list.contains(&client));
        Ok(with.map(|(epoch, _)| *epoch).collect())
    }

    fn list(&self, epoch: GraceEpoch) -> Result<Vec<ClientId>> {
        Ok(self.lists.get(&epoch).into_iter().flatten().copied().collect())
    }

    fn enlist(&mut self, epoch: GraceEpoch, client: ClientId) -> Result<()> {
        self.lists.entry(epoch).or_default().insert(client);
        Ok(())
    }

    fn strike(&mut self, client: ClientId) -> Result<()> {
        for list in self.lists.values_mut() {
            list.remove(&client);
        }
        Ok(())
    }

    fn delete_list(&mut self, epoch: GraceEpoch) -> Result<()> {
        self.lists.remove(&epoch);
        Ok(())
    }

    fn tombstones(&self) -> Result<Vec<Tombstone>> {
        Ok(self.tombstones.values().cloned().collect())
    }

    fn has_tombstone(&self, client: ClientId, incarnation: Incarnation) -> Result<bool> {
        Ok(self.tombstones.contains_key(&(client, incarnation)))
    }

    fn put_tombstone(&mut self, tombstone: &Tombstone) -> Result<()> {
        self.tombstones.insert((tombstone.client, tombstone.incarnation), tombstone.clone());
        Ok(())
    }

    fn delete_tombstones(&mut self, now_ms: u64) -> Result<u64> {
        let before = self.tombstones.len();
        self.tombstones.retain(|_, tombstone| tombstone.expires_ms > now_ms);
        Ok((before - self.tombstones.len()) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OpenSession;

    fn lead(authority: &MemAuthority) -> Leader {
        match authority.campaign(&Candidate::new("a", "here")).unwrap() {
            Campaign::Won(leader) => leader,
            Campaign::Lost(leader) => panic!("{leader:?} leads"),
        }
    }

    fn greeting(operation: u128) -> OpenSession {
        let client = ClientId::new(1).unwrap();
        OpenSession { client, operation: OperationId(operation), label: String::new(), now_ms: 0 }
    }

    /// G-21.
    #[test]
    fn a_refused_write_changes_nothing() {
        let authority = MemAuthority::new();
        let leader = lead(&authority);
        authority.refuse_next_write();
        assert!(matches!(leader.open_session(greeting(1)), Err(AuthorityError::Full(_))));
        assert_eq!(authority.clients().unwrap(), []);
        assert_eq!(leader.open_session(greeting(1)), Ok(Incarnation(1)));
    }

    #[test]
    fn who_lost_the_answer_asks_again_and_gets_it() {
        let authority = MemAuthority::new();
        let leader = lead(&authority);
        authority.lose_next_answer();
        assert!(matches!(leader.open_session(greeting(1)), Err(AuthorityError::Unknown { .. })));
        assert_eq!(leader.open_session(greeting(1)), Ok(Incarnation(1)));
    }

    #[test]
    fn a_leader_can_be_deposed_at_any_moment() {
        let authority = MemAuthority::new();
        let leader = lead(&authority);
        authority.depose();
        assert_eq!(leader.open_session(greeting(1)), Err(AuthorityError::Deposed { by: Term(2) }));
        assert_eq!(lead(&authority).term(), Term(3));
    }

    #[test]
    fn a_leader_that_is_alive_stays() {
        let authority = MemAuthority::new();
        let leader = lead(&authority);
        authority.set_leader_alive(true);
        let lost = authority.clone().campaign(&Candidate::new("b", "there")).unwrap();
        assert!(matches!(lost, Campaign::Lost(Some(by)) if by.term == leader.term()));
        leader.resign().unwrap();
        lead(&authority);
    }

    #[test]
    fn a_copy_of_the_storage_goes_its_own_way() {
        let authority = MemAuthority::new();
        lead(&authority).open_session(greeting(1)).unwrap();
        let restarted = MemAuthority::from_storage(authority.storage());
        lead(&authority).open_session(greeting(2)).unwrap();
        assert_eq!(restarted.clients().unwrap()[0].incarnation, Incarnation(1));
        assert_eq!(lead(&restarted).term(), Term(2));
    }
}
