//! Options as the words of a line in `authorized_keys`.
//!
//! Not the words that were written there: one option may stand for several. Invariant: the words parse to the same
//! options.

use super::Options;

impl Options {
    /// Returns the words, without quotes.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        let mut words: Vec<String> = self
            .allow
            .iter()
            .map(|pattern| format!("allow={pattern}"))
            .collect();
        words.extend(self.copy.iter().map(|rule| format!("copy={rule}")));
        let forward = self.forward.iter();
        words.extend(forward.map(|pattern| format!("forward={pattern}")));
        let mut flag = |set: bool, word: &str| words.extend(set.then(|| word.to_owned()));
        flag(self.chat_only, "chat-only");
        flag(self.admin, "admin");
        let any = self.users.any().then_some("*");
        let users = self.users.named().iter().map(String::as_str);
        let users: Vec<&str> = users.chain(any).collect();
        if !users.is_empty() {
            words.push(format!("user={}", users.join(",")));
        }
        if !self.from.is_empty() {
            let networks: Vec<String> = self.from.iter().map(ToString::to_string).collect();
            words.push(format!("from={}", networks.join(",")));
        }
        let limits = &self.cgroup_limits;
        for (option, value) in [
            ("max-jobs", self.max_jobs.map(u64::from)),
            ("memory", limits.memory),
            ("pids", limits.pids),
            ("cpu", limits.cpu_percent.map(u64::from)),
        ] {
            words.extend(value.map(|value| format!("{option}={value}")));
        }
        let time = |expires| {
            let seconds = i64::try_from(expires).ok()?;
            jiff::Timestamp::from_second(seconds).ok()
        };
        if let Some(time) = self.expires.and_then(time) {
            words.push(format!("expires={time}"));
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_options_parse_to_the_same_options() {
        for line in [
            "",
            "chat-only from=192.0.2.0/24,::1 copy=read:/var/log copy='write:/srv/a b' copy=*",
            "forward=db:5432 forward=[::1]:* forward=*:22 'forward=unix:/run/a b' forward=*",
            "admin user=* expires=2030-01-31T12:00:00+02:00",
            "allow='uname -a' allow=\"sh -c 'a b'\" allow='git **' user=ann,bob,* max-jobs=3 \
             memory='1 GiB' pids=7 cpu=150%",
        ] {
            let options = Options::parse(&shlex::split(line).unwrap()).unwrap();
            let words = options.words();
            assert_eq!(Options::parse(&words).unwrap(), options, "{words:?}");
        }
        let options = Options::parse(&["expires=2030-01-31", "admin"]).unwrap();
        assert_eq!(options.words(), ["admin", "expires=2030-01-31T00:00:00Z"]);
    }
}
