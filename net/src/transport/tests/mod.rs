//! Links and listeners, over every kind of connection that there is.
mod bells;
mod certificates;
mod children;
mod event_loop;
mod every_kind;
mod listening;
mod rig;
mod tls;
