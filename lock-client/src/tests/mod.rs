//! A client as those who take its locks see it, with a server that says what the story wants.

mod locks;
mod scene;
