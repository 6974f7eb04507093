//! What all servers share: a process, a port and a folder.

use std::ffi::{OsStr, OsString};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{self, Signal};
use nix::unistd::{Pid, User, geteuid};

use super::folder::Folder;
use super::network::Place;

/// A running server. Dropping it kills it and removes its folder.
///
/// # Panics
///
/// Every operation panics if it fails: these are tests.
#[derive(Debug)]
pub struct Server {
    place: Place,
    port: u16,
    folder: Folder,
    program: PathBuf,
    arguments: Vec<OsString>,
    /// The user that it runs as, if this process is root and the server refuses to run as root.
    user: Option<&'static str>,
    /// The signal that ends it at once and leaves nothing behind in the system.
    end_signal: Signal,
    child: Mutex<Option<Child>>,
}

impl Server {
    /// A folder and a port, for a server that is not started yet.
    pub(super) fn new(program: PathBuf, user: Option<&'static str>) -> Self {
        Self::at(Place::HERE, program, user)
    }

    /// The same at another place.
    pub(super) fn at(place: Place, program: PathBuf, user: Option<&'static str>) -> Self {
        let folder = Folder::new();
        let user = user.filter(|_| geteuid().is_root());
        if let Some(user) = user {
            let user = User::from_name(user).unwrap().expect("its package makes the user");
            chown(folder.path(), Some(user.uid.as_raw()), Some(user.gid.as_raw())).unwrap();
        }
        Self {
            place,
            port: free_port(),
            folder,
            program,
            arguments: Vec::new(),
            user,
            end_signal: Signal::SIGKILL,
            child: Mutex::default(),
        }
    }

    /// Ends it with this signal instead of SIGKILL, when it is dropped.
    pub(super) fn ends_by(&mut self, end_signal: Signal) {
        self.end_signal = end_signal;
    }

    /// Starts it with these arguments, now and at every restart.
    pub(super) fn start<A: Into<OsString>>(&mut self, arguments: impl IntoIterator<Item = A>) {
        self.arguments = arguments.into_iter().map(Into::into).collect();
        self.spawn();
    }

    /// Runs a program to its end, as the server's user.
    pub(super) fn run<A: Into<OsString>>(&self, program: &Path, arguments: impl IntoIterator<Item = A>) {
        let mut command = self.command(program, &[]);
        let status = command.args(arguments.into_iter().map(Into::into)).status().unwrap();
        assert!(status.success(), "{}: {}", program.display(), self.last_words());
    }

    /// The last lines of its own log.
    pub(super) fn last_words(&self) -> String {
        let log = std::fs::read_to_string(self.folder().join("stderr.log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// The folder with its data.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where it runs.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        (self.place.address(), self.port).into()
    }

    /// Kills it with SIGKILL and waits for its end, as in a crash of the server (not of the machine).
    pub fn kill(&self) {
        if let Some(mut child) = self.child.lock().unwrap_or_else(PoisonError::into_inner).take() {
            drop(child.kill());
            drop(child.wait());
        }
    }

    /// Stops the server and all of its child processes (SIGSTOP): it keeps its connections and answers nothing,
    /// as on a machine that stands still.
    pub fn pause(&self) {
        // A process that is stopped starts no new children, so the parent comes first.
        self.signal(Signal::SIGSTOP);
        for child in children_of(self.id()) {
            let _ended_meanwhile = signal::kill(child, Signal::SIGSTOP);
        }
    }

    /// Lets the server and its child processes go on after [`pause`](Self::pause).
    pub fn resume(&self) {
        for child in children_of(self.id()) {
            let _ended_meanwhile = signal::kill(child, Signal::SIGCONT);
        }
        self.signal(Signal::SIGCONT);
    }

    fn id(&self) -> u32 {
        self.child.lock().unwrap().as_ref().expect("it is running").id()
    }

    fn signal(&self, signal: Signal) {
        signal::kill(Pid::from_raw(self.id().try_into().unwrap()), signal).unwrap();
    }

    /// Starts it again in the same folder, on the same port.
    pub(super) fn spawn(&self) {
        self.spawn_with(&[]);
    }

    /// The same with these arguments, in addition to the usual ones, this time.
    pub(super) fn spawn_with(&self, more: &[OsString]) {
        let mut command = self.command(&self.program, &["--pdeathsig", self.end_signal.as_str()]);
        command.args(&self.arguments).args(more);
        *self.child.lock().unwrap() = Some(spawned(command));
    }

    /// Leaves this argument away from now on.
    pub(super) fn forget(&mut self, argument: &str) {
        self.arguments.retain(|known| known != argument);
    }

    /// Restarts it if it has ended by itself. PostgreSQL does so while a process of the previous server is still
    /// ending.
    pub(super) fn keep_up(&self) {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        let has_ended =
            child.as_mut().is_some_and(|child| child.try_wait().is_ok_and(|ended| ended.is_some()));
        drop(child);
        if has_ended {
            self.spawn();
        }
    }

    fn command(&self, program: &Path, options: &[&str]) -> Command {
        let mut command = self.place.command("setpriv");
        command.args(options).current_dir(self.folder()).stdin(Stdio::null()).stdout(Stdio::null());
        if let Some(user) = self.user {
            command.args([format!("--reuid={user}"), format!("--regid={user}"), "--init-groups".to_owned()]);
        }
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.folder().join("stderr.log"))
            .unwrap();
        command.stderr(log).arg(program);
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.end_signal != Signal::SIGKILL
            && let Some(child) = self.child.lock().unwrap_or_else(PoisonError::into_inner).as_mut()
            && let Ok(id) = i32::try_from(child.id())
            && signal::kill(Pid::from_raw(id), self.end_signal).is_ok()
        {
            let start = Instant::now();
            while matches!(child.try_wait(), Ok(None)) && start.elapsed() < Duration::from_secs(2) {
                thread::sleep(Duration::from_millis(5));
            }
        }
        self.kill();
    }
}

/// The processes whose parent is this one.
fn children_of(parent: u32) -> Vec<Pid> {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = processes.filter_map(|process| process.file_name().to_str()?.parse::<i32>().ok());
    let is_child = |id: &i32| {
        // The program's name, in parentheses, may hold spaces. The state and the parent follow it.
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        let after_name = stat.rsplit(')').next().unwrap_or_default();
        after_name.split_whitespace().nth(1).and_then(|id| id.parse().ok()) == Some(parent)
    };
    ids.filter(is_child).map(Pid::from_raw).collect()
}

/// Starts a program that is killed when this process ends for any reason.
///
/// # Panics
///
/// If it cannot be started.
pub fn spawn_until_killed<A: AsRef<OsStr>>(program: &Path, arguments: impl IntoIterator<Item = A>) -> Child {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]).arg(program).args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    spawned(command)
}

/// Spawns from a thread that lives as long as the process: the kernel sends the "parent died" signal when the spawning
/// thread ends.
fn spawned(command: Command) -> Child {
    type Order = (Command, mpsc::Sender<Child>);
    static SPAWNER: LazyLock<mpsc::Sender<Order>> = LazyLock::new(|| {
        let (orders, ordered) = mpsc::channel::<Order>();
        thread::spawn(move || {
            for (mut command, started) in ordered {
                started.send(command.spawn().unwrap()).unwrap();
            }
        });
        orders
    });
    let (started, child) = mpsc::channel();
    SPAWNER.send((command, started)).unwrap();
    child.recv().expect("the server's program can be started")
}

/// Finds a program in `PATH`, or in Debian's folders for versioned programs.
pub(super) fn program(name: &str, package: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut versions: Vec<_> = debian.map(|version| version.path().join("bin")).collect();
    versions.sort();
    std::env::split_paths(&path)
        .chain(versions.into_iter().rev())
        .chain(["/usr/sbin".into(), "/usr/local/sbin".into()])
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
        .unwrap_or_else(|| panic!("`{name}` is missing: tests/run installs Debian's package {package}"))
}

/// A free port below the range for outgoing connections: a client that connects to a killed server could otherwise be
/// given that server's own port.
pub(super) fn free_port() -> u16 {
    const PORTS: std::ops::Range<u16> = 20_000..32_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Test processes run at the same time, so each starts at another port.
    let start = u16::try_from(std::process::id() % 1_000).unwrap_or(0) * 12;
    (0..PORTS.end - PORTS.start)
        .map(|_| {
            PORTS.start + start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % (PORTS.end - PORTS.start)
        })
        .find(|&port| TcpListener::bind(("127.0.0.1", port)).is_ok())
        .expect("a port is free")
}
