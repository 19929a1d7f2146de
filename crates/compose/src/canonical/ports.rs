//! Published ports: `8080:80`, a number, ranges.

use onggi_model::ports::parse_publish;

use crate::node::{Map, Node, Value};

/// Every short form to its ports, one for each port of a range.
pub(super) fn ports(node: &mut Node) -> Result<(), String> {
    let Value::List(items) = &mut node.value else {
        return Ok(());
    };
    let mut all = Vec::with_capacity(items.len());
    for item in items.drain(..) {
        match item.scalar_text() {
            Some(text) => match short(&text, &item) {
                Ok(ports) => all.extend(ports),
                // With its variables still in it: as it was.
                Err(_) if text.contains('$') => all.push(item),
                Err(message) => return Err(message),
            },
            None => all.push(item),
        }
    }
    node.value = Value::List(all);
    Ok(())
}

fn short(text: &str, at: &Node) -> Result<Vec<Node>, String> {
    let mut bindings = parse_publish(text).map_err(|error| error.to_string())?;
    // Docker Compose sorts the ports of one text as texts.
    bindings.sort_by_key(|(port, _)| port.to_string());
    let one = |(port, host): (onggi_model::Port, onggi_model::HostBinding)| {
        let node = |value: Value| Node::new(value, &at.place);
        let mut map = Map::new();
        map.set("mode", node(Value::from("ingress")));
        if host.ip.is_some() {
            map.set("host_ip", node(Value::String(host.host_ip())));
        }
        map.set("target", node(Value::Int(port.number.into())));
        if host.ports.is_some() {
            map.set("published", node(Value::String(host.host_port())));
        }
        map.set("protocol", node(Value::from(port.protocol.as_str())));
        Node {
            mark: at.mark,
            ..node(Value::Map(map))
        }
    };
    Ok(bindings.into_iter().map(one).collect())
}
