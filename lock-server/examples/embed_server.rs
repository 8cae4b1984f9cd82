//! A lock server inside of a process of one's own: it leads, listens, is looked into, and hands over.
//!
//! cargo run -p tidelock-lock-server --example embed_server [FILE ADDRESS]

use std::error::Error;

use tidelock_authority::{Authority, Campaign, Candidate, SqliteAuthority};
use tidelock_lock_server::{Daemon, DaemonOptions, ServerConfig};
use tidelock_net::transport::{ListenOptions, Listener};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let mut args = std::env::args().skip(1);
    let file = args.next().map_or_else(|| folder.path().join("locks.db"), Into::into);
    let address = args.next().unwrap_or_else(|| "127.0.0.1:0".into()).parse()?;

    // The records, and the right to change them. A server that finds another one leading waits: `wait_to_lead`.
    let authority =
        if file.exists() { SqliteAuthority::open(&file)? } else { SqliteAuthority::create(&file)? };
    let listener = Listener::bind(&address, &ListenOptions::default())?;
    let found = listener.local_address()?;
    let Campaign::Won(leader) = authority.campaign(&Candidate::new("example", found.to_string()))? else {
        return Err("another server leads".into());
    };

    // From here on clients are served, by threads of the daemon.
    let mut options = DaemonOptions::new(ServerConfig::new(authority.service()?));
    options.handover = Some(file.with_extension("handover"));
    let daemon = Daemon::start(leader, &authority, vec![listener], options)?;
    println!("serves at {found}, in term {}: {:?}", daemon.term(), daemon.beginning());

    // A question is answered inside of the loop, between two messages.
    let (sessions, locks) =
        daemon.handle().ask(|look| (look.server().sessions().count(), look.server().locks()))?;
    println!("{sessions} sessions, {locks} locks");

    // In a real process: when it is told to end. The next server goes on where this one stopped.
    let stopped = daemon.stop();
    println!("{}; handed over: {}", stopped.reason, stopped.has_handed_over);
    Ok(())
}
