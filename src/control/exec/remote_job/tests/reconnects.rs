//! Sessions of a job: silence, restarts of the agent, repeated requests.

use super::*;

#[test]
fn the_report_waits_for_the_last_byte_to_be_written() {
    let mut job = begin();
    connected(&mut job, 0, RUN);
    // The exit may overtake the output, and output the acceptance.
    data(&mut job, 0, 0, Lane::Data, b"hel", false);
    reply(&mut job, 0, &accepted(0, 0));
    reply(&mut job, 0, &exit(OK, 5, 2));
    data(&mut job, 0, 0, Lane::Stderr, b"no", true);
    let wanted = drain(&mut job);
    assert_eq!(wanted.output, [b"hel".to_vec(), b"no".to_vec()]);
    assert_eq!(wanted.granted, [0, 0]);
    assert!(wanted.report.is_none() && !wanted.collected);

    data(&mut job, 0, 0, Lane::Data, b"lo", true);
    job.on_written(Stdout, 3);
    job.on_written(Stderr, 2);
    let wanted = drain(&mut job);
    assert_eq!(wanted.output[0], b"lo");
    assert_eq!(wanted.granted, [3, 2]);
    assert!(wanted.report.is_none());

    job.on_written(Stdout, 2);
    let wanted = drain(&mut job);
    assert!(wanted.collected);
    assert_eq!(wanted.closed, [attachment(0)]);
    let report = wanted.report.unwrap();
    assert_eq!(report.outcome, Some(OK));
    assert_eq!(report.lengths, [5, 2]);
}

#[test]
fn a_result_that_was_received_needs_no_network() {
    let mut job = begin();
    connected(&mut job, 0, RUN);
    reply(&mut job, 0, &accepted(0, 0));
    data(&mut job, 0, 0, Lane::Data, b"x", true);
    reply(&mut job, 0, &exit(OK, 1, 0));
    drain(&mut job);
    silence(&mut job, 0);
    closed(&mut job, 0, Closed::Lost);
    let wanted = drain(&mut job);
    assert!(wanted.connects.is_empty() && wanted.report.is_none());
    job.on_written(Stdout, 1);
    assert_eq!(outcome(&drain(&mut job)), Some(OK));
}

#[test]
fn an_agent_without_an_answer_is_unreachable() {
    let mut job = begin();
    assert_eq!(drain(&mut job).connects[0].timeout, Duration::from_secs(10));
    closed(&mut job, 0, Closed::Unreachable);
    let wanted = drain(&mut job);
    assert_eq!(outcome(&wanted), Some(Outcome::Unreachable {}));
    assert!(!wanted.report.unwrap().accepted);
}

#[test]
fn every_address_is_tried_in_one_session_that_has_the_contact_timeout() {
    let mut job = RemoteJob::new(config(2, None));
    let wanted = drain(&mut job);
    assert!(wanted.requests.is_empty(), "no agent has answered");
    let connect = &wanted.connects[0];
    assert_eq!(connect.path, path(7000));
    assert_eq!(connect.further, [path(7001)]);
    assert_eq!(connect.timeout, Duration::from_secs(10));
    closed(&mut job, 0, Closed::Unreachable);
    let wanted = drain(&mut job);
    assert!(wanted.connects.is_empty());
    assert_eq!(outcome(&wanted), Some(Outcome::Unreachable {}));
    let note = wanted.report.unwrap().note.unwrap();
    assert_eq!(note, "tried 127.0.0.1:7000, 127.0.0.1:7001");
}

#[test]
fn an_agent_that_ends_session_after_session_uses_up_the_numbers_and_nothing_overflows() {
    let mut job = begin();
    for generation in 0..u64::from(u16::MAX) {
        connected(&mut job, generation, RUN);
        reply(&mut job, generation, &accepted(0, 0));
        assert!(drain(&mut job).report.is_none());
        if generation + 1 < u64::from(u16::MAX) {
            closed(&mut job, generation, Closed::KeyUsedUp);
        }
    }
    // The last session is silent: there is no number for another one beside it.
    job.on_event(Event::Silent {
        session: attachment(u64::from(u16::MAX) - 1),
    });
    let wanted = drain(&mut job);
    assert!(wanted.connects.is_empty() && wanted.report.is_none());
    closed(&mut job, u64::from(u16::MAX) - 1, Closed::Lost);
    assert_eq!(outcome(&drain(&mut job)), Some(Outcome::Lost {}));
}

#[test]
fn a_request_that_may_have_been_taken_is_attached_to_and_not_sent_again() {
    // The first datagram carried the command, and the session is lost.
    let mut job = RemoteJob::new(config(2, Some(ticket(RUN, 0))));
    assert!(matches!(drain(&mut job).requests[0].2, Request::Exec(_)));
    connected(&mut job, 0, RUN);
    closed(&mut job, 0, Closed::Lost);
    assert!(matches!(
        drain(&mut job).requests[0].2,
        Request::Attach { .. }
    ));
    // The same run of the agent answers that it has not seen it.
    connected(&mut job, 1, RUN);
    reply(&mut job, 1, &Reply::NoJob {});
    let wanted = drain(&mut job);
    assert!(
        matches!(wanted.requests[..], [(session, CallId(1), Request::Exec(_))] if session == attachment(1))
    );
}

#[test]
fn a_younger_agent_that_does_not_know_the_request_is_not_asked_to_start_it() {
    let mut job = RemoteJob::new(config(2, Some(ticket(RUN, 0))));
    closed(&mut job, 0, Closed::Restarted);
    connected(&mut job, 1, NEXT_RUN);
    reply(&mut job, 1, &Reply::NoJob {});
    let wanted = drain(&mut job);
    assert_eq!(outcome(&wanted), Some(Outcome::Unknown {}));
    assert_eq!(
        wanted
            .requests
            .iter()
            .filter(|(_, _, request)| matches!(request, Request::Exec(_)))
            .count(),
        1
    );
}

#[test]
fn the_session_that_answers_first_is_kept_and_the_other_closed() {
    let mut job = begin();
    connected(&mut job, 0, RUN);
    silence(&mut job, 0);
    assert_eq!(drain(&mut job).connects.len(), 2);
    connected(&mut job, 1, RUN);
    reply(&mut job, 0, &accepted(0, 0));
    assert_eq!(drain(&mut job).closed, [attachment(1)]);
}

#[test]
fn a_request_without_a_ticket_is_sent_once_an_agent_has_answered() {
    let mut job = RemoteJob::new(config(2, None));
    job.on_stdin(Bytes::from_static(b"input"), true);
    let wanted = drain(&mut job);
    assert!(wanted.requests.is_empty() && wanted.stdin.is_empty());
    assert!(!job.may_be_there());
    connected(&mut job, 0, RUN);
    let wanted = drain(&mut job);
    // Nobody else has the id, so an agent of any age may start it.
    assert_eq!(ages(&wanted), [0]);
    assert_eq!((&wanted.stdin[..], wanted.stdin_fin), (&b"input"[..], true));
    assert!(job.may_be_there());
    reply(&mut job, 0, &accepted(0, 0));
    assert!(drain(&mut job).stdin.is_empty(), "no byte is sent twice");
}

#[test]
fn a_request_without_a_ticket_has_its_age_once_it_was_sent() {
    let mut job = begin();
    connected(&mut job, 0, RUN);
    assert_eq!(ages(&drain(&mut job)), [0]);
    // The agent has restarted, and the session with it is opened as the first was.
    closed(&mut job, 0, Closed::Lost);
    connected(&mut job, 1, NEXT_RUN);
    assert!(ages(&drain(&mut job)).iter().all(|&age| age > 0));
}

#[test]
fn a_request_with_a_chosen_id_starts_nothing_on_an_agent_that_may_be_younger() {
    let chosen = || {
        RemoteJob::new(Config {
            request: JobRequest::Exec(Exec {
                retain: true,
                ..exec()
            }),
            ..config(1, None)
        })
    };
    let mut job = chosen();
    connected(&mut job, 0, RUN);
    assert_eq!(ages(&drain(&mut job)), [40]);
    // However long the request is on its way, it must not seem to be younger than the agent.
    let mut job = chosen();
    connected(&mut job, 0, NEXT_RUN);
    assert_eq!(ages(&drain(&mut job)), [u64::MAX]);
    reply(&mut job, 0, &exit(Outcome::Unknown {}, 0, 0));
    let wanted = drain(&mut job);
    assert_eq!(outcome(&wanted), Some(Outcome::Unknown {}));
    assert!(ages(&wanted).is_empty());
}

fn repeat() -> RemoteJob {
    let request = JobRequest::Exec(Exec {
        age_ms: 5_000,
        ..exec()
    });
    RemoteJob::new(Config {
        request,
        // So that it was first sent one second after the clock's origin.
        begun: Instant::from_micros(6_001_000),
        ..config(1, None)
    })
}

/// The ages of the requests to start it.
fn ages(wanted: &Wanted) -> Vec<u64> {
    let mut ages = Vec::new();
    for (_, _, request) in &wanted.requests {
        if let Request::Exec(exec) = request {
            ages.push(exec.age_ms);
        }
    }
    ages
}

#[test]
fn a_repeat_probes_first_and_then_asks_an_agent_that_is_older_for_a_start() {
    let mut job = repeat();
    assert_eq!(ages(&drain(&mut job)), [u64::MAX]);
    job.on_stdin(Bytes::from_static(b"input"), true);
    connected(&mut job, 0, RUN);
    assert!(drain(&mut job).stdin.is_empty(), "nobody may take it yet");
    reply(&mut job, 0, &exit(Outcome::Unknown {}, 0, 0));
    let wanted = drain(&mut job);
    assert_eq!(ages(&wanted), [5_000]);
    assert_eq!(wanted.requests[0].1, CallId(1));
    data(
        &mut job,
        0,
        1,
        Lane::Control,
        &to_line(&accepted(0, 0)),
        false,
    );
    let wanted = drain(&mut job);
    assert_eq!(wanted.stdin, b"input");
    assert!(wanted.stdin_fin);
}

#[test]
fn a_repeat_attaches_to_the_job_of_the_agent_and_reports_conflicts() {
    let mut job = repeat();
    job.on_stdin(Bytes::from_static(b"input"), true);
    connected(&mut job, 0, RUN);
    let mut accepted = accepted(0, 0);
    if let Reply::Accepted { stdin, .. } = &mut accepted {
        *stdin = 2;
    }
    reply(&mut job, 0, &accepted);
    assert_eq!(
        drain(&mut job).stdin,
        b"input",
        "from the lane's first byte"
    );
    let mut job = repeat();
    connected(&mut job, 0, RUN);
    reply(&mut job, 0, &exit(Outcome::Conflict {}, 0, 0));
    assert_eq!(outcome(&drain(&mut job)), Some(Outcome::Conflict {}));
}

#[test]
fn a_repeat_is_not_started_by_an_agent_that_may_be_younger() {
    // It may have begun half a round trip later than the ticket says.
    for (started, rtt) in [(2_000_000, 1), (999_000, 4)] {
        let mut job = repeat();
        let ticket = Ticket {
            rtt: Duration::from_millis(rtt),
            ..ticket(RUN, started)
        };
        job.on_event(Event::Connected {
            session: attachment(0),
            path: path(7000),
            at: AT,
            ticket,
            early: Early::Accepted,
        });
        reply(&mut job, 0, &exit(Outcome::Unknown {}, 0, 0));
        let wanted = drain(&mut job);
        assert_eq!(outcome(&wanted), Some(Outcome::Unknown {}));
        assert_eq!(ages(&wanted), [u64::MAX]);
    }
}

#[test]
fn a_silent_agent_is_retried_and_the_output_continues() {
    let mut job = begin();
    connected(&mut job, 0, RUN);
    reply(&mut job, 0, &accepted(0, 0));
    data(&mut job, 0, 0, Lane::Data, b"abc", false);
    drain(&mut job);
    silence(&mut job, 0);
    let wanted = drain(&mut job);
    assert_eq!(
        wanted.requests[0].2,
        Request::Attach {
            key: None,
            id: ID,
            stdout: Some(3),
            stderr: Some(0)
        }
    );
    // Both sessions bring the same bytes; each is shown once.
    data(&mut job, 0, 0, Lane::Data, b"de", false);
    connected(&mut job, 1, RUN);
    data(&mut job, 1, 0, Lane::Data, b"def", true);
    reply(&mut job, 1, &accepted(3, 0));
    reply(&mut job, 1, &exit(OK, 6, 0));
    let wanted = drain(&mut job);
    assert_eq!(wanted.output[0], b"def");
    assert_eq!(wanted.closed, [attachment(0)]);
    job.on_written(Stdout, 6);
    let wanted = drain(&mut job);
    assert_eq!(wanted.granted[0], 3, "credit for what this session brought");
    assert_eq!(outcome(&wanted), Some(OK));
}

#[test]
fn an_agent_that_stays_silent_is_lost_after_the_retry_time() {
    let mut job = begin();
    connected(&mut job, 0, RUN);
    reply(&mut job, 0, &accepted(0, 0));
    silence(&mut job, 0);
    closed(&mut job, 1, Closed::Unreachable);
    assert!(drain(&mut job).report.is_none());
    closed(&mut job, 2, Closed::Unreachable);
    let wanted = drain(&mut job);
    assert_eq!(outcome(&wanted), Some(Outcome::Lost {}));
    assert!(wanted.report.unwrap().accepted);
}

#[test]
fn a_restarted_agent_does_not_know_the_job() {
    let mut job = begin();
    connected(&mut job, 0, RUN);
    reply(&mut job, 0, &accepted(0, 0));
    silence(&mut job, 0);
    connected(&mut job, 1, NEXT_RUN);
    reply(&mut job, 1, &Reply::NoJob {});
    assert_eq!(outcome(&drain(&mut job)), Some(Outcome::Unknown {}));
}
