//! HTTP/1.1 for the daemon and its clients: a table of routes, listeners, connections that are taken over, TLS,
//! connectors.
//!
//! Not here: what the routes do (`server`), registries (`registry`).

pub mod body; // bodies: whole, streamed, bounded
mod connect; // the client's side of a connection
mod hijack; // connections that stop being HTTP
mod listen; // sockets that accept
mod patient; // clients that have said all they will say
mod program; // programs that are connections
mod query; // what follows the question mark
mod route; // the table of routes
mod serve; // the loop: accept, serve, shut down
mod stream; // unix, TCP and TLS streams as one type
mod tls; // certificates both ways
pub mod websocket; // connections that become websockets

pub use body::{Body, BodyError};
pub use connect::{Target, connect};
pub use hijack::{Hijacked, hijack, hijack_as};
pub use listen::{ListenError, Listener};
pub use program::Program;
pub use query::{Query, decode_path};
pub use route::{Found, Handler, Params, Route, Router, Running, delete, get, head, post, put};
pub use serve::{Limits, Peer, serve, serve_within};
pub use stream::Stream;
pub use tls::{ClientTls, ServerTls, TlsError};

/// A request as it arrives.
pub type Request = http::Request<hyper::body::Incoming>;
/// An answer as it leaves.
pub type Response = http::Response<Body>;
