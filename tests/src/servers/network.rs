//! A network in which each node of a cluster has a namespace of its own, and whose links can be cut, slowed and made
//! lossy.
//!
//! The nodes and the host hang on a switch, which is a bridge in another namespace. Its packet filter (nftables) is
//! what fails. `netem` would add latency as well; many kernels lack it.

use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::unistd::geteuid;

use super::process::spawn_until_killed;

/// Where a server runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file of its network namespace. `None`: that of this process.
    namespace: Option<PathBuf>,
    address: Ipv4Addr,
}

impl Place {
    /// 127.0.0.1, in the namespace of this process.
    pub const HERE: Self = Self { namespace: None, address: Ipv4Addr::LOCALHOST };

    /// The address that others reach it at.
    pub fn address(&self) -> IpAddr {
        self.address.into()
    }

    /// A command that runs this program there.
    pub(super) fn command(&self, program: &str) -> Command {
        let Some(namespace) = &self.namespace else { return Command::new(program) };
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", namespace.display())).arg(program);
        command
    }
}

/// How a link fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Nothing arrives, in either direction.
    BothWays,
    /// Nothing arrives at the second end.
    There,
    /// Nothing arrives at the first end.
    Back,
    /// A few kilobytes a second arrive, in each direction.
    Slow,
    /// A part of the packets is lost, in each direction.
    Lossy,
}

impl Cut {
    /// What the packet filter does to a packet of the link, for each direction in which it does anything.
    fn actions(self) -> [Option<&'static str>; 2] {
        match self {
            Self::BothWays => [Some("drop"); 2],
            Self::There => [Some("drop"), None],
            Self::Back => [None, Some("drop")],
            Self::Slow => [Some("limit rate over 20 kbytes/second drop"); 2],
            Self::Lossy => [Some("numgen random mod 100 < 30 drop"); 2],
        }
    }
}

/// The network. It ends with this process, even if that is killed.
#[derive(Debug)]
pub struct Network {
    host: Ipv4Addr,
    places: Vec<Place>,
    switch: Namespace,
    _nodes: Vec<Namespace>,
}

impl Network {
    /// A network of so many nodes. `None` if this machine does not let us make one, for example because we are not root.
    pub fn of(count: u8) -> Option<Self> {
        if !geteuid().is_root() || !has_program("nft") || !has_program("nsenter") {
            return None;
        }
        let id = std::process::id();
        // Two networks of a machine differ.
        let address = |last: u8| {
            let [second, third] =
                [id / 250 % 100 + 100, id % 250].map(|byte| u8::try_from(byte).unwrap_or(0));
            Ipv4Addr::new(10, second, third, last)
        };
        let switch = Namespace::new()?;
        switch.run("sh", "ip link add switch type bridge forward_delay 0 && ip link set switch up")?;
        let host = address(1);
        let here = format!("ferro{id}");
        switch.connect(&here, None, host, 1)?;
        let mut nodes = Vec::new();
        let mut places = Vec::new();
        for number in (2..).take(usize::from(count)) {
            let node = Namespace::new()?;
            let address = address(number);
            switch.connect("node", Some(&node), address, number)?;
            places.push(Place { namespace: Some(node.file()), address });
            nodes.push(node);
        }
        switch.run("nft -f -", "add table bridge cuts")?;
        switch.run("nft -f -", "add chain bridge cuts forward { type filter hook forward priority 0; }")?;
        Some(Self { host, places, switch, _nodes: nodes })
    }

    /// The places of its nodes.
    pub fn places(&self) -> &[Place] {
        &self.places
    }

    /// The address of this process, from which clients come.
    pub fn host(&self) -> IpAddr {
        self.host.into()
    }

    /// Cuts the link between two addresses, until [`heal`](Self::heal).
    ///
    /// # Panics
    ///
    /// If the packet filter refuses.
    pub fn cut(&self, cut: Cut, first: IpAddr, second: IpAddr) {
        let directions = [(first, second), (second, first)];
        for ((from, to), action) in directions.into_iter().zip(cut.actions()) {
            let Some(action) = action else { continue };
            self.switch.run(
                "nft -f -",
                &format!("add rule bridge cuts forward ip saddr {from} ip daddr {to} {action}"),
            );
        }
    }

    /// Every link is whole again.
    ///
    /// # Panics
    ///
    /// If the packet filter refuses.
    pub fn heal(&self) {
        self.switch.run("nft -f -", "flush chain bridge cuts forward").expect("the filter forgets its rules");
    }
}

/// A network namespace, which lives as long as a process in it.
#[derive(Debug)]
struct Namespace {
    holder: Child,
}

impl Namespace {
    /// `None` if the system refuses.
    fn new() -> Option<Self> {
        let arguments = ["--net", "sh", "-c", "echo here; exec sleep infinity"];
        let mut namespace = Self { holder: spawn_until_killed(Path::new("unshare"), arguments) };
        let mut line = String::new();
        let said = BufReader::new(namespace.holder.stdout.take()?).read_line(&mut line);
        said.is_ok_and(|bytes| bytes > 0).then_some(namespace)
    }

    fn file(&self) -> PathBuf {
        format!("/proc/{}/ns/net", self.holder.id()).into()
    }

    /// Lays a cable from a port of this switch to a node, or to the host.
    fn connect(&self, name: &str, node: Option<&Self>, address: Ipv4Addr, port: u8) -> Option<()> {
        let switch = self.holder.id();
        let end = node.map(|node| format!("netns {}", node.holder.id())).unwrap_or_default();
        let cable = format!("ip link add {name} {end} type veth peer name port{port} netns {switch}");
        run(Command::new("sh"), &cable)?;
        self.run("sh", &format!("ip link set port{port} master switch && ip link set port{port} up"))?;
        let up = format!("ip address add {address}/24 dev {name} && ip link set {name} up");
        match node {
            Some(node) => node.run("sh", &format!("ip link set lo up && {up}")),
            None => run(Command::new("sh"), &up),
        }
    }

    /// Runs a program in it, with this input. `None` if it fails.
    fn run(&self, program: &str, input: &str) -> Option<()> {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.file().display())).args(program.split(' '));
        run(command, input)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        drop(self.holder.kill());
        drop(self.holder.wait());
    }
}

fn run(mut command: Command, input: &str) -> Option<()> {
    let mut child = command.stdin(Stdio::piped()).spawn().ok()?;
    let written = child.stdin.take()?.write_all(input.as_bytes());
    let has_succeeded = child.wait().ok()?.success();
    (written.is_ok() && has_succeeded).then_some(())
}

fn has_program(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).chain(["/usr/sbin".into()]).any(|folder| folder.join(name).is_file())
}
