//! A way to the server on which replies get lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Hands on what is said, until it is told to lose replies.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    to_lose: Arc<AtomicUsize>,
}

impl Proxy {
    pub(crate) async fn before(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let to_lose = Arc::new(AtomicUsize::new(0));
        let losing = Arc::clone(&to_lose);
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                tokio::spawn(hand_on(client, server, Arc::clone(&losing)));
            }
        });
        Self { port, to_lose }
    }

    /// The next replies to scripts are lost, and their connections with them.
    pub(crate) fn lose_replies(&self, number: usize) {
        self.to_lose.store(number, Ordering::SeqCst);
    }

    pub(crate) fn replies_to_lose(&self) -> usize {
        self.to_lose.load(Ordering::SeqCst)
    }
}

async fn hand_on(mut client: TcpStream, server: u16, to_lose: Arc<AtomicUsize>) {
    let mut server = TcpStream::connect(("127.0.0.1", server)).await.unwrap();
    let (mut asked, mut answered) = (vec![0; 65536], vec![0; 65536]);
    let mut is_script = false;
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let Ok(length @ 1..) = read else { return };
                is_script = asked[..length].windows(4).any(|bytes| bytes == b"EVAL");
                server.write_all(&asked[..length]).await.unwrap();
            }
            read = server.read(&mut answered) => {
                let Ok(length @ 1..) = read else { return };
                // The answer is here, so the script was carried out.
                let lose = |left: usize| left.checked_sub(1);
                if is_script && to_lose.fetch_update(Ordering::SeqCst, Ordering::SeqCst, lose).is_ok() {
                    return;
                }
                if client.write_all(&answered[..length]).await.is_err() {
                    return;
                }
            }
        }
    }
}
