//! `udpctl attach --run last`: what a run has not written of the outputs of its hosts, and their results.

use anyhow::{Result, bail};

use super::{AttachArgs, request, settings, warn_of_repeats};
use crate::cli::ctl::context::{Context, Network, internal_if, note, streams};
use crate::cli::ctl::exec::conclude;
use crate::control::exec::{
    self, Escaping, Labels, Recorder, Style, Surroundings, Task, TaskHost, TerminalMode,
};
use crate::control::journal::{self, History, Journal, Keeping, Known, Plan, Record, State};
use crate::control::{limits, signals};
use crate::net::Target;

/// Attaches to all jobs of the last run without a result.
pub(super) fn run(args: &AttachArgs) -> Result<u8> {
    let mut context = Context::new()?;
    let journal = context.journal();
    let records = open_records(&journal)?;
    let targets = records
        .iter()
        .map(|record| Ok(context.target(&record.host.parse::<Target>()?)?))
        .collect::<Result<Vec<Target>>>()?;
    let result = attach(args, &mut context, &journal, &records, &targets);
    internal_if(targets.len() > 1, result)
}

fn attach(
    args: &AttachArgs,
    context: &mut Context,
    journal: &Journal,
    records: &[Record],
    targets: &[Target],
) -> Result<u8> {
    let Network {
        client,
        resolver,
        hosts,
    } = context.network(targets)?;
    // Until here a signal ends the program: nothing has begun, and names may take long to be looked up.
    let signals = signals::catch(&[])?;
    let history = journal.history();
    let (mut tasks, mut requests) = (Vec::new(), Vec::new());
    for (record, host) in std::iter::zip(records, hosts) {
        let offsets = newest(&history, record).offsets;
        warn_of_repeats(&record.host, record.id, offsets);
        requests.push(host.as_ref().ok().map(|host| journal::Request {
            id: record.id,
            host: record.host.clone(),
            agent: host.agent,
            offsets,
        }));
        tasks.push(Task {
            label: record.host.clone(),
            host: TaskHost::Found(host),
            request: request(record.id, offsets, None, false),
        });
    }
    let labels: Vec<String> = tasks.iter().map(|task| task.label.clone()).collect();
    let live = journal.begin(Plan {
        argv: records[0].argv.clone(),
        keeping: Keeping::UntilSettled,
        known: Known::Before,
        requests,
    });
    if let Err(error) = &live {
        note(&format!(
            "udpctl: the requests are not recorded in the journal: {error}"
        ));
    }
    let surroundings = Surroundings {
        resolver: Some(&resolver),
        recorder: live.ok().map(Recorder::of),
        ..Surroundings::new(&client, streams()?, &signals)
    };
    let settings = settings(args, TerminalMode::Apart, style(args, tasks.len()));
    let finish = exec::run(tasks, settings, surroundings);
    client.close();
    Ok(conclude(&labels, &finish))
}

/// Returns the requests without a result of the newest run that has ended and has some that an agent may have taken. What no
/// agent has answered is left to `udpctl jobs --mine`.
fn open_records(journal: &Journal) -> Result<Vec<Record>> {
    let mut runs = journal.runs().into_iter().map(|run| {
        let records = run.records();
        let open = records.filter(|record| !record.live && record.state == State::Open);
        open.collect::<Vec<_>>()
    });
    let Some(open) = runs.find(|open| !open.is_empty()) else {
        bail!(
            "nothing to collect: the runs that have ended have all results that there are; \"udpctl jobs --mine\" lists requests \
             in progress and those without an answer"
        );
    };
    Ok(open)
}

/// Returns the newest record of a request: an attachment since may have written more.
fn newest<'a>(history: &'a History, record: &'a Record) -> &'a Record {
    history.find(record.id, &record.agent).unwrap_or(record)
}

fn style(args: &AttachArgs, hosts: usize) -> Style {
    match (args.json, hosts) {
        (true, 1) => Style::Json(limits::CAPTURE),
        (true, _) => Style::Json(limits::CAPTURE_FLEET),
        (false, 1) => Style::Plain,
        (false, _) => Style::Labelled(Labels {
            escaping: Escaping::Escape,
            is_named: true,
            width: 0,
        }),
    }
}
