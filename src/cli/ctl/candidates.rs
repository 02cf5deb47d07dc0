//! Candidates for the arguments of `udpctl`: hosts, groups, places, jobs, signals and users, from files of this machine.
//!
//! Not the names of subcommands and options, which clap knows. Invariants: no agent is asked, no name is looked up and no
//! program is run; a file that cannot be read has no candidates.

use std::collections::HashSet;
use std::ffi::OsStr;

use clap_complete::CompletionCandidate;
use clap_complete::engine::{PathCompleter, ValueCompleter as _};

use crate::agent::daemon::listening;
use crate::cli::completions::accounts;
use crate::control::fold::fold_in_order;
use crate::control::journal::{Journal, Past, State};
use crate::control::known_agents::{KnownAgents, Pattern};
use crate::control::name_set::NameSet;
use crate::control::targets::Inventory;
use crate::control::tickets::boot_id;
use crate::escape;
use crate::home::{AgentHome, ControlHome, User, environment};
use crate::message::OsText;
use crate::message::lookup;
use crate::message::outcome::ALL;
use crate::message::signal::signal_name;
use crate::net::{DEFAULT_PORT, Host, Target};

/// Number of hosts above which they are offered as sets: more than a terminal shows at a time.
const HOSTS: usize = 300;

/// Number of members up to which a set of `known_agents` counts as its members.
const MEMBERS: u64 = 10_000;

/// Hosts and groups of this machine's files.
struct Names {
    hosts: Vec<String>,
    inventory: Inventory,
}

impl Names {
    fn read() -> Option<Self> {
        let home = ControlHome::locate(&environment).ok()?;
        let mut inventory = Inventory::without_programs(&home.inventory(), home.last_run());
        let default = inventory.default_port();
        let mut hosts: Vec<String> = inventory.all_hosts().iter().map(label).collect();
        let known = KnownAgents::load(&home.known_agents());
        for entry in known.iter().flat_map(KnownAgents::entries) {
            match entry.pattern {
                Pattern::Target(target) => hosts.push(short(&target, default)),
                Pattern::Set(set) if set.count() <= MEMBERS => {
                    let members = set.names().filter_map(|name| name.parse().ok());
                    hosts.extend(members.map(|target| short(&target, default)));
                }
                Pattern::Set(_) | Pattern::Glob(_) => {}
            }
        }
        hosts.extend(own_agent(default));
        let mut seen = HashSet::new();
        hosts.retain(|host| seen.insert(host.clone()));
        Some(Self { hosts, inventory })
    }

    /// Returns the hosts that begin with a text; many of them as sets.
    fn hosts(&self, begin: &str) -> Vec<String> {
        let found = self.hosts.iter().filter(|host| host.starts_with(begin));
        let found: Vec<&str> = found.map(String::as_str).collect();
        if found.len() <= HOSTS {
            return found.into_iter().map(str::to_owned).collect();
        }
        folded(&found)
    }
}

/// Returns the name of a host of the inventory.
fn label(target: &Target) -> String {
    target.label().to_owned()
}

/// Returns the shortest text that stands for a target: without its port if that is the one of names without a port.
fn short(target: &Target, default: u16) -> String {
    let text = target.to_string();
    let implied = match target.host() {
        Host::Name(_) => target.port() == default,
        Host::Ip(ip) => ip.is_ipv4() && target.port() == DEFAULT_PORT,
        Host::Zoned(..) => false,
    };
    match text.rsplit_once(':') {
        Some((host, _)) if implied => host.to_owned(),
        Some(_) | None => text,
    }
}

/// Returns the agent of this user on this machine, if one runs.
fn own_agent(default: u16) -> Option<String> {
    let home = AgentHome::locate(&environment, User::current()).ok()?;
    let addresses = listening::read(&home.listening()).ok()??;
    let target = Target::new(Host::Name("localhost".into()), addresses.first()?.port());
    Some(short(&target, default))
}

/// Returns names as sets. Beside a set there is its first name, so that a shell never inserts a set as the only candidate.
fn folded(names: &[&str]) -> Vec<String> {
    let set = fold_in_order(names.iter().copied());
    let mut words = Vec::new();
    for word in words_of(&set) {
        let first = NameSet::parse(word, 0).ok().filter(|set| set.count() > 1);
        words.extend(first.and_then(|set| set.names().next()));
        words.push(word.to_owned());
    }
    words
}

/// Splits a set at the commas outside of brackets.
fn words_of(set: &str) -> impl Iterator<Item = &str> {
    let mut is_inside = false;
    set.split(move |letter| {
        is_inside = letter == '[' || is_inside && letter != ']';
        letter == ',' && !is_inside
    })
}

/// Returns the place of the last name in a set that is being typed, or `None` inside of brackets.
fn last_name(set: &str) -> Option<usize> {
    let (mut is_inside, mut begin) = (false, 0);
    for (at, letter) in set.char_indices() {
        match letter {
            '[' => is_inside = true,
            ']' => is_inside = false,
            ',' | '!' | '&' | '^' if !is_inside => begin = at + 1,
            _ => {}
        }
    }
    // An IPv6 address has brackets of its own, with which it begins.
    (!is_inside || set[begin..].starts_with('[')).then_some(begin)
}

fn candidates(words: impl IntoIterator<Item = String>) -> Vec<CompletionCandidate> {
    words.into_iter().map(CompletionCandidate::new).collect()
}

/// Returns candidates for a set of targets.
pub fn set(current: &OsStr) -> Vec<CompletionCandidate> {
    complete_set(current).unwrap_or_default()
}

fn complete_set(current: &OsStr) -> Option<Vec<CompletionCandidate>> {
    let current = current.to_str()?;
    let (before, name) = current.split_at(last_name(current)?);
    let mut names = Names::read()?;
    let mut words = names.hosts(name);
    let groups = names.inventory.all_groups().into_iter();
    words.extend(groups.filter(|group| group.starts_with(name)));
    Some(candidates(
        words.iter().map(|word| format!("{before}{word}")),
    ))
}

/// Returns candidates for one target.
pub fn host(current: &OsStr) -> Vec<CompletionCandidate> {
    host_behind("", &current.to_string_lossy())
}

/// Returns candidates for a text and one target behind it.
pub fn host_behind(before: &str, current: &str) -> Vec<CompletionCandidate> {
    let hosts = Names::read().map_or_else(Vec::new, |names| names.hosts);
    let hosts = hosts.iter().filter(|host| host.starts_with(current));
    candidates(hosts.map(|host| format!("{before}{host}")))
}

/// Returns candidates for a place of `udpctl cp`: hosts with their colon, and files of this machine. What is on a host is
/// not known.
pub fn place(current: &OsStr) -> Vec<CompletionCandidate> {
    let text = current.to_string_lossy();
    let is_path = text.find('/') < text.find(':') && text.contains('/');
    let mut found = Vec::new();
    if !is_path {
        let (user, host) = user_and_host(&text);
        let names = Names::read();
        let hosts = names.iter().flat_map(|names| &names.hosts);
        let hosts = hosts.filter(|name| {
            let place = format!("{name}:");
            place.starts_with(host) && place != host
        });
        found = candidates(hosts.map(|name| format!("{user}{name}:")));
    }
    found.extend(PathCompleter::any().complete(current));
    found
}

/// Returns candidates for a destination as ssh takes it: hosts without ports of agents.
pub fn destination(current: &OsStr) -> Vec<CompletionCandidate> {
    let text = current.to_string_lossy();
    let (user, host) = user_and_host(&text);
    let names = Names::read();
    let targets = names.iter().flat_map(|names| &names.hosts);
    let targets = targets.filter_map(|name| name.parse::<Target>().ok());
    let mut seen = HashSet::new();
    let hosts = targets.map(|target| target.name().to_owned());
    let hosts = hosts.filter(|name| name.starts_with(host) && seen.insert(name.clone()));
    candidates(hosts.map(|name| format!("{user}{name}")))
}

/// Splits a text behind its last `@`.
pub fn user_and_host(text: &str) -> (&str, &str) {
    text.split_at(text.rfind('@').map_or(0, |at| at + 1))
}

/// Returns candidates for the names of groups, without `@`.
pub fn group(current: &OsStr) -> Vec<CompletionCandidate> {
    let (Some(current), Some(mut names)) = (current.to_str(), Names::read()) else {
        return Vec::new();
    };
    let begin = current.rfind(',').map_or(0, |comma| comma + 1);
    let (before, name) = current.split_at(begin);
    let groups = names.inventory.all_groups().into_iter();
    let groups = groups.filter_map(|group| Some(group.strip_prefix('@')?.to_owned()));
    let groups = groups.filter(|group| group.starts_with(name));
    candidates(groups.map(|group| format!("{before}{group}")))
}

/// Returns candidates for the id of a request made from this machine, the newest first.
pub fn job(current: &OsStr) -> Vec<CompletionCandidate> {
    let (Some(current), Ok(home)) = (current.to_str(), ControlHome::locate(&environment)) else {
        return Vec::new();
    };
    let journal = Journal::new(home.requests(), boot_id());
    let mut seen = HashSet::new();
    let mut jobs = Vec::new();
    for record in journal.runs().iter().flat_map(Past::records) {
        let id = record.id.to_string();
        if record.state == State::Void || !id.starts_with(current) || !seen.insert(record.id) {
            continue;
        }
        let words: Vec<String> = record.argv.iter().map(word).collect();
        let help = format!("{}: {}", record.host, words.join(" "));
        jobs.push(CompletionCandidate::new(id).help(Some(help.into())));
    }
    jobs
}

/// Returns candidates for the requests to forget: "unanswered" and the jobs.
pub fn forgettable(current: &OsStr) -> Vec<CompletionCandidate> {
    let word = "unanswered";
    let is_begun = current
        .to_str()
        .is_some_and(|current| word.starts_with(current));
    let all = is_begun.then(|| {
        CompletionCandidate::new(word).help(Some("all that no agent answers about".into()))
    });
    all.into_iter().chain(job(current)).collect()
}

/// Returns a word of a command as a shell would take it.
fn word(text: &OsText) -> String {
    escape::shell_word(&text.as_os_str().to_string_lossy()).into_owned()
}

/// Returns candidates for words of which the last may be a job.
pub fn set_or_job(current: &OsStr) -> Vec<CompletionCandidate> {
    let is_digits = |word: &str| word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mut found = match current.to_str() {
        Some(word) if !word.is_empty() && is_digits(word) => job(current),
        Some(_) | None => Vec::new(),
    };
    found.extend(set(current));
    found
}

/// Returns candidates for a signal.
pub fn signal(current: &OsStr) -> Vec<CompletionCandidate> {
    let current = current.to_string_lossy();
    let prefix = if current.starts_with("SIG") {
        "SIG"
    } else {
        ""
    };
    let names = (1..=31).filter_map(signal_name);
    let names = names.map(|name| format!("{prefix}{name}"));
    candidates(names.filter(|name| name.starts_with(&*current)))
}

/// Returns candidates for a user: those of the inventory, then those of this machine.
pub fn user(current: &OsStr) -> Vec<CompletionCandidate> {
    let current = current.to_string_lossy();
    candidates(users(&current))
}

fn users(begin: &str) -> Vec<String> {
    let names = Names::read();
    let remote = names.iter().flat_map(|names| names.inventory.users());
    let local = accounts();
    let mut seen = HashSet::new();
    let users = remote.chain(local.iter().map(String::as_str));
    let users = users.filter(|user| user.starts_with(begin) && seen.insert(*user));
    users.map(str::to_owned).collect()
}

/// Returns candidates for the name of an outcome or a class of hosts.
pub fn outcome(current: &OsStr) -> Vec<CompletionCandidate> {
    let current = current.to_string_lossy();
    let names = ALL.iter().map(|outcome| outcome.row().name);
    candidates(
        names
            .chain(lookup::classes())
            .filter(|name| name.starts_with(&*current))
            .map(str::to_owned),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_hosts_are_offered_as_sets_beside_their_first_names() {
        let names: Vec<String> = (1..=400).map(|number| format!("web{number}")).collect();
        let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
        names.push("db");
        assert_eq!(folded(&names), ["web1", "web[1-400]", "db"]);
        let racks = ["r1n1:7001", "r1n2:7001", "r1n4:7001"];
        assert_eq!(folded(&racks), ["r1n1:7001", "r1n[1-2,4]:7001"]);
    }

    #[test]
    fn the_name_that_is_completed_is_the_last_of_a_set() {
        for (set, begin) in [
            ("", Some(0)),
            ("web", Some(0)),
            ("web1,db", Some(5)),
            ("web[1,2]!we", Some(9)),
            ("@web&@d", Some(5)),
            ("web[1,", None),
            ("[::1", Some(0)),
        ] {
            assert_eq!(last_name(set), begin, "{set}");
        }
    }

    #[test]
    fn a_port_is_left_out_where_it_is_implied() {
        for (text, default, expected) in [
            ("web1:7000", 7000, "web1"),
            ("web1:7000", 7001, "web1:7000"),
            ("web1:7001", 7001, "web1"),
            ("192.0.2.1:7000", 7001, "192.0.2.1"),
            ("192.0.2.1:7001", 7001, "192.0.2.1:7001"),
            ("[::1]:7000", 7000, "[::1]:7000"),
        ] {
            let target: Target = text.parse().unwrap();
            assert_eq!(short(&target, default), expected, "{text}");
        }
    }
}
