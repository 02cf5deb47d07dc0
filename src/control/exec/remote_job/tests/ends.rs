//! Input, cancelling, detaching, attaching, refusals.

use super::*;

#[test]
fn stdin_continues_at_the_byte_that_the_job_has_not_taken() {
    let mut job = begin();
    connected(&mut job, 0, RUN);
    reply(&mut job, 0, &accepted(0, 0));
    job.on_stdin(Bytes::from_static(b"abcdef"), false);
    assert_eq!(drain(&mut job).stdin, b"abcdef");
    job.on_event(Event::Stream {
        session: attachment(0),
        event: StreamEvent::Writable {
            stream: StreamId::new(CallId(0), Lane::Data),
            consumed: 2,
            limit: 100,
        },
    });
    silence(&mut job, 0);
    job.on_stdin(Bytes::from_static(b"gh"), true);
    drain(&mut job);
    connected(&mut job, 1, RUN);
    reply(
        &mut job,
        1,
        &Reply::Accepted {
            id: ID,
            stdout: 0,
            stderr: 0,
            stdin: 4,
            terminal: false,
            kept: false,
            screen: None,
        },
    );
    let wanted = drain(&mut job);
    assert_eq!(wanted.stdin, b"efgh");
    assert!(wanted.stdin_fin && !job.wants_stdin());
}

#[test]
fn a_process_that_closes_stdin_is_sent_no_more_input() {
    let mut job = begin();
    connected(&mut job, 0, RUN);
    assert!(job.wants_stdin());
    job.on_event(Event::Stream {
        session: attachment(0),
        event: StreamEvent::Stopped {
            stream: StreamId::new(CallId(0), Lane::Data),
            code: 0,
        },
    });
    assert!(!job.wants_stdin());
    job.on_stdin(Bytes::from_static(b"x"), true);
    assert!(drain(&mut job).stdin.is_empty());
}

#[test]
fn a_closed_pipe_cancels_the_job_and_its_output_is_not_awaited() {
    let mut job = begin();
    connected(&mut job, 0, RUN);
    reply(&mut job, 0, &accepted(0, 0));
    data(&mut job, 0, 0, Lane::Data, b"y\ny\n", false);
    drain(&mut job);
    job.on_broken_pipe(Stdout);
    let wanted = drain(&mut job);
    assert_eq!(wanted.stopped.len(), 1);
    assert_eq!(wanted.requests[0].2, Request::Cancel {});
    let pipe = Outcome::Signaled {
        signal: 13,
        core: false,
    };
    reply(&mut job, 0, &exit(pipe, 4000, 0));
    assert_eq!(outcome(&drain(&mut job)), Some(pipe));
}

#[test]
fn a_job_canceled_before_the_request_was_sent_runs_nothing() {
    let mut job = begin();
    job.cancel();
    let wanted = drain(&mut job);
    assert_eq!(outcome(&wanted), Some(Outcome::Canceled {}));
    assert_eq!(wanted.closed, [attachment(0)]);
}

#[test]
fn cancel_is_sent_in_every_session() {
    let mut job = begin();
    connected(&mut job, 0, RUN);
    drain(&mut job);
    job.cancel();
    silence(&mut job, 0);
    let wanted = drain(&mut job);
    let cancels: Vec<_> = wanted
        .requests
        .iter()
        .filter(|(_, _, request)| *request == Request::Cancel {})
        .map(|(session, ..)| *session)
        .collect();
    assert_eq!(cancels, [attachment(0), attachment(1)]);
}

#[test]
fn a_detached_job_ends_when_the_command_runs() {
    let mut job = RemoteJob::new(Config {
        goal: Goal::Detach,
        ..config(1, None)
    });
    connected(&mut job, 0, RUN);
    reply(&mut job, 0, &accepted(0, 0));
    data(&mut job, 0, 0, Lane::Data, b"early", false);
    let wanted = drain(&mut job);
    assert!(wanted.report.is_none() && wanted.output[0].is_empty());
    reply(&mut job, 0, &Reply::Started { pid: 5, home: None });
    let wanted = drain(&mut job);
    assert!(!wanted.collected, "someone is to attach later");
    assert_eq!(outcome(&wanted), None);
}

#[test]
fn a_detached_command_that_is_canceled_before_it_runs_is_canceled() {
    let begin = || {
        let mut job = RemoteJob::new(Config {
            goal: Goal::Detach,
            ..config(1, None)
        });
        connected(&mut job, 0, RUN);
        reply(&mut job, 0, &accepted(0, 0));
        drain(&mut job);
        job.cancel();
        job
    };
    let canceled = Outcome::Canceled {};
    let mut job = begin();
    reply(&mut job, 0, &exit(canceled, 0, 0));
    assert_eq!(outcome(&drain(&mut job)), Some(canceled));
    // The start and the cancel have crossed.
    let mut job = begin();
    reply(&mut job, 0, &Reply::Started { pid: 5, home: None });
    assert!(drain(&mut job).report.is_none(), "its end is awaited");
    reply(&mut job, 0, &exit(canceled, 0, 0));
    assert_eq!(outcome(&drain(&mut job)), Some(canceled));
}

#[test]
fn a_detached_job_reports_a_failed_start() {
    let mut job = RemoteJob::new(Config {
        goal: Goal::Detach,
        ..config(1, None)
    });
    connected(&mut job, 0, RUN);
    reply(&mut job, 0, &accepted(0, 0));
    let failed = Outcome::SpawnFailed {
        errno: 2,
        step: crate::message::StartStep::Program,
    };
    reply(&mut job, 0, &exit(failed, 0, 0));
    assert_eq!(outcome(&drain(&mut job)), Some(failed));
}

#[test]
fn an_attach_reports_output_that_is_no_longer_held() {
    let mut job = RemoteJob::new(Config {
        request: JobRequest::Attach {
            key: None,
            keyboard: false,
            id: ID,
            stdout: Some(0),
            stderr: None,
        },
        ..config(1, None)
    });
    connected(&mut job, 0, RUN);
    reply(&mut job, 0, &accepted(10, 3));
    data(&mut job, 0, 0, Lane::Data, b"kl", true);
    reply(&mut job, 0, &exit(OK, 12, 3));
    drain(&mut job);
    job.on_written(Stdout, 2);
    let report = drain(&mut job).report.unwrap();
    assert_eq!(report.missing, [10, 0]);
    assert_eq!(report.lengths, [12, 3]);
}

#[test]
fn an_attach_without_a_ticket_is_canceled_at_the_agent_and_not_here_alone() {
    let mut job = RemoteJob::new(Config {
        request: JobRequest::Attach {
            key: None,
            keyboard: false,
            id: ID,
            stdout: None,
            stderr: None,
        },
        ..config(1, None)
    });
    connected(&mut job, 0, RUN);
    reply(&mut job, 0, &accepted(0, 0));
    drain(&mut job);
    job.cancel();
    let wanted = drain(&mut job);
    assert_eq!(wanted.requests[0].2, Request::Cancel {});
    assert!(wanted.report.is_none(), "the agent has not answered yet");
}

#[test]
fn an_attached_result_that_another_controller_took_is_lost() {
    let mut job = begin();
    connected(&mut job, 0, RUN);
    reply(&mut job, 0, &accepted(0, 0));
    data(&mut job, 0, 0, Lane::Control, b"", true);
    assert_eq!(outcome(&drain(&mut job)), Some(Outcome::Lost {}));
}

#[test]
fn output_reset_by_the_agent_is_no_result() {
    let mut job = begin();
    connected(&mut job, 0, RUN);
    reply(&mut job, 0, &accepted(0, 0));
    reply(&mut job, 0, &exit(OK, 10, 0));
    job.on_event(Event::Stream {
        session: attachment(0),
        event: StreamEvent::Reset {
            stream: StreamId::new(CallId(0), Lane::Data),
            code: 2,
        },
    });
    assert_eq!(outcome(&drain(&mut job)), Some(Outcome::Lost {}));
}

#[test]
fn a_refusal_needs_no_acceptance() {
    for refusal in [
        exit(Outcome::Busy {}, 0, 0),
        exit(Outcome::Denied {}, 0, 0),
        Reply::Denied {},
    ] {
        let mut job = begin();
        connected(&mut job, 0, RUN);
        reply(&mut job, 0, &refusal);
        let wanted = drain(&mut job);
        assert!(!outcome(&wanted).unwrap().is_success());
        assert!(!wanted.report.unwrap().accepted);
    }
}

#[test]
fn a_malformed_reply_is_no_result() {
    let mut job = begin();
    connected(&mut job, 0, RUN);
    data(&mut job, 0, 0, Lane::Control, b"nonsense\n", false);
    assert_eq!(outcome(&drain(&mut job)), Some(Outcome::Lost {}));
}

#[test]
fn offsets_beyond_the_range_of_a_stream_are_a_violation() {
    for nonsense in [
        accepted(u64::MAX, 0),
        accepted(0, u64::MAX),
        exit(OK, u64::MAX, u64::MAX),
    ] {
        let mut job = begin();
        connected(&mut job, 0, RUN);
        reply(&mut job, 0, &nonsense);
        data(&mut job, 0, 0, Lane::Data, b"x", false);
        assert_eq!(outcome(&drain(&mut job)), Some(Outcome::Lost {}));
    }
}
