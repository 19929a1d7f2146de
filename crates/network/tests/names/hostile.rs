//! What containers ask and upstreams say that mean harm, or know no better.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use onggi_dns::Answer;
use onggi_testkit::Fuzz;

use super::*;

const MX: u16 = 15;
const TXT: u16 = 16;
const ANY: u16 = 255;

/// An upstream by UDP that sends back what `answer` makes of a question.
struct Raw {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Raw {
    fn start(
        namespace: &Namespace,
        address: Ipv4Addr,
        mut answer: impl FnMut(&[u8]) -> Vec<Vec<u8>> + Send + 'static,
    ) -> Self {
        let socket = namespace
            .run(|| UdpSocket::bind((address, 53)).unwrap())
            .unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(50)))
            .unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let is_over = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                let mut bytes = [0; 4096];
                if let Ok((count, asker)) = socket.recv_from(&mut bytes) {
                    for reply in answer(&bytes[..count]) {
                        let _ = socket.send_to(&reply, asker);
                    }
                }
            }
        });
        Self {
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Ends what goes on beside a test, however that ends.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A question with another number.
fn numbered(name: &str, number: u16) -> Vec<u8> {
    let mut bytes = question(name, A);
    bytes[..2].copy_from_slice(&number.to_be_bytes());
    bytes
}

/// As [`question`], from someone who takes so much by UDP.
fn roomy(name: &str, room: u16) -> Vec<u8> {
    let mut bytes = question(name, A);
    bytes[11] = 1;
    bytes.extend_from_slice(&[0, 0, 41]);
    bytes.extend_from_slice(&room.to_be_bytes());
    bytes.extend_from_slice(&[0; 6]);
    bytes
}

/// The reply to a message by UDP, from inside; asked again where it is lost.
fn exchange(message: &[u8]) -> Vec<u8> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    socket.connect(RESOLVER).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(2)))
        .unwrap();
    for _ in 0..10 {
        socket.send(message).unwrap();
        let mut bytes = vec![0; 65535];
        if let Ok(count) = socket.recv(&mut bytes) {
            bytes.truncate(count);
            return bytes;
        }
    }
    panic!("nobody answers {:?}", message.escape_ascii().to_string());
}

/// An answer with these records, each of which begins with a pointer to the question's name.
fn answer(asked: &[u8], records: &[u8], count: u8) -> Vec<u8> {
    let end = 12 + asked[12..].iter().position(|byte| *byte == 0).unwrap() + 5;
    let mut bytes = asked[..end].to_vec();
    bytes[2] = 0x81;
    bytes[3] = 0x80;
    bytes[6..12].copy_from_slice(&[0, count, 0, 0, 0, 0]);
    bytes.extend_from_slice(records);
    bytes
}

const RECORD: &[u8] = b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02\x01";

#[test]
fn bent_questions_are_outlived() {
    on_a_host(&[UPSTREAM], async |scene| {
        let _upstream =
            NameServer::start(&scene.inside, UPSTREAM, |_| NameAnswer::Unknown).unwrap();
        let seeds = [
            question("db", A),
            question("3.0.18.172.in-addr.arpa", PTR),
            roomy("a.example", 1232),
        ];
        let seeds: Vec<&[u8]> = seeds.iter().map(Vec::as_slice).collect();
        let fuzz = Fuzz {
            seeds: &seeds,
            words: &["\u{0}", "\u{1}a", "\u{3f}", "\u{0}\u{0}\u{29}", "."],
        };
        let sane = question("db", A);
        let run = || {
            fuzz.run(|input| {
                let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
                let _ = socket.send_to(input, RESOLVER);
                if input.len() % 8 == 0 {
                    let mut stream = TcpStream::connect(RESOLVER).unwrap();
                    stream
                        .set_read_timeout(Some(Duration::from_secs(30)))
                        .unwrap();
                    let length = u16::try_from(input.len()).unwrap().to_be_bytes();
                    let _ = stream.write_all(&[&length, input].concat());
                    let _ = stream.shutdown(std::net::Shutdown::Write);
                    let mut said = Vec::new();
                    // Closed after what is no question, answered or not.
                    let _ = stream.read_to_end(&mut said);
                    assert!(said.is_empty() || said.get(4).is_some_and(|flags| flags & 0x80 != 0));
                }
                assert!(Reply::read(&exchange(&sane)).has([172, 18, 0, 3]));
            });
        };
        scene.inside.run(run).unwrap();
    });
}

#[test]
fn bent_answers_are_outlived() {
    on_a_host(&[UPSTREAM], async |scene| {
        let mut random: u64 = 7;
        let _upstream = Raw::start(&scene.inside, UPSTREAM, move |asked| {
            let mut next = |below: usize| {
                random = random
                    .wrapping_mul(6364136223846793005)
                    .wrapping_add(1442695040888963407);
                usize::try_from(random >> 33).unwrap() % below
            };
            let mut reply = answer(asked, &RECORD.repeat(3), 3);
            for _ in 0..next(6) {
                let at = next(reply.len());
                match next(4) {
                    0 => reply[at] ^= 1 << next(8),
                    1 => reply.truncate(at.max(1)),
                    2 => reply.extend(std::iter::repeat_n(0xc0, next(600))),
                    _ => reply[at] = 0xff,
                }
            }
            vec![reply; 1 + next(2)]
        });
        let run = || {
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
            socket.connect(RESOLVER).unwrap();
            socket
                .set_read_timeout(Some(Duration::from_secs(6)))
                .unwrap();
            let name = |number: u16| format!("n{number}.example");
            let mut waiting: BTreeSet<u16> = (0..200).collect();
            // As libc does: what is not answered is asked again.
            for _ in 0..10 {
                for number in &waiting {
                    socket.send(&numbered(&name(*number), *number)).unwrap();
                }
                let mut bytes = [0; 4096];
                while !waiting.is_empty()
                    && let Ok(count) = socket.recv(&mut bytes)
                {
                    let number = u16::from_be_bytes([bytes[0], bytes[1]]);
                    let asked = numbered(&name(number), number);
                    let told = Answer::parse(bytes[..count].to_vec(), &asked);
                    assert!(told.is_some(), "{}", bytes[..count].escape_ascii());
                    waiting.remove(&number);
                }
            }
            assert!(waiting.is_empty(), "{waiting:?} were not answered");
        };
        scene.inside.run(run).unwrap();
        assert!(scene.ask("db", A).has([172, 18, 0, 3]));
    });
}

/// Who asks without end has so many questions waiting and no more, and others do not wait for it.
#[test]
fn a_storm_is_bounded_and_starves_nobody() {
    on_a_host(&[OTHER], async |scene| {
        let _silent = NameServer::start(&scene.inside, OTHER, |_| NameAnswer::Silence).unwrap();
        let other = ContainerId::random().unwrap();
        scene.names.attach(&other, place(4, "calm"));
        let calm = Namespace::new().unwrap();
        let sockets = Names::open(calm.fd().try_clone_to_owned().unwrap())
            .await
            .unwrap();
        scene.names.serve(&other, sockets).unwrap();
        let over = AtomicBool::new(false);
        let asking = || {
            let text = std::fs::read_to_string("/proc/thread-self/net/udp").unwrap();
            let to = |line: &&str| line.split_ascii_whitespace().nth(2) == Some("3600007F:0035");
            text.lines().filter(to).count()
        };
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let storm = || {
                    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
                    for number in 0_u32.. {
                        if over.load(Ordering::Relaxed) {
                            break;
                        }
                        let _ =
                            socket.send_to(&question(&format!("n{number}.example"), A), RESOLVER);
                        let _ = socket.send_to(&question("db", A), RESOLVER);
                    }
                };
                scene.inside.run(storm).unwrap();
            });
            let _over = Over(&over);
            let full = || (scene.inside.run(asking).unwrap() >= 200).then_some(());
            wait_until("questions to wait", LIMIT, full).unwrap();
            let asked = question("db", A);
            for _ in 0..50 {
                let reply = calm.run(|| exchange(&asked)).unwrap();
                assert!(Reply::read(&reply).has([172, 18, 0, 3]));
                let count = scene.inside.run(asking).unwrap();
                assert!(count <= 256 + 16, "{count} questions are out");
            }
        });
        scene.names.remove(&other).await;
        assert!(scene.ask("db", A).has([172, 18, 0, 3]));
    });
}

#[test]
fn answers_of_every_size() {
    on_a_host(&[UPSTREAM], async |scene| {
        let many = |name: &str| match name.split('.').next().and_then(|text| text.parse().ok()) {
            Some(count) => NameAnswer::Addresses(vec![FAR.into(); count]),
            None => NameAnswer::Unknown,
        };
        let _upstream = NameServer::start(&scene.inside, UPSTREAM, many).unwrap();
        // What the asker takes by UDP comes by UDP, however much.
        for (count, room) in [
            (20, 512),
            (70, 1232),
            (200, 4096),
            (400, 8192),
            (3000, 65000),
        ] {
            let asked = roomy(&format!("{count}.example"), room);
            let reply = Reply::read(&scene.inside.run(|| exchange(&asked)).unwrap());
            assert_eq!((reply.count, reply.truncated), (count, false), "{room}");
        }
        for (count, room) in [(100, 512), (500, 1232), (4000, 4096)] {
            let name = format!("{count}.example");
            let reply = Reply::read(&scene.inside.run(|| exchange(&roomy(&name, room))).unwrap());
            assert!(reply.truncated && reply.data.len() <= room.into(), "{room}");
            let whole = scene.ask_by_tcp(&name, A);
            assert_eq!((whole.count, whole.truncated), (count, false));
        }
    });
}

#[test]
fn names_of_ours_never_leave() {
    on_a_host(&[UPSTREAM], async |scene| {
        let upstream = scene.server(true, UPSTREAM, FAR);
        for name in ["db", "dB", "DB.net", "db.NET", "app", "web"] {
            // SOA, NS, SRV, SVCB, HTTPS, CAA and a type that nobody knows, too.
            for kind in [A, AAAA, PTR, MX, TXT, ANY, 2, 6, 33, 64, 65, 257, 4711] {
                let asked = question(name, kind);
                let reply = scene.inside.run(|| exchange(&asked)).unwrap();
                assert_eq!(reply[3] & 15, 0, "{name} {kind}");
                // In the asker's letters: some check them (0x20).
                assert_eq!(reply[12..asked.len()], asked[12..], "{name} {kind}");
            }
        }
        for reversed in ["2.0.18.172.in-addr.arpa", "3.0.18.172.IN-ADDR.arpa"] {
            assert_eq!(scene.ask(reversed, PTR).count, 1);
        }
        assert_eq!(upstream.asked(), Vec::<String>::new());
        assert!(scene.ask("wWw.eXample", A).has([192, 0, 2, 1]));
        let asked = upstream.asked();
        assert!(
            !asked.is_empty() && asked.iter().all(|name| name == "www.example"),
            "{asked:?}"
        );
    });
}

#[test]
fn long_names_and_chains_of_them() {
    on_a_host(&[UPSTREAM], async |scene| {
        let chain = b"\xc0\x0c\0\x05\0\x01\0\0\0\x3c\0\x04\x01b\xc0\x0e\
            \xc0\x27\0\x05\0\x01\0\0\0\x3c\0\x04\x01c\xc0\x0e\
            \xc0\x37\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02\x01";
        let _upstream = Raw::start(&scene.inside, UPSTREAM, move |asked| match asked[12] {
            1 => vec![answer(asked, chain, 3)],
            _ => vec![answer(asked, RECORD, 1)],
        });
        let reply = scene.ask("a.example", A);
        assert!(reply.count == 3 && reply.has([192, 0, 2, 1]), "{reply:?}");
        // The longest that there are: 255 bytes with their lengths.
        let longest = [
            &"a".repeat(63)[..],
            &"b".repeat(63),
            &"c".repeat(63),
            &"d".repeat(61),
        ]
        .join(".");
        assert_eq!(longest.len(), 253);
        assert!(scene.ask(&longest, A).has([192, 0, 2, 1]));
        let mut longer = question(&longest, A);
        longer[12 + 192] += 1;
        longer.insert(12 + 193, b'd');
        let refused = scene.inside.run(|| exchange(&longer)).unwrap();
        assert_eq!((refused.len(), refused[3] & 15), (12, 1));
    });
}

/// `--dns 127.0.0.11` is ourselves: nobody is asked.
#[test]
fn nobody_asks_himself() {
    on_a_host(&[RESOLVER.0], async |scene| {
        assert_eq!(scene.ask("www.example", A).code, 2);
        assert!(scene.ask("db", A).has([172, 18, 0, 3]));
    });
}
