//! Networks: the default bridge with its addresses, published ports and firewall; the networks `host` and `none` as
//! documents. The catalogue and the kernel are the truth: [`Networks::open`] observes both, and changes only what differs.
//!
//! Not here: netlink messages (`netlink`), the grammar of `-p` (`model::ports`), who is running (`engine`).

mod address; // which subnet, which address
mod bridge; // the bridge in the kernel
mod config; // what the daemon's configuration says
mod document; // networks as the API shows them
mod endpoint; // a container's place in a network
mod error; // what can go wrong, in Docker's words
mod firewall; // our nftables table and the one jump
mod mac; // hardware addresses
mod networks; // the whole, as the engine uses it
mod publish; // host ports: who has them, sockets that hold them
mod sandbox; // the container's side: its namespace
mod sysctl; // the few switches of /proc/sys/net
mod watch; // others change the firewall: restore ours

pub mod dns; // resolv.conf of containers

pub use config::{Config, Pool};
pub use document::{Ipam, IpamConfig, IpamRequest, Network, NetworkRequest};
pub use endpoint::{Endpoint, EndpointRequest, PublishRequest, Published};
pub use error::{Error, PublishError, Result};
pub use mac::Mac;
pub use networks::Networks;
