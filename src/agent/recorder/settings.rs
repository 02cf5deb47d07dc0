//! Settings of the recorder, as the agent passes them on its command line.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::agent::audit::{self, Demand};
use crate::agent::config::LogFormat;

/// Settings of the recorder, its command line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Settings {
    /// Format of the lines about the recorder itself.
    pub format: LogFormat,
    /// Destination of the audit records; `None` for no records.
    pub audit: Option<audit::Config>,
}

impl Settings {
    /// Returns the arguments.
    pub(super) fn to_args(&self) -> Vec<OsString> {
        let format = match self.format {
            LogFormat::Text => "text",
            LogFormat::Json => "json",
        };
        let demand = match &self.audit {
            None => "off",
            Some(audit) => match audit.demand {
                Demand::Wanted => "on",
                Demand::Required => "required",
            },
        };
        let file = self.audit.as_ref().and_then(|audit| audit.file.clone());
        let words = [format.into(), demand.into()];
        words
            .into_iter()
            .chain(file.map(PathBuf::into_os_string))
            .collect()
    }

    /// Parses the arguments.
    pub(super) fn parse(args: impl IntoIterator<Item = OsString>) -> Option<Self> {
        let mut args = args.into_iter();
        let format = match args.next()?.to_str()? {
            "text" => LogFormat::Text,
            "json" => LogFormat::Json,
            _ => return None,
        };
        let demand = match args.next()?.to_str()? {
            "off" => None,
            "on" => Some(Demand::Wanted),
            "required" => Some(Demand::Required),
            _ => return None,
        };
        let file = args.next().map(PathBuf::from);
        let audit = demand.map(|demand| audit::Config { file, demand });
        Some(Self { format, audit })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recorders_settings_survive_its_command_line() {
        let file = |demand, file: Option<&str>| {
            let file = file.map(PathBuf::from);
            Some(audit::Config { file, demand })
        };
        for audit in [
            None,
            file(Demand::Wanted, None),
            file(Demand::Required, Some("/var/log/a b")),
        ] {
            for format in [LogFormat::Text, LogFormat::Json] {
                let audit = audit.clone();
                let settings = Settings { format, audit };
                assert_eq!(Settings::parse(settings.to_args()), Some(settings));
            }
        }
        assert_eq!(Settings::parse(["text".into()]), None);
        assert_eq!(Settings::parse([]), None);
    }
}
