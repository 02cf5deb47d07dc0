//! Keywords of ssh_config(5), by what becomes of them here: a setting, nothing, or a refusal.
//!
//! A table, and no parser of values. Invariant: a keyword that would change what runs, or where, is a setting or is refused
//! in words; the rest concerns a transport that does not exist here.

/// Keyword with a meaning for `udpctl`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Setting {
    /// Family of the addresses to contact.
    AddressFamily,
    /// No listening place.
    ClearAllForwardings,
    /// Time limit of the first answer.
    ConnectTimeout,
    /// Escape character on a terminal.
    EscapeChar,
    /// Exit if something cannot listen.
    ExitOnForwardFailure,
    /// Background before the command runs.
    ForkAfterAuthentication,
    /// All addresses of a listening port.
    GatewayPorts,
    /// Host to contact instead of the one named.
    HostName,
    /// Patterns of keywords that are no error.
    IgnoreUnknown,
    /// Listening place and its destination.
    LocalForward,
    /// Amount of messages.
    LogLevel,
    /// Port of the agent.
    Port,
    /// Command.
    RemoteCommand,
    /// Use of a terminal.
    RequestTty,
    /// Names of variables to pass on.
    SendEnv,
    /// Shell, subsystem or nothing.
    SessionType,
    /// Variables of the command.
    SetEnv,
    /// Empty standard input.
    StdinNull,
    /// Mode of the file of a listening unix socket.
    StreamLocalBindMask,
    /// Removal of a socket file that is in the way.
    StreamLocalBindUnlink,
    /// User of the command.
    User,
}

/// Consequence of a keyword.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Keyword {
    /// It has a meaning.
    Setting(Setting),
    /// It has no effect.
    Ignored,
    /// It has no effect with one of these values, and is refused with others, for this reason.
    Only(&'static [&'static str], &'static str),
}

/// Reasons of refusals, by the option that they concern.
pub mod reason {
    /// `-A`
    pub const AGENT: &str = "an authentication agent is not forwarded";
    /// `-K`
    pub const CREDENTIALS: &str = "credentials are not forwarded";
    /// `-X`, `-Y`
    pub const X11: &str = "X11 is not forwarded";
    /// `-D`, `-R`
    pub const CONNECTIONS: &str = "only -L and -W forward connections";
    /// `-w`
    pub const TUNNEL: &str = "there are no tunnels";
    /// `-J`
    pub const PROXY: &str = "the host is contacted directly, without other hosts or a proxy";
    /// `-b`, `-B`
    pub const SOURCE: &str = "the system chooses the source address";
    /// `-N`
    pub const NO_COMMAND: &str =
        "a session without a command serves forwarded connections, and there are none";
    /// `PermitLocalCommand`
    pub const LOCAL_COMMAND: &str = "no command runs on this machine";
    /// `Include`, `Host`, `Match`
    pub const FILE: &str = "no configuration file of ssh is read";
    /// `CanonicalizeHostname`
    pub const CANONICAL: &str = "names are taken as they are";
    /// `RefuseConnection`
    pub const CONNECTION: &str = "the connection is refused";
}

const NO: &[&str] = &["no", "false"];
const NONE: &[&str] = &["none"];

/// Keywords that are refused except with harmless values.
const REFUSED: &[(&str, &[&str], &str)] = &[
    ("bindaddress", &[], reason::SOURCE),
    ("bindinterface", &[], reason::SOURCE),
    (
        "canonicalizehostname",
        &["no", "none", "false"],
        reason::CANONICAL,
    ),
    ("dynamicforward", &[], reason::CONNECTIONS),
    ("forwardagent", NO, reason::AGENT),
    ("forwardx11", NO, reason::X11),
    ("gssapidelegatecredentials", NO, reason::CREDENTIALS),
    ("host", &[], reason::FILE),
    ("include", &[], reason::FILE),
    ("match", &[], reason::FILE),
    ("permitlocalcommand", NO, reason::LOCAL_COMMAND),
    ("proxycommand", NONE, reason::PROXY),
    ("proxyjump", NONE, reason::PROXY),
    ("refuseconnection", &[], reason::CONNECTION),
    ("remoteforward", &[], reason::CONNECTIONS),
    ("tunnel", NO, reason::TUNNEL),
];

const SETTINGS: &[(&str, Setting)] = &[
    ("addressfamily", Setting::AddressFamily),
    ("clearallforwardings", Setting::ClearAllForwardings),
    ("connecttimeout", Setting::ConnectTimeout),
    ("escapechar", Setting::EscapeChar),
    ("exitonforwardfailure", Setting::ExitOnForwardFailure),
    ("forkafterauthentication", Setting::ForkAfterAuthentication),
    ("gatewayports", Setting::GatewayPorts),
    ("hostname", Setting::HostName),
    ("ignoreunknown", Setting::IgnoreUnknown),
    ("localforward", Setting::LocalForward),
    ("loglevel", Setting::LogLevel),
    ("port", Setting::Port),
    ("remotecommand", Setting::RemoteCommand),
    ("requesttty", Setting::RequestTty),
    ("sendenv", Setting::SendEnv),
    ("sessiontype", Setting::SessionType),
    ("setenv", Setting::SetEnv),
    ("stdinnull", Setting::StdinNull),
    ("streamlocalbindmask", Setting::StreamLocalBindMask),
    ("streamlocalbindunlink", Setting::StreamLocalBindUnlink),
    ("user", Setting::User),
];

/// Keywords without an effect: those of TCP, of keys and ciphers, of methods of authentication, of known hosts, of shared
/// connections, and of what is refused anyway. The list is that of OpenSSH 10.2 (`readconf.c`), with those of Debian.
const IGNORED: &[&str] = &[
    "addkeystoagent",
    "afstokenpassing",
    "batchmode",
    "canonicaldomains",
    "canonicalizefallbacklocal",
    "canonicalizemaxdots",
    "canonicalizepermittedcnames",
    "casignaturealgorithms",
    "certificatefile",
    "challengeresponseauthentication",
    "channeltimeout",
    "checkhostip",
    "cipher",
    "ciphers",
    "compression",
    "compressionlevel",
    "connectionattempts",
    "controlmaster",
    "controlpath",
    "controlpersist",
    "dsaauthentication",
    "enableescapecommandline",
    "enablesshkeysign",
    "fallbacktorsh",
    "fingerprinthash",
    "forwardx11timeout",
    "forwardx11trusted",
    "globalknownhostsfile",
    "globalknownhostsfile2",
    "gssapiauthentication",
    "gssapiclientidentity",
    "gssapikexalgorithms",
    "gssapikeyexchange",
    "gssapirenewalforcesrekey",
    "gssapiserveridentity",
    "gssapitrustdns",
    "hashknownhosts",
    "hostbasedacceptedalgorithms",
    "hostbasedauthentication",
    "hostbasedkeytypes",
    "hostkeyalgorithms",
    "hostkeyalias",
    "identitiesonly",
    "identityagent",
    "identityfile",
    "identityfile2",
    "ipqos",
    "kbdinteractiveauthentication",
    "kbdinteractivedevices",
    "keepalive",
    "kerberosauthentication",
    "kerberostgtpassing",
    "kexalgorithms",
    "knownhostscommand",
    "localcommand",
    "logverbose",
    "macs",
    "nohostauthenticationforlocalhost",
    "numberofpasswordprompts",
    "obscurekeystroketiming",
    "passwordauthentication",
    "permitremoteopen",
    "pkcs11provider",
    "preferredauthentications",
    "protocol",
    "proxyusefdpass",
    "pubkeyacceptedalgorithms",
    "pubkeyacceptedkeytypes",
    "pubkeyauthentication",
    "rekeylimit",
    "requiredrsasize",
    "revokedhostkeys",
    "rhostsauthentication",
    "rhostsrsaauthentication",
    "rsaauthentication",
    "securitykeyprovider",
    "serveralivecountmax",
    "serveraliveinterval",
    "skeyauthentication",
    "smartcarddevice",
    "stricthostkeychecking",
    "syslogfacility",
    "tag",
    "tcpkeepalive",
    "tisauthentication",
    "tunneldevice",
    "updatehostkeys",
    "useprivilegedport",
    "userknownhostsfile",
    "userknownhostsfile2",
    "useroaming",
    "usersh",
    "verifyhostkeydns",
    "versionaddendum",
    "visualhostkey",
    "warnweakcrypto",
    "xauthlocation",
];

impl Keyword {
    /// Returns the consequence of a keyword, whose case does not matter; `None` if ssh does not know it.
    pub fn named(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let setting = SETTINGS.iter().find(|(known, _)| *known == name);
        if let Some(&(_, setting)) = setting {
            return Some(Self::Setting(setting));
        }
        let refused = REFUSED.iter().find(|(known, ..)| *known == name);
        if let Some(&(_, values, reason)) = refused {
            return Some(Self::Only(values, reason));
        }
        IGNORED.binary_search(&&*name).ok().map(|_| Self::Ignored)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_keyword_is_in_one_list_and_the_lists_are_sorted() {
        let settings = SETTINGS.iter().map(|(name, _)| *name);
        let refused = REFUSED.iter().map(|(name, ..)| *name);
        let mut all: Vec<&str> = settings
            .chain(refused)
            .chain(IGNORED.iter().copied())
            .collect();
        assert!(IGNORED.is_sorted());
        all.sort_unstable();
        let count = all.len();
        all.dedup();
        assert_eq!(all.len(), count, "a name is there twice");
    }

    #[test]
    fn the_case_of_a_keyword_does_not_matter() {
        assert_eq!(
            Keyword::named("PORT"),
            Some(Keyword::Setting(Setting::Port))
        );
        assert_eq!(Keyword::named("Ciphers"), Some(Keyword::Ignored));
        assert_eq!(Keyword::named("XAuthLocation"), Some(Keyword::Ignored));
        assert!(matches!(
            Keyword::named("ProxyJump"),
            Some(Keyword::Only(..))
        ));
        assert_eq!(Keyword::named("Prot"), None);
    }
}
