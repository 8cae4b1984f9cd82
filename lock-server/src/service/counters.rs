//! What a server has done since it began.

/// How many times what happened, since this server began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Connections that were made.
    pub connections_opened: u64,
    /// Connections that this server closed.
    pub connections_cut: u64,
    /// Frames that came in.
    pub frames_heard: u64,
    /// Connections that ended with something that was no frame.
    pub garbage: u64,
    /// Writes, each of one or more frames.
    pub writes: u64,

    /// Sessions that were opened.
    pub sessions_opened: u64,
    /// Sessions that went on over another connection.
    pub sessions_resumed: u64,
    /// Sessions of an earlier server whose clients came.
    pub sessions_recovering: u64,
    /// Those that have told all that they held.
    pub sessions_recovered: u64,
    /// Sessions that said farewell.
    pub sessions_left: u64,
    /// Sessions whose client opened another.
    pub sessions_superseded: u64,
    /// Sessions that were expelled, for any reason.
    pub sessions_expelled: u64,
    /// Those whose client did not follow the protocol.
    pub offences: u64,

    /// Greetings with which a client that was given up was told so.
    pub greetings_expelled: u64,
    /// Greetings of those who cannot be talked to.
    pub greetings_mismatched: u64,
    /// Greetings that were put off, whatever the reason.
    pub greetings_put_off: u64,
    /// Greetings of those of whom nothing is left.
    pub greetings_left: u64,
    /// Late copies of greetings that were answered long ago.
    pub greetings_late: u64,

    /// Messages of clients that were handled.
    pub messages_heard: u64,
    /// Messages that came again.
    pub messages_repeated: u64,
    /// Messages about a session or a term that is gone.
    pub messages_stale: u64,
    /// Messages to clients that were written for the first time.
    pub messages_told: u64,
    /// Grants that clients were to be told of.
    pub grants_told: u64,
    /// Calls to come down that clients were to be told of.
    pub revocations_told: u64,
    /// Frames that said how far messages are done, and nothing else.
    pub reports_told: u64,
    /// Locks that clients told of and do not have.
    pub locks_lost: u64,

    /// Connections that were turned away: too many strangers.
    pub strangers_refused: u64,
    /// Connections that were closed because they did not greet in time.
    pub strangers_silent: u64,
    /// Greetings that were put off: too many sessions.
    pub sessions_refused: u64,
    /// Connections that were cut because too much waited for the client.
    pub waiting_refused: u64,

    /// Changes of records that were asked for.
    pub changes_asked: u64,
    /// Changes that were asked for again.
    pub changes_repeated: u64,
    /// Sessions that were not opened because the record could not be written.
    pub records_refused: u64,
}

impl Counters {
    /// Each with its name.
    pub fn named(&self) -> [(&'static str, u64); 33] {
        let Self {
            connections_opened,
            connections_cut,
            frames_heard,
            garbage,
            writes,
            sessions_opened,
            sessions_resumed,
            sessions_recovering,
            sessions_recovered,
            sessions_left,
            sessions_superseded,
            sessions_expelled,
            offences,
            greetings_expelled,
            greetings_mismatched,
            greetings_put_off,
            greetings_left,
            greetings_late,
            messages_heard,
            messages_repeated,
            messages_stale,
            messages_told,
            grants_told,
            revocations_told,
            reports_told,
            locks_lost,
            strangers_refused,
            strangers_silent,
            sessions_refused,
            waiting_refused,
            changes_asked,
            changes_repeated,
            records_refused,
        } = *self;
        [
            ("connections_opened", connections_opened),
            ("connections_cut", connections_cut),
            ("frames_heard", frames_heard),
            ("garbage", garbage),
            ("writes", writes),
            ("sessions_opened", sessions_opened),
            ("sessions_resumed", sessions_resumed),
            ("sessions_recovering", sessions_recovering),
            ("sessions_recovered", sessions_recovered),
            ("sessions_left", sessions_left),
            ("sessions_superseded", sessions_superseded),
            ("sessions_expelled", sessions_expelled),
            ("offences", offences),
            ("greetings_expelled", greetings_expelled),
            ("greetings_mismatched", greetings_mismatched),
            ("greetings_put_off", greetings_put_off),
            ("greetings_left", greetings_left),
            ("greetings_late", greetings_late),
            ("messages_heard", messages_heard),
            ("messages_repeated", messages_repeated),
            ("messages_stale", messages_stale),
            ("messages_told", messages_told),
            ("grants_told", grants_told),
            ("revocations_told", revocations_told),
            ("reports_told", reports_told),
            ("locks_lost", locks_lost),
            ("strangers_refused", strangers_refused),
            ("strangers_silent", strangers_silent),
            ("sessions_refused", sessions_refused),
            ("waiting_refused", waiting_refused),
            ("changes_asked", changes_asked),
            ("changes_repeated", changes_repeated),
            ("records_refused", records_refused),
        ]
    }
}
