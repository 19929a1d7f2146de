//! Asking upstreams: the first one, and where it takes its time the next one too; whoever settles the question first.
//! Who was overtaken comes last for a while, so that a dead one costs one wait, not one a question.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use onggi_dns::{Answer, Query, Upstream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UdpSocket;
use tokio::time::{Instant, sleep_until, timeout};

use super::cache::{self, Cache};
use super::stock::Stock;

/// The next one is asked too when this long nothing came.
const HEAD_START: Duration = Duration::from_millis(50);
/// A question by UDP is sent again after this.
const AGAIN: Duration = Duration::from_secs(1);
/// Docker's limit.
const LONGEST: Duration = Duration::from_secs(4);
/// How long who was overtaken may still show that it lives.
const LINGER: Duration = Duration::from_secs(1);
/// How often who comes last is tried beside the first one.
const PROBE: Duration = Duration::from_secs(5);
/// The least that is read of a datagram.
const LEAST: usize = 4096;

/// Asks for one container.
#[derive(Debug)]
pub(super) struct Forwarder {
    stock: Stock,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    cache: Cache,
    /// Whose answers are in the cache.
    upstreams: Vec<Upstream>,
    /// Those that were overtaken, and when they were last tried.
    slow: HashMap<Upstream, Instant>,
}

/// What upstreams are asked.
#[derive(Clone, Copy, Debug)]
struct Question<'a> {
    message: &'a [u8],
    /// How large an answer by UDP may be: as large as the asker says that it takes.
    room: usize,
}

type Attempt<'a> = Pin<Box<dyn Future<Output = (Upstream, io::Result<Answer>)> + Send + 'a>>;

/// Those that have not answered yet.
pub(super) struct Rest<'a> {
    forwarder: &'a Forwarder,
    attempts: FuturesUnordered<Attempt<'a>>,
}

impl Forwarder {
    pub(super) fn new(netns: OwnedFd) -> Self {
        Self {
            stock: Stock::new(netns),
            state: Mutex::default(),
        }
    }

    /// The reply for who asked, and those that may still answer. `None`: nobody did.
    pub(super) async fn ask<'a>(
        &'a self,
        query: &Query,
        message: &'a [u8],
        upstreams: Vec<Upstream>,
    ) -> (Option<Vec<u8>>, Rest<'a>) {
        let mut rest = Rest {
            forwarder: self,
            attempts: FuturesUnordered::new(),
        };
        let told = |answer: &Answer, age| answer.told(query.id(), query.question(), age);
        let key = cache::key(message, query);
        let now = Instant::now();
        let (order, probes) = {
            let mut state = self.state();
            if state.upstreams != upstreams {
                state.cache.clear();
                state.slow.clear();
                state.upstreams.clone_from(&upstreams);
            }
            if let Some((answer, age)) = state.cache.find(&key, now.into_std()) {
                return (Some(told(&answer, age)), rest);
            }
            state.order(upstreams, now)
        };
        let question = Question {
            message,
            room: query.limit().max(LEAST),
        };
        let answer = self.race(question, order, probes, &mut rest).await;
        if let Some(answer) = &answer {
            let mut state = self.state();
            state.cache.keep(key, Arc::clone(answer), now.into_std());
        }
        (answer.map(|answer| told(&answer, 0)), rest)
    }

    async fn race<'a>(
        &'a self,
        question: Question<'a>,
        order: Vec<Upstream>,
        probes: Vec<Upstream>,
        rest: &mut Rest<'a>,
    ) -> Option<Arc<Answer>> {
        let begun = Instant::now();
        let mut order = order.into_iter();
        let mut asked: Vec<Upstream> = Vec::new();
        let mut failure = None;
        let attempt =
            |upstream: Upstream| -> Attempt<'a> { Box::pin(self.attempt(upstream, question)) };
        for probe in probes {
            rest.attempts.push(attempt(probe));
        }
        let mut next = begun;
        loop {
            if rest.attempts.is_empty() && order.len() == 0 {
                return failure;
            }
            tokio::select! {
                biased;
                Some((upstream, result)) = rest.attempts.next(), if !rest.attempts.is_empty() => {
                    asked.retain(|other| *other != upstream);
                    match result {
                        Ok(answer) if answer.settles() => {
                            self.state().won(&upstream, &asked);
                            return Some(Arc::new(answer));
                        }
                        Ok(answer) => failure = failure.or(Some(Arc::new(answer))),
                        Err(_) => self.state().lost(upstream),
                    }
                    // No need to wait for one that has failed.
                    next = Instant::now();
                }
                () = sleep_until(next), if order.len() > 0 => {
                    if let Some(upstream) = order.next() {
                        asked.push(upstream.clone());
                        rest.attempts.push(attempt(upstream));
                    }
                    next = Instant::now() + HEAD_START;
                }
                () = sleep_until(begun + LONGEST) => return failure,
            }
        }
    }

    async fn attempt(
        &self,
        upstream: Upstream,
        question: Question<'_>,
    ) -> (Upstream, io::Result<Answer>) {
        let result = self.by_udp(&upstream, question).await;
        (upstream, result)
    }

    async fn by_udp(&self, upstream: &Upstream, question: Question<'_>) -> io::Result<Answer> {
        let mut message = question.message.to_vec();
        message[..2].copy_from_slice(&rand::random::<[u8; 2]>());
        let socket = self.stock.udp(upstream).await?;
        let answer = loop {
            socket.send(&message).await?;
            if let Ok(answer) = timeout(AGAIN, hear(&socket, &message, question.room)).await {
                break answer?;
            }
        };
        if !answer.is_truncated() {
            return Ok(answer);
        }
        match timeout(LONGEST, self.by_tcp(upstream, &message)).await {
            Ok(Ok(whole)) => Ok(whole),
            // The asker may have more luck.
            Ok(Err(_)) | Err(_) => Ok(answer),
        }
    }

    async fn by_tcp(&self, upstream: &Upstream, message: &[u8]) -> io::Result<Answer> {
        let mut stream = self.stock.tcp(upstream).await?;
        let length = u16::try_from(message.len()).map_err(io::Error::other)?;
        stream
            .write_all(&[&length.to_be_bytes(), message].concat())
            .await?;
        let length = stream.read_u16().await?;
        let mut bytes = vec![0; length.into()];
        stream.read_exact(&mut bytes).await?;
        Answer::parse(bytes, message).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The answer; what else comes by is passed over.
async fn hear(socket: &UdpSocket, asked: &[u8], room: usize) -> io::Result<Answer> {
    loop {
        socket.readable().await?;
        let mut bytes = Vec::with_capacity(room);
        match socket.try_recv_buf(&mut bytes) {
            Ok(_) => {
                bytes.shrink_to_fit();
                if let Some(answer) = Answer::parse(bytes, asked) {
                    return Ok(answer);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

impl State {
    /// In which order to ask, and whom to ask beside, because it may be well again.
    fn order(&mut self, upstreams: Vec<Upstream>, now: Instant) -> (Vec<Upstream>, Vec<Upstream>) {
        let (mut order, mut slow): (Vec<_>, Vec<_>) = upstreams
            .into_iter()
            .partition(|one| !self.slow.contains_key(one));
        let mut probes = Vec::new();
        if !order.is_empty() {
            slow.retain(|one| match self.slow.get_mut(one) {
                Some(tried) if now.duration_since(*tried) >= PROBE => {
                    *tried = now;
                    probes.push(one.clone());
                    false
                }
                _ => true,
            });
        }
        order.append(&mut slow);
        (order, probes)
    }

    /// `upstream` was faster than those `asked` before.
    fn won(&mut self, upstream: &Upstream, asked: &[Upstream]) {
        self.slow.remove(upstream);
        for other in asked {
            self.lost(other.clone());
        }
    }

    fn lost(&mut self, upstream: Upstream) {
        self.slow.insert(upstream, Instant::now());
    }
}

impl Rest<'_> {
    /// Who still answers is well.
    pub(super) async fn watch(mut self) {
        let watch = async {
            while let Some((upstream, result)) = self.attempts.next().await {
                if result.is_ok() {
                    self.forwarder.state().slow.remove(&upstream);
                }
            }
        };
        // Over: who has not answered stays last.
        let _ = timeout(LINGER, watch).await;
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use onggi_dns::Namespace;

    use super::*;

    fn upstream(host: u8) -> Upstream {
        Upstream {
            address: IpAddr::from([10, 0, 0, host]),
            scope: None,
            from: Namespace::Host,
        }
    }

    fn order(state: &mut State, now: Instant) -> (Vec<Upstream>, Vec<Upstream>) {
        state.order((1..=3).map(upstream).collect(), now)
    }

    #[tokio::test]
    async fn who_was_overtaken_comes_last_until_it_answers() {
        let (mut state, now) = (State::default(), Instant::now());
        let [one, two, three] = [1, 2, 3].map(upstream);
        assert_eq!(
            order(&mut state, now).0,
            [one.clone(), two.clone(), three.clone()]
        );
        state.won(&two, std::slice::from_ref(&one));
        let (list, probes) = order(&mut state, now);
        assert_eq!(
            (list, probes),
            (vec![two.clone(), three.clone(), one.clone()], vec![])
        );
        // After a while it is tried beside the first one, once.
        let (list, probes) = order(&mut state, now + 2 * PROBE);
        assert_eq!(
            (list, probes),
            (vec![two.clone(), three.clone()], vec![one.clone()])
        );
        assert_eq!(order(&mut state, now + 2 * PROBE).0.len(), 3);
        state.won(&one, &[]);
        assert_eq!(order(&mut state, now).0[0], one);
        // With none that is well, all are asked in their order.
        for slow in [&one, &two, &three] {
            state.lost(slow.clone());
        }
        let (list, probes) = order(&mut state, now + 2 * PROBE);
        assert_eq!((list, probes), (vec![one, two, three], vec![]));
    }
}
