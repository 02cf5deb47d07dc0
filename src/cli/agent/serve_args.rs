//! The options of the agent itself, and the configuration that they give.
#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "the comments on options are help texts, in which brackets belong to addresses"
)]

use clap::{ArgAction, Args, ValueEnum};

use super::files::ConfigFile;
use crate::agent::chat::ReplyTemplate;
use crate::agent::config::{Layer, LogFormat, Switch};
use crate::cli::bot_args::BotArgs;
use crate::net::Bind;

/// `udpagent`
#[derive(Args, Debug)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "independent flags, each named"
)]
pub struct ServeArgs {
    /// Listen on ADDR: :PORT, HOST:PORT or [IPv6]:PORT; may be repeated [default: :7000]
    #[arg(
        short,
        long,
        value_name = "ADDR",
        env = "UDPAGENT_BIND",
        value_delimiter = ',',
        hide_env_values = true
    )]
    pub bind: Vec<Bind>,
    /// The configuration file.
    #[command(flatten)]
    pub config: ConfigFile,
    /// Use NAME in chats [default: the host name]
    #[arg(
        long,
        value_name = "NAME",
        env = "UDPAGENT_NAME",
        hide_env_values = true
    )]
    pub name: Option<String>,
    /// Answer plain text with TEMPLATE, in which {text} stands for the text received
    #[arg(
        long,
        value_name = "TEMPLATE",
        env = "UDPAGENT_REPLY",
        hide_env_values = true
    )]
    pub reply: Option<ReplyTemplate>,
    /// The bot.
    #[command(flatten)]
    pub bot: BotArgs,
    /// Run no commands
    #[arg(long)]
    pub no_exec: bool,
    /// Ignore plain text
    #[arg(long, conflicts_with = "reply")]
    pub no_plain: bool,
    /// Print the chat as JSON, one object per line
    #[arg(long)]
    pub json: bool,
    /// Show no time before messages on a terminal
    #[arg(long)]
    pub no_time: bool,
    /// Leave running commands alone when the agent ends
    #[arg(long)]
    pub keep_jobs: bool,
    /// Write the log on standard error in FORMAT [default: text]
    #[arg(
        long,
        value_name = "FORMAT",
        env = "UDPAGENT_LOG_FORMAT",
        hide_env_values = true
    )]
    pub log_format: Option<Format>,
    /// Log sessions and commands; repeat for more detail
    #[arg(short, long, action = ArgAction::Count)]
    pub verbose: u8,
}

/// Format of the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Format {
    /// Lines for people
    Text,
    /// One JSON object per line
    Json,
}

impl ServeArgs {
    /// Returns the configuration that flags and environment give.
    pub fn layer(&self) -> Layer {
        Layer {
            bind: (!self.bind.is_empty()).then(|| self.bind.clone()),
            name: self.name.clone(),
            reply: self.reply.clone(),
            on_message: self.bot.on_message.clone(),
            on_message_timeout: self.bot.on_message_timeout,
            exec: self.no_exec.then_some(Switch::Off),
            plain: self.no_plain.then_some(Switch::Off),
            keep_jobs: self.keep_jobs.then_some(Switch::On),
            log_format: self.log_format.map(|format| match format {
                Format::Text => LogFormat::Text,
                Format::Json => LogFormat::Json,
            }),
            ..Layer::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::agent::AgentLine;

    fn layer(line: &[&str]) -> Result<Layer, clap::Error> {
        let line = AgentLine::try_parse_from(["udpagent"].iter().chain(line))?;
        Ok(line.serve.layer())
    }

    #[test]
    fn flags_set_only_the_options_that_were_typed() {
        assert_eq!(layer(&[]).unwrap(), Layer::default());
        let layer = layer(&["-b", ":1", "--bind", "[::1]:2", "--no-exec", "--name", "n"]).unwrap();
        let binds: Vec<String> = layer.bind.unwrap().iter().map(Bind::to_string).collect();
        assert_eq!(binds, [":1", "[::1]:2"]);
        assert_eq!((layer.exec, layer.plain), (Some(Switch::Off), None));
        assert_eq!(layer.name.as_deref(), Some("n"));
    }

    #[test]
    fn contradictory_flags_are_refused() {
        for line in [
            &["--bind", "nonsense:x"][..],
            &["--reply", "{text}"],
            &["--reply", "OK {text}", "--no-plain"],
            &["--no-exec", "key"],
            &["surplus"],
        ] {
            assert!(layer(line).is_err(), "{line:?}");
        }
    }
}
