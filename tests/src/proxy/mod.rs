//! A proxy in front of a server that loses exactly the message that a test names, or delays, cuts and strands
//! connections.

mod frames;

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use self::frames::message_length;

/// The protocol, which says where a message ends.
#[derive(Clone, Copy, Debug)]
pub enum Protocol {
    /// PostgreSQL's, without TLS.
    Postgres,
    /// That of MySQL and MariaDB, without TLS.
    MySql,
    /// RESP 2 and 3.
    Redis,
}

/// Who sends the message that is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// The client: the server does not get the request.
    Client,
    /// The server: it has done what was requested, and the client does not get the answer.
    Server,
}

/// What happens to a connection after its message is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// It is closed, and both sides notice.
    Close,
    /// It stays open, and no further message arrives, in either direction.
    Hang,
}

/// Forwards messages, one by one, until it is to lose one. Dropping it closes all connections.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    route: Arc<Route>,
    plan: Arc<Mutex<Plan>>,
    hold: Arc<Hold>,
    cut: watch::Sender<()>,
}

/// A message that is held back until a test lets it go on.
#[derive(Debug, Default)]
struct Hold {
    text: Mutex<Option<String>>,
    is_holding: watch::Sender<bool>,
}

impl Hold {
    /// Waits with the message that holds the text.
    async fn pass(&self, messages: &[u8]) {
        let is_held = {
            let mut text = self.text.lock().unwrap_or_else(PoisonError::into_inner);
            let is_in =
                |text: &mut String| messages.windows(text.len()).any(|bytes| bytes == text.as_bytes());
            text.take_if(is_in).is_some()
        };
        if is_held {
            self.is_holding.send_replace(true);
            drop(self.is_holding.subscribe().wait_for(|is_holding| !is_holding).await);
        }
    }
}

fn here(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// Where connections go.
#[derive(Debug)]
struct Route {
    server: Mutex<SocketAddr>,
    /// Connections of an earlier generation are stranded.
    generation: AtomicU64,
    /// Nanoseconds that each message takes, in each direction.
    delay: AtomicU64,
    /// The messages that clients sent.
    from_clients: AtomicU64,
}

impl Route {
    fn server(&self) -> SocketAddr {
        *self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn delay(&self) -> Duration {
        Duration::from_nanos(self.delay.load(Ordering::SeqCst))
    }
}

/// Which messages to lose.
#[derive(Debug, Default)]
struct Plan {
    loss: Option<(From, Then)>,
    /// The number of messages to forward before each loss.
    to_pass: VecDeque<usize>,
    /// How long every message is held back after the next loss.
    stall: Option<Duration>,
    stalled_until: Option<Instant>,
}

impl Plan {
    /// Decides whether to lose this message.
    fn loses(&mut self, from: From) -> Option<Then> {
        let (_, then) = self.loss.filter(|(side, _)| *side == from)?;
        let left = self.to_pass.front_mut()?;
        if *left > 0 {
            *left -= 1;
            return None;
        }
        self.to_pass.pop_front();
        if let Some(length) = self.stall.take() {
            self.stalled_until = Some(Instant::now() + length);
        }
        Some(then)
    }
}

impl Proxy {
    /// A proxy in front of the server on this port of 127.0.0.1, which need not be up.
    ///
    /// # Panics
    ///
    /// If no port is free.
    pub async fn before(protocol: Protocol, server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let plan = Arc::<Mutex<Plan>>::default();
        let route = Arc::new(Route {
            server: Mutex::new(here(server)),
            generation: AtomicU64::default(),
            delay: AtomicU64::default(),
            from_clients: AtomicU64::default(),
        });
        let hold = Arc::<Hold>::default();
        let holding = Arc::clone(&hold);
        let (cut, mut cuts) = watch::channel(());
        let (losing, routing) = (Arc::clone(&plan), Arc::clone(&route));
        tokio::spawn(async move {
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    changed = cuts.changed() => if changed.is_ok() { continue } else { return },
                };
                let Ok((client, _)) = accepted else { return };
                let generation = routing.generation.load(Ordering::SeqCst);
                let server = routing.server();
                let route = Arc::clone(&routing);
                let connection = Connection {
                    protocol,
                    plan: Arc::clone(&losing),
                    hold: Arc::clone(&holding),
                    route,
                    generation,
                    hangs: AtomicBool::new(false),
                };
                let mut cuts = cuts.clone();
                tokio::spawn(async move {
                    tokio::select! {
                        () = connection.forward(client, server) => {}
                        _ = cuts.changed() => {}
                    }
                });
            }
        });
        Self { port, route, plan, hold, cut }
    }

    /// The proxy's own port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The server's URL, through this proxy.
    ///
    /// # Panics
    ///
    /// If the URL has no port.
    pub fn url(&self, of_server: &str) -> String {
        let (before, after) = of_server.split_once("127.0.0.1:").expect("a server of this machine");
        let path = after.trim_start_matches(|character: char| character.is_ascii_digit());
        format!("{before}127.0.0.1:{}{path}", self.port)
    }

    /// From now on, counted over all connections: `nth` messages from this side pass, and the next one is lost.
    pub fn lose(&self, nth: usize, from: From, then: Then) {
        self.lose_each([nth], from, then);
    }

    /// The same several times, each counted from the previous loss.
    pub fn lose_each(&self, nths: impl Into<VecDeque<usize>>, from: From, then: Then) {
        *self.plan() = Plan { loss: Some((from, then)), to_pass: nths.into(), ..Plan::default() };
    }

    /// The same once, and later messages are held back for this long.
    pub fn lose_and_stall(&self, nth: usize, from: From, then: Then, length: Duration) {
        self.lose(nth, from, then);
        self.plan().stall = Some(length);
    }

    /// Whether every message to lose has been lost.
    pub fn lost_all(&self) -> bool {
        self.plan().to_pass.is_empty()
    }

    /// Stops losing messages. Returns whether every message to lose has been lost.
    pub fn has_lost(&self) -> bool {
        let plan = std::mem::take(&mut *self.plan());
        plan.to_pass.is_empty()
    }

    /// Holds messages back for this long, starting now. None is lost.
    pub fn stall(&self, length: Duration) {
        self.plan().stalled_until = Some(Instant::now() + length);
    }

    /// Holds the next message back that a client sends and that contains this text, with those after it on the same
    /// connection, until [`release`](Self::release). A statement's text is in the message that prepares it.
    pub fn hold(&self, text: &str) {
        *self.hold.text.lock().unwrap_or_else(PoisonError::into_inner) = Some(text.to_owned());
    }

    /// Waits until a message is held back.
    ///
    /// # Panics
    ///
    /// After a minute.
    pub async fn until_held(&self) {
        let mut is_holding = self.hold.is_holding.subscribe();
        let held = timeout(Duration::from_mins(1), is_holding.wait_for(|is_holding| *is_holding)).await;
        assert!(held.is_ok(), "no message was held back");
    }

    /// Lets the message go on that is held back.
    pub fn release(&self) {
        self.hold.is_holding.send_replace(false);
    }

    /// How many messages clients have sent until now.
    pub fn messages_from_clients(&self) -> u64 {
        self.route.from_clients.load(Ordering::SeqCst)
    }

    /// Closes every connection that is open now.
    pub fn cut(&self) {
        self.cut.send_replace(());
    }

    /// Adds this delay to every message, in each direction: half of a round trip.
    ///
    /// # Panics
    ///
    /// If the delay is longer than 500 years.
    pub fn delay(&self, one_way: Duration) {
        self.route.delay.store(u64::try_from(one_way.as_nanos()).unwrap(), Ordering::SeqCst);
    }

    /// Connections that are open now stay open, but no message arrives on them any more, as after a failover whose
    /// old server has left the network. New connections work.
    pub fn strand(&self) {
        self.route.generation.fetch_add(1, Ordering::SeqCst);
    }

    /// New connections go to the server on this port of 127.0.0.1. Those that are open stay where they are.
    pub fn lead_to(&self, server: u16) {
        self.lead_to_address(here(server));
    }

    /// The same with the server at this address.
    pub fn lead_to_address(&self, server: SocketAddr) {
        *self.route.server.lock().unwrap_or_else(PoisonError::into_inner) = server;
    }

    fn plan(&self) -> std::sync::MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One connection.
struct Connection {
    protocol: Protocol,
    plan: Arc<Mutex<Plan>>,
    hold: Arc<Hold>,
    route: Arc<Route>,
    generation: u64,
    hangs: AtomicBool,
}

impl Connection {
    async fn forward(&self, client: TcpStream, server: SocketAddr) {
        let Ok(server) = TcpStream::connect(server).await else { return };
        for side in [&client, &server] {
            drop(side.set_nodelay(true));
        }
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_server, mut to_server) = server.into_split();
        tokio::select! {
            () = self.one_way(From::Client, &mut from_client, &mut to_server) => {}
            () = async {
                self.one_way(From::Server, &mut from_server, &mut to_client).await;
                // The client of a connection that hangs does not see that the server closed it.
                if self.hangs() {
                    std::future::pending::<()>().await;
                }
            } => {}
        }
    }

    /// Returns when this direction ends, which ends the connection.
    async fn one_way(
        &self,
        from: From,
        read: &mut (impl AsyncRead + Unpin),
        write: &mut (impl AsyncWrite + Unpin),
    ) {
        let (mut said, mut opening) = (Vec::new(), true);
        // Messages that are delayed or held back, with the time at which they are due.
        let mut held = VecDeque::<(Instant, Vec<u8>)>::new();
        let mut has_ended = false;
        while !has_ended || !held.is_empty() {
            let next = held.front().map(|(due, _)| *due);
            tokio::select! {
                () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {}
                read = read.read_buf(&mut said), if !has_ended => match read {
                    Ok(1..) => {
                        let (passed, then) = self.passed(from, &mut opening, &mut said);
                        if from == From::Client {
                            self.hold.pass(&passed).await;
                        }
                        held.push_back((self.due(), passed));
                        if then == Some(Then::Close) {
                            let all: Vec<u8> = held.into_iter().flat_map(|(_, passed)| passed).collect();
                            drop(write.write_all(&all).await);
                            return;
                        }
                    }
                    _ => has_ended = true,
                },
            }
            while let Some((_, passed)) = held.pop_front_if(|(due, _)| *due <= Instant::now()) {
                if write.write_all(&passed).await.is_err() {
                    return;
                }
            }
        }
    }

    /// Takes the messages to hand on out of `said`, up to one that is lost.
    fn passed(&self, from: From, opening: &mut bool, said: &mut Vec<u8>) -> (Vec<u8>, Option<Then>) {
        let (mut end, mut then) = (0, None);
        while let Some(length) = message_length(self.protocol, from, opening, &said[end..]) {
            if self.hangs() {
                break;
            }
            then = self.plan.lock().unwrap_or_else(PoisonError::into_inner).loses(from);
            if then == Some(Then::Hang) {
                self.hangs.store(true, Ordering::SeqCst);
            }
            if then.is_some() {
                break;
            }
            end += length;
            if from == From::Client {
                self.route.from_clients.fetch_add(1, Ordering::SeqCst);
            }
        }
        let passed = said.drain(..end).collect();
        if self.hangs() {
            said.clear();
        }
        (passed, then)
    }

    fn due(&self) -> Instant {
        let due = Instant::now() + self.route.delay();
        let stalled_until = self.plan.lock().unwrap_or_else(PoisonError::into_inner).stalled_until;
        stalled_until.map_or(due, |until| due.max(until))
    }

    fn hangs(&self) -> bool {
        self.generation < self.route.generation.load(Ordering::SeqCst) || self.hangs.load(Ordering::SeqCst)
    }
}
