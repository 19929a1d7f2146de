//! Messages bent by chance: whatever comes in, nothing panics, and what goes out is a message.

use std::net::IpAddr;

use onggi_dns::{Answer, LARGEST, Names, Network, Query, Refusal, Said, View};
use onggi_testkit::Fuzz;

struct Anybody;

impl Names for Anybody {
    fn of_name(&self, _: &Network, name: &str) -> Vec<IpAddr> {
        let count = name.len() % 60;
        (0..count)
            .map(|n| IpAddr::from([10, 0, 0, n as u8]))
            .collect()
    }
    fn of_container(&self, _: &Network, _: &str) -> Vec<IpAddr> {
        Vec::new()
    }
    fn of_address(&self, _: &Network, address: IpAddr) -> Option<String> {
        Some(address.to_string())
    }
}

const QUERY: &[u8] =
    b"\x12\x34\x01\x00\0\x01\0\0\0\0\0\x01\x02db\0\0\x01\0\x01\0\0\x29\x04\xd0\0\0\0\0\0\0";
const REVERSE: &[u8] =
    b"\0\x01\x01\0\0\x01\0\0\0\0\0\0\x011\x010\x010\x0210\x07in-addr\x04arpa\0\0\x0c\0\x01";
const REPLY: &[u8] = b"\x12\x34\x81\x80\0\x01\0\x01\0\0\0\x01\x02db\0\0\x01\0\x01\
    \xc0\x0c\0\x01\0\x01\0\0\x02\x58\0\x04\xac\x12\0\x02\0\0\x29\x04\xd0\0\0\0\0\0\0";

#[test]
fn fuzz_messages() {
    let view = View {
        networks: vec![Network {
            name: "net".to_owned(),
            ..Network::default()
        }],
        forwards: true,
        ..View::default()
    };
    let fuzz = Fuzz {
        seeds: &[QUERY, REVERSE, REPLY],
        words: &[
            "\u{0}",
            "\u{1}a",
            "\u{3f}",
            "\u{0}\u{0}\u{29}",
            "\u{0}\u{1}",
            ".",
        ],
    };
    fuzz.run(|input| {
        match Query::parse(input) {
            Ok(query) => {
                let reply = match view.say(&query, &Anybody, input.len(), query.limit()) {
                    Said::Reply(reply) => reply,
                    Said::Ask => query.come_by_tcp(),
                };
                assert!(reply.len() <= query.limit().max(12 + query.question().len() + 11));
                assert!(Answer::parse(reply, input).is_some());
            }
            Err(Refusal::Reply(reply)) => assert_eq!(reply.len(), 12),
            Err(Refusal::Silence) => {}
        }
        for asked in [QUERY, REVERSE] {
            if let Some(answer) = Answer::parse(input.to_vec(), asked) {
                let told = answer.told(7, &asked[12..], 1);
                assert_eq!(told.len(), input.len());
                assert!(told.len() <= LARGEST);
                let _ = (answer.settles(), answer.is_truncated(), answer.lifetime());
            }
        }
    });
}
