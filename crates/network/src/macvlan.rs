//! Links of the host that containers share: the parents of macvlan networks. A parent `NAME.NUMBER` that is not there is
//! made as a VLAN of `NAME`; a network without a parent gets one that leads nowhere.

use onggi_netlink::{Batch, Message, Socket, link};

use crate::bridge;
use crate::document::Network;
use crate::error::{Error, Result};
use crate::options::MacvlanOptions;

/// The name of the network's parent.
pub(crate) fn parent(network: &Network, options: &MacvlanOptions) -> String {
    match options.parent.as_str() {
        "" => format!("dm-{}", network.id.get(..12).unwrap_or(&network.id)),
        parent => parent.to_owned(),
    }
}

/// Makes the parent where it is not there, and returns its number.
pub(crate) fn ensure_parent(
    socket: &mut Socket,
    network: &Network,
    options: &MacvlanOptions,
) -> Result<u32> {
    let name = parent(network, options);
    if !link::is_valid_name(&name) {
        return Err(Error::Invalid(format!("invalid parent interface {name:?}")));
    }
    if let Some(index) = bridge::number(socket, &name)? {
        return Ok(index);
    }
    let message = if options.parent.is_empty() {
        link::add_dummy(&name)
    } else {
        vlan(socket, &name)?
    };
    let mut batch = Batch::new();
    batch.push("create the parent link", message).push(
        "note on the parent link",
        link::set_alias(&name, &bridge::note(&network.id)),
    );
    socket.transact(batch).map_err(Error::kernel("macvlan"))?;
    bridge::number(socket, &name)?
        .ok_or_else(|| Error::Taken(format!("the parent link {name} vanished")))
}

/// The VLAN that a name means: `eth0.5` is number 5 of `eth0`.
fn vlan(socket: &Socket, name: &str) -> Result<Message> {
    let absent = || {
        Error::Invalid(format!(
            "-o parent interface was not found on the host: {name}"
        ))
    };
    let (above, number) = name.rsplit_once('.').ok_or_else(absent)?;
    let number: u16 = number.parse().map_err(|_| absent())?;
    // IEEE 802.1Q: 0 and 4095 are no VLANs.
    if !(1..=4094).contains(&number) {
        return Err(absent());
    }
    let index = bridge::number(socket, above)?.ok_or_else(absent)?;
    Ok(link::add_vlan(name, index, number))
}

/// Removes the parent if we made it.
pub(crate) fn remove_parent(
    socket: &mut Socket,
    network: &Network,
    options: &MacvlanOptions,
) -> Result<()> {
    bridge::delete(socket, &parent(network, options))
}
