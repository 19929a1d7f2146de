//! Networks: bridges and shared links with their addresses, published ports and firewall; `host` and `none` as
//! documents. The catalogue and the kernel are the truth: [`Networks::open`] observes both, and changes only what differs.
//!
//! Not here: netlink messages (`netlink`), the grammar of `-p` (`model::ports`), who is running (`engine`).

mod address; // which subnet, which address
mod bridge; // bridges in the kernel
mod config; // what the daemon's configuration says
mod create; // networks made and removed
mod default; // the default bridge's addresses
mod departing; // bridges of networks that are removed
mod document; // networks as the API shows them
mod endpoint; // a container's place in a network
mod error; // what can go wrong, in Docker's words
mod exposure; // who can reach the ports of containers
mod firewall; // our nftables table and the one jump
mod gateway; // which network gives a container its default routes
mod hand_over; // ports that move from one container to another
mod inner; // what the daemon knows of its networks
mod ipam; // the subnets of a new network
mod join; // containers in and out of networks
mod lingering; // links that outlive their container
mod mac; // hardware addresses
mod macvlan; // links of the host that containers share
mod neighbours; // whether the kernel's table of them is large enough
mod networks; // the whole, as the engine uses it
mod occupied; // what the host has addresses in and routes to
mod options; // what the options of networks say
mod publish; // host ports: who has them, sockets that hold them
mod resolver; // the embedded DNS: names of containers, questions for others
mod sandbox; // the container's side: its namespace
mod sysctl; // the few switches of /proc/sys/net
mod usage; // how many addresses are taken
mod watch; // others change the firewall: restore ours
#[cfg(test)]
mod work; // what changes cost where there are many networks

pub mod dns; // resolv.conf of containers

pub use config::{Config, Pool, PublishPolicy};
pub use document::{Ipam, IpamConfig, IpamRequest, Network, NetworkRequest, Origin};
pub use endpoint::{Endpoint, EndpointRequest, PublishRequest, Published, check_options};
pub use error::{Error, PublishError, Result};
pub use exposure::{Exposed, Reach, Sender};
pub use hand_over::{HandOver, Party};
pub use mac::Mac;
pub use networks::Networks;
pub use publish::HeldPorts;
pub use resolver::{Held, Names, Place, Settings, Sockets};
pub use usage::SubnetUsage;
