use super::packet::{Packet, anyone_of, known};
use super::run::{Rules, Whether};
use onggi_netlink::nft::{
    Data, Element, Entry, Family, Hook, Installed, InstalledChain, InstalledRule, InstalledSet,
    Policy, Step, Verdict,
};
use std::collections::BTreeSet;

const PORT: Step = Step::Payload {
    base: 2,
    offset: 2,
    length: 2,
    to: 0,
};
const SOURCE: Step = Step::Payload {
    base: 1,
    offset: 12,
    length: 4,
    to: 0,
};

fn rule(steps: impl IntoIterator<Item = Step>) -> InstalledRule {
    InstalledRule {
        tag: Some("a rule #12345678".to_owned()),
        steps: steps.into_iter().collect(),
    }
}

fn chain(name: &str, policy: Option<Policy>, rules: Vec<InstalledRule>) -> InstalledChain {
    InstalledChain {
        family: Family::Inet,
        table: "t".to_owned(),
        name: name.to_owned(),
        entry: policy.map(|policy| Entry {
            hook: Hook::Forward,
            priority: 0,
            policy,
            nat: false,
        }),
        rules,
    }
}

fn is(value: &[u8]) -> Step {
    Step::Compare(0, 0, value.to_vec())
}

fn element(key: &[u8], ends: bool) -> Element {
    Element {
        key: key.to_vec(),
        last: None,
        ends,
        data: None,
        tag: None,
    }
}

/// TCP to port 80, or any, of 172.17.0.2 from 192.0.2.0/24.
fn packet(port: Option<u16>) -> Packet {
    let mut packet = Packet::new("172.17.0.2".parse().unwrap(), 6, port);
    packet.source = anyone_of("192.0.2.0/24".parse().unwrap());
    packet.by = Some(("eth0".to_owned(), 2));
    packet
}

fn asked(installed: &Installed, port: Option<u16>) -> (Whether, String) {
    let mut rules = Rules {
        installed,
        local: &BTreeSet::new(),
        beside: Some("c"),
        why: BTreeSet::new(),
    };
    let whether = rules.pass(Family::Ip, Hook::Forward, &mut packet(port));
    let why: Vec<String> = rules.why.into_iter().collect();
    (whether, why.join("; "))
}

fn one(policy: Policy, rules: Vec<InstalledRule>) -> Installed {
    Installed {
        chains: vec![chain("c", Some(policy), rules)],
        ..Installed::default()
    }
}

#[test]
fn rules_decide_by_what_is_known() {
    let accept = || Step::Verdict(Verdict::Accept);
    let drop = || Step::Verdict(Verdict::Drop);
    for (what, rules, port, expected) in [
        ("none", vec![], Some(80), Whether::No),
        (
            "its port",
            vec![rule([PORT, is(&[0, 80]), accept()])],
            Some(80),
            Whether::Yes,
        ),
        (
            "another",
            vec![rule([PORT, is(&[0, 81]), accept()])],
            Some(80),
            Whether::No,
        ),
        (
            "any port",
            vec![rule([PORT, is(&[0, 80]), accept()])],
            None,
            Whether::Maybe,
        ),
        (
            "its link",
            vec![rule([
                Step::Meta(6, 0),
                is(b"eth0\0\0\0\0\0\0\0\0\0\0\0\0"),
                accept(),
            ])],
            None,
            Whether::Yes,
        ),
        (
            "one sender",
            vec![rule([SOURCE, is(&[192, 0, 2, 9]), accept()])],
            Some(80),
            Whether::Maybe,
        ),
        (
            "another's",
            vec![rule([SOURCE, is(&[192, 0, 3, 9]), accept()])],
            Some(80),
            Whether::No,
        ),
        (
            "all of them",
            vec![rule([
                SOURCE,
                Step::Bitwise {
                    from: 0,
                    to: 0,
                    mask: vec![255, 255, 255, 0],
                    xor: vec![0; 4],
                },
                is(&[192, 0, 2, 0]),
                accept(),
            ])],
            Some(80),
            Whether::Yes,
        ),
        (
            "drop before",
            vec![rule([PORT, is(&[0, 80]), drop()]), rule([accept()])],
            Some(80),
            Whether::No,
        ),
        (
            "some drop before",
            vec![
                rule([SOURCE, is(&[192, 0, 2, 9]), drop()]),
                rule([accept()]),
            ],
            Some(80),
            Whether::Maybe,
        ),
        (
            "states that are not new",
            vec![rule([
                Step::Conntrack(0, 0),
                Step::Bitwise {
                    from: 0,
                    to: 0,
                    mask: 6_u32.to_ne_bytes().to_vec(),
                    xor: vec![0; 4],
                },
                Step::Compare(0, 1, vec![0; 4]),
                accept(),
            ])],
            None,
            Whether::No,
        ),
        (
            "a range of ports",
            vec![rule([
                PORT,
                Step::Range {
                    from: 0,
                    inverted: false,
                    low: vec![0, 70],
                    high: vec![0, 90],
                },
                accept(),
            ])],
            Some(80),
            Whether::Yes,
        ),
        (
            "what nobody can read",
            vec![rule([Step::Other("osf".to_owned()), accept()])],
            Some(80),
            Whether::Maybe,
        ),
        (
            "a target nobody knows",
            vec![rule([Step::Target("TARPIT".to_owned())])],
            Some(80),
            Whether::Maybe,
        ),
        (
            "reject",
            vec![rule([Step::Reject]), rule([accept()])],
            Some(80),
            Whether::No,
        ),
        (
            "a log",
            vec![
                rule([Step::Quiet, Step::Target("LOG".to_owned())]),
                rule([accept()]),
            ],
            Some(80),
            Whether::Yes,
        ),
    ] {
        assert_eq!(asked(&one(Policy::Drop, rules), port).0, expected, "{what}");
    }
    let (whether, why) = asked(&one(Policy::Accept, vec![rule([drop()])]), None);
    assert_eq!((whether, why.as_str()), (Whether::No, "inet t c (a rule)"));
    let (_, why) = asked(&one(Policy::Drop, vec![]), None);
    assert_eq!(why, "inet t c (policy drop)");
    assert_eq!(asked(&Installed::default(), None).0, Whether::Yes);
}

#[test]
fn nobody_comes_from_loopback_by_a_wire() {
    let mask = Step::Bitwise {
        from: 0,
        to: 0,
        mask: vec![255, 0, 0, 0],
        xor: vec![0; 4],
    };
    let guard = |first: u8| {
        let drop = Step::Verdict(Verdict::Drop);
        let steps = [SOURCE, mask.clone(), is(&[first, 0, 0, 0]), drop];
        let installed = one(Policy::Accept, vec![rule(steps)]);
        let mut rules = Rules {
            installed: &installed,
            local: &BTreeSet::new(),
            beside: None,
            why: BTreeSet::new(),
        };
        let mut packet = packet(Some(80));
        packet.source = anyone_of("0.0.0.0/0".parse().unwrap());
        rules.pass(Family::Ip, Hook::Forward, &mut packet)
    };
    assert_eq!(guard(127), Whether::Yes);
    assert_eq!(guard(10), Whether::Maybe);
}

#[test]
fn chains_call_each_other() {
    let to = |name: &str| Step::Verdict(Verdict::Jump(name.to_owned()));
    let on = |name: &str| Step::Verdict(Verdict::Goto(name.to_owned()));
    let accept = || vec![rule([Step::Verdict(Verdict::Accept)])];
    let back = || vec![rule([Step::Verdict(Verdict::Return)])];
    let with = |first: Vec<InstalledRule>, other: Vec<InstalledRule>| {
        let chains = vec![
            chain("c", Some(Policy::Drop), first),
            chain("other", None, other),
        ];
        asked(
            &Installed {
                chains,
                ..Installed::default()
            },
            None,
        )
        .0
    };
    let then = |step: Step| [vec![rule([step])], accept()].concat();
    assert_eq!(with(vec![rule([to("other")])], accept()), Whether::Yes);
    assert_eq!(with(then(to("other")), vec![]), Whether::Yes);
    assert_eq!(with(then(to("other")), back()), Whether::Yes);
    // What was sent on does not come back to the rules behind.
    assert_eq!(with(then(on("other")), back()), Whether::No);
    assert_eq!(with(then(on("other")), accept()), Whether::Yes);
    // The end of a chain that one was sent on to, of a chain that was called.
    let nested = vec![rule([on("other")])];
    assert_eq!(
        with(then(to("other")), nested),
        Whether::Maybe,
        "too deep to follow"
    );
    assert_eq!(with(vec![rule([to("nowhere")])], vec![]), Whether::Maybe);
}

#[test]
fn sets_are_looked_into() {
    let lookup = |inverted| Step::Lookup {
        set: "s".to_owned(),
        from: 0,
        to: None,
        inverted,
        verdicts: false,
    };
    let with = |set: InstalledSet, key: Step, inverted: bool, port: Option<u16>| {
        let mut installed = one(
            Policy::Drop,
            vec![rule([
                key,
                lookup(inverted),
                Step::Verdict(Verdict::Accept),
            ])],
        );
        let name = (Family::Inet, "t".to_owned(), "s".to_owned());
        installed.sets.insert(name, set);
        asked(&installed, port).0
    };
    let plain = |keys: &[&[u8]]| InstalledSet {
        elements: keys.iter().map(|key| element(key, false)).collect(),
        ..InstalledSet::default()
    };
    assert_eq!(
        with(plain(&[&[0, 80], &[0, 81]]), PORT, false, Some(80)),
        Whether::Yes
    );
    assert_eq!(with(plain(&[&[0, 81]]), PORT, false, Some(80)), Whether::No);
    assert_eq!(with(plain(&[&[0, 81]]), PORT, true, Some(80)), Whether::Yes);
    assert_eq!(with(plain(&[&[0, 81]]), PORT, false, None), Whether::Maybe);
    assert_eq!(with(plain(&[]), PORT, false, None), Whether::No);
    // Elements of the container itself have lines of their own.
    let mut own = plain(&[&[0, 81]]);
    own.elements[0].tag = Some("c".to_owned());
    assert_eq!(with(own, PORT, false, None), Whether::No);
    // Ranges with one field: a beginning, and what is behind the end.
    let ranges = |marks: &[(&[u8], bool)]| InstalledSet {
        elements: marks
            .iter()
            .map(|(key, ends)| element(key, *ends))
            .collect(),
        ranges: true,
        fields: Vec::new(),
    };
    let net: [(&[u8], bool); 2] = [(&[192, 0, 2, 0], false), (&[192, 0, 3, 0], true)];
    assert_eq!(with(ranges(&net), SOURCE, false, None), Whether::Yes);
    let half: [(&[u8], bool); 2] = [(&[192, 0, 2, 128], false), (&[192, 0, 3, 0], true)];
    assert_eq!(with(ranges(&half), SOURCE, false, None), Whether::Maybe);
    let other: [(&[u8], bool); 3] = [
        (&[0, 0, 0, 0], true),
        (&[10, 0, 0, 0], false),
        (&[11, 0, 0, 0], true),
    ];
    assert_eq!(with(ranges(&other), SOURCE, false, None), Whether::No);
    // Ranges with several: from the first key to the last, field by field.
    let mut runs = plain(&[&[0, 70, 0, 0]]);
    runs.elements[0].last = Some(vec![0, 90, 0, 0]);
    runs.fields = vec![2, 2];
    let length = Step::Load(4, vec![0, 0]);
    let installed = {
        let mut installed = one(
            Policy::Drop,
            vec![rule([
                PORT,
                length,
                lookup(false),
                Step::Verdict(Verdict::Accept),
            ])],
        );
        let mut runs = runs;
        runs.elements[0].key = vec![0, 70, 0, 0, 0, 0, 0, 0];
        runs.elements[0].last = Some(vec![0, 90, 0, 0, 0, 0, 0, 0]);
        let name = (Family::Inet, "t".to_owned(), "s".to_owned());
        installed.sets.insert(name, runs);
        installed
    };
    assert_eq!(asked(&installed, Some(80)).0, Whether::Yes);
    assert_eq!(asked(&installed, Some(60)).0, Whether::No);
}

#[test]
fn maps_have_new_destinations_and_verdicts() {
    let map = |to, verdicts| Step::Lookup {
        set: "m".to_owned(),
        from: 0,
        to,
        inverted: false,
        verdicts,
    };
    let with = |steps: Vec<Step>, data: Data| {
        let mut installed = one(Policy::Accept, vec![rule(steps)]);
        let mut target = element(&[0, 80], false);
        target.data = Some(data);
        let set = InstalledSet {
            elements: vec![target],
            ..InstalledSet::default()
        };
        let name = (Family::Inet, "t".to_owned(), "m".to_owned());
        installed.sets.insert(name, set);
        installed
    };
    let verdict = with(vec![PORT, map(None, true)], Data::Verdict(Verdict::Drop));
    assert_eq!(asked(&verdict, Some(80)).0, Whether::No);
    assert_eq!(asked(&verdict, Some(81)).0, Whether::Yes);
    assert_eq!(asked(&verdict, None).0, Whether::Maybe);
    let address = with(
        vec![
            PORT,
            map(Some(16), false),
            Step::Destination(Some(16), Some(20)),
        ],
        Data::Value(vec![10, 0, 0, 9, 0, 99, 0, 0]),
    );
    let mut rules = Rules {
        installed: &address,
        local: &BTreeSet::new(),
        beside: None,
        why: BTreeSet::new(),
    };
    let mut packet = packet(Some(80));
    assert_eq!(
        rules.pass(Family::Ip, Hook::Forward, &mut packet),
        Whether::Yes
    );
    assert_eq!(packet.destination.to_string(), "10.0.0.9");
    assert_eq!((packet.port, packet.translated), (Some(99), true));
    assert_eq!(packet.conntrack(2), known(&32_u32.to_ne_bytes()));
}

#[test]
fn matches_of_iptables() {
    let with = |name: &str, data: &[u8], port: Option<u16>| {
        let matched = Step::Match(name.to_owned(), data.to_vec());
        let rules = vec![rule([matched, Step::Verdict(Verdict::Accept)])];
        asked(&one(Policy::Drop, rules), port).0
    };
    let ports = |low: u16, high: u16, turned: u8| {
        let words = [0, u16::MAX, low, high].map(u16::to_ne_bytes).concat();
        [words, vec![0, 0, 0, turned]].concat()
    };
    assert_eq!(with("tcp", &ports(80, 80, 0), Some(80)), Whether::Yes);
    assert_eq!(with("tcp", &ports(80, 80, 2), Some(80)), Whether::No);
    assert_eq!(with("tcp", &ports(90, 99, 0), Some(80)), Whether::No);
    assert_eq!(with("tcp", &ports(90, 99, 0), None), Whether::Maybe);
    let states = |states: u16, turned: u16| {
        let mut data = vec![0; 164];
        data[146..148].copy_from_slice(&1_u16.to_ne_bytes());
        data[148..150].copy_from_slice(&turned.to_ne_bytes());
        data[150..152].copy_from_slice(&states.to_ne_bytes());
        data
    };
    assert_eq!(with("conntrack", &states(8, 0), None), Whether::Yes);
    assert_eq!(with("conntrack", &states(6, 0), None), Whether::No);
    assert_eq!(with("conntrack", &states(6, 1), None), Whether::Yes);
    assert_eq!(with("comment", &[], None), Whether::Yes);
    assert_eq!(with("string", &[1, 2, 3], None), Whether::Maybe);
    assert_eq!(with("conntrack", &[1], None), Whether::Maybe);
}
